// Tests that die at a crash point, in a child, and look at what it left behind.
#ifndef TESTS_SUPPORT_CRASH_H
#define TESTS_SUPPORT_CRASH_H

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

// The child must be killed at `point`, which may say POINT:N for the N-th passage.
static inline void die_at(const char *point, void (*body)(void *arg), void *arg)
{
    int status;
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        setenv("MPROXY_CRASH_AT", point, 1);
        body(arg);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s is not reached",
                  point);
}

// A suite of such tests is a binary of its own: without crash points it is skipped whole.
static inline int run_crash_suite(Suite *suite)
{
#ifdef MPROXY_TEST_HOOKS
    return run_suite(suite);
#else
    srunner_free(srunner_create(suite));
    return skip_suite("hooks", "it was built without MPROXY_TEST_HOOKS");
#endif
}

#endif
