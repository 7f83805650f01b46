#include "processes/samples.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../support/suite.h"

static char folder[64];
static int state;
static const struct mpx_sample_key a = {7, 100, 1000, 0}, b = {7, 100, 1001, 0};

static void setup(void)
{
    strcpy(folder, "/dev/shm/mproxy-samples-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    state = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void teardown(void)
{
    close(state);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static struct mpx_samples *open_samples(void)
{
    struct mpx_samples *s = NULL;
    mproxy_error err = {0};
    ck_assert_msg(mpx_samples_open(state, &s, &err) == MPROXY_OK, "%s", err.text);
    return s;
}

static struct mpx_process_values values(uint64_t first)
{
    struct mpx_process_values v = {.set = 5};
    v.value[0] = first;
    v.value[2] = 3;
    return v;
}

START_TEST(samples_outlive_the_proxy)
{
    struct mpx_samples *s = open_samples();
    struct mpx_process_values v = values(42), back;
    mpx_samples_put(s, mpx_samples_add(s, &a), &v);
    mpx_samples_close(s);

    s = open_samples();

    ck_assert_uint_eq(mpx_samples_claim(s, &b), MPX_SAMPLE_NONE);
    uint32_t entry = mpx_samples_claim(s, &a);
    ck_assert_uint_ne(entry, MPX_SAMPLE_NONE);
    mpx_samples_get(s, entry, &back);
    ck_assert_uint_eq(back.set, 5);
    ck_assert_uint_eq(back.value[0], 42);
    ck_assert_uint_eq(mpx_samples_claim(s, &a), MPX_SAMPLE_NONE); // once
    mpx_samples_close(s);
}
END_TEST

START_TEST(samples_are_not_given_to_another_user)
{
    const struct mpx_sample_key theirs = {a.pid_ns, a.pid, a.start_ticks, 54321};
    struct mpx_samples *s = open_samples();
    struct mpx_process_values v = values(42), back;
    mpx_samples_put(s, mpx_samples_add(s, &a), &v);
    mpx_samples_close(s);

    s = open_samples();

    ck_assert_uint_eq(mpx_samples_claim(s, &theirs), MPX_SAMPLE_NONE);
    uint32_t entry = mpx_samples_claim(s, &a);
    ck_assert_uint_ne(entry, MPX_SAMPLE_NONE);
    mpx_samples_get(s, entry, &back);
    ck_assert_uint_eq(back.value[0], 42);
    mpx_samples_close(s);
}
END_TEST

START_TEST(samples_that_nobody_claims_are_swept)
{
    struct mpx_samples *s = open_samples();
    mpx_samples_add(s, &a);
    mpx_samples_add(s, &b);
    mpx_samples_close(s);
    s = open_samples();
    ck_assert_uint_ne(mpx_samples_claim(s, &b), MPX_SAMPLE_NONE);

    mpx_samples_sweep(s);

    mpx_samples_close(s);
    s = open_samples();
    ck_assert_uint_eq(mpx_samples_claim(s, &a), MPX_SAMPLE_NONE);
    ck_assert_uint_ne(mpx_samples_claim(s, &b), MPX_SAMPLE_NONE);
    mpx_samples_close(s);
}
END_TEST

START_TEST(samples_dropped_are_gone_and_their_room_is_used_again)
{
    struct mpx_samples *s = open_samples();
    uint32_t entry = mpx_samples_add(s, &a);

    mpx_samples_drop(s, entry);

    ck_assert_uint_eq(mpx_samples_add(s, &b), entry);
    struct mpx_process_values back;
    mpx_samples_get(s, entry, &back);
    ck_assert_uint_eq(back.set, 0);
    mpx_samples_close(s);
}
END_TEST

START_TEST(samples_grow_past_their_first_room)
{
    struct mpx_samples *s = open_samples();
    for (uint64_t i = 1; i <= 2000; i++) {
        struct mpx_sample_key key = {1, i, i, 0};
        struct mpx_process_values v = values(i);
        uint32_t entry = mpx_samples_add(s, &key);
        ck_assert_uint_ne(entry, MPX_SAMPLE_NONE);
        mpx_samples_put(s, entry, &v);
    }
    mpx_samples_close(s);

    s = open_samples();

    for (uint64_t i = 1; i <= 2000; i++) {
        struct mpx_sample_key key = {1, i, i, 0};
        struct mpx_process_values back;
        mpx_samples_get(s, mpx_samples_claim(s, &key), &back);
        ck_assert_uint_eq(back.value[0], i);
    }
    mpx_samples_close(s);
}
END_TEST

START_TEST(samples_of_a_damaged_file_are_forgotten)
{
    static const char *const damages[] = {"", "x", "not a file of samples at all"};
    int fd = openat(state, "samples", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    size_t length = strlen(damages[_i]);
    ck_assert_int_eq(write(fd, damages[_i], length), (ssize_t)length);
    close(fd);

    struct mpx_samples *s = open_samples();

    ck_assert_uint_eq(mpx_samples_claim(s, &a), MPX_SAMPLE_NONE);
    ck_assert_uint_ne(mpx_samples_add(s, &a), MPX_SAMPLE_NONE);
    mpx_samples_close(s);
}
END_TEST

START_TEST(samples_move_to_another_directory)
{
    struct mpx_samples *s = open_samples();
    struct mpx_process_values v = values(42), back;
    uint32_t entry = mpx_samples_add(s, &a);
    mpx_samples_put(s, entry, &v);
    ck_assert_int_eq(mkdirat(state, "other", 0700), 0);
    int other = openat(state, "other", O_RDONLY | O_DIRECTORY);

    ck_assert_int_eq(mpx_samples_move(s, other, NULL), MPROXY_OK);

    v.value[0] = 43;
    mpx_samples_put(s, entry, &v);
    mpx_samples_close(s);
    ck_assert_int_eq(mpx_samples_open(other, &s, NULL), MPROXY_OK);
    mpx_samples_get(s, mpx_samples_claim(s, &a), &back);
    ck_assert_uint_eq(back.value[0], 43);
    mpx_samples_close(s);
    close(other);
}
END_TEST

START_TEST(samples_stay_when_they_move_to_where_they_are)
{
    struct mpx_samples *s = open_samples();
    struct mpx_process_values v = values(42), back;
    uint32_t entry = mpx_samples_add(s, &a);
    mpx_samples_put(s, entry, &v);

    ck_assert_int_eq(mpx_samples_move(s, state, NULL), MPROXY_OK);

    mpx_samples_get(s, entry, &back);
    ck_assert_uint_eq(back.value[0], 42);
    mpx_samples_close(s);
}
END_TEST

START_TEST(process_values_keep_the_greater_counter_and_the_later_gauge)
{
    struct mpx_process_values v = {.set = 7, .value = {10, 20, 300}};
    struct mpx_process_values later = {.set = 15, .value = {9, 21, 200, 5}};

    ck_assert(mpx_process_values_merge(&v, &later));

    ck_assert_uint_eq(v.value[0], 10);
    ck_assert_uint_eq(v.value[1], 21);
    ck_assert_uint_eq(v.value[2], 200); // resident memory, a gauge
    ck_assert_uint_eq(v.value[3], 5);
    ck_assert(!mpx_process_values_merge(&v, &later));
}
END_TEST

// ---- /proc

static uint64_t start_of(pid_t pid)
{
    char path[64], text[1024] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_gt(fread(text, 1, sizeof text - 1, f), 0);
    fclose(f);
    const char *at = strrchr(text, ')');
    for (int i = 2; i < 22; i++)
        at = strchr(at + 1, ' ');
    return strtoull(at, NULL, 10);
}

START_TEST(procfs_reads_what_a_process_used)
{
    struct mpx_procfs *p;
    struct mpx_process_values v;
    struct timespec now;
    do
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    while (now.tv_nsec < 60000000);
    ck_assert_int_eq(mpx_procfs_open("/proc", &p, NULL), MPROXY_OK);

    ck_assert(
        mpx_procfs_sample(p, (uint32_t)getpid(), start_of(getpid()), geteuid(), &v));

    ck_assert_uint_eq(v.set & 0x7cf, 0x7cf); // all but I/O, which may be hidden
    ck_assert_uint_ge(v.value[0] + v.value[1], 30000);
    ck_assert_uint_gt(v.value[2], 4096);
    ck_assert_uint_ge(v.value[3], v.value[2] / 2);
    ck_assert_uint_gt(v.value[6], 0);
    ck_assert_uint_eq(v.value[10], 1);
    ck_assert(
        !mpx_procfs_sample(p, (uint32_t)getpid(), start_of(getpid()) + 1, geteuid(), &v));
    mpx_procfs_close(p);
}
END_TEST

static void write_mib(const char *path, int mib)
{
    static const char zeroes[1 << 20];
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    for (int i = 0; i < mib; i++)
        ck_assert_int_eq(write(fd, zeroes, sizeof zeroes), sizeof zeroes);
    ck_assert_int_eq(fsync(fd), 0);
    close(fd);
    unlink(path);
}

START_TEST(procfs_leaves_out_what_children_wrote)
{
    struct mpx_procfs *p;
    struct mpx_process_values before, after;
    char path[] = "bytes-XXXXXX";
    uint32_t me = (uint32_t)getpid();
    close(mkstemp(path));
    ck_assert_int_eq(mpx_procfs_open("/proc", &p, NULL), MPROXY_OK);
    ck_assert(mpx_procfs_sample(p, me, start_of(getpid()), geteuid(), &before));

    pid_t child = fork();
    if (child == 0) {
        write_mib(path, 8);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    write_mib(path, 1);
    ck_assert(mpx_procfs_sample(p, me, start_of(getpid()), geteuid(), &after));

    uint64_t wrote =
        after.value[MPX_FINAL_WRITTEN_BYTES] - before.value[MPX_FINAL_WRITTEN_BYTES];
    mpx_procfs_close(p);
    // None where the file is in memory.
    ck_assert(wrote == 0 || wrote >= 1 << 20);
    ck_assert_uint_lt(wrote, 4 << 20);
}
END_TEST

START_TEST(procfs_tells_nobody_of_the_processes_of_others)
{
    struct mpx_procfs *p;
    struct mpx_process_values v;
    const uint32_t other = 65534, me = (uint32_t)getpid();
    ck_assert_int_eq(mpx_procfs_open("/proc", &p, NULL), MPROXY_OK);

    ck_assert(!mpx_procfs_sample(p, me, start_of(getpid()), other, &v));
    ck_assert_uint_eq(v.set, 0);
    ck_assert(mpx_procfs_sample(p, me, start_of(getpid()), 0, &v)); // root may

    pid_t child = fork();
    if (child == 0 && setuid(other) != 0 && geteuid() == 0)
        _exit(1);
    if (child == 0)
        for (;;)
            pause();
    for (int tries = 0;
         geteuid() == 0 && tries < 1000 &&
         !mpx_procfs_sample(p, (uint32_t)child, start_of(child), other, &v);
         tries++)
        usleep(1000);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    mpx_procfs_close(p);
    if (geteuid() == 0)
        ck_assert(v.set != 0);
    else
        ck_assert(may_skip("root", "a process of another user can't be made"));
}
END_TEST

START_TEST(procfs_tells_the_living_from_zombies_and_others)
{
    struct mpx_procfs *p;
    ck_assert_int_eq(mpx_procfs_open("/proc", &p, NULL), MPROXY_OK);
    pid_t child = fork();
    if (child == 0)
        for (;;)
            pause();
    uint64_t start = start_of(child);
    uint32_t pid = (uint32_t)child;
    ck_assert_int_eq(mpx_procfs_life(p, pid, start), MPX_LIFE_ALIVE);
    ck_assert_int_eq(mpx_procfs_life(p, pid, start + 1), MPX_LIFE_GONE);

    kill(child, SIGKILL);
    siginfo_t info;
    ck_assert_int_eq(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    ck_assert_int_eq(mpx_procfs_life(p, pid, start), MPX_LIFE_GONE); // a zombie

    waitpid(child, NULL, 0);
    ck_assert_int_eq(mpx_procfs_life(p, pid, start), MPX_LIFE_GONE);
    ck_assert_int_eq(mpx_procfs_life(p, 0, start), MPX_LIFE_GONE);
    ck_assert_int_eq(mpx_procfs_life(p, UINT32_MAX, start), MPX_LIFE_GONE);
    mpx_procfs_close(p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("samples");
    TCase *tc = tcase_create("samples");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, samples_outlive_the_proxy);
    tcase_add_test(tc, samples_are_not_given_to_another_user);
    tcase_add_test(tc, samples_that_nobody_claims_are_swept);
    tcase_add_test(tc, samples_dropped_are_gone_and_their_room_is_used_again);
    tcase_add_test(tc, samples_grow_past_their_first_room);
    tcase_add_loop_test(tc, samples_of_a_damaged_file_are_forgotten, 0, 3);
    tcase_add_test(tc, samples_move_to_another_directory);
    tcase_add_test(tc, samples_stay_when_they_move_to_where_they_are);
    tcase_add_test(tc, process_values_keep_the_greater_counter_and_the_later_gauge);
    tcase_add_test(tc, procfs_reads_what_a_process_used);
    tcase_add_test(tc, procfs_leaves_out_what_children_wrote);
    tcase_add_test(tc, procfs_tells_nobody_of_the_processes_of_others);
    tcase_add_test(tc, procfs_tells_the_living_from_zombies_and_others);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
