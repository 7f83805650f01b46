// The client and the life of processes: kill, fork, clone, vfork, exec. What handlers of signals
// do stands in test_client_handlers.c.
#include <mproxy/client.h>

#include <dirent.h>
#include <pthread.h>
#include <sched.h>

#include "../support/process_fixture.h"

static void count(mproxy_counter *c, int times)
{
    for (int i = 0; i < times; i++)
        mproxy_counter_add(c, 1);
}

// ---- kill

static int ready[2];

static void *count_and_wait(void *counter)
{
    count(counter, 125000);
    pipe_say(ready);
    pause();
    return NULL;
}

static void count_to_a_million(void)
{
    pthread_t thread;
    mproxy_counter *c = mproxy_counter_get("c_total", NULL, NULL);
    mproxy_process_started();
    for (int i = 0; i < 8; i++)
        pthread_create(&thread, NULL, count_and_wait, c);
    pause();
}

START_TEST(a_killed_process_has_counted_all)
{
    ck_assert_int_eq(pipe(ready), 0);
    pid_t pid = program_start(count_to_a_million);
    for (int i = 0; i < 8; i++)
        pipe_hear(ready);
    ck_assert_int_eq(of(pid, "c_total").locked, 1);

    kill(pid, SIGKILL);
    ck_assert(WIFSIGNALED(program_wait(pid)));

    struct probe_total t = of(pid, "c_total");
    ck_assert_int_eq(t.value, 1000000);
    ck_assert_int_eq(t.locked, 0);
    ck_assert_int_eq(t.started, 1);
    ck_assert_int_eq(t.finished, 0);
}
END_TEST

// ---- fork

static void fork_three_times(void)
{
    mproxy_counter *c = mproxy_counter_get("c_total", NULL, NULL);
    mproxy_process_started();
    mproxy_process_started();
    count(c, 1000);
    for (int generation = 0; generation < 3; generation++) {
        pid_t pid = fork();
        if (pid != 0) {
            count(c, 5);
            PROGRAM_CHECK(waitpid(pid, &(int){0}, 0) == pid);
            mproxy_process_finished();
            mproxy_process_finished();
            _exit(0);
        }
        PROGRAM_CHECK(c == mproxy_counter_get("c_total", NULL, NULL));
        count(c, 10);
    }
    mproxy_process_finished();
}

START_TEST(parent_and_children_count_each_for_itself)
{
    pid_t pid = program_run(fork_three_times);

    ck_assert_int_eq(of(pid, "c_total").value, 1005);
    struct probe_total t = of(0, "c_total");
    ck_assert_int_eq(t.segments, 4);
    ck_assert_int_eq(t.value, 1005 + 15 + 15 + 10);
    ck_assert_int_eq(t.started, 4);
    ck_assert_int_eq(t.finished, 4);
    ck_assert_int_eq(t.locked, 0);
    ck_assert_uint_eq(t.flags, 0);
}
END_TEST

static void fork_with_many_metrics(void)
{
    static mproxy_counter *c[5000];
    char name[40];
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "metric_%d_total", i);
        c[i] = mproxy_counter_get(name, "Doc.", NULL);
        mproxy_counter_add(c[i], 1);
    }
    pid_t pid = fork();
    for (int i = 0; i < 5000; i++)
        mproxy_counter_add(c[i], pid ? 10 : 100);
    if (pid)
        PROGRAM_CHECK(waitpid(pid, &(int){0}, 0) == pid);
    else
        count(mproxy_counter_get("new_total", NULL, NULL), 3);
}

START_TEST(a_child_knows_all_metrics_of_its_parent)
{
    program_run(fork_with_many_metrics);

    ck_assert_int_eq(of(0, "metric_0_total").value, 11 + 100);
    ck_assert_int_eq(of(0, "metric_4999_total").value, 11 + 100);
    ck_assert_int_eq(of(0, "metric_4999_total").with_metric, 2);
    ck_assert_int_eq(of(0, "new_total").value, 3);
}
END_TEST

static mproxy_counter *counter;
static _Atomic int stop_threads;

static void *count_and_declare(void *times)
{
    char name[60];
    for (int i = 0; i < *(int *)times || !stop_threads; i++) {
        snprintf(name, sizeof name, "t%d_%d_total", (int)(pthread_self() % 997), i % 500);
        mproxy_counter_add(mproxy_counter_get(name, NULL, NULL), 1);
        mproxy_counter_add(counter, i < *(int *)times);
    }
    return NULL;
}

// Threads declare and count while another forks: the child must always find a consistent
// state.
static void fork_among_threads(void)
{
    pthread_t threads[4];
    static int times = 3000;
    counter = mproxy_counter_get("c_total", NULL, NULL);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, count_and_declare, &times);
    for (int i = 0; i < FORKS; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            count(counter, 100);
            count(mproxy_counter_get("child_total", NULL, NULL), 1);
            _exit(0);
        }
        int status;
        PROGRAM_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    }
    stop_threads = 1;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

START_TEST(fork_among_busy_threads_is_exact)
{
    pid_t pid = program_run(fork_among_threads);

    ck_assert_int_eq(of(pid, "c_total").value, 4 * 3000);
    ck_assert_int_eq(of(0, "c_total").value, 4 * 3000 + FORKS * 100);
    ck_assert_int_eq(of(0, "child_total").value, FORKS);
    ck_assert_int_eq(of(0, NULL).segments, FORKS + 1);
}
END_TEST

// ---- raw clone

static mproxy_fcounter *fcounter;

static void clone_and_count(void)
{
    counter = mproxy_counter_get("c_total", NULL, NULL);
    fcounter = mproxy_fcounter_get("f_total", NULL, NULL);
    mproxy_gauge *gauge = mproxy_gauge_get("g", NULL, NULL);
    mproxy_process_started();
    count(counter, 100);
    mproxy_gauge_set(gauge, 1);
    long pid = start_by_clone();
    if (pid == 0) {
        mproxy_gauge_set(gauge, 2);
        count(counter, 7);
        mproxy_fcounter_add(fcounter, 1);
        count(mproxy_counter_get("clone_total", NULL, NULL), 4);
        mproxy_process_finished();
        _exit(0);
    }
    count(counter, 100);
    PROGRAM_CHECK(waitpid((pid_t)pid, &(int){0}, 0) == pid);
    count(counter, 100);
    mproxy_process_finished();
}

START_TEST(a_raw_clone_never_writes_its_parents_rows)
{
    pid_t pid = program_run(clone_and_count);

    ck_assert_int_eq(of(pid, "c_total").value, 300);
    struct probe_total t = of(0, "c_total");
    ck_assert_int_eq(t.segments, 2);
    ck_assert_int_eq(t.value, 307);
    ck_assert_int_eq(t.started, 2);
    ck_assert_int_eq(t.finished, 2);
    ck_assert_int_eq(of(0, "clone_total").value, 4);
}
END_TEST

static void clone_that_never_counts(void)
{
    counter = mproxy_counter_get("c_total", NULL, NULL);
    count(counter, 100);
    long pid = start_by_clone();
    if (pid == 0)
        syscall(SYS_exit_group, 0);
    PROGRAM_CHECK(waitpid((pid_t)pid, &(int){0}, 0) == pid);
}

START_TEST(a_raw_clone_that_does_not_count_leaves_no_segment)
{
    program_run(clone_that_never_counts);

    ck_assert_int_eq(of(0, "c_total").segments, 1);
    ck_assert_int_eq(of(0, "c_total").value, 100);
}
END_TEST

// Some of the clones are made while a thread registers: those never count, and none hangs.
static void clone_among_threads(void)
{
    pthread_t threads[2];
    static int times = 2000;
    counter = mproxy_counter_get("c_total", NULL, NULL);
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, count_and_declare, &times);
    for (int i = 0; i < FORKS; i++) {
        long pid = start_by_clone();
        if (pid == 0) {
            count(counter, 100);
            if (fork() == 0)
                count(counter, 1);
            syscall(SYS_exit_group, 0);
        }
        int status;
        PROGRAM_CHECK(waitpid((pid_t)pid, &status, 0) == pid && status == 0);
    }
    stop_threads = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

START_TEST(a_raw_clone_among_threads_counts_or_does_not)
{
    pid_t pid = program_run(clone_among_threads);

    ck_assert_int_eq(of(pid, "c_total").value, 2 * 2000);
    ck_assert_int_le(of(0, "c_total").value, 2 * 2000 + FORKS * 101);
    ck_assert_int_ge(of(0, "c_total").value, 2 * 2000 + 100);
}
END_TEST

// ---- vfork and exec

static void vfork_and_exec(void)
{
    counter = mproxy_counter_get("c_total", NULL, NULL);
    mproxy_process_started();
    count(counter, 10);
    pid_t pid = vfork();
    if (pid == 0) {
        mproxy_counter_add(counter, 1); // in the parent's memory, as all it does
        mproxy_process_finished();
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    PROGRAM_CHECK(waitpid(pid, &(int){0}, 0) == pid);
    PROGRAM_CHECK(probe_directory(program_dir, getpid(), NULL).finished == 0);
    count(counter, 10);
    mproxy_process_finished();
}

START_TEST(a_vfork_child_counts_for_its_parent)
{
    pid_t pid = program_run(vfork_and_exec);

    struct probe_total t = of(pid, "c_total");
    ck_assert_int_eq(of(0, NULL).segments, 1);
    ck_assert_int_eq(t.value, 21);
    ck_assert_int_eq(t.started, 1);
    ck_assert_int_eq(t.finished, 1);
}
END_TEST

// This test program itself, as the image after an exec: see main().
static void exec_twice(void)
{
    count(mproxy_counter_get("c_total", NULL, NULL), 10);
    mproxy_process_started();
    execl("/proc/self/exe", "second-image", (char *)NULL);
    _exit(1);
}

static int second_image(const char *name)
{
    count(mproxy_counter_get("c_total", NULL, NULL), 100);
    mproxy_process_started();
    if (strcmp(name, "second-image") == 0)
        execl("/proc/self/exe", "third-image", (char *)NULL);
    mproxy_process_finished();
    return 0;
}

START_TEST(images_of_a_process_start_once)
{
    pid_t pid = program_run(exec_twice);

    struct probe_total t = of(pid, "c_total");
    ck_assert_int_eq(t.segments, 3);
    ck_assert_int_eq(t.value, 210);
    ck_assert_int_eq(t.started, 1);
    ck_assert_int_eq(t.finished, 1);
    ck_assert_int_eq(t.locked, 0);
}
END_TEST

// ---- who a child is

static uint64_t start_by_proc(void)
{
    char text[512] = "";
    FILE *f = fopen("/proc/self/stat", "r");
    PROGRAM_CHECK(f && fgets(text, sizeof text, f));
    fclose(f);
    const char *at = strrchr(text, ')');
    for (int field = 2; field < 22; field++)
        at = strchr(at + 1, ' ');
    return strtoull(at, NULL, 10);
}

static void tell_start(void)
{
    mproxy_process_started();
    for (int i = 0; i < FORKS; i++) {
        // Over some ticks, so that a fork comes at each place in one.
        struct timespec pause = {.tv_nsec = i % 10 * 700000};
        pid_t pid = fork();
        if (pid == 0) {
            nanosleep(&pause, NULL);
            mproxy_counter_add(mproxy_counter_get("start_total", NULL, NULL),
                               start_by_proc());
            _exit(0);
        }
        PROGRAM_CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid);
    }
}

START_TEST(a_child_knows_its_start_as_the_kernel_tells_it)
{
    size_t children = 0;
    pid_t pid = program_run(tell_start);

    struct dirent *entry;
    DIR *dir = opendir(program_dir);
    while ((entry = readdir(dir))) {
        struct probe p = {0};
        if (!strstr(entry->d_name, ".seg") || !probe_open(&p, program_dir, entry->d_name))
            continue;
        const struct mpx_seg_header *h = probe_header(&p);
        if (h->pid != (uint32_t)pid) {
            children++;
            ck_assert_uint_eq((uint64_t)probe_counter(&p, "start_total"), h->start_ticks);
            ck_assert_uint_ne(h->pid_ns, 0);
        }
        probe_close(&p);
    }
    closedir(dir);
    ck_assert_uint_eq(children, FORKS);
}
END_TEST

static void fork_into_namespace(void)
{
    mproxy_process_started();
    if (unshare(CLONE_NEWPID) != 0)
        _exit(77);
    pid_t pid = fork();
    if (pid == 0) {
        mproxy_counter_add(mproxy_counter_get("inside_total", NULL, NULL), 1);
        struct stat st;
        PROGRAM_CHECK(getpid() == 1 && stat("/proc/self/ns/pid", &st) != 0);
        _exit(0);
    }
    PROGRAM_CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid);
}

// /proc is the outer namespace's there, and has no "self" of such a child.
START_TEST(a_child_in_another_namespace_is_not_taken_for_the_parents)
{
    pid_t program = program_start(fork_into_namespace);
    int status = program_wait(program);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        return; // may not make one
    ck_assert_int_eq(status, 0);

    struct probe p = {0}, parent = {0};
    char name[80];
    struct dirent *entry;
    DIR *dir = opendir(program_dir);
    while ((entry = readdir(dir))) {
        snprintf(name, sizeof name, "%.70s", entry->d_name);
        if (strncmp(name, "1-", 2) == 0)
            ck_assert(probe_open(&p, program_dir, name));
        else if (strstr(name, ".seg"))
            ck_assert(probe_open(&parent, program_dir, name));
    }
    closedir(dir);
    ck_assert_int_eq(probe_counter(&p, "inside_total"), 1);
    ck_assert_uint_ne(probe_header(&p)->pid_ns, probe_header(&parent)->pid_ns);
    probe_close(&p);
    probe_close(&parent);
}
END_TEST

// ---- the end

static void work_and_finish(void)
{
    mproxy_process_started();
    struct timespec now, start;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    do
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    while ((now.tv_sec - start.tv_sec) * 1000000000L + now.tv_nsec - start.tv_nsec <
           20000000);
    mproxy_process_finished();
}

START_TEST(final_values_are_of_the_process)
{
    struct probe p = {0};
    program_run(work_and_finish);
    ck_assert(probe_any(&p, program_dir));

    const struct mpx_seg_header *h = probe_header(&p);
    ck_assert_uint_eq(h->finished, 1);
    ck_assert_uint_eq(h->final_set & 0x7ff, 0x7ff);
    ck_assert_uint_ge(h->final[MPX_FINAL_USER_TIME] + h->final[MPX_FINAL_SYSTEM_TIME],
                      15000);
    ck_assert_uint_lt(h->final[MPX_FINAL_USER_TIME] + h->final[MPX_FINAL_SYSTEM_TIME],
                      10000000);
    ck_assert_uint_gt(h->final[MPX_FINAL_RESIDENT], 4096);
    ck_assert_uint_ge(h->final[MPX_FINAL_MAX_RESIDENT], h->final[MPX_FINAL_RESIDENT] / 2);
    ck_assert_uint_gt(h->final[MPX_FINAL_MINOR_FAULTS], 0);
    ck_assert_uint_eq(h->final[MPX_FINAL_THREADS], 1);
    ck_assert_uint_ge(h->end_wall_ns, h->birth_wall_ns);
    probe_close(&p);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 0 && strstr(argv[0], "-image"))
        return second_image(argv[0]);
    Suite *suite = suite_create("client_process");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, program_setup, program_teardown);
    tcase_add_test(t, a_killed_process_has_counted_all);
    tcase_add_test(t, parent_and_children_count_each_for_itself);
    tcase_add_test(t, a_child_knows_all_metrics_of_its_parent);
    tcase_add_test(t, fork_among_busy_threads_is_exact);
    if (PLAIN_PROCESSES) {
        tcase_add_test(t, a_raw_clone_never_writes_its_parents_rows);
        tcase_add_test(t, a_raw_clone_that_does_not_count_leaves_no_segment);
        tcase_add_test(t, a_raw_clone_among_threads_counts_or_does_not);
        tcase_add_test(t, a_vfork_child_counts_for_its_parent);
        tcase_add_test(t, final_values_are_of_the_process);
    }
    tcase_add_test(t, images_of_a_process_start_once);
    tcase_add_test(t, a_child_knows_its_start_as_the_kernel_tells_it);
    tcase_add_test(t, a_child_in_another_namespace_is_not_taken_for_the_parents);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
