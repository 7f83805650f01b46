// From sources to views: what is added up where.

#include "../support/reduction_fixture.h"
#include "../support/suite.h"
#include "reduction/reduction.h"

START_TEST(main_adds_up_bases_and_shares_and_nodes_theirs)
{
    struct maker base1, base2, share1, share2;
    make_base(&base1, 1, 1, 1);
    make_base(&base2, 2, 2, 2);
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
    make_base(&base, 1, 1, 1);
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
    make(m, MPROXY_SOURCE_NODE, d, host, 0, 0);
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
    mproxy_entry e;
    ck_assert(mproxy_view_find(mproxy_snapshot_find(s, "j"), "hits_total", &e));
    ck_assert_ptr_null(e.ranks);
    mproxy_snapshot_unref(s);

    s2.source.ranks = &s2.ranks;
    s2.source.sealed = 1;
    put_next(&s2, 20);
    publish();

    s = mproxy_store_snapshot(store);
    ck_assert(mproxy_view_find(mproxy_snapshot_find(s, "j"), "hits_total", &e));
    ck_assert_ptr_nonnull(e.ranks);
    ck_assert_uint_eq(e.ranks->n, 2);
    ck_assert_uint_eq(e.ranks->max_rank, 1);
    ck_assert(mproxy_view_find(mproxy_snapshot_find(s, "main"), "hits_total", &e));
    ck_assert_ptr_null(e.ranks);
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
    uint64_t numbers[] = {2};
    make_base(&base, 1, 1, 1);
    make_share(&s1, 1, 1, 1, "j", 10);
    make_share(&s2, 1, 1, 2, "k", 20);
    put(&base);
    put(&s1);
    put(&s2);
    publish();

    mproxy_reduction_retain(reduction, base.source.directory, MPROXY_SOURCE_SHARE,
                            numbers, 1);
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

    mproxy_reduction_stats stats = {.struct_size = sizeof stats};
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

START_TEST(a_share_that_gets_more_and_more_names_costs_its_last_shape)
{
    enum { ROUNDS = 400 };
    static const mproxy_metric *names[ROUNDS];
    static mproxy_value values[ROUNDS];
    struct maker share;
    make_share(&share, 1, 1, 1, "j", 1);
    share.source.metrics = names;
    share.source.values = values;
    for (size_t i = 0; i < ROUNDS; i++) {
        char name[32];
        snprintf(name, sizeof name, "m%zu_total", i);
        mproxy_store_metric(store, name, MPROXY_COUNTER, "", &names[i], NULL);
        values[i] = mproxy_value_counter(1, 1);
        share.source.count = i + 1;
        put_next(&share, 1);
        publish();
    }

    const struct mpx_shapes *shapes = &reduction->bench.shapes;
    ck_assert_uint_le(shapes->count + shapes->display_count, 100);
    ck_assert_double_eq(shown("j", "m399_total"), 1);
}
END_TEST

START_TEST(a_store_without_names_is_published)
{
    mproxy_store *empty;
    mproxy_reduction *r;
    ck_assert_int_eq(mproxy_store_open(NULL, &empty, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_reduction_new(empty, &r, NULL), MPROXY_OK);

    ck_assert_int_eq(mproxy_reduction_publish(r, NULL), MPROXY_OK);

    mproxy_snapshot *snapshot = mproxy_store_snapshot(empty);
    ck_assert_uint_eq(mproxy_view_size(mproxy_snapshot_find(snapshot, "main")), 0);
    mproxy_snapshot_unref(snapshot);
    mproxy_reduction_free(r);
    mproxy_store_close(empty);
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
    tcase_add_test(c, node_metrics_show_in_main_the_node_and_by_share_in_jobs);
    tcase_add_test(c, node_metrics_of_two_proxies_on_one_host_are_taken_once);
    tcase_add_test(c, ranks_are_shown_once_all_shares_know_theirs);
    tcase_add_test(c, a_view_that_did_not_change_is_the_same_object);
    tcase_add_test(c, metrics_that_appear_later_find_their_place);
    tcase_add_test(c, a_share_that_gets_more_and_more_names_costs_its_last_shape);
    tcase_add_test(c, shares_not_kept_are_forgotten);
    tcase_add_test(c, a_counter_that_goes_back_is_told);
    tcase_add_test(c, sources_that_may_not_be_are_refused);
    tcase_add_test(c, a_job_that_ended_says_when);
    tcase_add_test(c, a_store_without_names_is_published);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
