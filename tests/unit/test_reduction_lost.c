// A directory that is lost: its stored shares are absorbed here, and it may come back.

#include "../support/chaos_alloc.h"
#include "../support/reduction_fixture.h"
#include "../support/suite.h"

static struct maker base, stored, open;

// A base of 1 hit, a sealed share of 10 that is stored, and another of 100 that is not.
static void hold_all(void)
{
    make_base(&base, 1, 1, 1);
    make_share(&stored, 1, 1, 1, "j", 10);
    stored.source.sealed = 1;
    make_share(&open, 1, 1, 2, "k", 100);
    put(&base);
    put(&stored);
    put(&open);
    publish();
    mproxy_reduction_stored(reduction, stored.source.directory, 1);
}

static mproxy_status absorb(void)
{
    return mproxy_reduction_absorb(reduction, base.source.directory, NULL);
}

static size_t count_sources(void)
{
    const mproxy_source *const *sources;
    return mproxy_reduction_sources(reduction, &sources);
}

START_TEST(stored_shares_of_a_lost_directory_go_into_its_base)
{
    hold_all();

    ck_assert_int_eq(absorb(), MPROXY_OK);
    publish();

    ck_assert_uint_eq(count_sources(), 2);
    ck_assert(!is_listed("j"));
    ck_assert_double_eq(shown("main", "hits_total"), 111);
    ck_assert_double_eq(shown("k", "hits_total"), 100);
    ck_assert_uint_eq(steps_back(), 0);
    ck_assert_int_eq(mproxy_reduction_put(reduction, &stored.source, NULL), MPROXY_E_GAP);
    ck_assert_int_eq(absorb(), MPROXY_OK); // nothing is left to absorb
    publish();
    ck_assert_double_eq(shown("main", "hits_total"), 111);
    const uint8_t nobody[16] = {77};
    ck_assert_int_eq(mproxy_reduction_absorb(reduction, nobody, NULL), MPROXY_E_NOTFOUND);
}
END_TEST

START_TEST(gauges_of_absorbed_shares_leave_and_counters_of_any_name_stay)
{
    hold_all();
    make_share(&stored, 1, 1, 3, "l", 0);
    stored.node_metrics[0] = metrics[NET];
    stored.node_metrics[1] = metrics[LOAD];
    stored.node[0] = mproxy_value_counter(5, 9);
    stored.node[1] = mproxy_value_gauge(3, 9);
    stored.source.count = 2;
    stored.source.metrics = stored.node_metrics;
    stored.source.values = stored.node;
    stored.source.sealed = 1;
    put(&stored);
    publish();
    ck_assert_double_eq(shown("main", "load"), 3);
    mproxy_reduction_stored(reduction, stored.source.directory, 3);

    ck_assert_int_eq(absorb(), MPROXY_OK);
    publish();

    ck_assert_double_eq(shown("main", "net_total"), 5);
    ck_assert_double_eq(shown("main", "load"), -1);
    ck_assert_double_eq(shown("main", "hits_total"), 111);
}
END_TEST

START_TEST(a_base_with_more_than_a_base_has_is_refused_or_absorbs_without)
{
    hold_all();
    base.source.ranks = &base.ranks;
    base.source.sequence = 2;
    ck_assert_int_eq(mproxy_reduction_put(reduction, &base.source, NULL),
                     MPROXY_E_INVALID);
    base.source.ranks = NULL;
    base.source.node_count = 1;
    base.source.node_metrics = base.node_metrics;
    base.source.node_values = base.node;
    base.node_metrics[0] = metrics[NET];
    put(&base);

    ck_assert_int_eq(absorb(), MPROXY_OK);
    publish();

    ck_assert_double_eq(shown("main", "hits_total"), 111);
}
END_TEST

START_TEST(a_directory_that_was_absorbed_comes_back_whole_or_not_at_all)
{
    hold_all();
    ck_assert_int_eq(absorb(), MPROXY_OK);
    publish();
    base.hits.total = 2;
    base.source.sequence = 2;
    open.hits.total = 150;
    open.source.sequence = 2;

    // One by one they would step back: the base of its own lacks what was absorbed here.
    ck_assert_int_eq(mproxy_reduction_put(reduction, &base.source, NULL), MPROXY_E_GAP);
    ck_assert_int_eq(mproxy_reduction_put(reduction, &open.source, NULL), MPROXY_E_GAP);
    publish();
    ck_assert_double_eq(shown("main", "hits_total"), 111);

    const mproxy_source *whole[] = {&base.source, &stored.source, &open.source};
    ck_assert_int_eq(mproxy_reduction_replace(reduction, whole, 3, NULL), MPROXY_OK);
    publish();
    ck_assert_double_eq(shown("main", "hits_total"), 162);
    ck_assert_uint_eq(count_sources(), 3);
    ck_assert_uint_eq(steps_back(), 0);
    put_next(&base, 3); // as ever
    publish();
    ck_assert_double_eq(shown("main", "hits_total"), 163);
}
END_TEST

// Its proxy is gone for good, as the one who told of it says; a node source is held on.
START_TEST(an_absorbed_directory_that_is_gone_can_be_forgotten)
{
    struct maker node;
    mproxy_source gone;
    const mproxy_change change = {
        .struct_size = sizeof change, .source = &gone, .gone = 1};
    hold_all();
    make(&node, MPROXY_SOURCE_NODE, 1, 1, 0, 1000);
    put(&node);
    ck_assert_int_eq(absorb(), MPROXY_OK);
    gone = base.source;
    ck_assert_int_eq(mproxy_reduction_apply(reduction, &change, NULL), MPROXY_E_GAP);
    gone = open.source;
    ck_assert_int_eq(mproxy_reduction_apply(reduction, &change, NULL), MPROXY_E_GAP);
    publish();
    ck_assert_double_eq(shown("main", "hits_total"), 1111);

    mproxy_reduction_retain(reduction, base.source.directory, MPROXY_SOURCE_SHARE, NULL,
                            0);
    mproxy_reduction_retain(reduction, base.source.directory, MPROXY_SOURCE_BASE, NULL,
                            0);
    publish();
    ck_assert_double_eq(shown("main", "hits_total"), 1000);
    ck_assert_uint_eq(count_sources(), 1);

    // Whoever has that directory next is told of like any other.
    put_next(&base, 2);
    put_next(&open, 150);
    publish();
    ck_assert_double_eq(shown("main", "hits_total"), 1152);
}
END_TEST

START_TEST(a_whole_directory_forgets_what_it_does_not_have)
{
    mproxy_span absorbed[] = {{1, 2}};
    hold_all();
    base.source.absorbed = absorbed;
    base.source.absorbed_count = 1;
    base.source.sequence = 2;
    base.hits.total = 11;

    const mproxy_source *whole[] = {&stored.source, &base.source};
    ck_assert_int_eq(mproxy_reduction_replace(reduction, whole, 2, NULL), MPROXY_OK);
    publish();
    ck_assert_double_eq(shown("main", "hits_total"), 11);
    ck_assert_uint_eq(count_sources(), 1);

    base.source.sequence = 1; // an older report
    ck_assert_int_eq(mproxy_reduction_replace(reduction, whole, 2, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_reduction_replace(reduction, whole, 1, NULL),
                     MPROXY_E_INVALID);
    publish();
    ck_assert_double_eq(shown("main", "hits_total"), 11);
}
END_TEST

START_TEST(a_whole_report_that_came_late_takes_nothing_back)
{
    struct maker node, late;
    hold_all();
    make(&node, MPROXY_SOURCE_NODE, 1, 1, 0, 0);
    node.metric = metrics[NET];
    node.source.sequence = 3;
    node.hits.total = 3;
    const mproxy_source old_node = node.source, old_share = open.source;
    mproxy_value old = node.hits, old_open = open.hits;
    node.source.sequence = 8;
    put_next(&node, 9);
    open.source.sequence = 8;
    put_next(&open, 150);
    make_share(&late, 1, 1, 3, "l", 1000);
    late.source.sequence = 9;
    put(&late);
    publish();

    mproxy_source told_node = old_node, told_share = old_share;
    told_node.values = &old;
    told_share.values = &old_open;
    const mproxy_source *whole[] = {&base.source, &stored.source, &told_share,
                                    &told_node};
    ck_assert_int_eq(mproxy_reduction_replace(reduction, whole, 4, NULL), MPROXY_OK);
    publish();

    ck_assert_double_eq(shown("main", "net_total"), 9);
    ck_assert_double_eq(shown("k", "hits_total"), 150);
    ck_assert_double_eq(shown("main", "hits_total"), 1161);
    ck_assert_uint_eq(steps_back(), 0);
}
END_TEST

START_TEST(a_whole_report_with_a_source_twice_is_refused)
{
    hold_all();
    mproxy_source twice = open.source;
    twice.sequence = 3;
    open.source.sequence = 2;
    const mproxy_source *whole[] = {&base.source, &open.source, &stored.source, &twice};

    ck_assert_int_eq(mproxy_reduction_replace(reduction, whole, 4, NULL),
                     MPROXY_E_INVALID);
    publish();
    ck_assert_double_eq(shown("main", "hits_total"), 111);
    ck_assert_int_eq(mproxy_reduction_replace(reduction, whole, 3, NULL), MPROXY_OK);
}
END_TEST

START_TEST(a_source_with_a_metric_twice_is_refused_however_it_comes)
{
    struct maker twice;
    hold_all();
    make(&twice, MPROXY_SOURCE_NODE, 1, 1, 0, 0);
    twice.node_metrics[0] = twice.node_metrics[1] = metrics[NET];
    twice.source.metrics = twice.node_metrics;
    twice.source.values = twice.node;
    twice.source.count = 2;
    mproxy_change change = {.struct_size = sizeof change,
                            .source = &twice.source,
                            .whole = 1,
                            .described = 1};
    base.source.sequence = 2;
    const mproxy_source *whole[] = {&base.source, &stored.source, &open.source,
                                    &twice.source};

    ck_assert_int_eq(mproxy_reduction_put(reduction, &twice.source, NULL),
                     MPROXY_E_INVALID);
    ck_assert_int_eq(mproxy_reduction_apply(reduction, &change, NULL), MPROXY_E_INVALID);
    ck_assert_int_eq(mproxy_reduction_replace(reduction, whole, 4, NULL),
                     MPROXY_E_INVALID);
    publish();

    ck_assert_uint_eq(count_sources(), 3);
    ck_assert_double_eq(shown("main", "hits_total"), 111);
    ck_assert_double_eq(shown("main", "net_total"), -1);
}
END_TEST

// Changes, an absorption and a return, with the n-th allocation failing.
static mproxy_status step(int i)
{
    uint32_t slot = 0;
    mproxy_value value = mproxy_value_counter(12, 9);
    mproxy_source later = base.source;
    later.sequence = 2;
    mproxy_change change = {.struct_size = sizeof change,
                            .source = &later,
                            .from = 1,
                            .count = 1,
                            .slots = &slot,
                            .values = &value};
    const mproxy_source *whole[] = {&base.source, &stored.source, &open.source};
    switch (i) {
    case 0:
        return mproxy_reduction_apply(reduction, &change, NULL);
    case 1:
        return absorb();
    case 2:
        base.source.sequence = 3;
        base.hits.total = 20;
        return mproxy_reduction_replace(reduction, whole, 3, NULL);
    default:
        return mproxy_reduction_publish(reduction, NULL);
    }
}

START_TEST(changes_and_lost_directories_survive_want_of_memory)
{
    const double want[] = {122, 122, 130, 130};
    size_t failures = 0;
    for (size_t n = 1; n < 60; n++) {
        teardown();
        setup();
        hold_all();
        for (int i = 0; i < 4; i++) {
            chaos_fail(n, n % 2);
            mproxy_status status = step(i);
            failures += chaos_has_failed();
            chaos_fail(0, false);
            if (status != MPROXY_OK) {
                ck_assert_int_eq(status, MPROXY_E_NOMEM);
                publish();
                ck_assert_double_eq(shown("main", "hits_total"), i ? want[i - 1] : 111);
                ck_assert_int_eq(step(i), MPROXY_OK);
            }
            publish();
            ck_assert_double_eq(shown("main", "hits_total"), want[i]);
        }
        ck_assert_uint_eq(steps_back(), 0);
    }
    ck_assert_uint_gt(failures, 15);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("reduction_lost");
    TCase *c = tcase_create("rules");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, stored_shares_of_a_lost_directory_go_into_its_base);
    tcase_add_test(c, gauges_of_absorbed_shares_leave_and_counters_of_any_name_stay);
    tcase_add_test(c, a_base_with_more_than_a_base_has_is_refused_or_absorbs_without);
    tcase_add_test(c, a_directory_that_was_absorbed_comes_back_whole_or_not_at_all);
    tcase_add_test(c, an_absorbed_directory_that_is_gone_can_be_forgotten);
    tcase_add_test(c, a_whole_directory_forgets_what_it_does_not_have);
    tcase_add_test(c, a_whole_report_that_came_late_takes_nothing_back);
    tcase_add_test(c, a_whole_report_with_a_source_twice_is_refused);
    tcase_add_test(c, a_source_with_a_metric_twice_is_refused_however_it_comes);
    tcase_add_test(c, changes_and_lost_directories_survive_want_of_memory);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
