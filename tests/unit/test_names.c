// Names that come and go for a week: none is refused, memory stays what the living take, and
// readers of old snapshots see every name whole.
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <mproxy/exposition.h>

#include "../support/reduction_fixture.h"
#include "../support/suite.h"

enum {
    ROUNDS = 2000,
    FRESH = 100, // names of each round
    LIVE = 500,
    READERS = 2,
    HELD = 4, // snapshots that a reader holds at a time
    // What lives, what READERS * HELD snapshots may show of other rounds, and the rounds
    // after which the reduction looks at its shapes in any case.
    MOST = (READERS * HELD + 2) * LIVE + 20 * FRESH
};

static const mproxy_metric *living[LIVE];
static mproxy_value values[LIVE];
static atomic_bool is_over;

static void name_of(unsigned round, unsigned i, char out[96])
{
    snprintf(out, 96, "churn_%u_total{pod=\"%u-%u\"}", round, round, i);
}

// Names of this round take the place of the oldest.
static mproxy_status turn_over(unsigned round, mproxy_error *err)
{
    for (unsigned i = 0; i < FRESH; i++) {
        unsigned at = (round * FRESH + i) % LIVE;
        char name[96], doc[32];
        name_of(round, i, name);
        snprintf(doc, sizeof doc, "of round %u", round);
        mproxy_status status =
            mproxy_store_metric(store, name, MPROXY_COUNTER, doc, &living[at], err);
        if (status != MPROXY_OK)
            return status;
        values[at] = mproxy_value_counter(round, round);
    }
    return MPROXY_OK;
}

static void show_round(unsigned round)
{
    unsigned count = (round + 1) * FRESH < LIVE ? (round + 1) * FRESH : LIVE;
    mproxy_source s = {.struct_size = sizeof s,
                       .directory = {1},
                       .kind = MPROXY_SOURCE_TARGET,
                       .epoch = 1,
                       .sequence = round + 1,
                       .host = "h1",
                       .count = count,
                       .metrics = living,
                       .values = values};
    ck_assert_int_eq(mproxy_reduction_put(reduction, &s, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_reduction_publish(reduction, NULL), MPROXY_OK);
    mproxy_store_sweep(store);
}

static mproxy_status count_bytes(void *arg, const char *bytes, size_t length)
{
    (void)bytes;
    *(size_t *)arg += length;
    return MPROXY_OK;
}

// Every name and doc of a view is that of the round that its value says.
static const char *look(const mproxy_view *view)
{
    for (size_t i = 0; view && i < mproxy_view_size(view); i++) {
        mproxy_entry e = mproxy_view_at(view, i);
        unsigned round, pod_round, pod;
        if (sscanf(mproxy_metric_name(e.metric), "churn_%u_total{pod=\"%u-%u\"}", &round,
                   &pod_round, &pod) != 3 ||
            round != pod_round || round != (unsigned)e.value.total)
            return "a name is not that of its value";
        if (sscanf(mproxy_metric_doc(e.metric), "of round %u", &pod_round) != 1 ||
            pod_round != round)
            return "a doc is not that of its metric";
        if (!mproxy_view_find(view, mproxy_metric_name(e.metric), NULL))
            return "a name is not found";
    }
    size_t bytes = 0;
    if (view &&
        mproxy_render_view(view, MPROXY_FORMAT_PROMETHEUS, NULL, count_bytes, &bytes))
        return "a view can't be rendered";
    return NULL;
}

static void *read_late(void *arg)
{
    mproxy_snapshot *held[HELD] = {NULL};
    const char *fault = NULL;
    (void)arg;
    for (unsigned turn = 0; !fault && !atomic_load(&is_over); turn++) {
        mproxy_snapshot **oldest = &held[turn % HELD];
        if (*oldest)
            fault = look(mproxy_snapshot_find(*oldest, turn % 2 ? "main" : "Node: h1"));
        mproxy_snapshot_unref(*oldest);
        *oldest = mproxy_store_snapshot(store);
    }
    for (int i = 0; i < HELD; i++)
        mproxy_snapshot_unref(held[i]);
    return (void *)(uintptr_t)fault;
}

static void setup_bounded(void)
{
    mproxy_store_options few = {.struct_size = sizeof few, .max_metrics = MOST};
    ck_assert_int_eq(mproxy_store_open(&few, &store, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_reduction_new(store, &reduction, NULL), MPROXY_OK);
}

START_TEST(names_that_come_and_go_are_never_refused_nor_seen_torn)
{
    pthread_t readers[READERS];
    size_t early = 0, late = 0;
    atomic_store(&is_over, false);
    for (int i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&readers[i], NULL, read_late, NULL), 0);

    mproxy_error err = {0};
    mproxy_status status = MPROXY_OK;
    for (unsigned round = 0; round < ROUNDS && status == MPROXY_OK; round++) {
        status = turn_over(round, &err);
        if (status == MPROXY_OK)
            show_round(round);
        size_t used = mallinfo2().uordblks;
        if (round == ROUNDS / 4)
            early = used;
        late = used;
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < READERS; i++) {
        void *fault = NULL;
        pthread_join(readers[i], &fault);
        ck_assert_msg(!fault, "%s", (const char *)fault);
    }

    ck_assert_msg(status == MPROXY_OK, "%s", err.text);
    // Snapshots that are held come and go: their share is as much as all the rest.
    ck_assert_msg(late < early * 2 + (4 << 20), "%zu bytes, %zu before", late, early);
}
END_TEST

START_TEST(what_is_known_is_what_is_shown)
{
    for (unsigned round = 0; round < 50; round++) {
        ck_assert_int_eq(turn_over(round, NULL), MPROXY_OK);
        show_round(round);
        if (round > LIVE / FRESH)
            ck_assert_uint_le(mproxy_store_metric_count(store), LIVE + FRESH);
    }
    const mproxy_metric *const *order = mproxy_store_metric_order(store);
    for (size_t i = 1; i < mproxy_store_metric_count(store); i++)
        ck_assert_int_lt(
            strcmp(mproxy_metric_name(order[i - 1]), mproxy_metric_name(order[i])), 0);
}
END_TEST

START_TEST(a_name_that_is_asked_for_again_in_time_is_the_same_metric)
{
    const mproxy_metric *first, *again, *kept;
    mproxy_store_metric(store, "kept_total", MPROXY_COUNTER, "", &kept, NULL);
    mproxy_store_metric(store, "lost_total", MPROXY_COUNTER, "", &first, NULL);
    mproxy_store_metric(store, "lost_total", MPROXY_COUNTER, "", &again, NULL);
    ck_assert_ptr_eq(first, again);
    ck_assert_ptr_eq(mproxy_metric_ref(kept), kept);

    mproxy_store_sweep(store);

    ck_assert_uint_eq(mproxy_store_metric_count(store), 1);
    ck_assert_ptr_eq(mproxy_store_metric_at(store, mproxy_metric_id(kept)), kept);
    mproxy_store_metric(store, "kept_total", MPROXY_COUNTER, "", &again, NULL);
    ck_assert_ptr_eq(again, kept);

    mproxy_metric_unref(kept);
    mproxy_store_sweep(store);
    ck_assert_uint_eq(mproxy_store_metric_count(store), 0);
    ck_assert_ptr_null(mproxy_store_metric_at(store, 0));
}
END_TEST

START_TEST(a_view_outlives_the_store_that_its_names_are_from)
{
    ck_assert_int_eq(turn_over(0, NULL), MPROXY_OK);
    show_round(0);
    mproxy_snapshot *s = mproxy_store_snapshot(store);
    mproxy_view *view =
        mproxy_view_ref((mproxy_view *)(uintptr_t)mproxy_snapshot_find(s, "main"));
    mproxy_snapshot_unref(s);
    mproxy_reduction_free(reduction);
    mproxy_store_close(store);

    const char *fault = look(view);
    ck_assert_msg(!fault, "%s", fault);
    mproxy_view_unref(view);
    setup_bounded();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("names");
    TCase *c = tcase_create("churn");
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, setup_bounded, teardown);
    tcase_add_test(c, names_that_come_and_go_are_never_refused_nor_seen_torn);
    tcase_add_test(c, what_is_known_is_what_is_shown);
    tcase_add_test(c, a_name_that_is_asked_for_again_in_time_is_the_same_metric);
    tcase_add_test(c, a_view_outlives_the_store_that_its_names_are_from);
    suite_add_tcase(s, c);
    return run_suite(s);
}
