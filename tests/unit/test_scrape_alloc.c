// A scraper with each allocation failing in turn: nothing is lost but what could not be had,
// and with memory the next page is shown.
#include "../support/chaos_alloc.h"
#include "../support/scrape_fixture.h"
#include "../support/suite.h"

static const char page[] =
    "# TYPE c_total counter\nc_total 5\ng 1\n# TYPE h histogram\n"
    "h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n";
static char folder[] = "/tmp/mproxy-scrape-XXXXXX", socket_path[64];

// Some turns of the loop: there is no waiting for what may never come.
static void scrape_somehow(void *arg)
{
    mproxy_status status = open_scraper(arg);
    if (!status)
        status = mproxy_scraper_join(scraper, exporter.address, 10, 0, NULL);
    for (int i = 0; i < 12 && !status; i++) {
        mproxy_loop_turn(loop, 2, NULL, NULL);
        mproxy_rounds_run(rounds, NULL);
    }
    if (scraper)
        mproxy_scraper_leave(scraper, exporter.address, NULL);
    close_scraper();
}

static void scrape_and_look(const char *kept)
{
    chaos_fail(0, false);
    ck_assert_int_eq(open_scraper(kept), MPROXY_OK);
    join();
    wait_shown("g", 1);
    ck_assert_double_eq(shown("c_total"), 5);
    ck_assert_double_eq(shown("h_bucket{le=\"+Inf\"}"), 2);
    close_scraper();
}

START_TEST(scraper_survives_want_of_memory)
{
    open_exporter();
    say(page, 200);
    scrape_and_look(NULL); // loads libcurl

    ck_assert_uint_gt(chaos_each_any(scrape_somehow, NULL), 50);

    scrape_and_look(NULL);
    close_exporter();
}
END_TEST

START_TEST(memory_of_targets_survives_want_of_memory)
{
    char command[256];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(socket_path, sizeof socket_path, "%s/s", folder);
    open_exporter();
    say(page, 200);
    scrape_and_look(socket_path);

    ck_assert_uint_gt(chaos_each_any(scrape_somehow, socket_path), 50);

    scrape_and_look(socket_path);
    close_exporter();
    snprintf(command, sizeof command, "rm -rf %s /dev/shm/%%2Ftmp%%2F%s*", folder,
             folder + strlen("/tmp/"));
    ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("scrape without memory");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 110);
    tcase_add_test(tc, scraper_survives_want_of_memory);
    tcase_add_test(tc, memory_of_targets_survives_want_of_memory);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
