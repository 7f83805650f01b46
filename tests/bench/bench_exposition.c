// Rendering 100,000 series, against what one would write without this library: a loop of
// snprintf("%.17g") for text, jansson's objects and dump for JSON. One line of JSON a figure.

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mproxy/exposition.h>

#include "base/clock.h"
#include "store/metric.h"

#define FAMILIES 1000
#define PER_FAMILY 100
#define SERIES (FAMILIES * PER_FAMILY)
#define TS UINT64_C(1700000000000000)
#define RUNS 7

static size_t written;

static mproxy_status count_bytes(void *arg, const char *bytes, size_t length)
{
    (void)arg;
    (void)bytes;
    written += length;
    return MPROXY_OK;
}

static void die(const char *what)
{
    fprintf(stderr, "bench_exposition: %s\n", what);
    exit(EXIT_FAILURE);
}

static double random_unit(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) / 9007199254740992.0;
}

static void intern_series(mproxy_store *store)
{
    char name[128], doc[128];
    const mproxy_metric *metric;
    for (int i = 0; i < SERIES; i++) {
        int family = i / PER_FAMILY;
        snprintf(name, sizeof name, "job_subsystem%03d_%s{device=\"nvme%02dn1\"}", family,
                 family % 4 == 3 ? "used_ratio" : "operations_total", i % PER_FAMILY);
        snprintf(doc, sizeof doc, "Number of operations of subsystem %d", family);
        mproxy_type type = family % 4 == 3 ? MPROXY_GAUGE : MPROXY_COUNTER;
        if (mproxy_store_metric(store, name, type, doc, &metric, NULL))
            die("a name was refused");
    }
}

// Of four families two count events, one counts seconds and one is a gauge.
static mproxy_value make_value(const mproxy_metric *metric)
{
    if (metric->type == MPROXY_GAUGE)
        return mproxy_value_gauge(random_unit(), TS);
    double events = (double)(uint64_t)(random_unit() * 1e9);
    return mproxy_value_counter(
        metric->id / PER_FAMILY % 4 ? events : random_unit() * 1e4, TS + metric->id);
}

static mproxy_view *make_view(mproxy_store *store)
{
    mproxy_view *view = NULL;
    mproxy_job job = {0};
    if (mproxy_view_new("main", &job, SERIES, &view, NULL))
        die("no memory");
    const mproxy_metric *const *order = mproxy_store_metric_order(store);
    for (size_t i = 0; i < SERIES; i++) {
        mproxy_entry entry = {.metric = order[i], .value = make_value(order[i])};
        mproxy_view_add(view, &entry);
    }
    return view;
}

static void text_ours(const mproxy_view *view)
{
    mproxy_render_view(view, MPROXY_FORMAT_PROMETHEUS, NULL, count_bytes, NULL);
}

static void json_ours(const mproxy_view *view)
{
    mproxy_render_view(view, MPROXY_FORMAT_JSON, NULL, count_bytes, NULL);
}

static void text_reference(const mproxy_view *view)
{
    static char buffer[65536];
    size_t used = 0;
    for (size_t i = 0; i < mproxy_view_size(view); i++) {
        mproxy_entry at = mproxy_view_at(view, i);
        const mproxy_entry *entry = &at;
        if (used > sizeof buffer - 256) {
            count_bytes(NULL, buffer, used);
            used = 0;
        }
        used += (size_t)snprintf(buffer + used, sizeof buffer - used, "%s %.17g\n",
                                 entry->metric->name, entry->value.total);
    }
    count_bytes(NULL, buffer, used);
}

static json_t *jansson_value(const mproxy_entry *entry)
{
    const mproxy_value *v = &entry->value;
    if (entry->metric->type == MPROXY_COUNTER)
        return json_pack("{s:{s:I,s:f}}", "Counter", "ts", (json_int_t)v->ts_us, "value",
                         v->total);
    return json_pack("{s:{s:f,s:f,s:f,s:f}}", "Gauge", "min", v->min, "max", v->max,
                     "hits", v->hits, "total", v->total);
}

static void json_reference(const mproxy_view *view)
{
    json_t *counters = json_array();
    for (size_t i = 0; i < mproxy_view_size(view); i++) {
        mproxy_entry at = mproxy_view_at(view, i);
        const mproxy_entry *entry = &at;
        json_t *object = json_object();
        json_object_set_new(object, "name", json_string(entry->metric->name));
        json_object_set_new(object, "doc", json_string(mproxy_metric_doc(entry->metric)));
        json_object_set_new(object, "ctype", jansson_value(entry));
        json_array_append_new(counters, object);
    }
    char *text = json_dumps(counters, JSON_COMPACT);
    if (!text)
        die("jansson has no memory");
    written += strlen(text);
    free(text);
    json_decref(counters);
}

// The best of some runs, in bytes per nanosecond.
static double measure(void (*render)(const mproxy_view *), const mproxy_view *view,
                      int runs)
{
    double best = 0;
    for (int i = 0; i < runs; i++) {
        written = 0;
        int64_t start = mpx_clock_ns(CLOCK_MONOTONIC);
        render(view);
        int64_t took = mpx_clock_ns(CLOCK_MONOTONIC) - start;
        double speed = (double)written / (double)(took > 0 ? took : 1);
        if (speed > best)
            best = speed;
    }
    return best;
}

static void report(const char *name, double ours, const char *reference, double theirs,
                   double aim_ratio, double aim)
{
    printf("{\"bench\":\"%s\",\"unit\":\"GB/s\",\"value\":%.3f,\"reference\":\"%s\","
           "\"reference_value\":%.3f,\"ratio\":%.1f,\"aim_ratio\":%g,\"aim\":%g}\n",
           name, ours, reference, theirs, ours / theirs, aim_ratio, aim);
}

int main(void)
{
    mproxy_store *store = NULL;
    if (mproxy_store_open(NULL, &store, NULL))
        die("no memory");
    intern_series(store);
    mproxy_view *view = make_view(store);

    report("exposition.text", measure(text_ours, view, RUNS), "snprintf(%.17g) loop",
           measure(text_reference, view, 3), 5, 1);
    report("exposition.json", measure(json_ours, view, RUNS), "jansson objects and dump",
           measure(json_reference, view, 2), 20, 0.8);

    mproxy_view_unref(view);
    mproxy_store_close(store);
    return EXIT_SUCCESS;
}
