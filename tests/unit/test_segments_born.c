// Segments whose process is stopped or killed while it makes them, at each system call of it.
#include "processes/segments.h"

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "../support/segments_fixture.h"
#include "../support/suite.h"

// A moment of a birth: before the first call of that number, with a second argument where one is
// named. The descriptor of the last is the segment's.
struct moment {
    long call;
    unsigned long second; // 0: whatever it is
};
static const struct moment created = {SYS_fcntl, F_OFD_SETLK};
static const struct moment moments[] = {
    {SYS_fcntl, F_OFD_SETLK}, {SYS_ftruncate, 0}, {SYS_pwritev, 0}, {SYS_close, 0}};
enum { MOMENTS = sizeof moments / sizeof *moments };

// Makes a segment and stays until it is killed.
static void be_born(void)
{
    mproxy_job job = {.jobid = "job-1"};
    struct mpx_writer *w = NULL;
    unsigned reasons;
    struct mpx_writer_birth birth = {.dir_path = folder, .job = &job};
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    mproxy_status status = mpx_writer_open(&birth, &w, &reasons, NULL);
    if (status == MPROXY_OK)
        mpx_writer_header(w)->started = 1;
    raise(status == MPROXY_OK ? SIGSTOP : SIGKILL);
    for (;;)
        pause();
}

static bool is_moment(pid_t pid, const struct moment *m)
{
    struct __ptrace_syscall_info info;
    return ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) > 0 &&
           info.op == PTRACE_SYSCALL_INFO_ENTRY && (long)info.entry.nr == m->call &&
           (!m->second || info.entry.args[1] == m->second) &&
           (m->call != SYS_close || files(".seg") > 0);
}

static pid_t stop_at(const struct moment *m)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        be_born();
    waitpid(pid, &status, 0);
    ck_assert(WIFSTOPPED(status));
    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
    do {
        ptrace(PTRACE_SYSCALL, pid, 0, 0);
        waitpid(pid, &status, 0);
        ck_assert(WIFSTOPPED(status));
    } while (!is_moment(pid, m));
    return pid;
}

// On until it has made its segment. False: it could not.
static bool let_be_born(pid_t pid)
{
    int status;
    ptrace(PTRACE_CONT, pid, 0, 0);
    waitpid(pid, &status, 0);
    return WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP;
}

static void kill_it(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

// The one name that ends so; empty when there is none.
static const char *name_of_segment(void)
{
    static char name[256];
    char command[160];
    snprintf(command, sizeof command, "ls -A %s | grep -- '.seg$'", folder);
    FILE *f = popen(command, "r");
    if (fscanf(f, "%255s", name) != 1)
        name[0] = '\0';
    pclose(f);
    return name;
}

static void make_old(void)
{
    struct timespec old[2] = {{.tv_sec = time(NULL) - 100}, {.tv_sec = time(NULL) - 100}};
    ck_assert_int_eq(utimensat(dir, name_of_segment(), old, 0), 0);
}

START_TEST(one_that_is_being_born_is_passed_over)
{
    for (int i = 0; i < MOMENTS; i++) {
        pid_t pid = stop_at(&moments[i]);
        if (moments[i].call != SYS_fcntl)
            make_old(); // it has the lock: however long it takes

        play_round();

        ck_assert_uint_eq(files(".seg"), 1);
        ck_assert_uint_eq(stats().processes, 0);
        ck_assert_uint_eq(warnings, 0);
        ck_assert(let_be_born(pid));
        play_round();
        ck_assert_uint_eq(stats().processes, 1);
        ck_assert_double_eq(shown("job-1", "has_started"), i + 1);
        kill_it(pid);
        play_round();
        ck_assert_uint_eq(files(".seg"), 0);
    }
}
END_TEST

START_TEST(one_that_was_killed_meanwhile_is_swept_away_and_said)
{
    for (int i = 0; i < MOMENTS; i++) {
        kill_it(stop_at(&moments[i]));

        play_round();
        ck_assert_uint_eq(files(".seg"), 1); // it may only be late
        ck_assert_uint_eq(warnings, (unsigned)i);
        make_old();
        play_round();

        ck_assert_uint_eq(files(".seg"), 0);
        ck_assert_uint_eq(warnings, (unsigned)i + 1);
        ck_assert_ptr_nonnull(strstr(warning, "nor is it whole"));
        ck_assert_uint_eq(stats().processes, 0);
    }
}
END_TEST

START_TEST(one_that_was_swept_away_is_born_under_another_name)
{
    pid_t pid = stop_at(&created);
    make_old();
    play_round();
    ck_assert_uint_eq(files(".seg"), 0);

    ck_assert(let_be_born(pid));

    play_round();
    ck_assert_double_eq(shown("job-1", "has_started"), 1);
    kill_it(pid);
}
END_TEST

// The proxy has its lock and has not removed it yet: whoever is born must not use that name.
START_TEST(one_that_is_being_swept_away_leaves_its_name_to_the_proxy)
{
    pid_t pid = stop_at(&created);
    char first[256];
    strcpy(first, name_of_segment());
    int fd = openat(dir, first, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(image_lock(fd, F_WRLCK), 0);

    ck_assert(let_be_born(pid));

    ck_assert_uint_eq(files(".seg"), 2);
    ck_assert_int_eq(unlinkat(dir, first, 0), 0);
    close(fd);
    play_round();
    ck_assert_uint_eq(files(".seg"), 1);
    ck_assert_double_eq(shown("job-1", "has_started"), 1);
    kill_it(pid);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("segments_born");
    TCase *t = tcase_create("births");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, one_that_is_being_born_is_passed_over);
    tcase_add_test(t, one_that_was_killed_meanwhile_is_swept_away_and_said);
    tcase_add_test(t, one_that_was_swept_away_is_born_under_another_name);
    tcase_add_test(t, one_that_is_being_swept_away_leaves_its_name_to_the_proxy);
    suite_add_tcase(s, t);
    return run_suite(s);
}
