// Programs for tests of the client: functions run in a child of their own, with a rendezvous
// directory of their own. The test itself never counts, so each program starts afresh.
#ifndef TESTS_SUPPORT_PROGRAM_H
#define TESTS_SUPPORT_PROGRAM_H

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "segment_probe.h"
#include "suite.h"

static char program_socket[64];
static char program_dir[80];

// A checked Check fixture: a directory under /dev/shm, named by PROXY_PATH.
static inline void program_setup(void)
{
    snprintf(program_socket, sizeof program_socket, "/dev/shm/mproxy-test-%d",
             (int)getpid());
    snprintf(program_dir, sizeof program_dir, "%s.d", program_socket);
    probe_remove(program_dir);
    ck_assert_int_eq(mkdir(program_dir, 0700), 0);
    setenv("PROXY_PATH", program_socket, 1);
    setenv("PROXY_JOB_ID", "test job", 1);
}

static inline void program_teardown(void)
{
    probe_remove(program_dir);
}

// What the program found wrong: the line, as its exit status.
#define PROGRAM_CHECK(condition)                                                         \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);              \
            _exit(99);                                                                   \
        }                                                                                \
    } while (0)

static inline pid_t program_start(void (*body)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        body();
        _exit(0);
    }
    ck_assert_int_gt(pid, 0);
    return pid;
}

// Its wait status, or the death of the test after a minute.
static inline int program_wait(pid_t pid)
{
    int status = -1;
    for (int i = 0; i < 60000; i++) {
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid)
            return status;
        ck_assert_msg(got == 0, "waitpid: %d", errno);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    ck_abort_msg("the program did not end");
    return status;
}

static inline pid_t program_run(void (*body)(void))
{
    pid_t pid = program_start(body);
    ck_assert_int_eq(program_wait(pid), 0);
    return pid;
}

// A pipe that one side reads to wait for the other.
static inline void pipe_say(const int pipe_fds[2])
{
    ssize_t put = write(pipe_fds[1], "x", 1);
    (void)put;
}

static inline void pipe_hear(const int pipe_fds[2])
{
    char c;
    while (read(pipe_fds[0], &c, 1) < 0 && errno == EINTR)
        ;
}

#endif
