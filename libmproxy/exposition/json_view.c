#include "exposition/json_view.h"

#include <math.h>
#include <stdlib.h>

#include "exposition/json.h"
#include "exposition/select.h"
#include "store/names.h"

// How many entries ahead memory is asked for: the metric, then its text.
#define AHEAD 8

static void ask_for(const mproxy_view *view, size_t index)
{
    mpx_metric_prefetch(mpx_view_metric(view, index + 2 * AHEAD));
    __builtin_prefetch(mpx_metric_of(mpx_view_metric(view, index + AHEAD))->json);
}

static void put_counters(struct mpx_sink *s, struct mpx_range range,
                         const mproxy_render_options *o)
{
    bool first = true;
    mpx_sink_add(s, "[", 1);
    for (size_t i = range.at; i < range.end && !s->status; i++) {
        mproxy_entry entry = mpx_view_entry(range.view, i);
        if (range.end - i > 2 * AHEAD)
            ask_for(range.view, i);
        if (o->received_only && !mpx_is_received(&entry))
            continue;
        if (entry.metric->is_of_profiles ||
            !mpx_json_is_shown(entry.metric->type, &entry.value))
            continue;
        if (!first)
            mpx_sink_add(s, ",", 1);
        first = false;
        mpx_json_entry(s, &entry, o->ranks);
    }
    mpx_sink_add(s, "]", 1);
}

// Names that jobs disagree about.
static void put_left_out(struct mpx_sink *s, const mproxy_view *view)
{
    const mproxy_metric *const *metrics;
    size_t count = mproxy_view_left_out(view, &metrics);
    for (size_t i = 0; i < count; i++) {
        mpx_sink_text(s, i == 0 ? ",\"left_out\":[\"" : "\",\"");
        mpx_sink_add(s, mpx_metric_of(metrics[i])->json,
                     mpx_metric_of(metrics[i])->json_length);
    }
    mpx_sink_text(s, count > 0 ? "\"]" : "");
}

void mpx_json_view(struct mpx_sink *s, const mproxy_view *view,
                   const mproxy_render_options *o)
{
    if (o->desc_only != 1)
        mpx_sink_text(s, "{\"desc\":");
    mpx_json_desc(s, mproxy_view_job(view));
    if (o->desc_only == 1)
        return;
    if (!o->desc_only) {
        mpx_sink_text(s, ",\"counters\":");
        put_counters(s, mpx_select(view, o->metric), o);
    }
    put_left_out(s, view);
    mpx_sink_add(s, "}", 1);
}

void mpx_json_snapshot(struct mpx_sink *s, const mproxy_snapshot *snapshot,
                       const mproxy_render_options *o)
{
    mpx_sink_add(s, "[", 1);
    for (size_t i = 0; i < mproxy_snapshot_size(snapshot) && !s->status; i++) {
        if (i > 0)
            mpx_sink_add(s, ",", 1);
        mpx_json_view(s, mproxy_snapshot_at(snapshot, i), o);
    }
    mpx_sink_add(s, "]", 1);
}

struct spread {
    size_t n, min_node, max_node;
    double sum, min, max;
};

static double shown_value(const mproxy_entry *entry)
{
    if (entry->metric->type != MPROXY_GAUGE)
        return entry->value.total;
    return entry->value.hits > 0 ? entry->value.total / entry->value.hits : NAN;
}

static void spread_add(struct spread *spread, size_t node, double value)
{
    if (!isfinite(value))
        return;
    if (spread->n == 0 || value < spread->min) {
        spread->min = value;
        spread->min_node = node;
    }
    if (spread->n == 0 || value > spread->max) {
        spread->max = value;
        spread->max_node = node;
    }
    spread->sum += value;
    spread->n++;
}

static void put_spread(struct mpx_sink *s, const char *name, const struct spread *spread,
                       const mproxy_node_part *parts)
{
    mpx_sink_text(s, "{\"name\":");
    mpx_json_text(s, name);
    mpx_sink_text(s, ",\"min\":");
    mpx_json_number(s, spread->min);
    mpx_sink_text(s, ",\"max\":");
    mpx_json_number(s, spread->max);
    mpx_sink_text(s, ",\"mean\":");
    mpx_json_number(s, spread->sum / (double)spread->n);
    mpx_sink_text(s, ",\"min_node\":");
    mpx_json_text(s, parts[spread->min_node].node);
    mpx_sink_text(s, ",\"max_node\":");
    mpx_json_text(s, parts[spread->max_node].node);
    mpx_sink_add(s, "}", 1);
}

static void put_spreads(struct mpx_sink *s, struct mpx_range range,
                        const mproxy_node_part *parts, size_t count)
{
    bool first = true;
    mpx_sink_text(s, "],\"spread\":[");
    for (size_t e = range.at; e < range.end && !s->status; e++) {
        const char *name = mpx_view_metric(range.view, e)->name;
        struct spread spread = {0};
        for (size_t i = 0; i < count; i++) {
            mproxy_entry of_node;
            if (mproxy_view_find(parts[i].view, name, &of_node))
                spread_add(&spread, i, shown_value(&of_node));
        }
        if (spread.n == 0 || !isfinite(spread.sum) || mpx_is_of_profiles(name))
            continue;
        if (!first)
            mpx_sink_add(s, ",", 1);
        first = false;
        put_spread(s, name, &spread, parts);
    }
    mpx_sink_add(s, "]", 1);
}

void mpx_json_nodes(struct mpx_sink *s, const mproxy_view *view,
                    const mproxy_node_part *parts, size_t count,
                    const mproxy_render_options *o)
{
    mpx_sink_text(s, "{\"desc\":");
    mpx_json_desc(s, mproxy_view_job(view));
    mpx_sink_text(s, ",\"nodes\":[");
    for (size_t i = 0; i < count; i++) {
        mpx_sink_text(s, i > 0 ? ",{\"node\":" : "{\"node\":");
        mpx_json_text(s, parts[i].node);
        mpx_sink_text(s, parts[i].fresh ? ",\"fresh\":true" : ",\"fresh\":false");
        mpx_sink_text(s, ",\"age\":");
        mpx_json_number(s, isfinite(parts[i].age_s) ? parts[i].age_s : 0);
        mpx_sink_text(s, ",\"counters\":");
        put_counters(s, mpx_select(parts[i].view, o->metric), o);
        mpx_sink_add(s, "}", 1);
    }
    put_spreads(s, mpx_select(view, o->metric), parts, count);
    mpx_sink_add(s, "}", 1);
}
