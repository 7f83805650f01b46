// Direct counters, and what becomes of the segments that the proxy itself writes when their
// files are removed: every value is read once.

#include "../support/gateway_client.h"
#include "../support/segment_probe.h"
#include "../support/segments_fixture.h"
#include "../support/suite.h"
#include "own/direct.h"

static struct mpx_direct *direct;
static mproxy_gateway *gw;
static struct mpx_direct_key main_key;
static char socket_path[100];

static const char *over; // the job that has no other process left

static bool is_over(void *arg, const char *jobid, uint32_t uid)
{
    (void)arg;
    (void)uid;
    return over && strcmp(jobid, over) == 0;
}

static void open_direct(void)
{
    struct mpx_direct_options counters = {
        .dir_path = folder, .is_over = is_over, .segments = segments};
    ck_assert_int_eq(mpx_direct_open(&counters, &direct, NULL), MPROXY_OK);
}

static void set_up(void)
{
    setup();
    snprintf(socket_path, sizeof socket_path, "%s/socket", folder);
    mproxy_gateway_options options = {.struct_size = sizeof options,
                                      .socket_path = socket_path};
    gw = gateway_open(&options, folder);
    open_direct();
    over = NULL;
    main_key.uid = geteuid();
}

static void tear_down(void)
{
    gateway_close(gw);
    mpx_direct_close(direct);
    teardown();
}

static void add(const char *name, double value)
{
    ck_assert_int_eq(mpx_direct_add(direct, &main_key, name, "d", value, NULL),
                     MPROXY_OK);
}

// A round of the daemon, with what it does for the segments it writes.
static void whole_round(void)
{
    play_round();
    const mproxy_round round = {.written = true, .shown = true};
    mproxy_gateway_input(gw)->after_round(gw, &round, NULL);
    mpx_direct_input(direct)->after_round(direct, &round, NULL);
}

static void remove_segments(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -f %s/*.seg", folder);
    ck_assert_int_eq(system(command), 0);
}

// The directory, made again as the daemon makes it.
static void replace_directory(void)
{
    char command[192];
    snprintf(command, sizeof command, "rm -rf %s; mkdir -m 700 %s", folder, folder);
    ck_assert_int_eq(system(command), 0);
    close(dir);
    close(state);
    open_folder();
    ck_assert_int_eq(mproxy_ledger_move(ledger, state, NULL), MPROXY_OK);
    ck_assert_int_eq(mpx_segments_move(segments, dir, state, NULL), MPROXY_OK);
}

START_TEST(direct_counters_are_added_and_set)
{
    struct probe p = {0};
    add("k", 5);
    add("k", 2);
    whole_round();
    ck_assert_double_eq(shown(NULL, "k"), 7);
    ck_assert(probe_any(&p, folder));
    ck_assert_uint_eq(probe_header(&p)->kind, MPX_SEG_PASSIVE);
    probe_close(&p);

    add("k", 1); // the round showed 7 of ours and, say, 93 of others
    mpx_direct_set(direct, &main_key, "k", "d", 150, 100, NULL);
    whole_round();

    ck_assert_double_eq(shown(NULL, "k"), 57); // 93 + 57 = 150
}
END_TEST

START_TEST(direct_counters_of_a_job_end_with_it)
{
    mproxy_job job = {0}, named = {.jobid = (char[]){"j1"}};
    ck_assert_int_eq(mproxy_job_copy(&named, &job), MPROXY_OK);
    struct mpx_direct_key key = {.job = &job, .uid = geteuid()};
    mpx_direct_add(direct, &key, "k", "", 5, NULL);
    ck_assert_int_eq(probe_directory(folder, 0, NULL).locked, 1);

    over = "other";
    whole_round();
    ck_assert_int_eq(probe_directory(folder, 0, NULL).locked, 1);
    over = "j1";
    whole_round();

    ck_assert_int_eq(probe_directory(folder, 0, NULL).locked, 0);
    whole_round();
    ck_assert_double_eq(shown("j1", "k"), 5);
    mproxy_job_clear(&job);
}
END_TEST

START_TEST(what_was_read_and_not_shown_is_no_part_of_the_total_shown)
{
    const mproxy_round unshown = {.written = true};
    add("k", 5);
    play_round();
    mpx_direct_input(direct)->after_round(direct, &unshown, NULL);

    // Readers see 93 of others, and nothing of ours yet.
    mpx_direct_set(direct, &main_key, "k", "d", 150, 93, NULL);
    whole_round();

    ck_assert_double_eq(shown(NULL, "k"), 57); // 93 + 57 = 150
}
END_TEST

START_TEST(a_refused_name_says_where)
{
    mproxy_error err;

    mproxy_status status = mpx_direct_add(direct, &main_key, "a b", "", 1, &err);

    ck_assert_int_eq(status, MPROXY_E_INVALID);
    ck_assert_int_eq(err.column, 2);
}
END_TEST

// What a client says, and what is asked for over HTTP.
static int write_both(void)
{
    add("k", 5);
    int fd = gateway_dial(socket_path);
    gateway_tell_job(fd, "j1");
    gateway_tell(fd, "{\"Value\":{\"name\":\"g\",\"value\":{\"Gauge\":{\"min\":3,"
                     "\"max\":3,\"hits\":1,\"total\":3}}}}");
    return fd;
}

static void check_shown(double k)
{
    ck_assert_double_eq(shown(NULL, "k"), k);
    ck_assert_double_eq(shown("j1", "g"), 3);
    ck_assert_double_eq(find_value("j1", "g")->hits, 1);
}

// Now, when there is more, for a proxy that comes after this one, and in the end.
static void check_both(int fd)
{
    check_shown(5);
    mpx_direct_set(direct, &main_key, "k", "d", 6, 5, NULL);
    whole_round();
    check_shown(6);
    mpx_direct_close(direct); // the next proxy has its own
    close_proxy();
    open_proxy();
    open_direct();
    whole_round();
    check_shown(6);
    close(fd);
    gateway_settle();
    whole_round();
    check_shown(6);
}

// The round that comes while a cleaner is at work finds the directory, and no segment in it.
START_TEST(what_is_removed_before_a_round_reads_it_goes_on)
{
    int fd = write_both();

    remove_segments();
    whole_round();
    whole_round();

    check_both(fd);
}
END_TEST

START_TEST(what_is_removed_with_its_directory_before_a_round_reads_it_goes_on)
{
    int fd = write_both();

    replace_directory();
    whole_round();
    whole_round();

    check_both(fd);
}
END_TEST

START_TEST(what_is_removed_when_it_was_read_counts_once)
{
    int fd = write_both();
    whole_round();

    replace_directory();
    whole_round();
    whole_round();

    check_both(fd);
}
END_TEST

START_TEST(a_segment_that_cannot_grow_is_left_with_all_its_values)
{
    char name[32];
    add("k", 5);

    remove_segments();
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "k_%d", i);
        add(name, i);
    }
    whole_round();

    ck_assert_double_eq(shown(NULL, "k"), 5);
    ck_assert_double_eq(shown(NULL, "k_0"), 0);
    ck_assert_double_eq(shown(NULL, "k_999"), 999);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_direct");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, direct_counters_are_added_and_set);
    tcase_add_test(c, direct_counters_of_a_job_end_with_it);
    tcase_add_test(c, what_was_read_and_not_shown_is_no_part_of_the_total_shown);
    tcase_add_test(c, a_refused_name_says_where);
    tcase_add_test(c, what_is_removed_before_a_round_reads_it_goes_on);
    tcase_add_test(c, what_is_removed_with_its_directory_before_a_round_reads_it_goes_on);
    tcase_add_test(c, what_is_removed_when_it_was_read_counts_once);
    tcase_add_test(c, a_segment_that_cannot_grow_is_left_with_all_its_values);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
