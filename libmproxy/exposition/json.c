// Views as the JSON of the HTTP API, and the pieces of it that profiles have, too.
//
// A page may have a million entries, so what is done for each counts. An entry is put together
// in room for all of it, and the commas within stand in literals; everything else is written
// by base/json.h's writer, which knows where commas stand. Names and docs were escaped when
// they were interned. Most gauges have one contributor: of their three equal numbers one is
// made and two are copied, since finding the shortest decimal costs more than all the rest.
//
// Metrics lie in memory in the order in which they were first seen, not in that of the view,
// so memory is asked for some entries ahead.
//
// What is not finite has no JSON and is left out, as are metrics that stand in profiles only.
#include "exposition/json.h"

#include <math.h>

#include <mproxy/job.h>

#include "base/decimal.h"
#include "exposition/number.h"
#include "exposition/select.h"
#include "store/names.h"

void mpx_json_put_number(struct mpx_json *j, double value)
{
    char *at = mpx_json_room(j, MPROXY_NUMBER_MAX);
    if (at)
        mpx_json_wrote(j, mpx_write_number(at, value));
}

void mpx_json_member_number(struct mpx_json *j, const char *key, double value)
{
    mpx_json_key(j, key);
    mpx_json_put_number(j, value);
}

void mpx_json_desc_members(struct mpx_json *j, const mproxy_job *job)
{
    const struct {
        const char *key, *text;
    } texts[] = {{"jobid", job->jobid},       {"command", job->command},
                 {"nodelist", job->nodelist}, {"partition", job->partition},
                 {"cluster", job->cluster},   {"run_dir", job->run_dir}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        mpx_json_member(j, texts[i].key, texts[i].text ? texts[i].text : "");
    mpx_json_member_u64(j, "size", job->size);
    mpx_json_member_i64(j, "start_time", job->start_time);
    mpx_json_member_i64(j, "end_time", job->end_time);
}

void mpx_json_put_desc(struct mpx_json *j, const mproxy_job *job)
{
    mpx_json_begin(j, '{');
    mpx_json_desc_members(j, job);
    mpx_json_end(j, '}');
}

bool mpx_json_is_shown(mproxy_type type, const mproxy_value *value)
{
    if (type != MPROXY_GAUGE)
        return isfinite(value->total);
    return isfinite(value->total) && isfinite(value->min) && isfinite(value->max) &&
           isfinite(value->hits);
}

// ---- entries

#define VALUE_ROOM 256
#define RANKS_ROOM 320

static char *put_counter(char *at, const mproxy_value *value)
{
    at = MPX_PUT_LITERAL(at, "{\"Counter\":{\"ts\":");
    at = mpx_write_u64(at, value->ts_us);
    at = MPX_PUT_LITERAL(at, ",\"value\":");
    at = mpx_write_number(at, value->total);
    return MPX_PUT_LITERAL(at, "}}");
}

// A number that was written right before as `text`, or another.
static char *put_again(char *at, double value, double before, const char *text,
                       size_t length)
{
    if (memcmp(&value, &before, sizeof value) != 0)
        return mpx_write_number(at, value);
    return mpx_put(at, text, length);
}

static char *put_gauge(char *at, const mproxy_value *value)
{
    char *min = at = MPX_PUT_LITERAL(at, "{\"Gauge\":{\"min\":");
    at = mpx_write_number(at, value->min);
    size_t length = (size_t)(at - min);
    at = MPX_PUT_LITERAL(at, ",\"max\":");
    at = put_again(at, value->max, value->min, min, length);
    at = MPX_PUT_LITERAL(at, ",\"hits\":");
    at = mpx_write_number(at, value->hits);
    at = MPX_PUT_LITERAL(at, ",\"total\":");
    at = put_again(at, value->total, value->min, min, length);
    return MPX_PUT_LITERAL(at, "}}");
}

static char *put_value(char *at, mproxy_type type, const mproxy_value *value)
{
    return type == MPROXY_GAUGE ? put_gauge(at, value) : put_counter(at, value);
}

void mpx_json_put_value(struct mpx_json *j, mproxy_type type, const mproxy_value *value)
{
    char *at = mpx_json_room(j, VALUE_ROOM);
    if (at)
        mpx_json_wrote(j, put_value(at, type, value));
}

static char *put_ranks(char *at, const mproxy_ranks *ranks)
{
    at = MPX_PUT_LITERAL(at, ",\"ranks\":{\"n\":");
    at = mpx_write_u64(at, ranks->n);
    at = MPX_PUT_LITERAL(at, ",\"min\":");
    at = mpx_write_number(at, ranks->min);
    at = MPX_PUT_LITERAL(at, ",\"max\":");
    at = mpx_write_number(at, ranks->max);
    at = MPX_PUT_LITERAL(at, ",\"mean\":");
    at = mpx_write_number(at, ranks->sum / (double)ranks->n);
    at = MPX_PUT_LITERAL(at, ",\"min_rank\":");
    at = mpx_write_u64(at, ranks->min_rank & MPROXY_RANK_MASK);
    at = MPX_PUT_LITERAL(at, ",\"max_rank\":");
    at = mpx_write_u64(at, ranks->max_rank & MPROXY_RANK_MASK);
    return MPX_PUT_LITERAL(at, "}");
}

static bool has_ranks(const mproxy_ranks *ranks)
{
    return ranks && ranks->n > 0 && isfinite(ranks->min) && isfinite(ranks->max) &&
           isfinite(ranks->sum);
}

static void put_entry(struct mpx_json *j, const mproxy_entry *entry, bool with_ranks)
{
    const struct mpx_metric *m = mpx_metric_of(entry->metric);
    const struct mpx_doc *doc = mpx_metric_doc_of(m);
    // Names are at most 1 KiB and docs 4 KiB before escaping, which doubles them at most.
    char *at = mpx_json_room(j, 48 + (size_t)m->json_length + doc->json_length +
                                    VALUE_ROOM + RANKS_ROOM);
    if (!at)
        return;
    at = MPX_PUT_LITERAL(at, "{\"name\":\"");
    at = mpx_put(at, m->json, m->json_length);
    at = MPX_PUT_LITERAL(at, "\",\"doc\":\"");
    at = mpx_put(at, doc->json, doc->json_length);
    at = MPX_PUT_LITERAL(at, "\",\"ctype\":");
    at = put_value(at, m->public.type, &entry->value);
    if (with_ranks && has_ranks(entry->ranks))
        at = put_ranks(at, entry->ranks);
    mpx_json_wrote(j, MPX_PUT_LITERAL(at, "}"));
}

// ---- views

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
            put_entry(j, &entry, o->ranks);
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
