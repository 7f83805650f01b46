// What is new on a page: judged once, taken or refused.
//
// A histogram can only be judged whole, so the page is gone through twice: first each series
// is looked at by itself, and those of histograms are put to theirs; then the histograms are
// judged and their series taken. A page is not cut within a histogram where only so many are
// settled at a time.
//
// A refusal is of one series, or of one histogram, and is its state from then on: the reason is
// kept, and the text of one example for each reason, so that a page of a million refused series
// costs no text. What is refused because of others (a type, bounds, the room) is tried again
// after some pages; what is wrong by itself is not.

#include "ingest/private.h"

#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "ingest/name.h"
#include "metric/reserved.h"
#include "store/exempt.h"

// ---- refusing

static bool is_for_others(enum mpx_ingest_reason reason)
{
    return reason == MPX_INGEST_TYPE || reason == MPX_INGEST_BOUNDS ||
           reason == MPX_INGEST_LIMIT;
}

static void refuse_for(struct mpx_ingest *in, uint32_t series,
                       enum mpx_ingest_reason reason, const mproxy_error *why)
{
    struct mpx_ingest_series *s = &in->series[series];
    if (!(s->state & MPX_STATE_AGAIN))
        in->stats.total[reason]++;
    s->state = (uint8_t)(MPX_STATE_REFUSED + reason);
    in->stats.refused++;
    in->for_others += is_for_others(reason);
    in->examples[reason] = *why;
}

static mproxy_status refuse(struct mpx_ingest *in, uint32_t series,
                            enum mpx_ingest_reason reason, const char *name,
                            const char *what)
{
    mproxy_error why;
    mpx_fail(&why, MPROXY_E_INVALID, "series '%.150s': %s", name, what);
    refuse_for(in, series, reason, &why);
    return MPROXY_OK;
}

void mpx_door_try_again(struct mpx_ingest *in, uint32_t series)
{
    struct mpx_ingest_series *s = &in->series[series];
    if (s->state & MPX_STATE_AGAIN ||
        !is_for_others((enum mpx_ingest_reason)(s->state - MPX_STATE_REFUSED)))
        return;
    s->state = MPX_STATE_AGAIN;
    in->stats.refused--;
    in->for_others--;
    in->is_unsettled = true;
}

void mpx_door_drop(struct mpx_ingest *in, uint32_t series)
{
    struct mpx_ingest_series *s = &in->series[series];
    (void)mproxy_parser_forget(in->parser, series, NULL);
    if (s->state == MPX_STATE_TAKEN) {
        uint32_t hash = mpx_hash_u64((uintptr_t)s->metric);
        mpx_index_remove(&in->by_metric, hash, series);
        mproxy_metric_unref(s->metric);
        in->stats.taken--;
    } else if (s->state >= MPX_STATE_REFUSED && !(s->state & MPX_STATE_AGAIN)) {
        in->stats.refused--;
        in->for_others -=
            is_for_others((enum mpx_ingest_reason)(s->state - MPX_STATE_REFUSED));
    }
    if (s->histogram)
        mpx_histogram_drop(in, series);
    *s = (struct mpx_ingest_series){0};
}

// ---- taking

static uint32_t find_taken(const struct mpx_ingest *in, const mproxy_metric *metric)
{
    uint32_t hash = mpx_hash_u64((uintptr_t)metric);
    uint32_t at = mpx_index_start(&in->by_metric, hash);
    for (uint32_t series; mpx_index_next(&in->by_metric, hash, &at, &series);)
        if (in->series[series].metric == metric)
            return series;
    return MPX_SERIES_NONE;
}

static void take(struct mpx_ingest *in, uint32_t series, const mproxy_metric *metric)
{
    in->series[series].metric = mproxy_metric_ref(metric);
    in->series[series].state = MPX_STATE_TAKEN;
    mpx_index_put(&in->by_metric, mpx_hash_u64((uintptr_t)metric), series);
    in->stats.taken++;
}

static bool reserve(struct mpx_ingest *in)
{
    return mpx_index_reserve(&in->by_metric, (uint32_t)in->stats.taken + 1) &&
           MPX_RESERVE(in->fresh, in->fresh_room, in->fresh_count + 1) &&
           MPX_RESERVE(in->moved, in->moved_room, in->moved_count + 1);
}

// Its metric is another series'. If that one is gone, this one goes on for it.
static mproxy_status take_over(struct mpx_ingest *in, uint32_t from, uint32_t to,
                               const mproxy_metric *metric)
{
    if (mproxy_parser_forget(in->parser, from, NULL) != MPROXY_OK)
        return refuse(in, to, MPX_INGEST_TWICE, mproxy_metric_name(metric),
                      "another one of the page has its name");
    take(in, to, metric);
    in->moved[in->moved_count++] = (struct mpx_ingest_move){from, to};
    mpx_door_drop(in, from);
    return MPROXY_OK;
}

static mproxy_status take_named(struct mpx_ingest *in, uint32_t series, mproxy_type type,
                                const char *name, const char *help, mproxy_error *err)
{
    mproxy_type other = type == MPROXY_COUNTER ? MPROXY_GAUGE : MPROXY_COUNTER;
    const mproxy_metric *metric;
    mproxy_error why;
    if (mpx_store_metric_find(in->o.store, name, other))
        return refuse(in, series, MPX_INGEST_TYPE, name,
                      other == MPROXY_COUNTER ? "is known as a counter"
                                              : "is known as a gauge");
    if (in->stats.taken >= in->o.max_series)
        return refuse(in, series, MPX_INGEST_LIMIT, name, "there are too many");
    if (!reserve(in))
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the page's series");
    mproxy_status status =
        mproxy_store_metric(in->o.store, name, type, help, &metric, &why);
    if (status == MPROXY_E_NOMEM)
        return mpx_fail(err, MPROXY_E_NOMEM, "%s", why.text);
    if (status) {
        refuse_for(in, series,
                   status == MPROXY_E_LIMIT ? MPX_INGEST_LIMIT : MPX_INGEST_NAME, &why);
        return MPROXY_OK;
    }
    uint32_t before = find_taken(in, metric);
    if (before != MPX_SERIES_NONE)
        return take_over(in, before, series, metric);
    take(in, series, metric);
    in->fresh[in->fresh_count++] = series;
    return MPROXY_OK;
}

// ---- settling

// How much of the base is a histogram's name; 0: the series is none of a histogram's counters.
static size_t stem_of(const mproxy_series *s)
{
    size_t family = strlen(s->family);
    bool is_part = s->kind == MPROXY_FAMILY_HISTOGRAM && s->type == MPROXY_COUNTER &&
                   strncmp(s->name, s->family, family) == 0;
    return is_part && mproxy_metric_base_length(s->name) > family ? family : 0;
}

static mproxy_status describe(struct mpx_ingest *in, uint32_t series, mproxy_series *out,
                              const char **name, mproxy_error *err)
{
    *out = (mproxy_series){.struct_size = sizeof *out};
    mproxy_status status = mproxy_parser_series(in->parser, series, out, err);
    if (status == MPROXY_OK && out->fits)
        *name = mpx_ingest_name(&in->name, out->name, out->kind, in->o.labels,
                                in->o.label_count);
    if (status == MPROXY_OK && out->fits && !*name)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the page's series");
    return status;
}

// Another bucket may make the bounds what they have to be.
static mproxy_status add_part(struct mpx_ingest *in, uint32_t series, const char *name,
                              size_t stem, mproxy_error *err)
{
    mproxy_status status = mpx_histogram_add(in, series, name, stem, err);
    if (status)
        return status;
    const struct mpx_histogram *h = &in->histograms[in->series[series].histogram - 1];
    for (size_t i = 0; i < h->count && !h->bounds; i++)
        mpx_door_try_again(in, h->parts[i].series);
    return MPROXY_OK;
}

static mproxy_status look_at(struct mpx_ingest *in, uint32_t series, bool *is_part,
                             mproxy_error *err)
{
    mproxy_series s;
    const char *name = NULL;
    mproxy_error why;
    mproxy_status status = describe(in, series, &s, &name, err);
    if (status)
        return status;
    if (!s.fits || mproxy_metric_check_name(name, strlen(name), &why)) {
        if (!s.fits)
            mproxy_metric_check_name(s.name, s.name_length, &why);
        refuse_for(in, series, MPX_INGEST_NAME, &why);
        return MPROXY_OK;
    }
    if (mpx_name_is_ours(name))
        return refuse(in, series, MPX_INGEST_RESERVED, name,
                      "is a name of the proxy's own");
    size_t stem = stem_of(&s);
    *is_part = stem > 0;
    return stem > 0 ? add_part(in, series, name, stem, err)
                    : take_named(in, series, s.type, name, s.help, err);
}

static bool is_new(const struct mpx_ingest *in, uint32_t series)
{
    return (in->series[series].state & ~MPX_STATE_AGAIN) == MPX_STATE_NEW;
}

static mproxy_status take_part(struct mpx_ingest *in, uint32_t series, mproxy_error *err)
{
    mproxy_series s;
    const char *name = NULL;
    mproxy_error why;
    mproxy_status status = mpx_histogram_judge(in, in->series[series].histogram, &why);
    if (status == MPROXY_E_TYPE) {
        refuse_for(in, series, MPX_INGEST_BOUNDS, &why);
        return MPROXY_OK;
    }
    if (status)
        return mpx_fail(err, status, "%s", why.text);
    status = describe(in, series, &s, &name, err);
    return status ? status : take_named(in, series, s.type, name, s.help, err);
}

mproxy_status mpx_door_settle(struct mpx_ingest *in, mproxy_error *err)
{
    const mproxy_page *page = &in->page;
    mproxy_status status = MPROXY_OK;
    size_t most = in->o.max_new ? in->o.max_new : SIZE_MAX, settled = 0, end = 0;
    bool was_part = false;
    for (; end < page->count && !status; end++) {
        uint32_t series = page->series[end];
        if (!is_new(in, series) || in->series[series].histogram)
            continue;
        if (settled++ >= most && !was_part)
            break;
        was_part = false;
        status = look_at(in, series, &was_part, err);
    }
    for (size_t i = 0; i < end && !status; i++)
        if (in->series[page->series[i]].histogram && is_new(in, page->series[i]))
            status = take_part(in, page->series[i], err);
    in->stats.unsettled = 0;
    if (!status && end == page->count) {
        in->is_unsettled = false;
        return MPROXY_OK;
    }
    for (size_t i = 0; i < page->count; i++)
        in->stats.unsettled += is_new(in, page->series[i]);
    return status;
}
