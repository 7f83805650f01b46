// Handlers of signals count, fork and clone in the middle of their program's updates.
#include <mproxy/client.h>

#include <sys/time.h>

#include "../support/process_fixture.h"

static mproxy_counter *counter;
static volatile sig_atomic_t handled;
static mproxy_fcounter *fcounter;
static mproxy_histogram *histogram;

static void on_alarm(int signal_number)
{
    (void)signal_number;
    mproxy_counter_add(counter, 1);
    mproxy_fcounter_add(fcounter, 1);
    mproxy_histogram_observe(histogram, 3);
    if (handled % 50 == 0) {
        char name[40];
        snprintf(name, sizeof name, "handler_%d_total", (int)handled);
        mproxy_counter_add(mproxy_counter_get(name, NULL, NULL), 1);
    }
    handled++;
}

static void start_alarm(void (*handler)(int), long period_us)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct itimerval timer = {.it_interval = {.tv_usec = period_us},
                              .it_value = {.tv_usec = period_us}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void stop_alarm(void)
{
    struct itimerval none = {0};
    setitimer(ITIMER_REAL, &none, NULL);
}

static void count_under_alarms(void)
{
    long long mine = 0;
    counter = mproxy_counter_get("c_total", NULL, NULL);
    fcounter = mproxy_fcounter_get("f_total", NULL, NULL);
    histogram = mproxy_histogram_get("h", NULL, NULL, 0, NULL);
    start_alarm(on_alarm, 50);
    while (handled < 3000) {
        mproxy_counter_add(counter, 1);
        mproxy_fcounter_add(fcounter, 1);
        mproxy_histogram_observe(histogram, 3);
        mine++;
    }
    stop_alarm();
    struct probe_total t = probe_directory(program_dir, getpid(), "c_total");
    PROGRAM_CHECK(t.value == mine + handled);
    struct probe p = {0};
    PROGRAM_CHECK(probe_any(&p, program_dir));
    PROGRAM_CHECK(probe_double(&p, "f_total") == (double)(mine + handled));
    const struct mpx_rec_metric *m = probe_find(&p, "h").metric;
    PROGRAM_CHECK(probe_slot(&p, m->slot + 2).sum == (uint64_t)(mine + handled));
    PROGRAM_CHECK(probe_slot(&p, m->slot + 64).fsum == 3.0 * (double)(mine + handled));
    PROGRAM_CHECK(probe_counter(&p, "handler_100_total") == 1);
}

START_TEST(handlers_at_20_khz_lose_nothing)
{
    program_run(count_under_alarms);
}
END_TEST

static volatile sig_atomic_t forks;
static long (*start_child)(void);

static long start_by_fork(void)
{
    return fork();
}

// The child returns into the update that was interrupted, counts on, and ends in the loop.
static void fork_in_handler(int signal_number)
{
    (void)signal_number;
    if (forks < 0 || forks >= FORKS)
        return;
    long pid = start_child();
    if (pid == 0) {
        stop_alarm();
        forks = -1;
        mproxy_counter_add(counter, 1);
        return;
    }
    waitpid((pid_t)pid, &(int){0}, 0);
    forks++;
}

static void fork_under_alarms(void)
{
    long long mine = 0;
    counter = mproxy_counter_get("c_total", NULL, NULL);
    mproxy_counter_add(counter, 1000000);
    start_alarm(fork_in_handler, 100);
    while (forks >= 0 && forks < FORKS) {
        mproxy_counter_add(counter, 1);
        mine++;
    }
    if (forks < 0) { // a child: what it has counted is known but for the pending update
        for (int i = 0; i < 50; i++)
            mproxy_counter_add(counter, 1);
        long long value = probe_directory(program_dir, getpid(), "c_total").value;
        PROGRAM_CHECK(value == 51 || value == 52);
        _exit(0);
    }
    stop_alarm();
    PROGRAM_CHECK(probe_directory(program_dir, getpid(), "c_total").value ==
                  1000000 + mine);
}

START_TEST(a_child_forked_in_a_handler_starts_from_zero)
{
    start_child = start_by_fork;

    program_run(fork_under_alarms);

    ck_assert_int_eq(of(0, NULL).segments, FORKS + 1);
}
END_TEST

START_TEST(a_raw_clone_in_a_handler_starts_from_zero)
{
    start_child = start_by_clone;

    program_run(fork_under_alarms);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client_handlers");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, program_setup, program_teardown);
    tcase_add_test(t, handlers_at_20_khz_lose_nothing);
    if (PLAIN_PROCESSES) {
        tcase_add_test(t, a_child_forked_in_a_handler_starts_from_zero);
        tcase_add_test(t, a_raw_clone_in_a_handler_starts_from_zero);
    }
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
