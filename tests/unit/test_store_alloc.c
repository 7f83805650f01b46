// No allocation that fails harms the store, its snapshots or what is rendered of them.

#include <mproxy/exposition.h>

#include <check.h>
#include <stdlib.h>

#include "../support/chaos_alloc.h"
#include "../support/suite.h"
#include "exposition/sink.h"
#include "store/cache.h"

static const struct {
    const char *name, *doc;
    mproxy_type type;
} series[] = {
    {"a.b{x=\"\\\"\"}", "A \"doc\"\n", MPROXY_COUNTER},
    {"g", NULL, MPROXY_GAUGE},
    {"h_bucket{le=\"1\"}", "H", MPROXY_COUNTER},
    {"h_bucket{le=\"+Inf\"}", "H", MPROXY_COUNTER},
    {"h_count", "H", MPROXY_COUNTER},
    {"h_sum", "H", MPROXY_COUNTER},
    {"g", "Late", MPROXY_GAUGE},
};

static mproxy_status intern_all(mproxy_store *store)
{
    const mproxy_metric *metric;
    for (size_t i = 0; i < sizeof series / sizeof series[0]; i++) {
        mproxy_status status = mproxy_store_metric(store, series[i].name, series[i].type,
                                                   series[i].doc, &metric, NULL);
        if (status)
            return status;
    }
    return MPROXY_OK;
}

static mproxy_status open_and_intern(void *arg)
{
    (void)arg;
    mproxy_store *store = NULL;
    mproxy_status status = mproxy_store_open(NULL, &store, NULL);
    if (!status)
        status = intern_all(store);
    if (!status && !mproxy_store_metric_order(store))
        status = MPROXY_E_NOMEM;
    mproxy_store_close(store);
    return status;
}

START_TEST(opening_and_interning_survive_every_failed_allocation)
{
    ck_assert_int_gt(chaos_each(open_and_intern, NULL), 8);
}
END_TEST

static mproxy_status fill_view(mproxy_store *store, mproxy_view *view)
{
    const mproxy_metric *const *order = mproxy_store_metric_order(store);
    if (!order)
        return MPROXY_E_NOMEM;
    mproxy_status status = MPROXY_OK;
    for (size_t i = 0; !status && i < mproxy_store_metric_count(store); i++) {
        mproxy_entry entry = {.metric = order[i], .value = mproxy_value_gauge(1, 1)};
        status = mproxy_view_add(view, &entry);
    }
    return status;
}

static mproxy_status publish(void *store)
{
    const mproxy_job job = {.jobid = "main"};
    mproxy_view *view = NULL;
    mproxy_status status = mproxy_view_new("main", &job, 0, &view, NULL);
    if (!status)
        status = fill_view(store, view);
    if (!status)
        status = mproxy_store_publish(store, &view, 1, NULL);
    mproxy_view_unref(view);
    return status;
}

// What a reader sees must stay whole: one view of all series, or none at the start.
static mproxy_status publish_and_look(void *store)
{
    mproxy_status status = publish(store);
    mproxy_snapshot *snapshot = mproxy_store_snapshot(store);
    for (size_t i = 0; i < mproxy_snapshot_size(snapshot); i++)
        if (mproxy_view_size(mproxy_snapshot_at(snapshot, i)) != 6)
            status = MPROXY_E_CORRUPT;
    mproxy_snapshot_unref(snapshot);
    return status;
}

static mproxy_store *open_full_store(void)
{
    mproxy_store *store = NULL;
    ck_assert_int_eq(mproxy_store_open(NULL, &store, NULL), MPROXY_OK);
    ck_assert_int_eq(intern_all(store), MPROXY_OK);
    return store;
}

START_TEST(publishing_survives_every_failed_allocation)
{
    mproxy_store *store = open_full_store();

    ck_assert_int_gt(chaos_each(publish_and_look, store), 8);

    mproxy_store_close(store);
}
END_TEST

static mproxy_status count_bytes(void *arg, const char *bytes, size_t length)
{
    (void)bytes;
    *(size_t *)arg += length;
    return MPROXY_OK;
}

static mproxy_status render_every_format(void *snapshot)
{
    mproxy_status status = MPROXY_OK;
    for (int format = 1; !status && format <= 3; format++) {
        size_t length = 0;
        status = mproxy_render_snapshot(snapshot, (mproxy_format)format, NULL,
                                        count_bytes, &length);
        if (!status && length < 200)
            status = MPROXY_E_CORRUPT;
    }
    return status;
}

START_TEST(rendering_survives_every_failed_allocation)
{
    mproxy_store *store = open_full_store();
    ck_assert_int_eq(publish(store), MPROXY_OK);
    mproxy_snapshot *snapshot = mproxy_store_snapshot(store);

    ck_assert_int_gt(chaos_each(render_every_format, snapshot), 10);

    mproxy_snapshot_unref(snapshot);
    mproxy_store_close(store);
}
END_TEST

static mproxy_status render_body(void *arg, const mproxy_snapshot *snapshot, void *body)
{
    (void)arg;
    return mproxy_render_snapshot(snapshot, MPROXY_FORMAT_JSON, NULL, mpx_body_write,
                                  body);
}

// A body that can't be kept is MPROXY_E_LIMIT: then the caller streams it.
static mproxy_status get_body(void *store)
{
    const char *bytes = NULL;
    size_t length = 0;
    mproxy_status status = publish(store);
    if (status)
        return status;
    mproxy_snapshot *snapshot = mproxy_store_snapshot(store);
    status = mpx_snapshot_body(snapshot, "k", render_body, NULL, &bytes, &length);
    if (!status && length < 200)
        status = MPROXY_E_CORRUPT;
    mproxy_snapshot_unref(snapshot);
    return status == MPROXY_E_LIMIT ? MPROXY_E_NOMEM : status;
}

START_TEST(bodies_survive_every_failed_allocation)
{
    mproxy_store *store = open_full_store();

    ck_assert_int_gt(chaos_each(get_body, store), 10);

    mproxy_store_close(store);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("store_alloc");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, opening_and_interning_survive_every_failed_allocation);
    tcase_add_test(c, publishing_survives_every_failed_allocation);
    tcase_add_test(c, rendering_survives_every_failed_allocation);
    tcase_add_test(c, bodies_survive_every_failed_allocation);
    Suite *suite = suite_create("store_alloc");
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
