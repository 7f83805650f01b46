// A program is never harmed by being watched, whatever it lacks or takes away from us.
#include <mproxy/client.h>

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "../support/program.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static struct probe_total total(const char *name)
{
    return probe_directory(program_dir, 0, name);
}

// Declares names and counts them, each once; how many took part.
static int count_names(int names)
{
    char name[60];
    int declared = 0;
    for (int i = 0; i < names; i++) {
        mproxy_error err = {0};
        snprintf(name, sizeof name, "metric_%d_total", i);
        mproxy_counter *c = mproxy_counter_get(name, "A sentence for people.", &err);
        declared += err.status == MPROXY_OK;
        for (int j = 0; j < 3; j++)
            mproxy_counter_add(c, 1);
    }
    return declared;
}

static void *count_names_in_thread(void *declared)
{
    *(int *)declared = count_names(1500);
    return NULL;
}

// How many names at least one of three threads got.
static int count_in_threads(void)
{
    pthread_t threads[3];
    int declared[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, count_names_in_thread, &declared[i]);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    int most = declared[0] > declared[1] ? declared[0] : declared[1];
    return most > declared[2] ? most : declared[2];
}

// ---- what is missing

static rlim_t file_limit;

static void live_with_file_limit(void)
{
    struct rlimit r = {.rlim_cur = file_limit, .rlim_max = file_limit};
    setrlimit(RLIMIT_FSIZE, &r);
    mproxy_process_started();
    count_in_threads();
    if (fork() == 0) {
        count_in_threads();
        _exit(0);
    }
    int status;
    PROGRAM_CHECK(wait(&status) > 0 && status == 0);
    mproxy_process_finished();
}

START_TEST(small_file_size_limits_do_no_harm)
{
    const rlim_t page = (rlim_t)sysconf(_SC_PAGESIZE);
    const rlim_t limits[] = {0, page / 4, page, 2 * page, 3 * page, 12 * page + 848};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        file_limit = limits[i];
        program_run(live_with_file_limit);
    }

    struct probe_total t = total(NULL);
    ck_assert_uint_eq(t.flags, MPX_OFF_FSIZE);
    ck_assert_int_eq(t.segments, 8);
    // The parents of the first two; what has no segment has nothing to fork.
    ck_assert_int_eq(probe_entries(program_dir, ".off-"), 2);
    ck_assert_int_eq(probe_entries(program_dir, ".new-"), 0);
}
END_TEST

static void live_without_descriptors(void)
{
    struct rlimit none = {0};
    mproxy_error err = {0};
    setrlimit(RLIMIT_NOFILE, &none);
    PROGRAM_CHECK(count_names(10) == 0);
    PROGRAM_CHECK(mproxy_client_status(&err) == MPROXY_E_OFF);
    PROGRAM_CHECK(strstr(err.text, "no descriptor"));
}

START_TEST(without_descriptors_a_note_is_left)
{
    program_run(live_without_descriptors);

    ck_assert_int_eq(total(NULL).segments, 0);
    ck_assert_int_eq(probe_entries(program_dir, ".off-"), 1);
}
END_TEST

static void lose_descriptors_later(void)
{
    struct rlimit none = {0};
    mproxy_counter *c = mproxy_counter_get("c_total", NULL, NULL);
    mproxy_process_started();
    mproxy_counter_add(c, 1);
    setrlimit(RLIMIT_NOFILE, &none);
    mproxy_counter_add(c, 1);
    if (fork() == 0) {
        mproxy_counter_add(c, 100); // nobody reads it
        PROGRAM_CHECK(mproxy_client_status(NULL) == MPROXY_E_OFF);
        mproxy_process_finished();
        _exit(0);
    }
    int status;
    PROGRAM_CHECK(wait(&status) > 0 && status == 0);
    PROGRAM_CHECK(count_names(2000) == 2000);
    mproxy_counter_add(c, 1);
    mproxy_process_finished();
}

START_TEST(descriptors_lost_later_stop_no_growth)
{
    program_run(lose_descriptors_later);

    struct probe_total t = total("c_total");
    ck_assert_int_eq(t.segments, 1);
    ck_assert_int_eq(t.value, 3);
    ck_assert_int_eq(t.finished, 1);
    ck_assert_uint_eq(t.flags, 0);
    ck_assert_int_eq(probe_entries(program_dir, ".off-"), 1); // of the child
}
END_TEST

// A file system of a few pages over the directory, in a mount namespace of our own.
static bool mount_small(const char *size)
{
    char options[60];
    snprintf(options, sizeof options, "size=%s,mode=0700", size);
    return unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", program_dir, "tmpfs", 0, options) == 0;
}

static const char *small_size;

static void live_on_a_full_file_system(void)
{
    if (!mount_small(small_size)) {
        PROGRAM_CHECK(may_skip("mounts", strerror(errno)));
        return;
    }
    mproxy_process_started();
    PROGRAM_CHECK(count_in_threads() < 1500);
    struct probe_total t = total("metric_0_total");
    PROGRAM_CHECK(t.segments == 1 && t.value == 9 && t.flags == MPX_OFF_SPACE);
    for (int i = 0; i < 4; i++)
        if (fork() == 0) {
            count_in_threads();
            mproxy_process_finished();
            _exit(0);
        }
    int status;
    while (wait(&status) > 0)
        PROGRAM_CHECK(status == 0);
    PROGRAM_CHECK(probe_entries(program_dir, ".new-") == 0);
    mproxy_process_finished();
}

START_TEST(a_full_file_system_does_no_harm)
{
    const char *sizes[] = {"8k", "16k", "32k", "100k"};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        small_size = sizes[i];
        program_run(live_on_a_full_file_system);
    }
}
END_TEST

static void be_born_on_a_full_file_system(void)
{
    char path[200];
    if (!mount_small("8k")) {
        PROGRAM_CHECK(may_skip("mounts", strerror(errno)));
        return;
    }
    snprintf(path, sizeof path, "%s/filler", program_dir);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    while (write(fd, path, 1) > 0)
        ;
    PROGRAM_CHECK(count_names(10) == 0);
    PROGRAM_CHECK(mproxy_client_status(NULL) == MPROXY_E_OFF);
    PROGRAM_CHECK(total(NULL).segments == 0);
    PROGRAM_CHECK(probe_entries(program_dir, ".off-") == 1);
}

START_TEST(a_note_of_refusal_needs_no_space)
{
    program_run(be_born_on_a_full_file_system);
}
END_TEST

static void live_in_locked_memory(void)
{
    struct rlimit small = {.rlim_cur = 64 << 10, .rlim_max = 64 << 10};
    PROGRAM_CHECK(mlockall(MCL_FUTURE) == 0);
    if (geteuid() == 0) { // root is not bound by the limit
        PROGRAM_CHECK(setgid(65534) == 0 && setuid(65534) == 0);
    }
    setrlimit(RLIMIT_MEMLOCK, &small);
    mproxy_process_started();
    int declared = count_names(100);
    mproxy_error err = {0};
    if (mproxy_client_status(&err) != MPROXY_OK)
        PROGRAM_CHECK(declared == 0);
    mproxy_process_finished();
}

static void lock_memory_without_limit(void)
{
    struct stat st;
    struct rlimit may;
    char path[400];
    getrlimit(RLIMIT_MEMLOCK, &may);
    if (geteuid() != 0 && may.rlim_cur != RLIM_INFINITY) {
        PROGRAM_CHECK(may_skip("root", "memory may be locked up to a limit only"));
        return;
    }
    PROGRAM_CHECK(mlockall(MCL_FUTURE) == 0);
    PROGRAM_CHECK(count_in_threads() == 1500);
    struct probe p = {0};
    PROGRAM_CHECK(probe_any(&p, program_dir));
    snprintf(path, sizeof path, "%s/%s", program_dir, p.name);
    PROGRAM_CHECK(stat(path, &st) == 0);
    // Every page has been asked for: none was populated by a lock on a hole.
    PROGRAM_CHECK(st.st_blocks * 512 == st.st_size);
    PROGRAM_CHECK(st.st_size < 600 << 10);
}

START_TEST(locked_memory_does_no_harm)
{
    program_run(lock_memory_without_limit);
    if (geteuid() == 0)
        ck_assert_int_eq(chown(program_dir, 65534, 65534), 0);
    program_run(live_in_locked_memory);
    if (geteuid() == 0)
        ck_assert_int_eq(chown(program_dir, 0, 0), 0);
}
END_TEST

static void live_with_little_address_space(void)
{
    struct rlimit r = {.rlim_cur = 0, .rlim_max = 0};
    mproxy_counter *c = mproxy_counter_get("c_total", NULL, NULL);
    mproxy_counter_add(c, 1);
    setrlimit(RLIMIT_AS, &r);
    PROGRAM_CHECK(count_names(2000) < 2000);
    mproxy_counter_add(c, 1);
    if (fork() == 0) {
        mproxy_counter_add(c, 1);
        count_names(20);
        _exit(0);
    }
    int status;
    PROGRAM_CHECK(wait(&status) > 0 && status == 0);
}

START_TEST(no_more_address_space_does_no_harm)
{
    pid_t pid = program_run(live_with_little_address_space);

    ck_assert_int_eq(probe_directory(program_dir, pid, "c_total").value, 2);
}
END_TEST

// ---- what the program takes away

static void lose_the_directory(void)
{
    mproxy_counter *c = mproxy_counter_get("c_total", NULL, NULL);
    mproxy_process_started();
    mproxy_counter_add(c, 1);
    probe_remove(program_dir);
    PROGRAM_CHECK(count_in_threads() < 1500);
    if (fork() == 0) {
        count_in_threads();
        mproxy_process_finished();
        _exit(0);
    }
    int status;
    PROGRAM_CHECK(wait(&status) > 0 && status == 0);
    mproxy_counter_add(c, 1);
    mproxy_process_finished();
}

START_TEST(a_removed_directory_does_no_harm)
{
    program_run(lose_the_directory);

    ck_assert_int_ne(access(program_dir, F_OK), 0);
}
END_TEST

static void close_everything(void)
{
    mproxy_counter *c = mproxy_counter_get("c_total", NULL, NULL);
    mproxy_process_started();
    closefrom(0);
    // Our descriptor would be the lowest one.
    PROGRAM_CHECK(open("/dev/null", O_RDWR) == 0);
    mproxy_counter_add(c, 1);
    PROGRAM_CHECK(count_in_threads() == 1500);
    PROGRAM_CHECK(open("/dev/null", O_RDWR) == 1);
    mproxy_process_finished();
    PROGRAM_CHECK(open("/dev/null", O_RDWR) == 2);
}

START_TEST(no_descriptor_is_kept_and_none_needed_while_counting)
{
    program_run(close_everything);

    struct probe_total t = total("c_total");
    ck_assert_int_eq(t.value, 1);
    ck_assert_int_eq(t.finished, 1);
    ck_assert_int_eq(total("metric_1499_total").value, 9);
}
END_TEST

static void *count_one(void *c)
{
    mproxy_counter_add(c, 1);
    return NULL;
}

static void change_root_and_user(void)
{
    pthread_t thread;
    mproxy_counter *c = mproxy_counter_get("c_total", NULL, NULL);
    mproxy_process_started();
    mproxy_counter_add(c, 1);
    PROGRAM_CHECK(chdir("/proc/self") == 0);
    if (geteuid() == 0) {
        PROGRAM_CHECK(chroot("/proc/self/fdinfo") == 0);
        PROGRAM_CHECK(setuid(65534) == 0);
    }
    mproxy_counter_add(c, 1);
    pthread_create(&thread, NULL, count_one, c); // may have no row
    pthread_join(thread, NULL);
    if (fork() == 0) {
        mproxy_counter_add(c, 1);
        _exit(0);
    }
    int status;
    PROGRAM_CHECK(wait(&status) > 0 && status == 0);
    mproxy_process_finished();
}

START_TEST(chroot_and_setuid_do_not_stop_counting)
{
    pid_t pid = program_run(change_root_and_user);

    struct probe_total t = probe_directory(program_dir, pid, "c_total");
    ck_assert_int_eq(t.value, 3);
    ck_assert_int_eq(t.finished, 1);
}
END_TEST

static void live_with_umask(void)
{
    umask(0777);
    if (geteuid() == 0)
        PROGRAM_CHECK(setgid(65534) == 0 && setuid(65534) == 0);
    PROGRAM_CHECK(count_names(2000) == 2000);
}

START_TEST(any_umask_will_do)
{
    if (geteuid() == 0)
        ck_assert_int_eq(chown(program_dir, 65534, 65534), 0);

    program_run(live_with_umask);

    ck_assert_int_eq(total("metric_1999_total").value, 3);
}
END_TEST

static void fill_keys(void)
{
    pthread_key_t key;
    for (int i = 0; i < 100; i++)
        pthread_key_create(&key, NULL);
    PROGRAM_CHECK(count_in_threads() == 1500);
}

START_TEST(threads_share_a_row_when_a_key_would_allocate)
{
    program_run(fill_keys);

    struct probe p = {0};
    ck_assert(probe_any(&p, program_dir));
    ck_assert_int_eq(probe_counter(&p, "metric_700_total"), 9);
    ck_assert_uint_eq(probe_find(&p, NULL).rows, 0);
    probe_close(&p);
}
END_TEST

// AddressSanitizer does not see that a frame is left by a cancellation, and takes what lies there
// later for this one's.
__attribute__((no_sanitize("address"))) static void *count_until_cancelled(void *unused)
{
    (void)unused;
    for (int i = 0;; i = (i + 1) % 2000) {
        char name[40];
        snprintf(name, sizeof name, "cancelled_%d_total", i);
        mproxy_counter_add(mproxy_counter_get(name, NULL, NULL), 1);
        pthread_testcancel();
    }
    return NULL;
}

static void cancel_threads(void)
{
    pthread_t threads[4];
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 4; i++)
            pthread_create(&threads[i], NULL, count_until_cancelled, NULL);
        for (int i = 0; i < 4; i++)
            pthread_cancel(threads[i]);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
    }
    mproxy_counter_add(mproxy_counter_get("c_total", NULL, NULL), 5);
}

START_TEST(cancelled_threads_leave_no_lock)
{
    program_run(cancel_threads);

    ck_assert_int_eq(total("c_total").value, 5);
}
END_TEST

static void hide_from_ptrace(void)
{
    PROGRAM_CHECK(prctl(PR_SET_DUMPABLE, 0) == 0);
    mproxy_process_started();
    PROGRAM_CHECK(count_names(100) == 100);
    mproxy_process_finished();
}

START_TEST(a_program_that_may_not_be_dumped_counts)
{
    program_run(hide_from_ptrace);

    struct probe_total t = total("metric_99_total");
    ck_assert_int_eq(t.value, 3);
    ck_assert_int_eq(t.finished, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client_harm");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, program_setup, program_teardown);
    tcase_add_test(t, small_file_size_limits_do_no_harm);
    tcase_add_test(t, without_descriptors_a_note_is_left);
    tcase_add_test(t, descriptors_lost_later_stop_no_growth);
    tcase_add_test(t, a_full_file_system_does_no_harm);
    tcase_add_test(t, a_note_of_refusal_needs_no_space);
    if (!SANITIZED) { // their runtimes need memory of their own
        tcase_add_test(t, locked_memory_does_no_harm);
        tcase_add_test(t, no_more_address_space_does_no_harm);
    }
    tcase_add_test(t, a_removed_directory_does_no_harm);
    tcase_add_test(t, no_descriptor_is_kept_and_none_needed_while_counting);
    tcase_add_test(t, chroot_and_setuid_do_not_stop_counting);
    tcase_add_test(t, any_umask_will_do);
    tcase_add_test(t, threads_share_a_row_when_a_key_would_allocate);
    tcase_add_test(t, cancelled_threads_leave_no_lock);
    tcase_add_test(t, a_program_that_may_not_be_dumped_counts);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
