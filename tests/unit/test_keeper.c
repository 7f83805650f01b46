// The keeper: which runs are stored, what they hold, which shares are released; also after
// crashes, and in random scenarios against a simple oracle.
#include "profile/keeper.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONTINUE_MS = 300000, WAIT_MS = 900000, SHARES_MAX = 256 };

struct share {
    mproxy_source source;
    mproxy_job job;
    char jobid[32];
    mproxy_value value, node_value;
    mproxy_ranks ranks;
};

static char root[64], dir[96];
static mproxy_store *store;
static const mproxy_metric *hits, *packets;
static mproxy_archive *archive;
static struct mpx_keeper *keeper;
static struct share shares[SHARES_MAX];
static size_t share_count;
static int64_t now_ms;
static unsigned failures_logged, lines_logged;

static void on_log(void *arg, bool is_failure, const char *line)
{
    (void)arg;
    (void)line;
    failures_logged += is_failure;
    lines_logged++;
}

static void open_keeper(void)
{
    struct mpx_keeper_options options = {
        .continue_ms = CONTINUE_MS, .wait_ms = WAIT_MS, .log = on_log};
    mproxy_error err = {0};
    ck_assert_msg(mproxy_archive_open(dir, NULL, NULL, &archive, &err) == MPROXY_OK, "%s",
                  err.text);
    ck_assert_int_eq(mpx_keeper_open(archive, &options, &keeper, &err), MPROXY_OK);
}

static void close_keeper(void)
{
    mpx_keeper_close(keeper);
    mproxy_archive_close(archive);
    keeper = NULL;
    archive = NULL;
}

// On a memory file system: a store here syncs, and there are many.
static void setup(void)
{
    strcpy(root, "/dev/shm/mproxy-test-keeper-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    snprintf(dir, sizeof dir, "%s/prefix/profiles", root);
    ck_assert_int_eq(mproxy_store_open(NULL, &store, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_store_metric(store, "hits", MPROXY_COUNTER, "d", &hits, NULL),
                     MPROXY_OK);
    ck_assert_int_eq(
        mproxy_store_metric(store, "packets", MPROXY_COUNTER, "d", &packets, NULL),
        MPROXY_OK);
    share_count = 0;
    now_ms = 1000;
    failures_logged = lines_logged = 0;
    open_keeper();
}

static void teardown(void)
{
    char command[128];
    close_keeper();
    mproxy_store_close(store);
    snprintf(command, sizeof command, "rm -rf %s", root);
    ck_assert_int_eq(system(command), 0);
}

static struct share *add_share(unsigned node, uint64_t number, const char *jobid,
                               const char *command, int64_t start_ms, int64_t end_ms,
                               double value)
{
    static const char *const hosts[] = {"n0", "n1", "n2", "n3", "n4"};
    ck_assert_uint_lt(share_count, SHARES_MAX);
    struct share *s = &shares[share_count++];
    memset(s, 0, sizeof *s);
    snprintf(s->jobid, sizeof s->jobid, "%s", jobid);
    s->job = (mproxy_job){.jobid = s->jobid,
                          .command = (char *)command,
                          .nodelist = "",
                          .partition = "",
                          .cluster = "",
                          .run_dir = "",
                          .size = 4};
    s->value = mproxy_value_counter(value, 1);
    s->node_value = mproxy_value_counter(1, 1);
    mproxy_ranks_add(&s->ranks, node, value);
    s->source = (mproxy_source){.number = number,
                                .epoch = 1,
                                .sequence = 1,
                                .host = hosts[node],
                                .job = &s->job,
                                .uid = 1000,
                                .sealed = 1,
                                .start_ms = start_ms,
                                .end_ms = end_ms,
                                .count = 1,
                                .metrics = &hits,
                                .values = &s->value,
                                .ranks = &s->ranks,
                                .node_count = 1,
                                .node_metrics = &packets,
                                .node_values = &s->node_value};
    s->source.directory[0] = (uint8_t)(node + 1);
    return s;
}

static void drop_share(size_t i)
{
    memmove(&shares[i], &shares[i + 1], (--share_count - i) * sizeof *shares);
    for (; i < share_count; i++) { // what points into the struct moved along
        struct share *s = &shares[i];
        s->job.jobid = s->jobid;
        s->source.job = &s->job;
        s->source.values = &s->value;
        s->source.ranks = &s->ranks;
        s->source.node_values = &s->node_value;
    }
}

static void start_round(void)
{
    static const mproxy_job nobody = {.jobid = ""};
    const mproxy_source base = {.number = MPROXY_SHARE_BASE, .job = &nobody};
    const mproxy_source *sources[SHARES_MAX + 1] = {&base};
    for (size_t i = 0; i < share_count; i++)
        sources[i + 1] = &shares[i].source;
    now_ms += 1000;
    ck_assert_int_eq(mpx_keeper_round(keeper, sources, share_count + 1, now_ms),
                     MPROXY_OK);
}

// Rounds until what they hand over is stored, and one that sees it. Two runs of one id are
// written one after the other.
static void run_round(void)
{
    for (int i = 0; i < 2; i++) {
        start_round();
        mpx_keeper_drain(keeper, 20000);
    }
    start_round();
}

static size_t release_count(void)
{
    const struct mpx_release *releases;
    return mpx_keeper_releases(keeper, &releases);
}

static mproxy_profile *load(const char *key)
{
    mproxy_profile *p = NULL;
    mproxy_error err = {0};
    ck_assert_msg(mproxy_archive_load(archive, key, &p, &err) == MPROXY_OK, "%s: %s", key,
                  err.text);
    return p;
}

static double loaded(const char *key)
{
    mproxy_profile *p = load(key);
    ck_assert_str_eq(p->entries[0].name, "hits");
    double value = p->entries[0].value.total;
    mproxy_profile_free(p);
    return value;
}

START_TEST(a_sealed_run_is_stored_and_then_released)
{
    add_share(0, 1, "j", "./a", 5000, 9999, 42);

    start_round();
    ck_assert_uint_eq(release_count(), 0);
    ck_assert(mpx_keeper_drain(keeper, 20000));
    start_round();

    const struct mpx_release *releases;
    ck_assert_uint_eq(mpx_keeper_releases(keeper, &releases), 1);
    ck_assert_uint_eq(releases[0].number, 1);
    ck_assert_uint_eq(releases[0].directory[0], 1);
    mproxy_profile *p = load("j");
    ck_assert_uint_eq(p->count, 2);
    ck_assert_double_eq(p->entries[0].value.total, 42);
    ck_assert_uint_eq(p->entries[0].ranks.n, 1);
    ck_assert_str_eq(p->entries[1].name, "packets");
    ck_assert_int_eq(p->desc.start_time, 5);
    ck_assert_int_eq(p->desc.end_time, 9);
    ck_assert_str_eq(p->desc.command, "./a");
    ck_assert_uint_eq(p->uid, 1000);
    ck_assert_uint_eq(p->partial_count, 0);
    mproxy_profile_free(p);
}
END_TEST

START_TEST(a_run_waits_until_all_its_shares_are_sealed)
{
    add_share(0, 1, "j", "./a", 1000, 2000, 1);
    struct share *late = add_share(1, 1, "j", "./b", 1500, 2000, 2);
    late->source.sealed = 0;

    run_round();
    ck_assert_uint_eq(mproxy_archive_size(archive), 0);
    ck_assert_uint_eq(release_count(), 0);
    late->source.sealed = 1;
    late->source.sequence++;
    run_round();

    ck_assert_double_eq(loaded("j"), 3);
    ck_assert_uint_eq(release_count(), 2);
}
END_TEST

START_TEST(a_share_that_stays_silent_makes_the_profile_partial_until_it_returns)
{
    add_share(0, 1, "j", "./a", 1000, 2000, 1);
    struct share *lost = add_share(1, 1, "j", "./a", 1500, 2000, 2);
    lost->source.sealed = 0;
    lost->source.silent_ms = WAIT_MS + 1;

    run_round();
    mproxy_profile *p = load("j");
    ck_assert_uint_eq(p->partial_count, 1);
    ck_assert_str_eq(p->partial[0], "n1");
    mproxy_profile_free(p);
    ck_assert_uint_eq(release_count(), 1);
    lost->source.silent_ms = 0;
    lost->source.sealed = 1;
    lost->source.epoch = 2;
    lost->source.sequence = 1;
    lost->value.total = 20;
    run_round();

    p = load("j");
    ck_assert_uint_eq(p->partial_count, 0);
    ck_assert_double_eq(p->entries[0].value.total, 21);
    mproxy_profile_free(p);
    ck_assert_uint_eq(release_count(), 2);
}
END_TEST

START_TEST(an_incomplete_share_makes_the_profile_partial)
{
    add_share(2, 1, "j", "./a", 1000, 2000, 1)->source.incomplete = 1;

    run_round();

    mproxy_profile *p = load("j");
    ck_assert_uint_eq(p->partial_count, 1);
    ck_assert_str_eq(p->partial[0], "n2");
    mproxy_profile_free(p);
    ck_assert_uint_eq(release_count(), 1);
}
END_TEST

START_TEST(an_unchanged_profile_is_not_written_again)
{
    add_share(0, 1, "j", "./a", 1000, 2000, 1);
    run_round();
    unsigned lines = lines_logged;
    ck_assert_uint_eq(lines, 1);

    for (int i = 0; i < 5; i++) {
        shares[0].source.epoch++; // the proxy was started again
        run_round();
    }

    ck_assert_uint_eq(lines_logged, lines);
    ck_assert_uint_eq(release_count(), 1);
}
END_TEST

START_TEST(an_id_that_comes_back_goes_on_or_is_another_run)
{
    static const struct {
        const char *id, *command;
        int64_t gap_ms;
        size_t profiles;
    } cases[] = {{"soon", "./a", CONTINUE_MS - 1000, 1},
                 {"late", "./a", CONTINUE_MS + 1000, 2},
                 {"other", "./b", 1000, 2}};
    for (size_t i = 0; i < 3; i++) {
        size_t before = mproxy_archive_size(archive);
        share_count = 0;
        add_share(0, 2 * i + 1, cases[i].id, "./a", 10000, 20000, 1);
        run_round();
        share_count = 0; // absorbed
        add_share(0, 2 * i + 2, cases[i].id, cases[i].command, 20000 + cases[i].gap_ms,
                  30000 + cases[i].gap_ms, 2);
        run_round();

        ck_assert_uint_eq(mproxy_archive_size(archive), before + cases[i].profiles);
        ck_assert_double_eq(loaded(cases[i].id), cases[i].profiles == 1 ? 3 : 2);
        ck_assert_uint_eq(release_count(), 1);
    }
}
END_TEST

START_TEST(a_late_share_bridges_two_profiles)
{
    add_share(0, 1, "j", "./a", 0, 10000, 1);
    add_share(0, 2, "j", "./a", 10000 + CONTINUE_MS + 5000, 400000, 2);
    run_round();
    ck_assert_uint_eq(mproxy_archive_size(archive), 2);

    add_share(1, 7, "j", "./a", 100000, 200000, 4);
    run_round();

    ck_assert_uint_eq(mproxy_archive_size(archive), 1);
    ck_assert_double_eq(loaded("j"), 7);
    ck_assert_uint_eq(release_count(), 3);
}
END_TEST

START_TEST(two_users_with_one_id_have_a_profile_each)
{
    add_share(0, 1, "j", "./a", 1000, 2000, 1);
    add_share(0, 2, "j", "./a", 1000, 2000, 2)->source.uid = 2000;

    run_round();

    ck_assert_uint_eq(mproxy_archive_size(archive), 2);
    ck_assert_double_eq(loaded("j") + loaded("j@1"), 3);
    ck_assert_uint_eq(release_count(), 2);
}
END_TEST

START_TEST(ids_that_may_not_name_a_job_are_passed_over)
{
    add_share(0, 1, "main", "./a", 1000, 2000, 1);
    add_share(0, 2, "Node: x", "./a", 1000, 2000, 1);
    add_share(0, 3, "../../x", "./a", 1000, 2000, 5);

    run_round();

    ck_assert_uint_eq(mproxy_archive_size(archive), 1);
    ck_assert_double_eq(loaded("../../x"), 5);
}
END_TEST

START_TEST(values_out_of_all_range_still_make_a_profile_that_can_be_read)
{
    struct share *s =
        add_share(0, UINT64_MAX - 1, "j", "./a", INT64_MIN, INT64_MAX, 1e300);
    s->job.size = UINT64_MAX;
    s->source.epoch = s->source.sequence = UINT64_MAX;
    s->value.ts_us = UINT64_MAX;

    run_round();
    close_keeper();
    open_keeper();

    ck_assert_double_eq(loaded("j"), 1e300);
}
END_TEST

START_TEST(what_cannot_be_stored_is_tried_again_with_pauses)
{
    char command[256], text[244] = "";
    snprintf(command, sizeof command, "rm -rf %s/prefix && touch %s/prefix", root, root);
    ck_assert_int_eq(system(command), 0);
    add_share(0, 1, "j", "./a", 1000, 2000, 42);

    for (int i = 0; i < 30; i++) { // one second each
        run_round();
        ck_assert_uint_eq(release_count(), 0);
    }
    ck_assert(mpx_keeper_failed(keeper, text, sizeof text));
    ck_assert_ptr_nonnull(strstr(text, dir));
    ck_assert(!mpx_keeper_drain(keeper, 10));
    ck_assert_uint_eq(failures_logged, 1);
    snprintf(command, sizeof command, "rm %s/prefix", root);
    ck_assert_int_eq(system(command), 0);
    for (int i = 0; i < 70 && release_count() == 0; i++)
        run_round();

    ck_assert_uint_eq(release_count(), 1);
    ck_assert_double_eq(loaded("j"), 42);
    ck_assert(!mpx_keeper_failed(keeper, text, sizeof text));
    ck_assert_uint_eq(failures_logged, 1);
}
END_TEST

START_TEST(releases_come_from_the_archive_after_a_restart)
{
    add_share(0, 1, "j", "./a", 1000, 2000, 42);
    run_round();
    close_keeper();
    open_keeper();

    start_round();

    ck_assert_uint_eq(release_count(), 1);
}
END_TEST

static void die_while_storing(const char *point)
{
    int status;
    close_keeper();
    pid_t pid = fork();
    if (pid == 0) {
        setenv("MPROXY_CRASH_AT", point, 1);
        open_keeper();
        run_round();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s is not reached",
                  point);
    open_keeper();
}

START_TEST(a_crash_anywhere_in_a_store_leaves_one_exact_profile)
{
    static const char *const points[] = {"profile.written", "profile.renamed",
                                         "profile.synced", "profile.unlinked"};
    for (size_t i = 0; i < 4; i++) {
        add_share(0, 1, "j", "./a", 0, 10000, 1);
        add_share(0, 2, "j", "./a", 10000 + CONTINUE_MS + 5000, 400000, 2);
        run_round();
        add_share(1, 7, "j", "./a", 100000, 200000, 4);
        die_while_storing(points[i]);

        run_round();

        ck_assert_uint_eq(mproxy_archive_size(archive), 1);
        ck_assert_double_eq(loaded("j"), 7);
        ck_assert_uint_eq(release_count(), 3);
        teardown();
        setup();
    }
}
END_TEST

START_TEST(a_crash_while_an_older_run_makes_place_loses_neither)
{
    static const char *const points[] = {"profile.written", "profile.moved",
                                         "profile.renamed", "profile.synced"};
    for (size_t i = 0; i < 4; i++) {
        add_share(0, 1, "j", "./a", 0, 10000, 1);
        run_round();
        add_share(0, 2, "j", "./b", 20000, 40000, 2);
        die_while_storing(points[i]);

        run_round();

        ck_assert_uint_eq(mproxy_archive_size(archive), 2);
        ck_assert_double_eq(loaded("j"), 2);
        ck_assert_double_eq(loaded("j@0"), 1);
        ck_assert_uint_eq(release_count(), 2);
        teardown();
        setup();
    }
}
END_TEST

// ---- random scenarios: runs of several shares on several nodes; shares appear, seal, are
// absorbed when released; the keeper is closed and opened at random. In the end each run has
// exactly one profile with exactly its sum.

enum { RUNS = 12, NODES = 5 };

struct run {
    char id[8];
    int64_t start_ms, end_ms;
    char command[8];
    double sum;
};

static struct run runs[RUNS];

static void make_runs(void)
{
    int64_t at_ms[3] = {1000, 1000, 1000};
    for (size_t i = 0; i < RUNS; i++) {
        struct run *r = &runs[i];
        size_t id = (size_t)(rand() % 3);
        const struct run *before = NULL;
        snprintf(r->id, sizeof r->id, "r%zu", id);
        for (size_t k = 0; k < i; k++)
            if (strcmp(runs[k].id, r->id) == 0)
                before = &runs[k];
        bool soon = before && rand() % 3 == 0;
        snprintf(r->command, sizeof r->command, "./a%zu", soon ? i : 99);
        r->start_ms = at_ms[id] + (soon ? 2000 : CONTINUE_MS + 2000);
        r->end_ms = r->start_ms + 10000 + 1000 * (rand() % 200);
        r->sum = 0;
        at_ms[id] = r->end_ms;
    }
}

// A share of a run within its time; those of one run overlap, or follow in the gap.
static void add_random_share(uint64_t number)
{
    struct run *r = &runs[rand() % RUNS];
    double value = rand() % 1000;
    int64_t length = r->end_ms - r->start_ms;
    bool first = rand() % 2;
    struct share *s = add_share((unsigned)rand() % NODES, number, r->id, r->command,
                                r->start_ms + (first ? 0 : rand() % (length / 2)),
                                r->end_ms - rand() % (length / 4), value);
    s->source.sealed = 0;
    r->sum += value;
}

static void seal_random_share(void)
{
    struct share *s = &shares[(size_t)rand() % share_count];
    if (!s->source.sealed && rand() % 4 == 0) {
        double more = rand() % 10;
        for (size_t i = 0; i < RUNS; i++)
            if (strcmp(runs[i].id, s->jobid) == 0 &&
                runs[i].start_ms <= s->source.start_ms &&
                s->source.end_ms <= runs[i].end_ms)
                runs[i].sum += more;
        s->value.total += more;
        s->source.sequence++;
    } else {
        s->source.sealed = 1;
        s->source.sequence++;
    }
}

static void absorb_released(void)
{
    const struct mpx_release *releases;
    size_t count = mpx_keeper_releases(keeper, &releases);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < share_count; k++)
            if (shares[k].source.number == releases[i].number &&
                memcmp(shares[k].source.directory, releases[i].directory, 16) == 0) {
                ck_assert(shares[k].source.sealed);
                drop_share(k);
                break;
            }
}

static void add_stored_sum(void *arg, const mproxy_archive_item *item)
{
    mproxy_profile *p = load(item->key);
    double *total = arg;
    bool found = false;
    for (size_t i = 0; i < RUNS && !found; i++) {
        const struct run *r = &runs[i];
        found = strcmp(r->id, item->desc->jobid) == 0 &&
                r->start_ms <= p->shares[0].start_ms && p->shares[0].end_ms <= r->end_ms;
        if (found)
            ck_assert_msg(p->entries[0].value.total == r->sum, "%s: %g instead of %g",
                          item->key, p->entries[0].value.total, r->sum);
        if (found)
            ck_assert_str_eq(p->desc.command, r->command);
    }
    ck_assert(found);
    *total += p->entries[0].value.total;
    mproxy_profile_free(p);
}

START_TEST(random_scenarios_end_in_one_exact_profile_per_run)
{
    for (unsigned seed = 1; seed <= 30; seed++) {
        uint64_t number = 1;
        double stored = 0, counted = 0;
        srand(seed);
        make_runs();
        for (int step = 0; step < 120; step++) {
            int what = rand() % 10;
            if (what < 3 && step < 80)
                add_random_share(number++);
            else if (what < 7 && share_count > 0)
                seal_random_share();
            else if (what == 7)
                absorb_released();
            else
                start_round();
            if (rand() % 40 == 0) {
                close_keeper();
                open_keeper();
            }
        }
        for (size_t i = 0; i < share_count; i++)
            shares[i].source.sealed = 1, shares[i].source.sequence++;
        for (int i = 0; i < 10 && share_count > 0; i++) {
            run_round();
            absorb_released();
        }

        ck_assert_msg(share_count == 0, "seed %u: %zu shares stay", seed, share_count);
        mproxy_archive_each(archive, add_stored_sum, &stored);
        for (size_t i = 0; i < RUNS; i++)
            counted += runs[i].sum;
        ck_assert_msg(stored == counted, "seed %u: %g of %g", seed, stored, counted);
        teardown();
        setup();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keeper");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_sealed_run_is_stored_and_then_released);
    tcase_add_test(c, a_run_waits_until_all_its_shares_are_sealed);
    tcase_add_test(c,
                   a_share_that_stays_silent_makes_the_profile_partial_until_it_returns);
    tcase_add_test(c, an_incomplete_share_makes_the_profile_partial);
    tcase_add_test(c, an_unchanged_profile_is_not_written_again);
    tcase_add_test(c, an_id_that_comes_back_goes_on_or_is_another_run);
    tcase_add_test(c, a_late_share_bridges_two_profiles);
    tcase_add_test(c, two_users_with_one_id_have_a_profile_each);
    tcase_add_test(c, ids_that_may_not_name_a_job_are_passed_over);
    tcase_add_test(c, values_out_of_all_range_still_make_a_profile_that_can_be_read);
    tcase_add_test(c, what_cannot_be_stored_is_tried_again_with_pauses);
    tcase_add_test(c, releases_come_from_the_archive_after_a_restart);
    tcase_add_test(c, a_crash_anywhere_in_a_store_leaves_one_exact_profile);
    tcase_add_test(c, a_crash_while_an_older_run_makes_place_loses_neither);
    tcase_add_test(c, random_scenarios_end_in_one_exact_profile_per_run);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
