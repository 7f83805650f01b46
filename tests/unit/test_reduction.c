// From sources to views: what is added up where, and what leaves.

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <mproxy/reduce.h>

#include "../support/suite.h"

enum { HITS, LOAD, NET, METRICS };

static mproxy_store *store;
static mproxy_reduction *reduction;
static const mproxy_metric *metrics[METRICS];

static void setup(void)
{
    const char *const names[METRICS] = {"hits_total", "load", "net_total"};
    ck_assert_int_eq(mproxy_store_open(NULL, &store, NULL), MPROXY_OK);
    for (int i = 0; i < METRICS; i++)
        mproxy_store_metric(store, names[i], i == LOAD ? MPROXY_GAUGE : MPROXY_COUNTER,
                            "a test's", &metrics[i], NULL);
    ck_assert_int_eq(mproxy_reduction_new(store, &reduction, NULL), MPROXY_OK);
}

static void teardown(void)
{
    mproxy_reduction_free(reduction);
    mproxy_store_close(store);
}

// A source of directory `d` on host "h<host>", with one counter.
struct maker {
    mproxy_source source;
    mproxy_job job;
    char host[16];
    mproxy_value hits, node[2];
    const mproxy_metric *metric, *node_metrics[2];
    mproxy_ranks ranks;
};

static void make(struct maker *m, uint8_t d, int host, uint64_t number, double hits)
{
    memset(m, 0, sizeof *m);
    snprintf(m->host, sizeof m->host, "h%d", host);
    m->hits = mproxy_value_counter(hits, 7);
    m->metric = metrics[HITS];
    m->source = (mproxy_source){.directory = {d},
                                .number = number,
                                .epoch = 1,
                                .sequence = 1,
                                .host = m->host,
                                .count = 1,
                                .metrics = &m->metric,
                                .values = &m->hits};
}

static void make_share(struct maker *m, uint8_t d, int host, uint64_t number,
                       const char *jobid, double hits)
{
    make(m, d, host, number, hits);
    m->job = (mproxy_job){.jobid = (char *)jobid,
                          .command = "./a",
                          .nodelist = "",
                          .partition = "",
                          .cluster = "",
                          .run_dir = "",
                          .size = 4};
    m->source.job = &m->job;
    m->source.uid = 1000;
    m->source.start_ms = 1000000;
    m->source.end_ms = 1001000;
}

static void put(const struct maker *m)
{
    mproxy_error err = {0};
    mproxy_status status = mproxy_reduction_put(reduction, &m->source, &err);
    ck_assert_msg(status == MPROXY_OK, "%s", err.text);
}

static void put_next(struct maker *m, double hits)
{
    m->hits.total = hits;
    m->source.sequence++;
    put(m);
}

static void publish(void)
{
    mproxy_error err = {0};
    mproxy_status status = mproxy_reduction_publish(reduction, &err);
    ck_assert_msg(status == MPROXY_OK, "%s", err.text);
}

static double shown(const char *view, const char *metric)
{
    mproxy_snapshot *s = mproxy_store_snapshot(store);
    const mproxy_view *v = mproxy_snapshot_find(s, view);
    const mproxy_entry *e = v ? mproxy_view_find(v, metric) : NULL;
    double total = e ? e->value.total : -1;
    mproxy_snapshot_unref(s);
    return total;
}

static bool is_listed(const char *view)
{
    mproxy_snapshot *s = mproxy_store_snapshot(store);
    bool is = mproxy_snapshot_find(s, view) != NULL;
    mproxy_snapshot_unref(s);
    return is;
}

static uint64_t steps_back(void)
{
    mproxy_reduction_stats stats;
    mproxy_reduction_get_stats(reduction, &stats);
    return stats.steps_back;
}

START_TEST(main_adds_up_bases_and_shares_and_nodes_theirs)
{
    struct maker base1, base2, share1, share2;
    make(&base1, 1, 1, MPROXY_SHARE_BASE, 1);
    make(&base2, 2, 2, MPROXY_SHARE_BASE, 2);
    make_share(&share1, 1, 1, 1, "j", 10);
    make_share(&share2, 2, 2, 1, "j", 20);

    put(&share2);
    put(&base1);
    put(&base2);
    put(&share1);
    publish();

    ck_assert_double_eq(shown("main", "hits_total"), 33);
    ck_assert_double_eq(shown("Node: h1", "hits_total"), 11);
    ck_assert_double_eq(shown("Node: h2", "hits_total"), 22);
    ck_assert_double_eq(shown("j", "hits_total"), 30);
}
END_TEST

START_TEST(views_stand_in_their_order_with_descriptions)
{
    struct maker base, a, b;
    make(&base, 1, 1, MPROXY_SHARE_BASE, 1);
    make_share(&a, 1, 1, 1, "zzz", 10);
    make_share(&b, 1, 1, 2, "aaa", 10);
    b.source.start_ms += 5000;

    put(&b);
    put(&a);
    put(&base);
    publish();

    mproxy_snapshot *s = mproxy_store_snapshot(store);
    const char *const keys[] = {"main", "Node: h1", "zzz", "aaa"};
    ck_assert_uint_eq(mproxy_snapshot_size(s), 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert_str_eq(mproxy_view_key(mproxy_snapshot_at(s, i)), keys[i]);
    const mproxy_job *node = mproxy_view_job(mproxy_snapshot_at(s, 1));
    ck_assert_str_eq(node->command, "Sum of all Jobs running on h1");
    ck_assert_str_eq(node->nodelist, "h1");
    const mproxy_job *job = mproxy_view_job(mproxy_snapshot_at(s, 2));
    ck_assert_str_eq(job->command, "./a");
    ck_assert_uint_eq(job->size, 4);
    ck_assert_int_eq(job->start_time, 1000);
    ck_assert_int_eq(job->end_time, 0);
    mproxy_snapshot_unref(s);
}
END_TEST

START_TEST(a_state_replaces_the_one_before_and_an_older_one_is_ignored)
{
    struct maker share;
    make_share(&share, 1, 1, 1, "j", 10);
    put(&share);
    put_next(&share, 15);
    share.source.sequence = 1;
    share.hits.total = 10;
    put(&share);
    publish();

    ck_assert_double_eq(shown("j", "hits_total"), 15);

    share.source.epoch = 2; // a newer life of the proxy, with a smaller sequence
    share.hits.total = 16;
    put(&share);
    publish();

    ck_assert_double_eq(shown("j", "hits_total"), 16);
    ck_assert_double_eq(shown("main", "hits_total"), 16);
}
END_TEST

START_TEST(an_absorbed_share_counts_once_whichever_arrives_first)
{
    struct maker base, share, late;
    mproxy_span absorbed[] = {{1, 3}};
    make(&base, 1, 1, MPROXY_SHARE_BASE, 1);
    make_share(&share, 1, 1, 1, "j", 10);
    share.source.sealed = 1;
    put(&base);
    put(&share);
    publish();

    base.source.absorbed = absorbed;
    base.source.absorbed_count = 1;
    put_next(&base, 21);
    make_share(&late, 1, 1, 2, "k", 10);
    put(&late);
    put_next(&share, 10);
    publish();

    ck_assert_double_eq(shown("main", "hits_total"), 21);
    ck_assert(!is_listed("j"));
    ck_assert(!is_listed("k"));
    ck_assert_uint_eq(steps_back(), 0);
}
END_TEST

START_TEST(a_job_with_an_absorbed_share_leaves_the_list_and_stays_in_main)
{
    struct maker base, s1, s2;
    mproxy_span absorbed[] = {{1, 2}};
    make(&base, 1, 1, MPROXY_SHARE_BASE, 0);
    make_share(&s1, 1, 1, 1, "j", 10);
    make_share(&s2, 2, 2, 1, "j", 20);
    s1.source.sealed = s2.source.sealed = 1;
    put(&base);
    put(&s1);
    put(&s2);
    publish();
    double before = shown("j", "hits_total");

    mproxy_reduction_stored(reduction, s1.source.directory, 1);
    mproxy_reduction_stored(reduction, s2.source.directory, 1);
    base.source.absorbed = absorbed;
    base.source.absorbed_count = 1;
    put_next(&base, 10);
    publish();

    ck_assert_double_eq(before, 30);
    ck_assert(!is_listed("j"));
    ck_assert_double_eq(shown("main", "hits_total"), 30);
    ck_assert_double_eq(shown("Node: h2", "hits_total"), 20);
    ck_assert_uint_eq(steps_back(), 0);
}
END_TEST

// It was sealed when the profile of the one before was written already.
START_TEST(a_sealed_share_stays_listed_until_a_profile_has_it)
{
    struct maker base, s1, s2;
    mproxy_span absorbed[] = {{1, 3}};
    make(&base, 1, 1, MPROXY_SHARE_BASE, 0);
    make_share(&s1, 1, 1, 1, "j", 10);
    make_share(&s2, 1, 1, 2, "j", 3);
    s1.source.sealed = s2.source.sealed = 1;
    put(&base);
    put(&s1);
    put(&s2);
    publish();

    mproxy_reduction_stored(reduction, s1.source.directory, 1);
    absorbed[0].end = 2;
    base.source.absorbed = absorbed;
    base.source.absorbed_count = 1;
    put_next(&base, 10);
    publish();
    ck_assert_double_eq(shown("j", "hits_total"), 3);
    ck_assert_double_eq(shown("main", "hits_total"), 13);

    mproxy_reduction_stored(reduction, s2.source.directory, 2);
    absorbed[0].end = 3;
    put_next(&base, 13);
    publish();
    ck_assert(!is_listed("j"));
    ck_assert_double_eq(shown("main", "hits_total"), 13);
    ck_assert_uint_eq(steps_back(), 0);
}
END_TEST

START_TEST(a_job_that_goes_on_after_its_profile_shows_its_newer_shares)
{
    struct maker base, s1, s2;
    mproxy_span absorbed[] = {{1, 2}};
    make(&base, 1, 1, MPROXY_SHARE_BASE, 0);
    make_share(&s1, 1, 1, 1, "j", 10);
    make_share(&s2, 1, 1, 2, "j", 3);
    s1.source.sealed = 1;
    s2.source.start_ms += 5000;
    s2.source.end_ms += 6000;
    put(&base);
    put(&s1);
    put(&s2);
    publish();
    double before = shown("j", "hits_total");

    base.source.absorbed = absorbed;
    base.source.absorbed_count = 1;
    put_next(&base, 10);
    publish();

    ck_assert_double_eq(before, 13);
    ck_assert_double_eq(shown("j", "hits_total"), 3);
    ck_assert_double_eq(shown("main", "hits_total"), 13);
    ck_assert_uint_eq(steps_back(), 0);
}
END_TEST

START_TEST(an_id_that_came_back_shows_its_newest_run)
{
    struct maker old, new;
    make_share(&old, 1, 1, 1, "j", 10);
    make_share(&new, 1, 1, 2, "j", 3);
    old.source.sealed = 1;
    new.source.start_ms += 1000000;
    new.source.end_ms = new.source.start_ms;

    put(&old);
    put(&new);
    publish();

    ck_assert_double_eq(shown("j", "hits_total"), 3);
    ck_assert_double_eq(shown("main", "hits_total"), 13);
}
END_TEST

START_TEST(another_command_without_overlap_is_another_run)
{
    struct maker old, new;
    make_share(&old, 1, 1, 1, "j", 10);
    make_share(&new, 1, 1, 2, "j", 3);
    old.source.sealed = 1;
    new.job.command = "./b";
    new.source.start_ms += 5000;
    new.source.end_ms += 5000;

    put(&old);
    put(&new);
    publish();

    ck_assert_double_eq(shown("j", "hits_total"), 3);
}
END_TEST

START_TEST(two_users_with_one_id_have_two_views)
{
    struct maker a, b;
    make_share(&a, 1, 1, 1, "j", 10);
    make_share(&b, 1, 1, 2, "j", 3);
    b.source.uid = 1001;
    put(&a);
    publish();
    b.source.start_ms -= 50000; // the key stays with whom it is shown for

    put(&b);
    publish();

    ck_assert_double_eq(shown("j", "hits_total"), 10);
    ck_assert_double_eq(shown("j@1001", "hits_total"), 3);
    mproxy_snapshot *s = mproxy_store_snapshot(store);
    const mproxy_job *job = mproxy_view_job(mproxy_snapshot_find(s, "j@1001"));
    ck_assert_str_eq(job->jobid, "j@1001");
    mproxy_snapshot_unref(s);
}
END_TEST

static void add_node_part(struct maker *m, double load, double net)
{
    m->node_metrics[0] = metrics[LOAD];
    m->node_metrics[1] = metrics[NET];
    m->node[0] = mproxy_value_gauge(load, 1);
    m->node[1] = mproxy_value_counter(net, 1);
    m->source.node_count = 2;
    m->source.node_metrics = m->node_metrics;
    m->source.node_values = m->node;
}

static void make_node(struct maker *m, uint8_t d, int host, double load, double net)
{
    make(m, d, host, MPROXY_SHARE_NODE, 0);
    add_node_part(m, load, net);
    m->source.count = 2;
    m->source.metrics = m->node_metrics;
    m->source.values = m->node;
    m->source.node_count = 0;
}

START_TEST(node_metrics_show_in_main_the_node_and_by_share_in_jobs)
{
    struct maker node, share;
    make_node(&node, 1, 1, 0.5, 1000);
    make_share(&share, 1, 1, 1, "j", 10);
    add_node_part(&share, 0.5, 40);

    put(&node);
    put(&share);
    publish();

    ck_assert_double_eq(shown("main", "net_total"), 1000);
    ck_assert_double_eq(shown("Node: h1", "load"), 0.5);
    ck_assert_double_eq(shown("j", "net_total"), 40);
    ck_assert_double_eq(shown("j", "load"), 0.5);
}
END_TEST

START_TEST(node_metrics_of_two_proxies_on_one_host_are_taken_once)
{
    struct maker n1, n2, n3;
    make_node(&n1, 1, 1, 0.5, 1000);
    make_node(&n2, 2, 1, 0.5, 1001);
    make_node(&n3, 3, 3, 0.25, 5);
    put(&n1);
    put(&n3);
    publish();
    put(&n2);
    publish();
    double both = shown("main", "net_total");

    for (int i = 0; i < 12; i++) { // the first falls silent
        n2.source.sequence++;
        n2.node[1].total = 2000 + i;
        put(&n2);
        publish();
    }

    ck_assert_double_eq(both, 1005);
    ck_assert_double_eq(shown("main", "net_total"), 2016);
    ck_assert_double_eq(shown("Node: h1", "net_total"), 2011);
}
END_TEST

START_TEST(ranks_are_shown_once_all_shares_know_theirs)
{
    struct maker s1, s2;
    make_share(&s1, 1, 1, 1, "j", 10);
    make_share(&s2, 2, 2, 1, "j", 20);
    mproxy_ranks_add(&s1.ranks, 0, 10);
    mproxy_ranks_add(&s2.ranks, 1, 20);
    s1.source.ranks = &s1.ranks;
    put(&s1);
    put(&s2);
    publish();
    mproxy_snapshot *s = mproxy_store_snapshot(store);
    uint64_t before =
        mproxy_view_find(mproxy_snapshot_find(s, "j"), "hits_total")->ranks.n;
    mproxy_snapshot_unref(s);

    s2.source.ranks = &s2.ranks;
    s2.source.sealed = 1;
    put_next(&s2, 20);
    publish();

    s = mproxy_store_snapshot(store);
    const mproxy_ranks *r =
        &mproxy_view_find(mproxy_snapshot_find(s, "j"), "hits_total")->ranks;
    ck_assert_uint_eq(before, 0);
    ck_assert_uint_eq(r->n, 2);
    ck_assert_uint_eq(r->max_rank, 1);
    mproxy_snapshot_unref(s);
}
END_TEST

START_TEST(a_view_that_did_not_change_is_the_same_object)
{
    struct maker a, b;
    make_share(&a, 1, 1, 1, "a", 10);
    make_share(&b, 1, 1, 2, "b", 10);
    put(&a);
    put(&b);
    publish();
    mproxy_snapshot *before = mproxy_store_snapshot(store);

    put_next(&b, 11);
    publish();

    mproxy_snapshot *after = mproxy_store_snapshot(store);
    ck_assert_ptr_eq(mproxy_snapshot_find(before, "a"), mproxy_snapshot_find(after, "a"));
    ck_assert_ptr_ne(mproxy_snapshot_find(before, "b"), mproxy_snapshot_find(after, "b"));
    ck_assert_double_eq(shown("main", "hits_total"), 21);
    mproxy_snapshot_unref(before);
    mproxy_snapshot_unref(after);
}
END_TEST

START_TEST(metrics_that_appear_later_find_their_place)
{
    struct maker a, b;
    const mproxy_metric *first;
    make_share(&a, 1, 1, 1, "a", 10);
    put(&a);
    publish();
    mproxy_store_metric(store, "aaa_first", MPROXY_COUNTER, "", &first, NULL);
    make_share(&b, 1, 1, 2, "b", 5);
    b.metric = first;

    put(&b);
    put_next(&a, 11);
    publish();

    ck_assert_double_eq(shown("main", "aaa_first"), 5);
    ck_assert_double_eq(shown("main", "hits_total"), 11);
    ck_assert_double_eq(shown("a", "hits_total"), 11);
    ck_assert_uint_eq(steps_back(), 0);
}
END_TEST

START_TEST(shares_not_kept_are_forgotten)
{
    struct maker base, s1, s2;
    uint64_t numbers[] = {2, MPROXY_SHARE_BASE};
    make(&base, 1, 1, MPROXY_SHARE_BASE, 1);
    make_share(&s1, 1, 1, 1, "j", 10);
    make_share(&s2, 1, 1, 2, "k", 20);
    put(&base);
    put(&s1);
    put(&s2);
    publish();

    mproxy_reduction_keep(reduction, base.source.directory, numbers, 2);
    const mproxy_source *const *sources;
    size_t count = mproxy_reduction_sources(reduction, &sources);
    publish();

    ck_assert_uint_eq(count, 2);
    ck_assert(!is_listed("j"));
    ck_assert_double_eq(shown("main", "hits_total"), 21);
    put(&s1); // and may come again
    publish();
    ck_assert_double_eq(shown("j", "hits_total"), 10);
}
END_TEST

START_TEST(a_counter_that_goes_back_is_told)
{
    struct maker a;
    make_share(&a, 1, 1, 1, "a", 10);
    put(&a);
    publish();

    put_next(&a, 10 - 1e-13);
    publish();
    double rounded = shown("a", "hits_total");
    uint64_t none = steps_back();
    put_next(&a, 9);
    publish();

    ck_assert_double_eq(rounded, 10);
    ck_assert_uint_eq(none, 0);
    ck_assert_uint_ge(steps_back(), 1);
}
END_TEST

START_TEST(sources_that_may_not_be_are_refused)
{
    struct maker a, b;
    mproxy_error err;
    make_share(&a, 1, 1, 1, "main", 10);
    make_share(&b, 1, 1, 2, "b", 1.0 / 0.0);

    ck_assert_int_eq(mproxy_reduction_put(reduction, &a.source, &err), MPROXY_E_INVALID);
    a.source.job = NULL;
    ck_assert_int_eq(mproxy_reduction_put(reduction, &a.source, &err), MPROXY_E_INVALID);
    put(&b);
    publish();

    mproxy_reduction_stats stats;
    mproxy_reduction_get_stats(reduction, &stats);
    ck_assert_uint_eq(stats.refused_sources, 2);
    ck_assert_uint_eq(stats.dropped_values, 1);
    ck_assert_double_eq(shown("b", "hits_total"), 0);
}
END_TEST

START_TEST(a_job_that_ended_says_when)
{
    struct maker a;
    make_share(&a, 1, 1, 1, "a", 10);
    put(&a);
    publish();
    a.source.sealed = 1;
    put_next(&a, 10);
    publish();

    mproxy_snapshot *s = mproxy_store_snapshot(store);
    ck_assert_int_eq(mproxy_view_job(mproxy_snapshot_find(s, "a"))->end_time, 1001);
    mproxy_snapshot_unref(s);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("reduction");
    TCase *c = tcase_create("rules");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, main_adds_up_bases_and_shares_and_nodes_theirs);
    tcase_add_test(c, views_stand_in_their_order_with_descriptions);
    tcase_add_test(c, a_state_replaces_the_one_before_and_an_older_one_is_ignored);
    tcase_add_test(c, an_absorbed_share_counts_once_whichever_arrives_first);
    tcase_add_test(c, a_job_with_an_absorbed_share_leaves_the_list_and_stays_in_main);
    tcase_add_test(c, a_sealed_share_stays_listed_until_a_profile_has_it);
    tcase_add_test(c, a_job_that_goes_on_after_its_profile_shows_its_newer_shares);
    tcase_add_test(c, an_id_that_came_back_shows_its_newest_run);
    tcase_add_test(c, another_command_without_overlap_is_another_run);
    tcase_add_test(c, two_users_with_one_id_have_two_views);
    tcase_add_test(c, node_metrics_show_in_main_the_node_and_by_share_in_jobs);
    tcase_add_test(c, node_metrics_of_two_proxies_on_one_host_are_taken_once);
    tcase_add_test(c, ranks_are_shown_once_all_shares_know_theirs);
    tcase_add_test(c, a_view_that_did_not_change_is_the_same_object);
    tcase_add_test(c, metrics_that_appear_later_find_their_place);
    tcase_add_test(c, shares_not_kept_are_forgotten);
    tcase_add_test(c, a_counter_that_goes_back_is_told);
    tcase_add_test(c, sources_that_may_not_be_are_refused);
    tcase_add_test(c, a_job_that_ended_says_when);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
