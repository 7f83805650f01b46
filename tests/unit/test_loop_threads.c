// What other threads and processes tell the event loop.

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "../support/loop_fixture.h"
#include "../support/suite.h"
#include "base/worker.h"

// ---- other threads

enum { RINGERS = 4, RINGS = 1000 };
static atomic_int rung;
static int heard_last;

static void *ring_often(void *bell)
{
    for (int i = 0; i < RINGS; i++) {
        atomic_fetch_add(&rung, 1);
        mpx_bell_ring(bell);
    }
    return NULL;
}

static void on_bell(void *arg)
{
    (void)arg;
    heard_last = atomic_load(&rung);
    if (heard_last == RINGERS * RINGS)
        mpx_loop_stop(loop);
}

// What was there before the ring is seen by the call that follows.
START_TEST(no_ring_of_a_bell_is_lost)
{
    struct mpx_bell *bell;
    pthread_t threads[RINGERS];
    ck_assert_int_eq(mpx_bell_new(loop, on_bell, NULL, &bell, NULL), MPROXY_OK);
    for (int i = 0; i < RINGERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ring_often, bell), 0);

    ck_assert_int_eq(mpx_loop_run(loop, NULL), MPROXY_OK);

    ck_assert_int_eq(heard_last, RINGERS * RINGS);
    for (int i = 0; i < RINGERS; i++)
        pthread_join(threads[i], NULL);
    mpx_bell_free(bell);
}
END_TEST

static struct mpx_bell *own_bell;

static void free_bell(void *arg)
{
    (void)arg;
    note('b');
    mpx_bell_free(own_bell);
}

START_TEST(a_bell_may_be_freed_by_its_function)
{
    ck_assert_int_eq(mpx_bell_new(loop, free_bell, NULL, &own_bell, NULL), MPROXY_OK);
    mpx_bell_ring(own_bell);
    ck_assert_uint_eq(turn(), 1);
    ck_assert_uint_eq(turn(), 0);
    ck_assert_str_eq(order, "b");
}
END_TEST

// ---- a worker, whose descriptor is a guest

static int done_count;

static void run_work(struct mpx_work *work)
{
    (void)work;
}

static void work_done(struct mpx_work *work, bool has_run)
{
    (void)work;
    ck_assert(has_run);
    if (++done_count == 3)
        mpx_loop_stop(loop);
}

static void on_worker(void *arg, int fd, unsigned events)
{
    (void)fd;
    (void)events;
    mpx_worker_collect(arg);
}

START_TEST(works_of_a_worker_are_done_on_the_loop)
{
    struct mpx_worker *worker;
    struct mpx_watch *collector;
    struct mpx_work works[3];
    ck_assert_int_eq(mpx_worker_open("test", 8, &worker, NULL), MPROXY_OK);
    ck_assert_int_eq(mpx_watch_add(loop, mpx_worker_fd(worker), MPX_READABLE, on_worker,
                                   worker, &collector, NULL),
                     MPROXY_OK);
    for (int i = 0; i < 3; i++) {
        works[i] = (struct mpx_work){.run = run_work, .done = work_done};
        ck_assert(mpx_worker_put(worker, &works[i]));
    }

    ck_assert_int_eq(mpx_loop_run(loop, NULL), MPROXY_OK);

    ck_assert_int_eq(done_count, 3);
    mpx_watch_remove(collector);
    ck_assert(mpx_worker_close(worker, BOUND_MS));
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
    mpx_loop_stop(loop);
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
    struct mpx_child *child;
    pid_t pid = start_child(&gate);
    ck_assert_int_eq(mpx_child_watch(loop, pid, on_child, NULL, &child, NULL), MPROXY_OK);
    ck_assert_uint_eq(turn(), 0);
    ck_assert_int_eq(write(gate, "x", 1), 1);

    ck_assert_int_eq(mpx_loop_run(loop, NULL), MPROXY_OK);

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
    struct mpx_child *child;
    pid_t pid = start_child(&gate);
    int lowest = dup(0);
    close(lowest);
    struct rlimit none = {.rlim_cur = (rlim_t)lowest, .rlim_max = limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    ck_assert_int_eq(mpx_child_watch(loop, pid, on_child, NULL, &child, NULL), MPROXY_OK);
    setrlimit(RLIMIT_NOFILE, &limit);
    ck_assert_int_eq(dup(0), lowest); // nothing took the number
    close(lowest);
    ck_assert_int_eq(write(gate, "x", 1), 1);

    ck_assert_int_eq(mpx_loop_run(loop, NULL), MPROXY_OK);

    ck_assert_int_eq(child_pid, pid);
    ck_assert(WIFEXITED(child_status) && WEXITSTATUS(child_status) == 42);
    close(gate);
}
END_TEST

START_TEST(a_child_that_somebody_else_waited_for_is_told_without_a_status)
{
    int gate;
    struct mpx_child *child;
    pid_t pid = start_child(&gate);
    ck_assert_int_eq(mpx_child_watch(loop, pid, on_child, NULL, &child, NULL), MPROXY_OK);
    close(gate);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);

    ck_assert_int_eq(mpx_loop_run(loop, NULL), MPROXY_OK);

    ck_assert_int_eq(child_status, -1);
}
END_TEST

START_TEST(a_forgotten_child_is_left_to_others)
{
    int gate, status;
    struct mpx_child *child;
    pid_t pid = start_child(&gate);
    ck_assert_int_eq(mpx_child_watch(loop, pid, on_child, NULL, &child, NULL), MPROXY_OK);
    close(gate);
    mpx_child_forget(child);
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
    tcase_add_test(tc, works_of_a_worker_are_done_on_the_loop);
    tcase_add_test(tc, the_end_of_a_child_is_told_with_its_status);
    tcase_add_test(tc, a_child_is_seen_to_end_without_a_descriptor_for_it);
    tcase_add_test(tc, a_child_that_somebody_else_waited_for_is_told_without_a_status);
    tcase_add_test(tc, a_forgotten_child_is_left_to_others);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
