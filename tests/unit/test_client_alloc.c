// Counting allocates nothing, and declaring neither: both happen inside programs' malloc().
#include <mproxy/client.h>

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "../support/program.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAN_COUNT 0
#else
#define CAN_COUNT 1

static _Atomic long allocations;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void __libc_free(void *old);

// The compiler knows that malloc() reads no variable of ours.
static _Thread_local volatile bool counts_itself;
static mproxy_counter *itself;

void *malloc(size_t size)
{
    allocations++;
    if (counts_itself) {
        itself = mproxy_counter_get("mallocs_total", NULL, NULL);
        mproxy_counter_add(itself, 1);
    }
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    allocations++;
    return __libc_realloc(old, size);
}

void free(void *old)
{
    __libc_free(old);
}

static void *count_first_time(void *counter)
{
    long before = allocations;
    for (int i = 0; i < 1000; i++)
        mproxy_counter_add(counter, 1);
    return (void *)(allocations - before);
}

START_TEST(no_call_allocates_once_the_process_is_open)
{
    const double bounds[] = {1, 2};
    char name[40];
    pthread_t thread;
    void *in_thread;
    mproxy_counter *first = mproxy_counter_get("first_total", NULL, NULL);
    long before = allocations;

    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "metric_%d_total", i);
        mproxy_counter_add(mproxy_counter_get(name, "Doc.", NULL), 1);
    }
    mproxy_gauge_set(mproxy_gauge_get("g", NULL, NULL), 1);
    mproxy_histogram_observe(mproxy_histogram_get("h", NULL, bounds, 2, NULL), 1);
    mproxy_process_started();
    mproxy_process_finished();
    ck_assert_int_eq(allocations - before, 0);

    pthread_create(&thread, NULL, count_first_time, first);
    pthread_join(thread, &in_thread);
    ck_assert_ptr_null(in_thread);
}
END_TEST

// The first call of all comes from inside malloc(), and opening calls malloc() again.
START_TEST(a_malloc_that_counts_itself_works)
{
    counts_itself = true;
    for (int i = 0; i < 100; i++) {
        void *volatile memory = malloc(10);
        free(memory);
    }
    counts_itself = false;

    ck_assert_int_eq(mproxy_client_status(NULL), MPROXY_OK);
    ck_assert_int_ge(probe_directory(program_dir, getpid(), "mallocs_total").value, 100);
}
END_TEST

static _Thread_local volatile bool opens_count;
static _Atomic long opens, opens_counted;

// As a preloaded library wraps it. Our own calls do not come here.
int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int mode = flags & O_CREAT ? va_arg(args, int) : 0;
    va_end(args);
    if (opens_count) {
        mproxy_error err = {0};
        opens++;
        mproxy_counter *c = mproxy_counter_get("opens_total", NULL, &err);
        mproxy_counter_add(c, 1);
        opens_counted += err.status == MPROXY_OK;
    }
    return openat(AT_FDCWD, path, flags, mode);
}

static void *open_in_thread(void *unused)
{
    char name[40];
    (void)unused;
    opens_count = true;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "metric_%d_total", i);
        mproxy_counter_add(mproxy_counter_get(name, NULL, NULL), 1);
        close(open("/dev/null", O_RDONLY));
    }
    return NULL;
}

static void open_and_fork(void)
{
    open_in_thread(NULL);
    pid_t pid = fork();
    if (pid == 0)
        close(open("/dev/null", O_RDONLY));
    else
        PROGRAM_CHECK(waitpid(pid, &(int){0}, 0) == pid);
}

START_TEST(a_child_is_born_through_an_open_that_counts_itself)
{
    pid_t pid = program_run(open_and_fork);

    ck_assert_int_ge(probe_directory(program_dir, pid, "opens_total").value, 1000);
    struct probe_total both = probe_directory(program_dir, 0, "opens_total");
    ck_assert_int_eq(both.segments, 2);
    ck_assert_int_gt(both.value, probe_directory(program_dir, pid, "opens_total").value);
}
END_TEST

START_TEST(an_open_that_counts_itself_works)
{
    pthread_t threads[3];

    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, open_in_thread, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);

    ck_assert_int_ge(opens, 3000);
    ck_assert_int_ge(opens_counted, 3000);
    ck_assert_int_eq(probe_directory(program_dir, getpid(), "opens_total").value,
                     opens_counted);
    ck_assert_int_eq(probe_directory(program_dir, getpid(), "metric_999_total").value, 3);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("client_alloc");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, program_setup, program_teardown);
#if CAN_COUNT
    tcase_add_test(t, no_call_allocates_once_the_process_is_open);
    tcase_add_test(t, a_malloc_that_counts_itself_works);
    tcase_add_test(t, an_open_that_counts_itself_works);
    tcase_add_test(t, a_child_is_born_through_an_open_that_counts_itself);
#endif
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
