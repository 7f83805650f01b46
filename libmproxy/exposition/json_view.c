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

// What is written goes into a sink, of which `j` is the writer.
static void put_counters(struct mpx_sink *s, struct mpx_json *j, struct mpx_range range,
                         const mproxy_render_options *o)
{
    mpx_json_key(j, "counters");
    mpx_json_begin(j, '[');
    for (size_t i = range.at; i < range.end && !s->status; i++) {
        mproxy_entry entry = mpx_view_entry(range.view, i);
        if (range.end - i > 2 * AHEAD)
            ask_for(range.view, i);
        if (o->received_only && !mpx_is_received(&entry))
            continue;
        if (!entry.metric->is_of_profiles &&
            mpx_json_is_shown(entry.metric->type, &entry.value))
            mpx_json_put_entry(j, &entry, o->ranks);
    }
    mpx_json_end(j, ']');
}

// Names that jobs disagree about.
static void put_left_out(struct mpx_json *j, const mproxy_view *view)
{
    const mproxy_metric *const *metrics;
    size_t count = mproxy_view_left_out(view, &metrics);
    if (count == 0)
        return;
    mpx_json_key(j, "left_out");
    mpx_json_begin(j, '[');
    for (size_t i = 0; i < count; i++)
        mpx_json_put_string(j, metrics[i]->name);
    mpx_json_end(j, ']');
}

static void put_view(struct mpx_sink *s, struct mpx_json *j, const mproxy_view *view,
                     const mproxy_render_options *o)
{
    if (o->desc_only == 1) {
        mpx_json_put_desc(j, mproxy_view_job(view));
        return;
    }
    mpx_json_begin(j, '{');
    mpx_json_key(j, "desc");
    mpx_json_put_desc(j, mproxy_view_job(view));
    if (!o->desc_only)
        put_counters(s, j, mpx_select(view, o->metric), o);
    put_left_out(j, view);
    mpx_json_end(j, '}');
}

void mpx_json_view(struct mpx_sink *s, const mproxy_view *view,
                   const mproxy_render_options *o)
{
    struct mpx_json j = {.out = &s->out};
    put_view(s, &j, view, o);
}

void mpx_json_snapshot(struct mpx_sink *s, const mproxy_snapshot *snapshot,
                       const mproxy_render_options *o)
{
    struct mpx_json j = {.out = &s->out};
    mpx_json_begin(&j, '[');
    for (size_t i = 0; i < mproxy_snapshot_size(snapshot) && !s->status; i++)
        put_view(s, &j, mproxy_snapshot_at(snapshot, i), o);
    mpx_json_end(&j, ']');
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

static void put_spread(struct mpx_json *j, const char *name, const struct spread *spread,
                       const mproxy_node_part *parts)
{
    mpx_json_begin(j, '{');
    mpx_json_member(j, "name", name);
    mpx_json_member_number(j, "min", spread->min);
    mpx_json_member_number(j, "max", spread->max);
    mpx_json_member_number(j, "mean", spread->sum / (double)spread->n);
    mpx_json_member(j, "min_node", parts[spread->min_node].node);
    mpx_json_member(j, "max_node", parts[spread->max_node].node);
    mpx_json_end(j, '}');
}

static void put_spreads(struct mpx_sink *s, struct mpx_json *j, struct mpx_range range,
                        const mproxy_node_part *parts, size_t count)
{
    mpx_json_key(j, "spread");
    mpx_json_begin(j, '[');
    for (size_t e = range.at; e < range.end && !s->status; e++) {
        const char *name = mpx_view_metric(range.view, e)->name;
        struct spread spread = {0};
        for (size_t i = 0; i < count; i++) {
            mproxy_entry of_node;
            if (mproxy_view_find(parts[i].view, name, &of_node))
                spread_add(&spread, i, shown_value(&of_node));
        }
        if (spread.n > 0 && isfinite(spread.sum) && !mpx_is_of_profiles(name))
            put_spread(j, name, &spread, parts);
    }
    mpx_json_end(j, ']');
}

static void put_node(struct mpx_sink *s, struct mpx_json *j, const mproxy_node_part *part,
                     const mproxy_render_options *o)
{
    mpx_json_begin(j, '{');
    mpx_json_member(j, "node", part->node);
    mpx_json_member_bool(j, "fresh", part->fresh);
    mpx_json_member_number(j, "age", isfinite(part->age_s) ? part->age_s : 0);
    put_counters(s, j, mpx_select(part->view, o->metric), o);
    mpx_json_end(j, '}');
}

void mpx_json_nodes(struct mpx_sink *s, const mproxy_view *view,
                    const mproxy_node_part *parts, size_t count,
                    const mproxy_render_options *o)
{
    struct mpx_json j = {.out = &s->out};
    mpx_json_begin(&j, '{');
    mpx_json_key(&j, "desc");
    mpx_json_put_desc(&j, mproxy_view_job(view));
    mpx_json_key(&j, "nodes");
    mpx_json_begin(&j, '[');
    for (size_t i = 0; i < count; i++)
        put_node(s, &j, &parts[i], o);
    mpx_json_end(&j, ']');
    put_spreads(s, &j, mpx_select(view, o->metric), parts, count);
    mpx_json_end(&j, '}');
}
