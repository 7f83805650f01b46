// The scraper, with a loop and rounds of the test's own and a real exporter.
#include <sys/stat.h>

#include "../support/scrape_fixture.h"
#include "../support/suite.h"

#define COUNTER "# TYPE c_total counter\nc_total "

static char folder[] = "/tmp/mproxy-scrape-XXXXXX", socket_path[64];

static void set_up(void)
{
    open_exporter();
    ck_assert_int_eq(open_scraper(NULL), MPROXY_OK);
}

static void tear_down(void)
{
    close_scraper();
    close_exporter();
}

static void set_up_kept(void)
{
    strcpy(folder, "/tmp/mproxy-scrape-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(socket_path, sizeof socket_path, "%s/s", folder);
    open_exporter();
    ck_assert_int_eq(open_scraper(socket_path), MPROXY_OK);
}

static void tear_down_kept(void)
{
    char command[256];
    tear_down();
    snprintf(command, sizeof command, "rm -rf %s /dev/shm/%%2Ftmp%%2F%s*", folder,
             folder + strlen("/tmp/"));
    ck_assert_int_eq(system(command), 0);
}

START_TEST(counters_go_on_when_their_exporter_restarts)
{
    say(COUNTER "5\n# TYPE g gauge\ng 5\n", 200);
    join();
    wait_shown("c_total", 5);
    say(COUNTER "2\n# TYPE g gauge\ng 2\n", 200);
    wait_shown("c_total", 7);
    say(COUNTER "3\n# TYPE g gauge\ng 3\n", 200);

    wait_shown("c_total", 8);
    ck_assert_double_eq(shown("g"), 3);
}
END_TEST

#define HISTOGRAM(a, b, c)                                                               \
    "# TYPE h histogram\nh_bucket{le=\"1\"} " a "\nh_bucket{le=\"2\"} " b                \
    "\nh_bucket{le=\"+Inf\"} " c "\nh_sum 1\nh_count " c "\n"

START_TEST(histogram_restarts_as_a_whole)
{
    say(HISTOGRAM("5", "6", "9"), 200);
    join();
    wait_shown("h_count", 9);
    say(HISTOGRAM("4", "6", "9"), 200);

    wait_shown("h_count", 18);
    ck_assert_double_eq(shown("h_bucket{le=\"1\"}"), 9);
    ck_assert_double_eq(shown("h_bucket{le=\"2\"}"), 12);
    ck_assert_double_eq(shown("h_bucket{le=\"+Inf\"}"), 18);
}
END_TEST

START_TEST(series_that_leave_take_gauges_along_and_not_counters)
{
    say(COUNTER "5\ng 1\nh 1\n", 200);
    join();
    wait_shown("g", 1);
    say("h 2\n", 200);
    wait_gone("g");
    ck_assert_double_eq(shown("c_total"), 5);

    say(COUNTER "1\nh 3\n", 200); // it has been restarted while it was not on the page

    wait_shown("c_total", 6);
}
END_TEST

START_TEST(silent_target_gives_up_its_gauges)
{
    say(COUNTER "5\ng 1\n", 200);
    join();
    wait_shown("g", 1);
    say("", 503);
    wait_gone("g");

    mproxy_scrape_target t = target(0);
    ck_assert_int_eq(t.healthy, 0);
    ck_assert_ptr_nonnull(strstr(t.last_error, "503"));
    ck_assert_double_eq(shown("c_total"), 5);
    say(COUNTER "6\ng 2\n", 200);
    wait_shown("g", 2);
    ck_assert_double_eq(shown("c_total"), 6);
    ck_assert_int_eq(target(0).healthy, 1);
}
END_TEST

START_TEST(target_that_is_joined_again_does_not_count_twice)
{
    mproxy_error err;
    say(COUNTER "5\ng 1\n", 200);
    join();
    wait_shown("c_total", 5);
    ck_assert_int_eq(mproxy_scraper_leave(scraper, exporter.address, &err), MPROXY_OK);
    wait_gone("g");
    ck_assert_uint_eq(mproxy_scraper_count(scraper), 0);
    ck_assert_double_eq(shown("c_total"), 5);
    ck_assert_int_eq(mproxy_scraper_leave(scraper, exporter.address, &err),
                     MPROXY_E_NOTFOUND);

    join();

    wait_shown("g", 1);
    ck_assert_double_eq(shown("c_total"), 5);
}
END_TEST

START_TEST(addresses_are_judged)
{
    static const struct {
        const char *address, *url; // NULL: refused
    } all[] = {{"h:9100", "http://h:9100/metrics"},
               {"http://h", "http://h:80/metrics"},
               {"https://h", "https://h:443/metrics"},
               {"http://h:1/", "http://h:1/metrics"},
               {"http://h:1/x", "http://h:1/x"},
               {"http://h:1/x?y=z", "http://h:1/x?y=z"},
               {"[::1]:9", "http://[::1]:9/metrics"},
               {"h", NULL},
               {"", NULL},
               {"h:", NULL},
               {"h:65536", NULL},
               {"ftp://h/", NULL},
               {"http://u@h/", NULL},
               {"http://h/ x", NULL}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        mproxy_error err = {0};
        mproxy_status status =
            mproxy_scraper_join(scraper, all[i].address, 3600000, 0, &err);
        ck_assert_msg(status == (all[i].url ? MPROXY_OK : MPROXY_E_INVALID), "%s: %s",
                      all[i].address, err.text);
        if (!all[i].url)
            continue;
        ck_assert_str_eq(target(0).url, all[i].url);
        ck_assert_int_eq(mproxy_scraper_leave(scraper, all[i].url, &err), MPROXY_OK);
    }
}
END_TEST

START_TEST(joining_is_bounded_and_done_once)
{
    mproxy_error err;
    ck_assert_int_eq(mproxy_scraper_join(scraper, "a:1", 0, 0, &err), MPROXY_OK);
    ck_assert_int_eq(mproxy_scraper_join(scraper, "a:1", 500, 0, &err), MPROXY_OK);
    ck_assert_int_eq(mproxy_scraper_join(scraper, "b:1", 9, 0, &err), MPROXY_E_INVALID);
    ck_assert_int_eq(mproxy_scraper_join(scraper, "b:1", 3600001, 0, &err),
                     MPROXY_E_INVALID);
    ck_assert_int_eq(mproxy_scraper_join(scraper, "b:1", 10, 0, &err), MPROXY_OK);
    ck_assert_int_eq(mproxy_scraper_join(scraper, "c:1", 0, 0, &err), MPROXY_E_LIMIT);

    ck_assert_uint_eq(mproxy_scraper_count(scraper), 2);
    ck_assert_uint_eq(target(0).period_ms, 500);
    ck_assert_str_eq(target(0).last_error, "not scraped yet");
    mproxy_scrape_target t = {.struct_size = sizeof t};
    ck_assert_int_eq(mproxy_scraper_target(scraper, 2, &t, &err), MPROXY_E_NOTFOUND);
}
END_TEST

// Some 500 KB, by the helper thread; its series, half of them refused, are settled in turns,
// and shown together.
START_TEST(large_page_is_shown_as_a_whole)
{
    enum { SERIES = 20000 };
    char *page = malloc(SERIES * 40), *at = page;
    ck_assert_ptr_nonnull(page);
    for (int i = 0; i < SERIES / 2; i++)
        at += sprintf(at, "has_x{number=\"%d\"} %d\n", i, i);
    for (int i = 0; i < SERIES / 2; i++)
        at += sprintf(at, "large{number=\"%d\"} %d\n", i, i);
    say(page, 200);
    ck_assert_int_eq(mproxy_scraper_join(scraper, exporter.address, 2000, 0, NULL),
                     MPROXY_OK);
    int64_t until = mpx_boot_ms() + WAIT_MS;
    while (!is_shown("large{number=\"0\"}") && mpx_boot_ms() < until) {
        turn();
        ck_assert_int_eq(is_shown("large{number=\"0\"}"),
                         is_shown("large{number=\"9999\"}"));
    }
    ck_assert_double_eq(shown("large{number=\"9999\"}"), 9999);
    ck_assert_uint_eq(target(0).samples, SERIES);
    ck_assert_uint_eq(target(0).refused, SERIES / 2);

    ck_assert_int_eq(mproxy_scraper_leave(scraper, exporter.address, NULL), MPROXY_OK);
    wait_gone("large{number=\"0\"}");
    close_exporter();
    free(page);
    open_exporter();
}
END_TEST

START_TEST(next_scraper_goes_on_where_this_one_ended)
{
    say(COUNTER "5\ng 1\n", 200);
    join();
    wait_shown("c_total", 5);
    say(COUNTER "2\ng 2\n", 200);
    wait_shown("c_total", 7);
    close_scraper();
    ck_assert_int_eq(open_scraper(socket_path), MPROXY_OK);
    ck_assert_int_eq(mproxy_rounds_run(rounds, NULL), MPROXY_OK);

    ck_assert_double_eq(shown("c_total"), 7); // before anything was scraped
    ck_assert(!is_shown("g"));
    ck_assert_uint_eq(mproxy_scraper_count(scraper), 1);
    ck_assert_uint_eq(target(0).period_ms, PERIOD);
    say(COUNTER "1\ng 3\n", 200);
    wait_shown("g", 3);
    ck_assert_double_eq(shown("c_total"), 8);
}
END_TEST

START_TEST(target_joined_for_now_is_not_joined_by_the_next_scraper)
{
    say(COUNTER "5\n", 200);
    ck_assert_int_eq(
        mproxy_scraper_join(scraper, exporter.address, PERIOD, MPROXY_JOIN_FOR_NOW, NULL),
        MPROXY_OK);
    wait_shown("c_total", 5);
    close_scraper();
    ck_assert_int_eq(open_scraper(socket_path), MPROXY_OK);
    ck_assert_int_eq(mproxy_rounds_run(rounds, NULL), MPROXY_OK);

    ck_assert_uint_eq(mproxy_scraper_count(scraper), 0);
    ck_assert_double_eq(shown("c_total"), 5);
    say(COUNTER "6\n", 200);
    join();
    wait_shown("c_total", 6);
}
END_TEST

// The directory of the socket, or what is in it.
static const char *in_rendezvous(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "/dev/shm/%%2Ftmp%%2F%s%%2Fs.d/%s",
             folder + strlen("/tmp/"), name);
    return path;
}

START_TEST(page_that_cannot_be_remembered_is_not_shown)
{
    const char *obstacle =
        in_rendezvous("state/.new-target-1"); // as a full disk would be
    ck_assert_int_eq(mkdir(obstacle, 0700), 0);
    say(COUNTER "5\ng 1\n", 200);
    join();
    int64_t until = mpx_boot_ms() + WAIT_MS;
    while (!strstr(target(0).last_error, "the state of a target") &&
           mpx_boot_ms() < until)
        turn();
    ck_assert_ptr_nonnull(strstr(target(0).last_error, "the state of a target"));
    ck_assert(!is_shown("c_total") && !is_shown("g"));

    ck_assert_int_eq(rmdir(obstacle), 0);

    wait_shown("c_total", 5);
    ck_assert_double_eq(shown("g"), 1);
}
END_TEST

static void wait_refused(void)
{
    int64_t until = mpx_boot_ms() + WAIT_MS;
    while (target(0).healthy && mpx_boot_ms() < until)
        turn();
    ck_assert_ptr_nonnull(strstr(target(0).last_error, "the state of a target"));
}

// A period of which five are not over before the test has looked.
START_TEST(page_that_is_refused_leaves_what_was_shown)
{
    mproxy_error err;
    say(COUNTER "5\ng 1\nh 1\n", 200);
    ck_assert_int_eq(mproxy_scraper_join(scraper, exporter.address, 1000, 0, &err),
                     MPROXY_OK);
    wait_shown("g", 1);
    const char *obstacle = in_rendezvous("state/.new-target-1");
    ck_assert_int_eq(mkdir(obstacle, 0700), 0);
    say(COUNTER "6\n# TYPE d_total counter\nd_total 1\ng 2\nh 2\n", 200);

    wait_refused();

    ck_assert_double_eq(shown("g"), 1);
    ck_assert_double_eq(shown("h"), 1);
    ck_assert_double_eq(shown("c_total"), 5);
    ck_assert(!is_shown("d_total"));
    say(COUNTER "7\n# TYPE d_total counter\nd_total 1\ng 3\n", 200);
    ck_assert_int_eq(rmdir(obstacle), 0);
    wait_shown("g", 3);
    ck_assert_double_eq(shown("c_total"), 7);
    ck_assert_double_eq(shown("d_total"), 1);
    ck_assert(!is_shown("h")); // it has left the page
}
END_TEST

START_TEST(pages_that_are_refused_for_long_take_gauges_along)
{
    say(COUNTER "5\ng 1\n", 200);
    join();
    wait_shown("g", 1);
    const char *obstacle = in_rendezvous("state/.new-target-1");
    ck_assert_int_eq(mkdir(obstacle, 0700), 0);
    say(COUNTER "6\n# TYPE d_total counter\nd_total 1\ng 2\n", 200);
    wait_refused();

    wait_gone("g");

    ck_assert_double_eq(shown("c_total"), 5);
    ck_assert_int_eq(rmdir(obstacle), 0);
    wait_shown("g", 2);
    ck_assert_double_eq(shown("c_total"), 6);
}
END_TEST

START_TEST(directory_that_is_removed_is_written_anew)
{
    char command[600];
    say(COUNTER "5\n", 200);
    join();
    wait_shown("c_total", 5);
    snprintf(command, sizeof command, "rm -rf '%s'", in_rendezvous(""));
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(mproxy_rounds_run(rounds, NULL), MPROXY_OK);
    say(COUNTER "2\n", 200);
    wait_shown("c_total", 7);
    close_scraper();
    ck_assert_int_eq(open_scraper(socket_path), MPROXY_OK);
    ck_assert_int_eq(mproxy_rounds_run(rounds, NULL), MPROXY_OK);

    ck_assert_double_eq(shown("c_total"), 7);
    ck_assert_uint_eq(mproxy_scraper_count(scraper), 1);
}
END_TEST

// Its counters begin anew, and it is scraped on.
START_TEST(damaged_file_is_set_aside)
{
    say(COUNTER "5\n", 200);
    join();
    wait_shown("c_total", 5);
    close_scraper();
    FILE *file = fopen(in_rendezvous("state/target-1"), "r+");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fputs("damaged!", file), 1);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(open_scraper(socket_path), MPROXY_OK);

    wait_shown("c_total", 5);
    ck_assert_int_eq(access(in_rendezvous("state/damaged-target-1"), F_OK), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("scrape");
    TCase *tc = tcase_create("scraper");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, counters_go_on_when_their_exporter_restarts);
    tcase_add_test(tc, histogram_restarts_as_a_whole);
    tcase_add_test(tc, series_that_leave_take_gauges_along_and_not_counters);
    tcase_add_test(tc, silent_target_gives_up_its_gauges);
    tcase_add_test(tc, target_that_is_joined_again_does_not_count_twice);
    tcase_add_test(tc, addresses_are_judged);
    tcase_add_test(tc, joining_is_bounded_and_done_once);
    tcase_add_test(tc, large_page_is_shown_as_a_whole);
    suite_add_tcase(s, tc);
    tc = tcase_create("kept");
    tcase_add_checked_fixture(tc, set_up_kept, tear_down_kept);
    tcase_add_test(tc, next_scraper_goes_on_where_this_one_ended);
    tcase_add_test(tc, target_joined_for_now_is_not_joined_by_the_next_scraper);
    tcase_add_test(tc, page_that_cannot_be_remembered_is_not_shown);
    tcase_add_test(tc, page_that_is_refused_leaves_what_was_shown);
    tcase_add_test(tc, pages_that_are_refused_for_long_take_gauges_along);
    tcase_add_test(tc, directory_that_is_removed_is_written_anew);
    tcase_add_test(tc, damaged_file_is_set_aside);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
