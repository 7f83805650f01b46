// The background thread: order, whose thread, and that nobody waits for it without a bound.

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "../support/suite.h"
#include "base/worker.h"

enum { LONG_MS = 20000, MAX = 4 };

struct step {
    struct mpx_work work;
    int number, hang_fd; // hang_fd: until a byte comes, or -1
    pthread_t ran_on;
    bool has_run;
};

static struct mpx_worker *worker;
static struct step steps[MAX + 1];
static int order[MAX + 1], done_count, unrun_count, gate[2];

static void run(struct mpx_work *work)
{
    struct step *step = (struct step *)work;
    char byte;
    step->ran_on = pthread_self();
    if (step->hang_fd >= 0)
        ck_assert_int_eq(read(step->hang_fd, &byte, 1), 1);
}

static void done(struct mpx_work *work, bool has_run)
{
    struct step *step = (struct step *)work;
    step->has_run = has_run;
    order[done_count++] = step->number;
    unrun_count += !has_run;
}

static void setup(void)
{
    done_count = unrun_count = 0;
    ck_assert_int_eq(pipe(gate), 0);
    ck_assert_int_eq(mpx_worker_open("test", MAX, &worker, NULL), MPROXY_OK);
    for (int i = 0; i <= MAX; i++)
        steps[i] =
            (struct step){.work = {.run = run, .done = done}, .number = i, .hang_fd = -1};
}

static void teardown(void)
{
    close(gate[0]);
    close(gate[1]);
}

static void put(int number)
{
    ck_assert(mpx_worker_put(worker, &steps[number].work));
}

// Returns once the work at the gate runs.
static void put_hanging(int number)
{
    steps[number].hang_fd = gate[0];
    put(number);
    for (int i = 0; i < LONG_MS && mpx_worker_busy_ms(worker) < 1; i++)
        usleep(1000);
    ck_assert_int_ge(mpx_worker_busy_ms(worker), 1);
}

static void open_gate(void)
{
    ck_assert_int_eq(write(gate[1], "", 1), 1);
}

START_TEST(works_run_in_order_on_the_thread_and_are_done_on_the_owners)
{
    for (int i = 0; i < MAX; i++)
        put(i);
    struct pollfd fd = {.fd = mpx_worker_fd(worker), .events = POLLIN};
    ck_assert_int_eq(poll(&fd, 1, LONG_MS), 1);

    ck_assert(mpx_worker_drain(worker, LONG_MS));

    ck_assert_int_eq(done_count, MAX);
    ck_assert_int_eq(unrun_count, 0);
    for (int i = 0; i < MAX; i++) {
        ck_assert_int_eq(order[i], i);
        ck_assert(!pthread_equal(steps[i].ran_on, pthread_self()));
    }
    ck_assert_int_eq(poll(&fd, 1, 0), 0);
    ck_assert_int_eq(mpx_worker_busy_ms(worker), 0);
    ck_assert(mpx_worker_close(worker, LONG_MS));
}
END_TEST

START_TEST(a_full_queue_refuses_until_results_are_collected)
{
    put_hanging(0);
    for (int i = 1; i < MAX; i++)
        put(i);
    ck_assert(!mpx_worker_put(worker, &steps[MAX].work));
    ck_assert_uint_eq(mpx_worker_pending(worker), MAX);
    ck_assert(!mpx_worker_drain(worker, 1));

    open_gate();
    ck_assert(mpx_worker_drain(worker, LONG_MS));

    put(MAX);
    ck_assert(mpx_worker_drain(worker, LONG_MS));
    ck_assert_int_eq(done_count, MAX + 1);
    ck_assert(mpx_worker_close(worker, LONG_MS));
}
END_TEST

START_TEST(close_waits_for_what_runs_and_does_not_begin_the_rest)
{
    put_hanging(0);
    put(1);
    open_gate();

    ck_assert(mpx_worker_close(worker, LONG_MS));

    ck_assert_int_eq(done_count, 2);
    ck_assert(steps[0].has_run);
    ck_assert_int_eq(unrun_count, steps[1].has_run ? 0 : 1);
}
END_TEST

START_TEST(close_leaves_a_work_behind_that_hangs)
{
    put_hanging(0);
    put(1);

    ck_assert(!mpx_worker_close(worker, 10));

    ck_assert_int_eq(done_count, 1);
    ck_assert_int_eq(order[0], 1);
    ck_assert_int_eq(unrun_count, 1);
    open_gate(); // the thread ends by itself, and touches nothing that is gone
    struct pollfd fd = {.fd = gate[0], .events = POLLIN};
    while (poll(&fd, 1, 0) == 1) // until it has read its byte
        usleep(1000);
    ck_assert_int_eq(done_count, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker");
    TCase *tc = tcase_create("worker");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, works_run_in_order_on_the_thread_and_are_done_on_the_owners);
    tcase_add_test(tc, a_full_queue_refuses_until_results_are_collected);
    tcase_add_test(tc, close_waits_for_what_runs_and_does_not_begin_the_rest);
    tcase_add_test(tc, close_leaves_a_work_behind_that_hangs);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
