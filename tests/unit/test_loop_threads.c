// What other threads and processes tell the event loop.

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "../support/loop_fixture.h"
#include "../support/suite.h"

// ---- other threads

enum { RINGERS = 4, RINGS = 1000 };
static atomic_int rung;
static int heard_last;

static void *ring_often(void *bell)
{
    for (int i = 0; i < RINGS; i++) {
        atomic_fetch_add(&rung, 1);
        mproxy_bell_ring(bell);
    }
    return NULL;
}

static void on_bell(void *arg)
{
    (void)arg;
    heard_last = atomic_load(&rung);
    if (heard_last == RINGERS * RINGS)
        mproxy_loop_stop(loop);
}

// What was there before the ring is seen by the call that follows.
START_TEST(no_ring_of_a_bell_is_lost)
{
    mproxy_bell *bell;
    pthread_t threads[RINGERS];
    ck_assert_int_eq(mproxy_bell_open(loop, on_bell, NULL, &bell, NULL), MPROXY_OK);
    for (int i = 0; i < RINGERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ring_often, bell), 0);

    ck_assert_int_eq(mproxy_loop_run(loop, NULL), MPROXY_OK);

    ck_assert_int_eq(heard_last, RINGERS * RINGS);
    for (int i = 0; i < RINGERS; i++)
        pthread_join(threads[i], NULL);
    mproxy_bell_close(bell);
}
END_TEST

static mproxy_bell *own_bell;

static void free_bell(void *arg)
{
    (void)arg;
    note('b');
    mproxy_bell_close(own_bell);
}

START_TEST(a_bell_may_be_freed_by_its_function)
{
    ck_assert_int_eq(mproxy_bell_open(loop, free_bell, NULL, &own_bell, NULL), MPROXY_OK);
    mproxy_bell_ring(own_bell);
    ck_assert_uint_eq(turn(), 1);
    ck_assert_uint_eq(turn(), 0);
    ck_assert_str_eq(order, "b");
}
END_TEST

// ---- helpers

static pthread_t ran_on;
static int done_count, unrun_count;
static atomic_bool may_go_on;

static void run_once(void *arg)
{
    (void)arg;
    ran_on = pthread_self();
}

static void done_once(void *arg, int has_run)
{
    ck_assert(has_run);
    ck_assert(!pthread_equal(ran_on, pthread_self()));
    note(*(const char *)arg);
    if (++done_count == 3)
        mproxy_loop_stop(loop);
}

START_TEST(what_a_helper_has_done_is_told_on_the_loop_in_order)
{
    mproxy_helper *helper;
    ck_assert_int_eq(mproxy_helper_open(loop, "test", 3, &helper, NULL), MPROXY_OK);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(mproxy_helper_put(helper, run_once, done_once, &"abc"[i]),
                         MPROXY_OK);
    ck_assert_int_eq(mproxy_helper_put(helper, run_once, done_once, NULL),
                     MPROXY_E_LIMIT);

    ck_assert_int_eq(mproxy_loop_run(loop, NULL), MPROXY_OK);

    ck_assert_str_eq(order, "abc");
    ck_assert(mproxy_helper_close(helper, BOUND_MS));
}
END_TEST

static void run_long(void *arg)
{
    sem_post(arg);
    while (!atomic_load(&may_go_on))
        sched_yield();
}

static void count_unrun(void *arg, int has_run)
{
    (void)arg;
    unrun_count += !has_run;
    done_count += has_run;
}

START_TEST(a_helper_that_hangs_is_left_behind)
{
    mproxy_helper *helper;
    static sem_t has_begun; // outlives this, as the helper does
    sem_init(&has_begun, 0, 0);
    ck_assert_int_eq(mproxy_helper_open(loop, "test", 3, &helper, NULL), MPROXY_OK);
    mproxy_helper_put(helper, run_long, count_unrun, &has_begun);
    mproxy_helper_put(helper, run_once, count_unrun, NULL);
    sem_wait(&has_begun);

    ck_assert(!mproxy_helper_close(helper, 1));

    ck_assert_int_eq(unrun_count, 1); // the one that waited
    ck_assert_int_eq(done_count, 0);  // and the other will not be told of
    atomic_store(&may_go_on, true);
}
END_TEST

// ---- children

static int child_status;
static pid_t child_pid;

static void on_child(void *arg, pid_t pid, int status)
{
    (void)arg;
    child_pid = pid;
    child_status = status;
    mproxy_loop_stop(loop);
}

// A child that ends when told to.
static pid_t start_child(int *gate)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 1 ? 42 : 1);
    }
    close(ends[0]);
    *gate = ends[1];
    return pid;
}

static void see_child_end(void)
{
    int gate;
    mproxy_child *child;
    pid_t pid = start_child(&gate);
    ck_assert_int_eq(mproxy_child_watch(loop, pid, on_child, NULL, &child, NULL),
                     MPROXY_OK);
    ck_assert_uint_eq(turn(), 0);
    ck_assert_int_eq(write(gate, "x", 1), 1);

    ck_assert_int_eq(mproxy_loop_run(loop, NULL), MPROXY_OK);

    ck_assert_int_eq(child_pid, pid);
    ck_assert(WIFEXITED(child_status) && WEXITSTATUS(child_status) == 42);
    ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), -1); // it was reaped
    close(gate);
}

START_TEST(the_end_of_a_child_is_told_with_its_status)
{
    see_child_end();
}
END_TEST

START_TEST(a_child_is_seen_to_end_without_a_descriptor_for_it)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    int gate;
    mproxy_child *child;
    pid_t pid = start_child(&gate);
    int lowest = dup(0);
    close(lowest);
    struct rlimit none = {.rlim_cur = (rlim_t)lowest, .rlim_max = limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    ck_assert_int_eq(mproxy_child_watch(loop, pid, on_child, NULL, &child, NULL),
                     MPROXY_OK);
    setrlimit(RLIMIT_NOFILE, &limit);
    ck_assert_int_eq(dup(0), lowest); // nothing took the number
    close(lowest);
    ck_assert_int_eq(write(gate, "x", 1), 1);

    ck_assert_int_eq(mproxy_loop_run(loop, NULL), MPROXY_OK);

    ck_assert_int_eq(child_pid, pid);
    ck_assert(WIFEXITED(child_status) && WEXITSTATUS(child_status) == 42);
    close(gate);
}
END_TEST

START_TEST(a_child_that_somebody_else_waited_for_is_told_without_a_status)
{
    int gate;
    mproxy_child *child;
    pid_t pid = start_child(&gate);
    ck_assert_int_eq(mproxy_child_watch(loop, pid, on_child, NULL, &child, NULL),
                     MPROXY_OK);
    close(gate);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);

    ck_assert_int_eq(mproxy_loop_run(loop, NULL), MPROXY_OK);

    ck_assert_int_eq(child_status, -1);
}
END_TEST

START_TEST(a_forgotten_child_is_left_to_others)
{
    int gate, status;
    mproxy_child *child;
    pid_t pid = start_child(&gate);
    ck_assert_int_eq(mproxy_child_watch(loop, pid, on_child, NULL, &child, NULL),
                     MPROXY_OK);
    close(gate);
    mproxy_child_forget(child);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_uint_eq(turn(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loop_threads");
    TCase *tc = tcase_create("loop_threads");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, no_ring_of_a_bell_is_lost);
    tcase_add_test(tc, a_bell_may_be_freed_by_its_function);
    tcase_add_test(tc, what_a_helper_has_done_is_told_on_the_loop_in_order);
    tcase_add_test(tc, a_helper_that_hangs_is_left_behind);
    tcase_add_test(tc, the_end_of_a_child_is_told_with_its_status);
    tcase_add_test(tc, a_child_is_seen_to_end_without_a_descriptor_for_it);
    tcase_add_test(tc, a_child_that_somebody_else_waited_for_is_told_without_a_status);
    tcase_add_test(tc, a_forgotten_child_is_left_to_others);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
