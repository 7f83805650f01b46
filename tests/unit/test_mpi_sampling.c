// The MPI exporter's choice of what it times, on a clock of our own: one tick is 1 ns.
#include <mproxy/client.h>
#include <stdint.h>

#define MPX_BINDINGS_TICKS_H
static uint64_t now_ns = 1000000000, told;

static uint64_t mpx_ticks(void)
{
    return now_ns;
}

static uint64_t mpx_ticks_between(uint64_t begin, uint64_t end)
{
    return end > begin ? end - begin : 0;
}

static double mpx_seconds_per_tick(void)
{
    return 1e-9;
}

#define mproxy_counter_add(counter, value) ((void)(counter), told += (value))
#include "mpi/sampling.c"
#undef mproxy_counter_add

#include "../support/suite.h"

__thread struct mpx_mpi_thread mpx_mpi_thread;

static uint64_t shown, spent; // nanoseconds in brief calls, as told and as it is

static void compute(uint64_t ns)
{
    now_ns += ns;
}

static void brief(uint64_t ns)
{
    uint64_t begin = begin_brief();
    now_ns += ns;
    spent += ns;
    if (begin)
        shown += sample_brief(now_ns - begin, now_ns);
    end_call();
}

static void brief_many(int calls, uint64_t ns)
{
    for (int i = 0; i < calls; i++)
        brief(ns);
}

// As wrap.h's enter() and leave() of a call that is always timed.
static void other(uint64_t ns)
{
    begin_call();
    uint64_t begin = now_ns;
    sample_pause(begin);
    now_ns += ns;
    sample_other(now_ns - begin);
    end_call();
}

static void set_up(void)
{
    mpx_microsecond = 1000;
    mpx_mpi_thread = (struct mpx_mpi_thread){.random = 2001};
    shown = spent = told = 0;
}

// Makes the thread dense: `sampled` is what it asks for at first, and a window to begin.
static void get_dense(void)
{
    brief_many((MPX_DENSE + 1) * MPX_WINDOW, 100);
    ck_assert_uint_ne(mpx_mpi_thread.brief_gap, 0);
}

#define ck_assert_near(value, wanted, part)                                              \
    ck_assert_double_eq_tol((double)(value), (double)(wanted), (part) * (double)(wanted))

START_TEST(brief_calls_without_a_pause_are_told_by_samples)
{
    for (int i = 0; i < 2000000; i++) {
        brief(i % 2 ? 100 : 300);
        compute(50);
    }
    ck_assert_near(shown, spent, 0.02);
    ck_assert_uint_eq(told, 0);
}
END_TEST

START_TEST(brief_calls_with_pauses_are_timed_exactly)
{
    for (int i = 0; i < 10000; i++) {
        brief_many(2, 400);
        compute(20000);
    }
    ck_assert_uint_eq(shown, spent);
    ck_assert_uint_eq(told, 0);
}
END_TEST

START_TEST(a_wait_at_the_end_of_a_dense_phase_is_told_when_mpi_ends)
{
    get_dense();
    mpx_mpi_thread.state = 100 << 1; // not one that is timed
    uint64_t before = spent;
    brief(1000000000);
    brief_many(10, 100);
    other(1000);
    ck_assert_uint_le(before, shown);
    ck_assert_uint_ge(shown + told, spent);
    ck_assert_near(shown + told, spent, 0.001);
}
END_TEST

START_TEST(after_a_pause_that_another_call_ends_all_calls_are_timed)
{
    get_dense();
    compute(1000000);
    other(5000);
    shown = spent = 0;
    for (int i = 0; i < 1000; i++) {
        brief(300);
        compute(10000);
    }
    ck_assert_uint_eq(shown, spent);
}
END_TEST

START_TEST(other_calls_do_not_end_a_dense_phase)
{
    get_dense();
    for (int i = 0; i < 1000; i++) {
        brief_many(100, 200);
        other(10000000);
    }
    ck_assert_uint_ne(mpx_mpi_thread.brief_gap, 0);
    ck_assert_uint_eq(told, 0);
    ck_assert_near(shown, spent, 0.02);
}
END_TEST

// Waits that are too short to end a dense phase are found by the samples that meet them.
START_TEST(short_waits_among_many_brief_calls_are_not_lost)
{
    get_dense();
    uint64_t begin = now_ns;
    shown = spent = 0;
    for (int i = 0; i < 40000; i++) {
        brief_many(220, 100);
        brief(150000);
    }
    ck_assert_uint_ne(mpx_mpi_thread.brief_gap, 0);
    ck_assert_near(shown + told, spent, 0.1);
    ck_assert_uint_le(shown + told, now_ns - begin + 1000000);
}
END_TEST

// The one wait that happens to be timed stands for itself, not for the computation before.
START_TEST(a_wait_that_ends_a_dense_phase_claims_no_computation)
{
    get_dense();
    mpx_mpi_thread.state = 0; // the next is timed
    compute(1000000000);
    shown = spent = 0;
    brief(2000000);
    ck_assert_uint_ge(shown, spent);
    ck_assert_uint_le(shown, spent + 2 * MPX_SAMPLE_BRIEF * UINT64_C(1000));
    ck_assert_near(shown + told, 1002000000, 0.001);
}
END_TEST

// A polling loop of 2 ms, 1 ms of computation, and again: sampling hides the computation
// more than it saves, and is given up.
START_TEST(a_program_that_computes_between_dense_phases_soon_has_all_calls_timed)
{
    for (int i = 0; i < 1000; i++) {
        brief_many(20000, 100);
        compute(1000000);
    }
    ck_assert_uint_le(told, UINT64_C(10000000));
    ck_assert_uint_le(shown, spent + spent / 100);
    ck_assert_uint_ge(shown + told, spent);
}
END_TEST

START_TEST(rare_pauses_leave_a_dense_program_sampled)
{
    uint64_t begin = now_ns;
    for (int i = 0; i < 30; i++) {
        brief_many(2000000, 100);
        compute(1000000);
    }
    ck_assert_uint_le(mpx_mpi_thread.patience, 1);
    ck_assert_uint_le(told, (now_ns - begin) / 64);
    ck_assert_near(shown, spent, 0.02);
}
END_TEST

START_TEST(a_clock_that_steps_back_makes_no_time_of_it)
{
    uint64_t begin = now_ns;
    for (int i = 0; i < 200000; i++) {
        brief(200);
        if (i % 1000 == 0)
            now_ns -= 150;
    }
    ck_assert_uint_le(shown + told, now_ns - begin + 200000);
    mpx_mpi_thread.window = now_ns + 1000;
    mpx_mpi_thread.state = 0;
    brief(100);
    ck_assert_uint_le(shown + told, now_ns - begin + 200000);
}
END_TEST

START_TEST(a_local_call_stands_for_those_since_the_last)
{
    for (int i = 0; i < 1000000; i++) {
        uint64_t begin = begin_local(), took = i % 2 ? 20 : 60;
        now_ns += took;
        spent += took;
        if (begin)
            shown += sample_local(took);
        end_call();
    }
    ck_assert_near(shown, spent, 0.03);
}
END_TEST

int main(void)
{
    // No rendezvous: what is counted here is nobody's.
    setenv("PROXY_PATH", "/nonexistent/proxy.socket", 1);
    TCase *c = tcase_create("mpi_sampling");
    tcase_add_checked_fixture(c, set_up, NULL);
    tcase_add_test(c, brief_calls_without_a_pause_are_told_by_samples);
    tcase_add_test(c, brief_calls_with_pauses_are_timed_exactly);
    tcase_add_test(c, a_wait_at_the_end_of_a_dense_phase_is_told_when_mpi_ends);
    tcase_add_test(c, after_a_pause_that_another_call_ends_all_calls_are_timed);
    tcase_add_test(c, other_calls_do_not_end_a_dense_phase);
    tcase_add_test(c, short_waits_among_many_brief_calls_are_not_lost);
    tcase_add_test(c, a_wait_that_ends_a_dense_phase_claims_no_computation);
    tcase_add_test(c,
                   a_program_that_computes_between_dense_phases_soon_has_all_calls_timed);
    tcase_add_test(c, rare_pauses_leave_a_dense_program_sampled);
    tcase_add_test(c, a_clock_that_steps_back_makes_no_time_of_it);
    tcase_add_test(c, a_local_call_stands_for_those_since_the_last);
    Suite *suite = suite_create("mpi_sampling");
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
