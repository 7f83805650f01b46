// The collector dies between two steps of a round, and another one goes on.

#include "../support/crash.h"
#include "../support/segments_fixture.h"

static const char *const crash_points[] = {"processes.read", "processes.unlinked",
                                           "processes.unlinked:2",
                                           "processes.unlinked:5"};

static void open_and_play(void *unused)
{
    (void)unused;
    open_proxy();
    play_round();
}

START_TEST(segments_are_counted_once_when_the_proxy_dies)
{
    for (int i = 0; i < 5; i++) {
        struct program p = start();
        tell(&p, "start count finish");
        end(&p, 0);
    }
    close_proxy();
    die_at(crash_points[_i], open_and_play, NULL);

    open_proxy();
    play_round();

    ck_assert_double_eq(shown("job-1", "calls_total"), 5000);
    ck_assert_double_eq(shown("job-1", "has_finished"), 5);
    ck_assert_uint_eq(files(".seg"), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("segments_crash");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, segments_are_counted_once_when_the_proxy_dies, 0, 4);
    suite_add_tcase(suite, c);
    return run_crash_suite(suite);
}
