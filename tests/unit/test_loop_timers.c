// The timers of the event loop.

#include <stdlib.h>

#include "../support/loop_fixture.h"
#include "../support/suite.h"
#include "base/clock.h"

enum { FAR_MS = 3600 * 1000 };

struct clock {
    mproxy_timer *timer;
    char name;
    int calls;
    void (*act)(struct clock *c);
};

static void on_clock(void *arg)
{
    struct clock *c = arg;
    c->calls++;
    note(c->name);
    if (c->act)
        c->act(c);
}

static struct clock *new_clock(struct clock *c, char name)
{
    *c = (struct clock){.name = name};
    ck_assert_int_eq(mproxy_timer_new(loop, on_clock, c, &c->timer, NULL), MPROXY_OK);
    return c;
}

// Turn until so many clocks have been noted.
static void await_notes(size_t count)
{
    int64_t end_ms = mpx_boot_ms() + BOUND_MS;
    while (strlen(order) < count) {
        ck_assert_int_eq(mproxy_loop_turn(loop, 100, NULL, NULL), MPROXY_OK);
        ck_assert_int_lt(mpx_boot_ms(), end_ms);
    }
}

START_TEST(timers_are_called_in_the_order_of_their_times)
{
    struct clock c[4];
    mproxy_timer_set(new_clock(&c[0], 'd')->timer, 40);
    mproxy_timer_set(new_clock(&c[1], 'b')->timer, 20);
    mproxy_timer_set(new_clock(&c[2], 'a')->timer, 10);
    mproxy_timer_set(new_clock(&c[3], 'c')->timer, 30);
    mproxy_timer_set(c[0].timer, 5); // set anew

    await_notes(4);

    ck_assert_str_eq(order, "dabc");
    ck_assert(!mproxy_timer_is_set(c[0].timer));
    for (int i = 0; i < 4; i++)
        mproxy_timer_free(c[i].timer);
}
END_TEST

START_TEST(timers_that_became_due_while_the_loop_was_busy_keep_their_order)
{
    struct clock c[3];
    mproxy_timer_set(new_clock(&c[0], 'c')->timer, 3);
    mproxy_timer_set(new_clock(&c[1], 'b')->timer, 2);
    mproxy_timer_set(new_clock(&c[2], 'a')->timer, 1);
    int64_t end_ms = mpx_boot_ms() + 5;
    while (mpx_boot_ms() < end_ms)
        ;

    ck_assert_uint_eq(turn(), 3);
    ck_assert_str_eq(order, "abc");
    for (int i = 0; i < 3; i++)
        mproxy_timer_free(c[i].timer);
}
END_TEST

START_TEST(a_timer_is_not_called_before_its_time)
{
    struct clock c;
    int64_t before_ns = mpx_clock_ns(CLOCK_BOOTTIME);
    mproxy_timer_set(new_clock(&c, 'a')->timer, 30);
    await_notes(1);
    ck_assert_int_ge(mpx_clock_ns(CLOCK_BOOTTIME) - before_ns, 30 * INT64_C(1000000));
    mproxy_timer_free(c.timer);
}
END_TEST

START_TEST(timers_come_before_descriptors)
{
    struct clock c;
    speak(&guests[0]);
    mproxy_timer_set(new_clock(&c, 'a')->timer, 0);
    ck_assert_uint_eq(turn(), 2);
    ck_assert_str_eq(order, "a0");
    mproxy_timer_free(c.timer);
}
END_TEST

static void set_to_now(struct clock *c)
{
    mproxy_timer_set(c->timer, 0);
}

START_TEST(a_timer_that_sets_itself_to_now_waits_for_the_next_turn)
{
    struct clock c;
    new_clock(&c, 'a')->act = set_to_now;
    mproxy_timer_set(c.timer, 0);
    speak(&guests[0]);

    ck_assert_uint_eq(turn(), 2);
    ck_assert_uint_eq(turn(), 2);

    ck_assert_str_eq(order, "a0a0");
    mproxy_timer_free(c.timer);
}
END_TEST

START_TEST(a_period_goes_on_and_what_was_missed_is_one_call)
{
    struct clock c;
    mproxy_timer_repeat(new_clock(&c, 'a')->timer, 5);
    await_notes(2);
    int64_t busy_ms = mpx_boot_ms() + 50;
    while (mpx_boot_ms() < busy_ms)
        ;

    ck_assert_uint_eq(turn(), 1);
    int64_t after_ms = mpx_boot_ms();
    await_notes(6);

    // Three more calls, not in a row: the second and third are a period apart, or more.
    ck_assert_int_ge(mpx_boot_ms() - after_ms, 5 - 1);
    ck_assert(mproxy_timer_is_set(c.timer));
    mproxy_timer_stop(c.timer);
    ck_assert(!mproxy_timer_is_set(c.timer));
    mproxy_timer_free(c.timer);
}
END_TEST

static struct clock victims[3];

static void stop_and_free(struct clock *c)
{
    (void)c;
    mproxy_timer_stop(victims[1].timer);
    mproxy_timer_free(victims[2].timer);
    mproxy_timer_free(victims[0].timer); // itself
}

START_TEST(a_timer_may_stop_and_free_others_that_are_due_and_itself)
{
    for (int i = 0; i < 3; i++)
        mproxy_timer_set(new_clock(&victims[i], (char)('a' + i))->timer, 0);
    victims[0].act = stop_and_free;

    ck_assert_uint_eq(turn(), 1);
    ck_assert_uint_eq(turn(), 0);

    ck_assert_str_eq(order, "a");
    mproxy_timer_free(victims[1].timer);
}
END_TEST

static void free_itself(struct clock *c)
{
    mproxy_timer_free(c->timer);
}

START_TEST(a_periodic_timer_may_free_itself)
{
    struct clock c;
    new_clock(&c, 'a')->act = free_itself;
    mproxy_timer_repeat(c.timer, 1);
    await_notes(1);
    ck_assert_uint_eq(turn(), 0);
}
END_TEST

struct tick {
    mproxy_timer *timer;
    int64_t step; // -1: not to be called
};
static int64_t last_step;
static size_t ticked;

static void on_tick(void *arg)
{
    const struct tick *t = arg;
    ck_assert_int_ge(t->step, last_step);
    last_step = t->step;
    ticked++;
}

// Set, set anew, stopped and freed; those that are left come in the order of their times,
// which lie in the future until all are set.
START_TEST(many_timers_come_in_order)
{
    enum { MANY = 20000, STEPS = 5 };
    static struct tick ticks[MANY];
    size_t expected = 0;
    srandom(17);
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(
            mproxy_timer_new(loop, on_tick, &ticks[i], &ticks[i].timer, NULL), MPROXY_OK);
        mproxy_timer_set(ticks[i].timer, FAR_MS + random() % FAR_MS);
    }
    for (int i = 0; i < MANY; i += 5) {
        mproxy_timer_free(ticks[i].timer);
        ticks[i].timer = NULL;
    }
    for (int i = 0; i < MANY; i++) {
        ticks[i].step = ticks[i].timer && i % 7 ? random() % STEPS : -1;
        expected += ticks[i].step >= 0;
        if (ticks[i].step >= 0) // far more apart than it takes to set all of them
            mproxy_timer_set(ticks[i].timer, 500 * (ticks[i].step + 1));
        else if (ticks[i].timer)
            mproxy_timer_stop(ticks[i].timer);
    }
    int64_t end_ms = mpx_boot_ms() + BOUND_MS;
    while (ticked < expected && mpx_boot_ms() < end_ms)
        ck_assert_int_eq(mproxy_loop_turn(loop, 100, NULL, NULL), MPROXY_OK);

    ck_assert_uint_eq(ticked, expected);
    for (int i = 0; i < MANY; i++)
        mproxy_timer_free(ticks[i].timer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loop_timers");
    TCase *tc = tcase_create("loop_timers");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, timers_are_called_in_the_order_of_their_times);
    tcase_add_test(tc, timers_that_became_due_while_the_loop_was_busy_keep_their_order);
    tcase_add_test(tc, a_timer_is_not_called_before_its_time);
    tcase_add_test(tc, timers_come_before_descriptors);
    tcase_add_test(tc, a_timer_that_sets_itself_to_now_waits_for_the_next_turn);
    tcase_add_test(tc, a_period_goes_on_and_what_was_missed_is_one_call);
    tcase_add_test(tc, a_timer_may_stop_and_free_others_that_are_due_and_itself);
    tcase_add_test(tc, a_periodic_timer_may_free_itself);
    tcase_add_test(tc, many_timers_come_in_order);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
