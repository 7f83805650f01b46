// Pages of others: reading them, and what they say of the series that are taken.
//
// Series are known by the parser's numbers, small and stable, so that everything about one is
// an array's element. A page whose series are all taken and whose values are all finite is
// handed out as the parser made it, two arrays without a copy; that is nearly every page.
// Else what counts is copied to arrays of our own.
//
// Invariants:
// * A series that is taken refers to its metric, and no two of them to the same one.
// * A series that is refused is forgotten when it leaves the page, one that is taken when the
//   caller says so: what churns costs nothing for longer than the caller wants.
// * A page that fails for want of memory changes nothing that is handed out; its series are
//   settled with a later page.
//
// A value that is not finite is as no value: its series is told as gone, once. That is common:
// the quantiles of a summary that has seen nothing yet are NaN.

#include "ingest/private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"

enum { MAX_SERIES = 250000, PAGES_UNTIL_AGAIN = 16 };

// ---- life

static bool copy_labels(struct mpx_ingest *in, const struct mpx_ingest_options *o)
{
    struct mpx_ingest_label *labels = calloc(o->label_count + 1, sizeof *labels);
    in->o.labels = labels;
    in->o.label_count = 0;
    for (size_t i = 0; labels && i < o->label_count; i++) {
        char *name = strdup(o->labels[i].name), *value = strdup(o->labels[i].value);
        labels[in->o.label_count++] = (struct mpx_ingest_label){name, value};
        if (!name || !value)
            return false;
    }
    return labels != NULL;
}

mproxy_status mpx_ingest_open(const struct mpx_ingest_options *options,
                              struct mpx_ingest **out, mproxy_error *err)
{
    struct mpx_ingest *in = calloc(1, sizeof *in);
    if (!in)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory to read pages");
    in->o = *options;
    in->o.max_series = options->max_series ? options->max_series : MAX_SERIES;
    in->pages = 1;
    in->page.struct_size = sizeof in->page;
    if (!copy_labels(in, options) || mproxy_parser_new(NULL, &in->parser, NULL)) {
        mpx_ingest_close(in);
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory to read pages");
    }
    *out = in;
    return MPROXY_OK;
}

static void free_labels(struct mpx_ingest *in)
{
    for (size_t i = 0; in->o.labels && i < in->o.label_count; i++) {
        free((char *)(uintptr_t)in->o.labels[i].name);
        free((char *)(uintptr_t)in->o.labels[i].value);
    }
    free((void *)(uintptr_t)in->o.labels);
}

void mpx_ingest_close(struct mpx_ingest *in)
{
    if (!in)
        return;
    for (size_t i = 0; i < in->series_room; i++)
        mproxy_metric_unref(in->series[i].metric);
    mpx_histograms_fini(in);
    mproxy_parser_free(in->parser);
    free_labels(in);
    free(in->series);
    free(in->kept);
    free(in->values);
    free(in->fresh);
    free(in->gone);
    free(in->moved);
    mpx_index_fini(&in->by_metric);
    mpx_buf_free(&in->name);
    free(in);
}

// ---- reading

mproxy_status mpx_ingest_parse(struct mpx_ingest *in, const char *text, size_t length,
                               mproxy_format format, mproxy_error *err)
{
    mproxy_status status =
        mproxy_parser_read(in->parser, text, length, format, &in->page, err);
    if (status)
        return status;
    for (size_t i = 0; i < in->page.fresh_count; i++)
        if (in->page.fresh[i] >= in->bound)
            in->bound = in->page.fresh[i] + 1;
    in->is_unsettled |= in->page.fresh_count > 0;
    in->is_parsed = true;
    return MPROXY_OK;
}

// What was refused for what others do may be taken now.
static void try_again(struct mpx_ingest *in)
{
    if (in->for_others == 0 || in->pages - in->tries_at < PAGES_UNTIL_AGAIN)
        return;
    in->tries_at = in->pages;
    for (uint32_t i = 0; i < in->bound; i++)
        mpx_door_try_again(in, i);
}

static bool add_gone(struct mpx_ingest *in, uint32_t series)
{
    if (!MPX_RESERVE(in->gone, in->gone_room, in->gone_count + 1))
        return false;
    in->gone[in->gone_count++] = series;
    return true;
}

// Before what is new is judged: a histogram is not what it was with buckets that are gone.
static void drop_refused(struct mpx_ingest *in)
{
    for (size_t i = 0; i < in->page.gone_count; i++)
        if (in->series[in->page.gone[i]].state != MPX_STATE_TAKEN)
            mpx_door_drop(in, in->page.gone[i]);
}

static bool take_gone(struct mpx_ingest *in)
{
    for (size_t i = 0; i < in->page.gone_count; i++)
        if (in->series[in->page.gone[i]].state == MPX_STATE_TAKEN &&
            !add_gone(in, in->page.gone[i]))
            return false;
    return true;
}

static bool are_finite(const double *values, size_t count)
{
    uint64_t worst = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bits &= UINT64_C(0x7ff) << 52;
        worst = bits > worst ? bits : worst;
    }
    return worst != UINT64_C(0x7ff) << 52;
}

// A sample of a series that is taken has no value.
static bool darken(struct mpx_ingest *in, uint32_t series)
{
    struct mpx_ingest_series *s = &in->series[series];
    bool was_dark = s->dark == in->pages - 1 || s->dark == in->pages;
    in->stats.total[MPX_INGEST_VALUE] += s->dark != in->pages;
    s->dark = in->pages;
    if (was_dark)
        return true;
    mpx_fail(&in->examples[MPX_INGEST_VALUE], MPROXY_E_INVALID,
             "series '%.150s': its value is not finite", mproxy_metric_name(s->metric));
    return add_gone(in, series);
}

static bool copy_kept(struct mpx_ingest *in, size_t *count)
{
    const mproxy_page *page = &in->page;
    if (!MPX_RESERVE(in->kept, in->kept_room, page->count) ||
        !MPX_RESERVE(in->values, in->values_room, page->count))
        return false;
    for (size_t i = 0; i < page->count; i++) {
        uint32_t series = page->series[i];
        if (in->series[series].state != MPX_STATE_TAKEN)
            continue;
        if (isfinite(page->values[i])) {
            in->kept[*count] = series;
            in->values[(*count)++] = page->values[i];
        } else if (!darken(in, series)) {
            return false;
        }
    }
    return true;
}

static mproxy_status hand_out(struct mpx_ingest *in, struct mpx_ingest_page *out)
{
    const mproxy_page *page = &in->page;
    struct mpx_ingest_page told = {.samples = page->count,
                                   .count = page->count,
                                   .series = page->series,
                                   .values = page->values};
    if (in->stats.refused + in->stats.unsettled > 0 ||
        !are_finite(page->values, page->count)) {
        told.count = 0;
        if (!copy_kept(in, &told.count))
            return MPROXY_E_NOMEM;
        told.series = in->kept;
        told.values = in->values;
    }
    told.bound = in->bound;
    told.fresh = in->fresh;
    told.fresh_count = in->fresh_count;
    told.gone = in->gone;
    told.gone_count = in->gone_count;
    told.moved = in->moved;
    told.moved_count = in->moved_count;
    *out = told;
    in->fresh_count = in->gone_count = in->moved_count = 0;
    return MPROXY_OK;
}

// What a call that ran out of memory had collected is handed out by the next one.
bool mpx_ingest_has_times(const struct mpx_ingest *in)
{
    for (size_t i = 0; in->page.times_us && i < in->page.count; i++)
        if (in->page.times_us[i] != INT64_MIN)
            return true;
    return false;
}

mproxy_status mpx_ingest_apply(struct mpx_ingest *in, struct mpx_ingest_page *out,
                               mproxy_error *err)
{
    if (!in->is_parsed && !in->is_unsettled)
        return mpx_fail(err, MPROXY_E_INVALID, "no page was read");
    in->pages += in->is_parsed;
    in->is_parsed = false;
    mproxy_status status = MPROXY_E_NOMEM;
    if (MPX_RESERVE_ZEROED(in->series, in->series_room, in->bound)) {
        drop_refused(in);
        try_again(in);
        status = in->is_unsettled ? mpx_door_settle(in, err) : MPROXY_OK;
    }
    bool done = status != MPROXY_E_NOMEM || in->series_room >= in->bound;
    done = done && take_gone(in) && hand_out(in, out) == MPROXY_OK;
    in->page.gone_count = 0;
    if (done)
        return MPROXY_OK;
    return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the page's series");
}

// ---- what is known

const mproxy_metric *mpx_ingest_metric(const struct mpx_ingest *in, uint32_t series)
{
    return series < in->series_room ? in->series[series].metric : NULL;
}

bool mpx_ingest_forget(struct mpx_ingest *in, uint32_t series)
{
    if (mproxy_parser_forget(in->parser, series, NULL) == MPROXY_E_BUSY)
        return false;
    mpx_door_drop(in, series);
    return true;
}

void mpx_ingest_get_stats(const struct mpx_ingest *in, struct mpx_ingest_stats *out)
{
    *out = in->stats;
}

const char *mpx_ingest_example(const struct mpx_ingest *in, enum mpx_ingest_reason reason)
{
    return in->examples[reason].text;
}

const char *mpx_ingest_reason_text(enum mpx_ingest_reason reason)
{
    static const char *const texts[] = {
#define MPX_INGEST_REASON(id, text, meaning) text,
#include "tables/ingest.def"
#undef MPX_INGEST_REASON
    };
    return texts[reason];
}
