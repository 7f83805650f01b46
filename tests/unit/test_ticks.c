// What a tick of the processor's clock is worth, by proxy_run's reading or by waiting.
#include <stdlib.h>
#include <sys/wait.h>

#include "common/ticks.c"
#include "launch/clock.h"

#include "../support/suite.h"

static double wait_for_it(void)
{
    unsetenv("MPROXY_CLOCK");
    start = read_clocks();
    return find_seconds_per_tick();
}

#ifdef __x86_64__
START_TEST(a_launchers_reading_spares_the_wait)
{
    double measured = wait_for_it();
    ck_assert(mpx_launch_set_clock());
    struct reading set = read_clocks();
    while (read_clocks().ns - set.ns < ENOUGH_NS)
        ;
    int64_t least = INT64_MAX;

    for (int i = 0; i < 100; i++) {
        start = read_clocks();
        double told = find_seconds_per_tick();
        int64_t took = read_clocks().ns - start.ns;
        least = took < least ? took : least;
        ck_assert_double_eq_tol(told / measured, 1, 0.01);
    }

    ck_assert_int_lt(least, ENOUGH_NS / 2);
}
END_TEST

START_TEST(a_launchers_reading_shortens_the_wait)
{
    int64_t least = INT64_MAX;

    for (int i = 0; i < 100; i++) {
        unsetenv("MPROXY_CLOCK");
        ck_assert(mpx_launch_set_clock());
        struct reading set = read_clocks();
        while (read_clocks().ns - set.ns < ENOUGH_NS / 2)
            ;
        start = read_clocks();
        find_seconds_per_tick();
        int64_t took = read_clocks().ns - start.ns;
        if (start.ns - set.ns < ENOUGH_NS * 5 / 8) // else this was not run meanwhile
            least = took < least ? took : least;
    }

    ck_assert_int_lt(least, ENOUGH_NS * 3 / 4);
}
END_TEST

START_TEST(an_outer_launchers_reading_is_kept)
{
    char first[200];
    unsetenv("MPROXY_CLOCK");
    ck_assert(mpx_launch_set_clock());
    snprintf(first, sizeof first, "%s", getenv("MPROXY_CLOCK"));
    ck_assert(mpx_launch_set_clock());
    ck_assert_str_eq(getenv("MPROXY_CLOCK"), first);

    setenv("MPROXY_CLOCK", "another-host 1 2", 1);
    ck_assert(mpx_launch_set_clock());
    ck_assert_str_ne(getenv("MPROXY_CLOCK"), "another-host 1 2");
}
END_TEST
#endif

START_TEST(it_is_found_once)
{
    unsetenv("MPROXY_CLOCK");
    double first = mpx_seconds_per_tick();
    start = (struct reading){.ticks = start.ticks / 2, .ns = start.ns};

    ck_assert(mpx_seconds_per_tick() == first);
}
END_TEST

START_TEST(a_reading_of_elsewhere_is_not_believed)
{
    double measured = wait_for_it();
    static const char *const readings[] = {
        "another-host 1 2", "%s 1 2", "%s", "%s x y", "%s 99999999999999999999 1", ""};
    struct utsname host;
    char text[300];
    ck_assert_int_eq(uname(&host), 0);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, readings[_i], host.nodename);
#pragma GCC diagnostic pop
    setenv("MPROXY_CLOCK", text, 1);
    start = read_clocks();

    ck_assert_double_eq_tol(find_seconds_per_tick() / measured, 1, 0.11);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ticks");
    TCase *t = tcase_create("all");
#ifdef __x86_64__
    tcase_add_test(t, a_launchers_reading_spares_the_wait);
    tcase_add_test(t, a_launchers_reading_shortens_the_wait);
    tcase_add_test(t, an_outer_launchers_reading_is_kept);
#endif
    tcase_add_test(t, it_is_found_once);
    tcase_add_loop_test(t, a_reading_of_elsewhere_is_not_believed, 0, 6);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
