// A target that is a proxy. The fixture's server answers every path with one page, which stands for
// the page of recognition, too: it has `<html>` in it.
#include "../support/chaos_alloc.h"
#include "../support/scrape_fixture.h"
#include "../support/suite.h"

#define DESC(jobid)                                                                      \
    "{\"desc\":{\"jobid\":\"" jobid "\",\"command\":\"<html>\",\"size\":1,"              \
    "\"nodelist\":\"\",\"partition\":\"\",\"cluster\":\"\",\"run_dir\":\"\","            \
    "\"start_time\":1700000000,\"end_time\":0},\"counters\":["
#define COUNTER(name, value)                                                             \
    "{\"name\":\"" name "\",\"doc\":\"\",\"ctype\":{\"Counter\":{\"value\":" value "}}}"
#define GAUGE(name, value)                                                               \
    "{\"name\":\"" name "\",\"doc\":\"\",\"ctype\":{\"Gauge\":{\"min\":" value           \
    ",\"max\":" value ",\"hits\":1,\"total\":" value "}}}"
#define END "]}"
#define MAIN(hits, load) DESC("main") COUNTER("hits", hits) "," GAUGE("load", load) END
#define NODE DESC("Node: there") COUNTER("hits", "5") "," GAUGE("proxy_x", "1") END
#define JOB DESC("7") COUNTER("hits{a=\\\"b\\\"}", "5") END

static char folder[] = "/tmp/mproxy-scrape-XXXXXX", socket_path[64];

static void set_up(void)
{
    strcpy(folder, "/tmp/mproxy-scrape-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(socket_path, sizeof socket_path, "%s/s", folder);
    open_exporter();
    ck_assert_int_eq(open_scraper(socket_path), MPROXY_OK);
}

static void tear_down(void)
{
    char command[256];
    close_scraper();
    close_exporter();
    snprintf(command, sizeof command, "rm -rf %s /dev/shm/%%2Ftmp%%2F%s*", folder,
             folder + strlen("/tmp/"));
    ck_assert_int_eq(system(command), 0);
}

static bool is_listed(const char *jobid)
{
    mproxy_snapshot *snapshot = mproxy_store_snapshot(store);
    bool is = mproxy_snapshot_find(snapshot, jobid) != NULL;
    mproxy_snapshot_unref(snapshot);
    return is;
}

static void wait_listed(const char *jobid, bool should)
{
    int64_t until = mpx_boot_ms() + WAIT_MS;
    while (is_listed(jobid) != should && mpx_boot_ms() < until)
        turn();
    ck_assert_msg(is_listed(jobid) == should, "%s", jobid);
}

START_TEST(proxy_is_shown_by_its_views_and_main_goes_on_when_it_restarts)
{
    say("[" MAIN("5", "2") "," NODE "," JOB "]", 200);
    join();
    wait_shown("hits", 5);
    wait_listed("7", true);
    ck_assert(is_listed("Node: there"));
    ck_assert_int_eq(target(0).proxy, 1);
    ck_assert_ptr_nonnull(strstr(target(0).url, "/job"));

    say("[" MAIN("2", "3") "]", 200);
    wait_shown("hits", 7);
    wait_shown("load", 3);

    wait_listed("7", false); // three good replies do not have it
    wait_listed("Node: there", false);
    ck_assert_double_eq(shown("hits"), 7);
}
END_TEST

START_TEST(counters_of_main_are_shown_before_the_first_reply)
{
    say("[" MAIN("5", "2") "," JOB "]", 200);
    join();
    wait_shown("hits", 5);
    say("", 503);
    close_scraper();

    ck_assert_int_eq(open_scraper(socket_path), MPROXY_OK);
    ck_assert_int_eq(mproxy_rounds_run(rounds, NULL), MPROXY_OK);

    ck_assert_double_eq(shown("hits"), 5);
    ck_assert(!is_shown("load"));
    say("[" MAIN("1", "2") "," JOB "]", 200); // it was restarted meanwhile
    wait_shown("hits", 6);
}
END_TEST

START_TEST(reply_that_is_no_job_list_changes_nothing)
{
    static const char *const replies[] = {
        "[" JOB "]",                                     // no main
        "[" MAIN("9", "9") "," JOB "," JOB "]",          // a job twice
        "[" MAIN("9", "9") "," DESC("8") "null" END "]", // malformed
        "[" MAIN("9", "9"),
    };
    say("[" MAIN("5", "2") "]", 200);
    join();
    wait_shown("hits", 5);
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        say(replies[i], 200);
        int64_t until = mpx_boot_ms() + WAIT_MS;
        while (target(0).healthy && mpx_boot_ms() < until)
            turn();
        ck_assert_int_eq(target(0).healthy, 0);
        ck_assert_double_eq(shown("hits"), 5);
        say("[" MAIN("5", "2") "]", 200);
        while (!target(0).healthy && mpx_boot_ms() < until)
            turn();
        ck_assert_int_eq(target(0).healthy, 1);
    }
}
END_TEST

START_TEST(proxy_whose_place_an_exporter_takes_leaves_its_counters)
{
    say("[" MAIN("5", "2") "," JOB "]", 200);
    join();
    wait_shown("hits", 5);
    wait_listed("7", true);

    say("# TYPE c_total counter\nc_total 3\n", 200);
    wait_shown("c_total", 3);

    ck_assert_int_eq(target(0).proxy, 0);
    wait_listed("7", false);
    wait_gone("load");
    ck_assert_double_eq(shown("hits"), 5);
}
END_TEST

// ---- want of memory

static void read_somehow(void *arg)
{
    mproxy_status status = open_scraper(arg);
    if (!status)
        status = mproxy_scraper_join(scraper, exporter.address, 10, 0, NULL);
    for (int i = 0; i < 16 && !status; i++) {
        mproxy_loop_turn(loop, 2, NULL, NULL);
        mproxy_rounds_run(rounds, NULL);
    }
    if (scraper)
        mproxy_scraper_leave(scraper, exporter.address, NULL);
    close_scraper();
}

START_TEST(proxy_is_read_in_spite_of_want_of_memory)
{
    say("[" MAIN("5", "2") "," NODE "," JOB "]", 200);
    join();
    wait_shown("hits", 5); // loads libcurl
    close_scraper();

    ck_assert_uint_gt(chaos_each_any(read_somehow, socket_path), 50);

    chaos_fail(0, false);
    ck_assert_int_eq(open_scraper(socket_path), MPROXY_OK);
    join();
    wait_listed("7", true);
    ck_assert_double_eq(shown("hits"), 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scrape_proxy");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 110);
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, proxy_is_shown_by_its_views_and_main_goes_on_when_it_restarts);
    tcase_add_test(c, counters_of_main_are_shown_before_the_first_reply);
    tcase_add_test(c, reply_that_is_no_job_list_changes_nothing);
    tcase_add_test(c, proxy_whose_place_an_exporter_takes_leaves_its_counters);
    tcase_add_test(c, proxy_is_read_in_spite_of_want_of_memory);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
