// A store with few series, and their rendering as text: what tests of the exposition share.
#ifndef TESTS_SUPPORT_EXPOSITION_FIXTURE_H
#define TESTS_SUPPORT_EXPOSITION_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mproxy/exposition.h>

#include "exposition/sink.h"
#include "suite.h"

#define TS UINT64_C(1700000000000000)

static mproxy_store *store;
static struct mpx_buf out;

static inline void open_store(void)
{
    ck_assert_int_eq(mproxy_store_open(NULL, &store, NULL), MPROXY_OK);
}

static inline void close_store(void)
{
    mproxy_store_close(store);
    mpx_buf_free(&out);
}

struct series {
    const char *name;
    mproxy_type type;
    const char *doc;
    double value;
};

static inline mproxy_value value_of(mproxy_type type, double value)
{
    return type == MPROXY_GAUGE ? mproxy_value_gauge(value, TS)
                                : mproxy_value_counter(value, TS);
}

static inline const mproxy_metric *intern(const struct series *series)
{
    const mproxy_metric *metric = NULL;
    mproxy_error err = {0};
    mproxy_status status = mproxy_store_metric(store, series->name, series->type,
                                               series->doc, &metric, &err);
    ck_assert_msg(status == MPROXY_OK, "%s", err.text);
    return metric;
}

// A view of these series; an array ends with a name of NULL.
static inline mproxy_view *make_view(const char *key, const struct series *series)
{
    mproxy_job job = {.jobid = (char *)key, .command = "a \"b\""};
    job.size = 123456;
    job.start_time = 100000;
    mproxy_view *view = NULL;
    ck_assert_int_eq(mproxy_view_new(key, &job, 4, &view, NULL), MPROXY_OK);
    for (const struct series *s = series; s->name; s++)
        intern(s);
    const mproxy_metric *const *order = mproxy_store_metric_order(store);
    for (size_t i = 0; i < mproxy_store_metric_count(store); i++)
        for (const struct series *s = series; s->name; s++)
            if (strcmp(s->name, mproxy_metric_name(order[i])) == 0)
                mproxy_view_add(view,
                                &(mproxy_entry){.metric = order[i],
                                                .value = value_of(s->type, s->value)});
    return view;
}

static inline const char *render_with(const struct series *series, mproxy_format format,
                                      const mproxy_render_options *options)
{
    mproxy_view *view = make_view("j1", series);
    mpx_buf_clear(&out);
    ck_assert_int_eq(mproxy_render_view(view, format, options, mpx_write_to_buf, &out),
                     MPROXY_OK);
    mproxy_view_unref(view);
    return mpx_buf_text(&out);
}

static inline const char *render(const struct series *series, mproxy_format format)
{
    return render_with(series, format, NULL);
}

#define COUNTER MPROXY_COUNTER
#define GAUGE MPROXY_GAUGE
#define PROMETHEUS MPROXY_FORMAT_PROMETHEUS
#define OPENMETRICS MPROXY_FORMAT_OPENMETRICS
#define JSON MPROXY_FORMAT_JSON

// One with holes that text shows as a whole, JSON as counters.
static const struct series histogram[] = {
    {"h_bucket{op=\"r\",le=\"+Inf\"}", COUNTER, "H", 9},
    {"h_bucket{op=\"r\",le=\"10\"}", COUNTER, "H", 8},
    {"h_bucket{op=\"r\",le=\"2\"}", COUNTER, "H", 1},
    {"h_bucket{op=\"w\",le=\"2\"}", COUNTER, "H", 3},
    {"h_bytes", GAUGE, "", 1},
    {"h_count{op=\"r\"}", COUNTER, "H", 9},
    {"h_count{op=\"w\"}", COUNTER, "H", 4},
    {"h_sum{op=\"r\"}", COUNTER, "H", 99.5},
    {"h_sum{op=\"w\"}", COUNTER, "H", 11},
    {0}};

static inline mproxy_snapshot *publish_two(void)
{
    mproxy_view *views[] = {
        make_view(
            "main",
            (struct series[]){{"a", GAUGE, "", 1}, {"c_total", COUNTER, "C", 3}, {0}}),
        make_view("7", (struct series[]){{"a", GAUGE, "", 2},
                                         {"b", GAUGE, "B", 4},
                                         {"c_total", COUNTER, "", 5},
                                         {0}})};
    ck_assert_int_eq(mproxy_store_publish(store, views, 2, NULL), MPROXY_OK);
    mproxy_view_unref(views[0]);
    mproxy_view_unref(views[1]);
    return mproxy_store_snapshot(store);
}

#endif
