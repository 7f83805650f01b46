// Sources that are forgotten: those who ask what has changed learn it, and what held them is
// freed.

#include "../support/reduction_fixture.h"
#include "../support/suite.h"

#include "reduction/reduction.h"

// What a consumer is told, taken into a reduction of its own.
struct consumer {
    mproxy_reduction *reduction;
    uint64_t at;
    size_t gone, whole, changed;
};

static void consumer_init(struct consumer *c)
{
    *c = (struct consumer){0};
    ck_assert_int_eq(mproxy_reduction_new(store, &c->reduction, NULL), MPROXY_OK);
}

static void consumer_fini(struct consumer *c)
{
    mproxy_reduction_free(c->reduction);
}

static mproxy_status take_told(void *arg, const mproxy_change *change)
{
    struct consumer *c = arg;
    c->gone += change->gone != 0;
    c->whole += change->whole != 0;
    c->changed += !change->gone && !change->whole;
    return mproxy_reduction_apply(c->reduction, change, NULL);
}

static mproxy_status catch_up(struct consumer *c)
{
    c->gone = c->whole = c->changed = 0;
    mproxy_status status = mproxy_reduction_changes(reduction, c->at, take_told, c);
    c->at = mproxy_reduction_sequence(reduction);
    return status;
}

static size_t held_by(mproxy_reduction *r)
{
    const mproxy_source *const *sources;
    return mproxy_reduction_sources(r, &sources);
}

START_TEST(a_source_that_is_forgotten_is_told_as_gone)
{
    struct consumer c;
    struct maker base, node, target;
    consumer_init(&c);
    make_base(&base, 1, 1, 1);
    make(&node, MPROXY_SOURCE_NODE, 1, 1, 0, 100);
    make(&target, MPROXY_SOURCE_TARGET, 1, 1, 7, 3);
    put(&base);
    put(&node);
    put(&target);
    ck_assert_int_eq(catch_up(&c), MPROXY_OK);
    ck_assert_uint_eq(c.whole, 3);

    mproxy_reduction_retain(reduction, target.source.directory, MPROXY_SOURCE_TARGET,
                            NULL, 0);
    ck_assert_int_eq(catch_up(&c), MPROXY_OK);

    ck_assert_uint_eq(c.gone, 1);
    ck_assert_uint_eq(c.whole + c.changed, 0);
    ck_assert_uint_eq(held_by(c.reduction), 2);
    ck_assert_int_eq(catch_up(&c), MPROXY_OK);
    ck_assert_uint_eq(c.gone, 0);

    // It comes back under its identity and goes again, in between.
    put(&target);
    mproxy_reduction_retain(reduction, target.source.directory, MPROXY_SOURCE_TARGET,
                            NULL, 0);
    put(&target);
    ck_assert_int_eq(catch_up(&c), MPROXY_OK);
    ck_assert_uint_eq(held_by(c.reduction), 3);
    consumer_fini(&c);
}
END_TEST

START_TEST(a_share_that_its_base_has_absorbed_is_told_by_the_base_alone)
{
    struct consumer c;
    struct maker base, share;
    mproxy_span absorbed[] = {{1, 2}};
    consumer_init(&c);
    make_base(&base, 1, 1, 1);
    make_share(&share, 1, 1, 1, "j", 10);
    put(&base);
    put(&share);
    ck_assert_int_eq(catch_up(&c), MPROXY_OK);

    base.source.absorbed = absorbed;
    base.source.absorbed_count = 1;
    put_next(&base, 11);
    ck_assert_int_eq(catch_up(&c), MPROXY_OK);

    ck_assert_uint_eq(c.gone, 0);
    ck_assert_uint_eq(c.changed, 1);
    ck_assert_uint_eq(held_by(c.reduction), 1);
    consumer_fini(&c);
}
END_TEST

// All hits that are held.
static double hits_of(mproxy_reduction *r)
{
    const mproxy_source *const *sources;
    double hits = 0;
    size_t count = mproxy_reduction_sources(r, &sources);
    for (size_t i = 0; i < count; i++)
        hits += mproxy_source_value(sources[i], 0).total;
    return hits;
}

static void ck_assert_same(struct consumer *c, double hits)
{
    ck_assert_int_eq(catch_up(c), MPROXY_OK);
    ck_assert_double_eq(hits_of(reduction), hits);
    ck_assert_double_eq(hits_of(c->reduction), hits);
    ck_assert_uint_eq(held_by(c->reduction), held_by(reduction));
}

START_TEST(a_share_that_is_absorbed_before_its_base_goes_is_told_with_the_base)
{
    struct consumer c, next;
    struct maker base, share, node;
    mproxy_span absorbed[] = {{1, 2}};
    consumer_init(&c);
    make_base(&base, 1, 1, 1);
    make_share(&share, 1, 1, 1, "j", 10);
    make(&node, MPROXY_SOURCE_NODE, 1, 1, 0, 100);
    put(&base);
    put(&share);
    put(&node);
    ck_assert_same(&c, 111);

    base.source.absorbed = absorbed;
    base.source.absorbed_count = 1;
    put_next(&base, 11);
    mproxy_reduction_retain(reduction, base.source.directory, MPROXY_SOURCE_BASE, NULL,
                            0);

    ck_assert_same(&c, 100);
    // One that asks the consumer learns it as well.
    consumer_init(&next);
    ck_assert_int_eq(mproxy_reduction_changes(c.reduction, 0, take_told, &next),
                     MPROXY_OK);
    ck_assert_double_eq(hits_of(next.reduction), 100);
    consumer_fini(&next);
    consumer_fini(&c);
}
END_TEST

// A base of 1 hit and a share of 10 that is stored, told, absorbed as lost, told again.
static void lose(struct consumer *c, struct maker *base, struct maker *share)
{
    consumer_init(c);
    make_base(base, 1, 1, 1);
    make_share(share, 1, 1, 1, "j", 10);
    share->source.sealed = 1;
    put(base);
    put(share);
    ck_assert_same(c, 11);
    mproxy_reduction_stored(reduction, share->source.directory, 1);
    ck_assert_int_eq(mproxy_reduction_absorb(reduction, base->source.directory, NULL),
                     MPROXY_OK);
    ck_assert_same(c, 11);
    ck_assert_uint_eq(held_by(c->reduction), 1);
}

START_TEST(a_lost_directory_that_is_absorbed_and_comes_back_is_told)
{
    struct consumer c;
    struct maker base, share;
    mproxy_span absorbed[] = {{1, 2}};
    lose(&c, &base, &share);
    base.source.absorbed = absorbed;
    base.source.absorbed_count = 1;
    base.source.sequence = 9;
    base.hits.total = 15;
    const mproxy_source *whole[] = {&base.source};

    ck_assert_int_eq(mproxy_reduction_replace(reduction, whole, 1, NULL), MPROXY_OK);
    ck_assert_same(&c, 15);
    put_next(&base, 16);
    ck_assert_same(&c, 16);
    ck_assert_uint_eq(c.changed, 1);
    consumer_fini(&c);
}
END_TEST

START_TEST(a_lost_directory_that_comes_back_as_it_was_is_told)
{
    struct consumer c;
    struct maker base, share;
    lose(&c, &base, &share);
    const mproxy_source *whole[] = {&base.source, &share.source};

    ck_assert_int_eq(mproxy_reduction_replace(reduction, whole, 2, NULL), MPROXY_OK);
    ck_assert_same(&c, 11);
    ck_assert_uint_eq(held_by(c.reduction), 2);
    put_next(&base, 2);
    ck_assert_same(&c, 12);
    consumer_fini(&c);
}
END_TEST

START_TEST(a_lost_directory_that_comes_back_before_anybody_asks_is_told)
{
    struct consumer c;
    struct maker base, share;
    lose(&c, &base, &share);
    const mproxy_source *whole[] = {&base.source, &share.source};
    const mproxy_source *without[] = {&base.source};
    ck_assert_int_eq(mproxy_reduction_replace(reduction, whole, 2, NULL), MPROXY_OK);
    ck_assert_same(&c, 11);

    mproxy_reduction_stored(reduction, share.source.directory, 1);
    ck_assert_int_eq(mproxy_reduction_absorb(reduction, base.source.directory, NULL),
                     MPROXY_OK);
    ck_assert_int_eq(mproxy_reduction_replace(reduction, without, 1, NULL), MPROXY_OK);
    ck_assert_same(&c, 1);
    consumer_fini(&c);
}
END_TEST

START_TEST(an_absorbed_base_is_whole_to_one_who_asks_for_it_alone)
{
    struct consumer c;
    struct maker base, share;
    mproxy_change change = {.struct_size = sizeof change};
    lose(&c, &base, &share);

    ck_assert_int_eq(mproxy_reduction_change_of(reduction, base.source.directory,
                                                MPROXY_SOURCE_BASE, 0, 1, 1, &change),
                     MPROXY_OK);

    ck_assert(change.whole);
    ck_assert_uint_eq(change.source->absorbed_count, 1);
    consumer_fini(&c);
}
END_TEST

START_TEST(a_later_state_than_the_one_that_went_stays)
{
    struct maker target;
    make(&target, MPROXY_SOURCE_TARGET, 1, 1, 7, 3);
    put(&target);
    mproxy_source gone = target.source;
    mproxy_change change = {.struct_size = sizeof change, .source = &gone, .gone = 1};
    put_next(&target, 4);

    ck_assert_int_eq(mproxy_reduction_apply(reduction, &change, NULL), MPROXY_OK);
    ck_assert_uint_eq(held_by(reduction), 1);

    gone.sequence = target.source.sequence;
    ck_assert_int_eq(mproxy_reduction_apply(reduction, &change, NULL), MPROXY_OK);
    ck_assert_uint_eq(held_by(reduction), 0);
    ck_assert_int_eq(mproxy_reduction_apply(reduction, &change, NULL), MPROXY_OK);
}
END_TEST

START_TEST(more_that_is_gone_than_is_remembered_is_a_gap)
{
    struct consumer c;
    struct maker target;
    consumer_init(&c);
    make(&target, MPROXY_SOURCE_TARGET, 1, 1, 1, 3);
    put(&target);
    ck_assert_int_eq(catch_up(&c), MPROXY_OK);
    for (int i = 0; i < 5000; i++) {
        mproxy_reduction_retain(reduction, target.source.directory, MPROXY_SOURCE_TARGET,
                                NULL, 0);
        target.source.number++;
        put(&target);
    }

    ck_assert_int_eq(catch_up(&c), MPROXY_E_GAP);
    c.at = 0;
    ck_assert_int_eq(catch_up(&c), MPROXY_OK);
    ck_assert_uint_eq(c.whole, 1);
    ck_assert_int_eq(catch_up(&c), MPROXY_OK);
    consumer_fini(&c);
}
END_TEST

static size_t held_on(mproxy_reduction *r, const char *host)
{
    const mproxy_source *const *sources;
    size_t on = 0, count = mproxy_reduction_sources(r, &sources);
    for (size_t i = 0; i < count; i++)
        on += strcmp(sources[i]->host, host) == 0;
    return on;
}

// Those who know the directory by any of its sources learn where it is now.
START_TEST(a_directory_that_moves_to_another_host_is_told)
{
    struct consumer c, other;
    struct maker base, node;
    consumer_init(&c);
    consumer_init(&other);
    make_base(&base, 1, 1, 1);
    make(&node, MPROXY_SOURCE_NODE, 1, 1, 0, 100);
    put(&base);
    put(&node);
    ck_assert_same(&c, 101);
    ck_assert_same(&other, 101);

    strcpy(base.host, "moved");
    put_next(&base, 2);
    ck_assert_same(&c, 102);
    ck_assert_uint_eq(held_on(c.reduction, "moved"), 2);
    ck_assert_uint_eq(c.whole, 0);

    // The base goes before the other one asks.
    strcpy(node.host, "moved");
    put_next(&node, 101);
    mproxy_reduction_retain(reduction, base.source.directory, MPROXY_SOURCE_BASE, NULL,
                            0);
    ck_assert_same(&other, 101);
    ck_assert_uint_eq(held_on(other.reduction, "moved"), 1);
    consumer_fini(&other);
    consumer_fini(&c);
}
END_TEST

START_TEST(directories_and_hosts_that_empty_are_freed)
{
    struct maker base, target;
    uint64_t none = 0;
    make_base(&base, 1, 1, 1);
    put(&base);
    for (int i = 0; i < 300; i++) {
        make(&target, MPROXY_SOURCE_TARGET, 2, 2 + i, 1, 3);
        memcpy(target.source.directory + 4, &i, sizeof i);
        put(&target);
        publish();
        ck_assert_double_eq(shown(target.host, "hits_total"), -1);
        char node[32];
        snprintf(node, sizeof node, "Node: %s", target.host);
        ck_assert_double_eq(shown(node, "hits_total"), 3);
        mproxy_reduction_retain(reduction, target.source.directory, MPROXY_SOURCE_TARGET,
                                &none, 1);
        publish();
        ck_assert(!is_listed(node));
        ck_assert_uint_eq(reduction->directory_count, 1);
        ck_assert_uint_eq(reduction->host_count, 1);
    }
    ck_assert_double_eq(shown("Node: h1", "hits_total"), 1);
    ck_assert_ptr_null(mpx_directory_find(reduction, target.source.directory));
    ck_assert_ptr_nonnull(mpx_directory_find(reduction, base.source.directory));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reduction_gone");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_source_that_is_forgotten_is_told_as_gone);
    tcase_add_test(c, a_share_that_its_base_has_absorbed_is_told_by_the_base_alone);
    tcase_add_test(c,
                   a_share_that_is_absorbed_before_its_base_goes_is_told_with_the_base);
    tcase_add_test(c, a_lost_directory_that_is_absorbed_and_comes_back_is_told);
    tcase_add_test(c, a_lost_directory_that_comes_back_as_it_was_is_told);
    tcase_add_test(c, a_lost_directory_that_comes_back_before_anybody_asks_is_told);
    tcase_add_test(c, an_absorbed_base_is_whole_to_one_who_asks_for_it_alone);
    tcase_add_test(c, a_later_state_than_the_one_that_went_stays);
    tcase_add_test(c, more_that_is_gone_than_is_remembered_is_a_gap);
    tcase_add_test(c, a_directory_that_moves_to_another_host_is_told);
    tcase_add_test(c, directories_and_hosts_that_empty_are_freed);
    suite_add_tcase(s, c);
    return run_suite(s);
}
