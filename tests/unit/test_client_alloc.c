// Counting allocates nothing, and declaring neither: both happen inside programs' malloc().
#include <mproxy/client.h>

#include <pthread.h>
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
#endif

int main(void)
{
    Suite *suite = suite_create("client_alloc");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, program_setup, program_teardown);
#if CAN_COUNT
    tcase_add_test(t, no_call_allocates_once_the_process_is_open);
    tcase_add_test(t, a_malloc_that_counts_itself_works);
#endif
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
