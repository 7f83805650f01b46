// States that arrive as changes, what has changed since, and how old what is held is.

#include "../support/reduction_fixture.h"
#include "../support/suite.h"

// A node source of two metrics, LOAD (a gauge, slot 0) and NET (a counter, slot 1).
static void make_node(struct maker *m, uint8_t d, double load, double net)
{
    make(m, MPROXY_SOURCE_NODE, d, 1, 0, 0);
    m->node_metrics[0] = metrics[LOAD];
    m->node_metrics[1] = metrics[NET];
    m->node[0] = mproxy_value_gauge(load, 1);
    m->node[1] = mproxy_value_counter(net, 1);
    m->source.count = 2;
    m->source.metrics = m->node_metrics;
    m->source.values = m->node;
}

struct told {
    uint32_t slots[8];
    mproxy_value values[8];
    mproxy_source source;
    mproxy_change change;
};

// A change of one slot that leads from `from` to `to`.
static const mproxy_change *change_of(struct told *t, const struct maker *m,
                                      uint32_t slot, double value, uint64_t from,
                                      uint64_t to)
{
    *t = (struct told){.slots = {slot}};
    t->values[0] = slot == 0 && m->source.kind == MPROXY_SOURCE_NODE
                       ? mproxy_value_gauge(value, to)
                       : mproxy_value_counter(value, to);
    t->source = m->source;
    t->change = (mproxy_change){.struct_size = sizeof t->change,
                                .source = &t->source,
                                .from = from,
                                .count = 1,
                                .slots = t->slots,
                                .values = t->values};
    t->source.sequence = to;
    t->source.values = NULL;
    return &t->change;
}

static mproxy_status apply(const mproxy_change *change)
{
    return mproxy_reduction_apply(reduction, change, NULL);
}

START_TEST(a_change_moves_the_slots_it_names)
{
    struct maker node;
    struct told t;
    make_node(&node, 1, 0.5, 100);
    put(&node);
    publish();

    ck_assert_int_eq(apply(change_of(&t, &node, 1, 130, 1, 2)), MPROXY_OK);
    publish();

    ck_assert_double_eq(shown("main", "net_total"), 130);
    ck_assert_double_eq(shown("Node: h1", "net_total"), 130);
    ck_assert_double_eq(shown("Node: h1", "load"), 0.5);
}
END_TEST

START_TEST(a_change_of_a_share_reaches_both_of_its_parts)
{
    struct maker share;
    struct told t;
    make_share(&share, 1, 1, 1, "j", 10);
    share.node_metrics[0] = metrics[NET];
    share.node[0] = mproxy_value_counter(5, 1);
    share.source.node_count = 1;
    share.source.node_metrics = share.node_metrics;
    share.source.node_values = share.node;
    put(&share);
    publish();

    (void)change_of(&t, &share, 0, 11, 1, 2);
    t.slots[1] = 1;
    t.values[1] = mproxy_value_counter(7, 2);
    t.change.count = 2;
    t.source.sealed = 1;
    t.source.job = NULL; // not described: as held
    ck_assert_int_eq(apply(&t.change), MPROXY_OK);
    publish();

    ck_assert_double_eq(shown("j", "hits_total"), 11);
    ck_assert_double_eq(shown("j", "net_total"), 7);
    mproxy_snapshot *s = mproxy_store_snapshot(store);
    ck_assert_int_eq(mproxy_view_job(mproxy_snapshot_find(s, "j"))->end_time, 1001);
    mproxy_snapshot_unref(s);
}
END_TEST

START_TEST(a_change_that_stands_on_nothing_held_is_refused)
{
    struct maker node;
    struct told t;
    mproxy_error err = {0};
    make_node(&node, 1, 0.5, 100);

    ck_assert_int_eq(apply(change_of(&t, &node, 1, 130, 1, 2)), MPROXY_E_GAP);
    put(&node);
    ck_assert_int_eq(apply(change_of(&t, &node, 1, 150, 2, 3)), MPROXY_E_GAP);
    (void)change_of(&t, &node, 1, 150, 1, 2);
    t.source.epoch = 2;
    ck_assert_int_eq(mproxy_reduction_apply(reduction, &t.change, &err), MPROXY_E_GAP);
    publish();

    ck_assert_int_eq(err.status, MPROXY_E_GAP);
    ck_assert_str_ne(err.text, "");
    ck_assert_double_eq(shown("main", "net_total"), 100);
}
END_TEST

START_TEST(a_struct_of_no_size_is_refused)
{
    struct maker node;
    struct told t;
    make_node(&node, 1, 0.5, 100);
    put(&node);
    mproxy_source sizeless = node.source;
    sizeless.struct_size = 0;
    mproxy_change out = {.struct_size = 0};

    ck_assert_int_eq(mproxy_reduction_put(reduction, &sizeless, NULL), MPROXY_E_INVALID);
    (void)change_of(&t, &node, 1, 130, 1, 2);
    t.change.struct_size = 0;
    ck_assert_int_eq(apply(&t.change), MPROXY_E_INVALID);
    (void)change_of(&t, &node, 1, 130, 1, 2);
    t.source.struct_size--;
    ck_assert_int_eq(apply(&t.change), MPROXY_E_INVALID);
    ck_assert_int_eq(mproxy_reduction_change_of(reduction, node.source.directory,
                                                MPROXY_SOURCE_NODE, 0, 1, 1, &out),
                     MPROXY_E_INVALID);
    publish();

    ck_assert_double_eq(shown("main", "net_total"), 100);
}
END_TEST

START_TEST(an_old_or_repeated_change_has_no_effect)
{
    struct maker node;
    struct told t;
    make_node(&node, 1, 0.5, 100);
    put(&node);
    ck_assert_int_eq(apply(change_of(&t, &node, 1, 130, 1, 3)), MPROXY_OK);

    ck_assert_int_eq(apply(change_of(&t, &node, 1, 120, 1, 2)), MPROXY_OK);
    ck_assert_int_eq(apply(change_of(&t, &node, 1, 199, 1, 3)), MPROXY_OK);
    publish();

    ck_assert_double_eq(shown("main", "net_total"), 130);
}
END_TEST

START_TEST(a_change_of_slots_that_are_not_there_is_refused)
{
    struct maker node;
    struct told t;
    make_node(&node, 1, 0.5, 100);
    put(&node);

    ck_assert_int_eq(apply(change_of(&t, &node, 2, 1, 1, 2)), MPROXY_E_INVALID);
    (void)change_of(&t, &node, 1, 1, 1, 2);
    t.slots[1] = 0;
    t.change.count = 2;
    ck_assert_int_eq(apply(&t.change), MPROXY_E_INVALID);
    publish();

    ck_assert_double_eq(shown("main", "net_total"), 100);
}
END_TEST

static mproxy_change since(const struct maker *m, uint64_t epoch, uint64_t sequence)
{
    mproxy_change change = {.struct_size = sizeof change};
    ck_assert_int_eq(mproxy_reduction_change_of(reduction, m->source.directory,
                                                m->source.kind, m->source.number, epoch,
                                                sequence, &change),
                     MPROXY_OK);
    return change;
}

START_TEST(what_changed_since_a_state_is_told_by_slot)
{
    struct maker node;
    make_node(&node, 1, 0.5, 100);
    put(&node);
    node.node[1].total = 110;
    node.source.sequence = 2;
    put(&node);
    node.node[0] = mproxy_value_gauge(0.75, 2);
    node.source.sequence = 3;
    put(&node);

    mproxy_change both = since(&node, 1, 1);
    ck_assert_uint_eq(both.count, 2);
    ck_assert(!both.whole && !both.described);
    mproxy_change last = since(&node, 1, 2);
    ck_assert_uint_eq(last.count, 1);
    ck_assert_uint_eq(last.slots[0], 0);
    ck_assert_double_eq(last.values[0].total, 0.75);
    ck_assert_uint_eq(last.from, 2);
    ck_assert_uint_eq(last.source->sequence, 3);
    ck_assert_uint_eq(since(&node, 1, 3).count, 0);
}
END_TEST

START_TEST(a_state_of_another_epoch_or_of_other_metrics_is_told_whole)
{
    struct maker node;
    make_node(&node, 1, 0.5, 100);
    put(&node);
    mproxy_change other = since(&node, 0, 1);
    ck_assert(other.whole);
    ck_assert_double_eq(other.source->values[1].total, 100);

    node.source.sequence = 2;
    node.source.count = 1;
    put(&node);

    ck_assert(since(&node, 1, 1).whole);
    ck_assert(!since(&node, 1, 2).whole);
    ck_assert_int_eq(mproxy_reduction_change_of(reduction, node.source.directory,
                                                MPROXY_SOURCE_TARGET, 0, 1, 1, &other),
                     MPROXY_E_NOTFOUND);
}
END_TEST

START_TEST(ranks_that_change_alone_are_shown_and_told_whole)
{
    struct maker share;
    make_share(&share, 1, 1, 1, "j", 10);
    mproxy_ranks_add(&share.ranks, 0, 10);
    share.source.ranks = &share.ranks;
    put(&share);
    publish();

    memset(&share.ranks, 0, sizeof share.ranks);
    mproxy_ranks_add(&share.ranks, 0, 4);
    mproxy_ranks_add(&share.ranks, 1, 6);
    put_next(&share, 10);
    publish();

    mproxy_snapshot *s = mproxy_store_snapshot(store);
    mproxy_entry e;
    ck_assert(mproxy_view_find(mproxy_snapshot_find(s, "j"), "hits_total", &e));
    ck_assert_uint_eq(e.ranks->n, 2);
    mproxy_snapshot_unref(s);
    mproxy_change told = since(&share, 1, 1);
    ck_assert(told.whole);
    ck_assert_uint_eq(told.source->ranks->n, 2);
    put_next(&share, 11);
    ck_assert(!since(&share, 1, 2).whole);
}
END_TEST

static mproxy_status count_change(void *arg, const mproxy_change *change)
{
    size_t *counts = arg;
    counts[0]++;
    counts[1] += change->whole != 0;
    counts[2] += change->whole ? change->source->count : change->count;
    return MPROXY_OK;
}

static void count_changes(uint64_t from, size_t counts[3])
{
    memset(counts, 0, 3 * sizeof *counts);
    ck_assert_int_eq(mproxy_reduction_changes(reduction, from, count_change, counts),
                     MPROXY_OK);
}

START_TEST(a_holder_tells_only_what_changed_since_it_was_asked)
{
    struct maker node, share;
    size_t counts[3];
    make_node(&node, 1, 0.5, 100);
    make_share(&share, 2, 2, 1, "j", 10);
    put(&node);
    put(&share);
    uint64_t then = mproxy_reduction_sequence(reduction);
    count_changes(0, counts);
    ck_assert_uint_eq(counts[0], 2);
    ck_assert_uint_eq(counts[1], 2);
    count_changes(then, counts);
    ck_assert_uint_eq(counts[0], 0);

    node.node[1].total = 101;
    node.source.sequence++;
    put(&node);
    put(&share); // nothing new
    count_changes(then, counts);

    ck_assert_uint_eq(counts[0], 1);
    ck_assert_uint_eq(counts[1], 0);
    ck_assert_uint_eq(counts[2], 1);
    for (int i = 0; i < 20; i++) { // more than it remembers
        node.source.sequence++;
        node.node[1].total++;
        put(&node);
    }
    count_changes(then, counts);
    ck_assert_uint_eq(counts[1], 1);
}
END_TEST

static const mproxy_source *held(size_t place)
{
    const mproxy_source *const *sources;
    size_t count = mproxy_reduction_sources(reduction, &sources);
    return place < count ? sources[place] : NULL;
}

START_TEST(ages_grow_until_something_younger_is_heard)
{
    struct maker share;
    make_share(&share, 1, 1, 1, "j", 10);
    share.source.age_ms = 700; // 500 where it was asked, and 200 since
    share.source.silent_ms = 1700;
    mproxy_reduction_set_time(reduction, 50000);
    put(&share);
    ck_assert_int_eq(held(0)->age_ms, 700);

    mproxy_reduction_set_time(reduction, 53000);
    ck_assert_int_eq(held(0)->age_ms, 3700);
    ck_assert_int_eq(held(0)->silent_ms, 4700);
    mproxy_reduction_heard(reduction, share.source.directory, 40); // all as held
    ck_assert_int_eq(held(0)->age_ms, 40);
    ck_assert_int_eq(held(0)->silent_ms, 4700);
    mproxy_reduction_heard(reduction, share.source.directory, 9000); // a late report
    ck_assert_int_eq(held(0)->age_ms, 40);

    mproxy_reduction_set_time(reduction, 54000);
    share.source.age_ms = 10; // the same state, read later
    share.source.silent_ms = 20;
    put(&share);
    ck_assert_int_eq(held(0)->age_ms, 10);
    ck_assert_int_eq(held(0)->silent_ms, 20);
    mproxy_change change = since(&share, 1, 1);
    ck_assert_int_eq(change.source->age_ms, 10);
}
END_TEST

START_TEST(only_node_metrics_of_one_host_are_rivals)
{
    struct maker n1, n2, target;
    make_node(&n1, 1, 0.5, 100);
    make_node(&n2, 2, 0.5, 101);
    make_node(&target, 2, 0, 7);
    target.source.kind = MPROXY_SOURCE_TARGET;
    target.source.number = UINT64_MAX; // not a sentinel
    put(&n1);
    put(&n2);
    put(&target);
    publish();

    ck_assert_double_eq(shown("main", "net_total"), 107);
    ck_assert_double_eq(shown("Node: h1", "net_total"), 107);
    ck_assert_double_eq(shown("main", "load"), 0.5);
}
END_TEST

// The arrays that a snapshot shows belong to sources; those go on in copies.
START_TEST(a_snapshot_never_changes_when_its_sources_do)
{
    struct maker node, share;
    struct told t;
    mproxy_entry e;
    make_node(&node, 1, 0.5, 100);
    make_share(&share, 1, 1, 1, "j", 10);
    put(&node);
    put(&share);
    publish();
    mproxy_snapshot *s = mproxy_store_snapshot(store);

    for (uint64_t i = 2; i < 6; i++) {
        ck_assert_int_eq(apply(change_of(&t, &node, 1, 100.0 * (double)i, i - 1, i)),
                         MPROXY_OK);
        put_next(&share, 10.0 * (double)i);
        if (i % 2)
            publish();
    }

    ck_assert(mproxy_view_find(mproxy_snapshot_find(s, "Node: h1"), "net_total", &e));
    ck_assert_double_eq(e.value.total, 100);
    ck_assert(mproxy_view_find(mproxy_snapshot_find(s, "j"), "hits_total", &e));
    ck_assert_double_eq(e.value.total, 10);
    mproxy_snapshot_unref(s);
    ck_assert_double_eq(shown("Node: h1", "net_total"), 500);
    ck_assert_double_eq(shown("Node: h1", "hits_total"), 50);
}
END_TEST

// A metric that a host's node metrics and its share have both is one sum.
START_TEST(metrics_of_several_sources_of_a_node_are_added_up)
{
    struct maker node, share, base;
    make_node(&node, 1, 0.5, 100);
    make_share(&share, 1, 1, 1, "j", 10);
    make_base(&base, 1, 1, 1);
    base.metric = metrics[NET];
    put(&node);
    put(&share);
    put(&base);
    publish();
    ck_assert_double_eq(shown("Node: h1", "net_total"), 101);

    share.metric = metrics[NET]; // its metrics are others now
    put_next(&share, 20);
    publish();

    ck_assert_double_eq(shown("Node: h1", "net_total"), 121);
    ck_assert_double_eq(shown("Node: h1", "hits_total"), -1);
    ck_assert_double_eq(shown("Node: h1", "load"), 0.5);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("reduction_changes");
    TCase *c = tcase_create("rules");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_change_moves_the_slots_it_names);
    tcase_add_test(c, a_change_of_a_share_reaches_both_of_its_parts);
    tcase_add_test(c, a_change_that_stands_on_nothing_held_is_refused);
    tcase_add_test(c, a_struct_of_no_size_is_refused);
    tcase_add_test(c, an_old_or_repeated_change_has_no_effect);
    tcase_add_test(c, a_change_of_slots_that_are_not_there_is_refused);
    tcase_add_test(c, what_changed_since_a_state_is_told_by_slot);
    tcase_add_test(c, ranks_that_change_alone_are_shown_and_told_whole);
    tcase_add_test(c, a_state_of_another_epoch_or_of_other_metrics_is_told_whole);
    tcase_add_test(c, a_holder_tells_only_what_changed_since_it_was_asked);
    tcase_add_test(c, ages_grow_until_something_younger_is_heard);
    tcase_add_test(c, only_node_metrics_of_one_host_are_rivals);
    tcase_add_test(c, a_snapshot_never_changes_when_its_sources_do);
    tcase_add_test(c, metrics_of_several_sources_of_a_node_are_added_up);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
