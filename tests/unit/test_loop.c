// The event loop: real descriptors, and being stopped.

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

#include "../support/asleep.h"
#include "../support/loop_fixture.h"
#include "../support/suite.h"

static int total_calls(void)
{
    int sum = 0;
    for (int i = 0; i < PIPES; i++)
        sum += guests[i].calls;
    return sum;
}

// ---- descriptors

START_TEST(a_guest_is_called_for_as_long_as_its_descriptor_is_ready)
{
    ck_assert_uint_eq(turn(), 0);
    speak(&guests[1]);
    ck_assert_uint_eq(turn(), 1);
    ck_assert_uint_eq(turn(), 1);
    hear(&guests[1]);
    ck_assert_uint_eq(turn(), 0);

    ck_assert_int_eq(guests[1].calls, 2);
    ck_assert_uint_eq(guests[1].events, MPROXY_READABLE);
}
END_TEST

static void remove_itself(struct guest *g)
{
    unwatch(g);
}

START_TEST(a_guest_may_remove_itself_within_its_callback)
{
    guests[0].act = remove_itself;
    speak(&guests[0]);

    ck_assert_uint_eq(turn(), 1);
    ck_assert_uint_eq(turn(), 0);
}
END_TEST

static void remove_others(struct guest *g)
{
    for (int i = 0; i < PIPES; i++)
        if (&guests[i] != g && guests[i].watch)
            unwatch(&guests[i]);
}

START_TEST(a_guest_removed_by_another_is_not_called_for_what_was_there_before)
{
    for (int i = 0; i < PIPES; i++) {
        guests[i].act = remove_others;
        speak(&guests[i]);
    }

    ck_assert_uint_eq(turn(), 1);
    ck_assert_int_eq(total_calls(), 1);
    ck_assert_uint_eq(turn(), 1); // the one that is left
}
END_TEST

// Close what another guest watched; the number is given to a new pipe, which says nothing.
static void replace_others(struct guest *g)
{
    for (int i = 0; i < PIPES; i++) {
        struct guest *other = &guests[i];
        if (other == g)
            continue;
        unwatch(other);
        close(other->ends[0]);
        close(other->ends[1]);
        ck_assert_int_eq(pipe2(other->ends, O_CLOEXEC | O_NONBLOCK), 0);
        watch(other);
    }
    g->act = NULL;
}

START_TEST(an_event_of_a_closed_descriptor_does_not_reach_the_next_of_its_number)
{
    for (int i = 0; i < PIPES; i++) {
        guests[i].act = replace_others;
        speak(&guests[i]);
    }

    ck_assert_uint_eq(turn(), 1);
    ck_assert_uint_eq(turn(), 1); // the one that nobody has replaced

    ck_assert_int_eq(total_calls(), 2);
}
END_TEST

static void ask_nothing_of_others(struct guest *g)
{
    for (int i = 0; i < PIPES; i++)
        if (&guests[i] != g)
            ck_assert_int_eq(mproxy_watch_set(guests[i].watch, 0, NULL), MPROXY_OK);
}

START_TEST(events_that_are_no_longer_asked_for_are_not_told)
{
    for (int i = 0; i < PIPES; i++) {
        guests[i].act = ask_nothing_of_others;
        speak(&guests[i]);
    }

    ck_assert_uint_eq(turn(), 1);
    ck_assert_int_eq(total_calls(), 1);
}
END_TEST

static void watch_the_last(struct guest *g)
{
    hear(g);
    watch(&guests[PIPES - 1]);
}

START_TEST(a_guest_may_add_another)
{
    unwatch(&guests[PIPES - 1]);
    speak(&guests[PIPES - 1]);
    ck_assert_uint_eq(turn(), 0);
    guests[0].act = watch_the_last;
    speak(&guests[0]);

    ck_assert_uint_eq(turn(), 1);
    ck_assert_uint_eq(turn(), 1);
    ck_assert_str_eq(order, "03");
}
END_TEST

START_TEST(a_hang_up_is_told_to_those_who_ask_for_nothing)
{
    ck_assert_int_eq(mproxy_watch_set(guests[2].watch, 0, NULL), MPROXY_OK);
    close(guests[2].ends[1]);
    guests[2].ends[1] = -1;

    ck_assert_uint_eq(turn(), 1);
    ck_assert_uint_eq(guests[2].events, MPROXY_BROKEN);
}
END_TEST

START_TEST(a_descriptor_may_be_waited_for_to_be_written)
{
    char page[4096] = {0};
    struct guest writer = {0};
    ck_assert_int_eq(pipe2(writer.ends, O_CLOEXEC | O_NONBLOCK), 0);
    ck_assert_int_eq(fcntl(writer.ends[1], F_SETPIPE_SZ, sizeof page), sizeof page);
    ck_assert_int_eq(write(writer.ends[1], page, sizeof page), sizeof page);
    int reader = writer.ends[0];
    writer.ends[0] = writer.ends[1]; // the end that is watched
    ck_assert_int_eq(mproxy_watch_add(loop, writer.ends[0],
                                      MPROXY_READABLE | MPROXY_WRITABLE, on_guest,
                                      &writer, &writer.watch, NULL),
                     MPROXY_OK);

    ck_assert_uint_eq(turn(), 0);
    ck_assert_int_eq(read(reader, page, sizeof page), sizeof page);
    ck_assert_uint_eq(turn(), 1);

    ck_assert_uint_eq(writer.events, MPROXY_WRITABLE);
    unwatch(&writer);
    close(reader);
    close(writer.ends[1]);
}
END_TEST

START_TEST(a_descriptor_has_one_watch_and_a_plain_file_none)
{
    mproxy_watch *second;
    mproxy_error err;
    FILE *file = tmpfile();
    ck_assert_int_eq(mproxy_watch_add(loop, guests[0].ends[0], MPROXY_READABLE, on_guest,
                                      NULL, &second, &err),
                     MPROXY_E_EXISTS);
    ck_assert_int_eq(mproxy_watch_add(loop, fileno(file), MPROXY_READABLE, on_guest, NULL,
                                      &second, &err),
                     MPROXY_E_INVALID);
    ck_assert_int_eq(
        mproxy_watch_add(loop, -1, MPROXY_READABLE, on_guest, NULL, &second, &err),
        MPROXY_E_SYSTEM);
    fclose(file);
}
END_TEST

// One that is always ready keeps nobody from being called.
START_TEST(busy_guests_leave_others_their_turn)
{
    for (int i = 0; i < PIPES; i++)
        speak(&guests[i]);
    for (int i = 0; i < 10; i++)
        ck_assert_uint_eq(turn(), PIPES);
    for (int i = 0; i < PIPES; i++)
        ck_assert_int_eq(guests[i].calls, 10);
}
END_TEST

// ---- stopping

static void *stop_it(void *arg)
{
    mproxy_loop_stop(arg);
    return NULL;
}

// The main thread runs the loop.
static void *stop_when_it_waits(void *arg)
{
    return wait_until_asleep(getpid()) ? stop_it(arg) : NULL;
}

START_TEST(another_thread_stops_a_loop_that_waits)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, stop_when_it_waits, loop), 0);
    ck_assert_int_eq(mproxy_loop_run(loop, NULL), MPROXY_OK);
    pthread_join(thread, NULL);
}
END_TEST

static void on_alarm(int signal)
{
    (void)signal;
    mproxy_loop_stop(loop);
}

START_TEST(a_signal_handler_stops_a_loop_that_waits)
{
    struct sigaction action = {.sa_handler = on_alarm};
    // Where it comes before the loop waits, it stops it all the same.
    struct itimerval soon = {.it_value = {.tv_usec = 20000}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    ck_assert_int_eq(mproxy_loop_run(loop, NULL), MPROXY_OK);
}
END_TEST

START_TEST(a_stop_from_before_counts_once)
{
    speak(&guests[0]);
    mproxy_loop_stop(loop);
    mproxy_loop_stop(loop);
    ck_assert_int_eq(mproxy_loop_run(loop, NULL), MPROXY_OK);

    ck_assert_int_eq(total_calls(), 0);
    ck_assert_uint_eq(turn(), 1);
}
END_TEST

static void stop_within(struct guest *g)
{
    (void)g;
    mproxy_loop_stop(loop);
}

START_TEST(after_a_stop_nobody_else_is_called)
{
    for (int i = 0; i < PIPES; i++) {
        guests[i].act = stop_within;
        speak(&guests[i]);
    }
    ck_assert_int_eq(mproxy_loop_run(loop, NULL), MPROXY_OK);
    ck_assert_int_eq(total_calls(), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loop");
    TCase *tc = tcase_create("loop");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_guest_is_called_for_as_long_as_its_descriptor_is_ready);
    tcase_add_test(tc, a_guest_may_remove_itself_within_its_callback);
    tcase_add_test(tc,
                   a_guest_removed_by_another_is_not_called_for_what_was_there_before);
    tcase_add_test(tc,
                   an_event_of_a_closed_descriptor_does_not_reach_the_next_of_its_number);
    tcase_add_test(tc, events_that_are_no_longer_asked_for_are_not_told);
    tcase_add_test(tc, a_guest_may_add_another);
    tcase_add_test(tc, a_hang_up_is_told_to_those_who_ask_for_nothing);
    tcase_add_test(tc, a_descriptor_may_be_waited_for_to_be_written);
    tcase_add_test(tc, a_descriptor_has_one_watch_and_a_plain_file_none);
    tcase_add_test(tc, busy_guests_leave_others_their_turn);
    tcase_add_test(tc, another_thread_stops_a_loop_that_waits);
    tcase_add_test(tc, a_signal_handler_stops_a_loop_that_waits);
    tcase_add_test(tc, a_stop_from_before_counts_once);
    tcase_add_test(tc, after_a_stop_nobody_else_is_called);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
