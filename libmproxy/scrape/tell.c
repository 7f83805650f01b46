// Figures put into the reduction: whole when they are others, else what has changed.
//
// What the proxy tells of a target itself (tables/scrape.def) are figures among the others, with
// the target as a label. They begin at zero with each start of the proxy, like all of its own
// metrics.
//
// A target is one source, whose slots are its rows in the order in which they came. As long as no
// row comes or goes, a round tells the slots of the values that have changed and nothing else, and
// costs nothing for a target that was not asked since. All is told
// anew when rows came or went, and when the reduction holds less than what a change stands on.

#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/buf.h"
#include "base/err.h"
#include "metric/escape.h"
#include "scrape/private.h"
#include "store/exempt.h"

static const struct {
    const char *name, *doc;
    mproxy_type type;
} own_metrics[] = {
#define MPX_SCRAPE(id, name, type, labels, doc) {name, doc, MPROXY_##type},
#include "tables/scrape.def"
#undef MPX_SCRAPE
};

// ---- the target's own metrics

static mproxy_status add_own(struct mpx_target *t, enum mpx_scrape_own own,
                             mproxy_error *err)
{
    struct mpx_buf name = MPX_BUF_INIT;
    const mproxy_metric *metric;
    mpx_buf_addf(&name, "%s{target=\"", own_metrics[own].name);
    mpx_escape_label(&name, t->url, strlen(t->url));
    mpx_buf_add_text(&name, "\"}");
    const char *text = mpx_buf_text(&name);
    mproxy_status status =
        text ? mpx_store_metric_exempt(t->scraper->o.store, text, own_metrics[own].type,
                                       own_metrics[own].doc, &metric, err)
             : MPROXY_E_NOMEM;
    mpx_buf_free(&name);
    uint32_t figure =
        status == MPROXY_OK ? mpx_figures_add(&t->figures, metric) : MPX_FIGURE_NONE;
    if (figure == MPX_FIGURE_NONE)
        return mpx_fail(err, MPROXY_E_NOMEM, "%.150s: no memory", t->url);
    t->figures.items[figure].own = (uint8_t)(own + 1);
    return MPROXY_OK;
}

void mpx_tell_close(struct mpx_target *t)
{
    for (uint32_t figure = (uint32_t)t->figures.count; figure-- > 0;)
        if (t->figures.items[figure].own)
            mpx_figures_remove(&t->figures, figure);
}

mproxy_status mpx_tell_open(struct mpx_target *t, mproxy_error *err)
{
    mproxy_status status = MPROXY_OK;
    for (int own = 0; own < MPX_SCRAPE_OWN && !status; own++)
        status = add_own(t, (enum mpx_scrape_own)own, err);
    if (status)
        mpx_tell_close(t);
    return status;
}

static double own_value(const struct mpx_target *t, enum mpx_scrape_own own)
{
    switch (own) {
    case MPX_SCRAPE_UP:
        return t->is_healthy;
    case MPX_SCRAPE_SAMPLES:
        return (double)t->samples;
    case MPX_SCRAPE_DURATION:
        return t->seconds;
    case MPX_SCRAPE_REFUSED:
        return (double)mpx_page_refused(t);
    default:
        return (double)t->counts[own];
    }
}

static void refresh_own(struct mpx_target *t, uint64_t wall_us)
{
    size_t left = MPX_SCRAPE_OWN;
    for (uint32_t i = 0; i < t->figures.count && left > 0; i++) {
        struct mpx_figure *figure = &t->figures.items[i];
        if (!figure->own)
            continue;
        left--;
        double value = own_value(t, (enum mpx_scrape_own)(figure->own - 1));
        if (figure->raw == value && figure->ts_us > 0)
            continue;
        figure->raw = value;
        figure->ts_us = wall_us;
        mpx_figures_mark(&t->figures, i);
    }
}

// ---- the source

static mproxy_source source_of(struct mpx_target *t, const mproxy_round *round)
{
    mproxy_source source = {.struct_size = sizeof source,
                            .kind = MPROXY_SOURCE_TARGET,
                            .number = t->number,
                            .epoch = 1,
                            .sequence = t->sequence + 1,
                            .host = t->scraper->host};
    if (round->ledger) {
        memcpy(source.directory, mproxy_ledger_directory(round->ledger),
               sizeof source.directory);
        source.epoch = mproxy_ledger_epoch(round->ledger);
    }
    return source;
}

static mproxy_status put_whole(struct mpx_target *t, mproxy_source *source,
                               mproxy_reduction *reduction, mproxy_error *err)
{
    struct mproxy_scraper *s = t->scraper;
    const struct mpx_figures *r = &t->figures;
    if (!MPX_RESERVE(s->metrics, s->metrics_room, r->count + 1) ||
        !MPX_RESERVE(s->values, s->values_room, r->count + 1))
        return mpx_fail(err, MPROXY_E_NOMEM, "%.150s: no memory", t->url);
    for (size_t i = 0; i < r->count; i++) {
        s->metrics[i] = r->items[i].metric;
        s->values[i] = mpx_figure_value(&r->items[i]);
    }
    source->count = r->count;
    source->metrics = s->metrics;
    source->values = s->values;
    return mproxy_reduction_put(reduction, source, err);
}

static size_t collect_changes(struct mpx_target *t)
{
    struct mproxy_scraper *s = t->scraper;
    const struct mpx_figures *r = &t->figures;
    size_t count = 0;
    for (size_t word = 0; word < (r->count + 63) / 64; word++)
        for (uint64_t left = r->changed[word]; left; left &= left - 1) {
            uint32_t figure = (uint32_t)(word * 64) + (uint32_t)__builtin_ctzll(left);
            s->slots[count] = figure;
            s->values[count++] = mpx_figure_value(&r->items[figure]);
        }
    return count;
}

static mproxy_status put_changes(struct mpx_target *t, mproxy_source *source,
                                 mproxy_reduction *reduction, mproxy_error *err)
{
    struct mproxy_scraper *s = t->scraper;
    if (!MPX_RESERVE(s->slots, s->slots_room, t->figures.count) ||
        !MPX_RESERVE(s->values, s->values_room, t->figures.count))
        return mpx_fail(err, MPROXY_E_NOMEM, "%.150s: no memory", t->url);
    const mproxy_change change = {.struct_size = sizeof change,
                                  .source = source,
                                  .from = t->sequence,
                                  .count = collect_changes(t),
                                  .slots = s->slots,
                                  .values = s->values};
    return mproxy_reduction_apply(reduction, &change, err);
}

static void settle(struct mpx_target *t, const mproxy_source *source)
{
    t->sequence = source->sequence;
    t->epoch = source->epoch;
    t->figures.is_changed = t->figures.is_reshaped = false;
    if (t->figures.changed)
        memset(t->figures.changed, 0,
               t->figures.changed_room * sizeof *t->figures.changed);
}

mproxy_status mpx_tell_gone(struct mpx_target *t, const mproxy_round *round,
                            mproxy_error *err)
{
    mproxy_source source = source_of(t, round);
    source.sequence = t->sequence;
    const mproxy_change change = {
        .struct_size = sizeof change, .source = &source, .gone = 1};
    return t->epoch ? mproxy_reduction_apply(round->reduction, &change, err) : MPROXY_OK;
}

mproxy_status mpx_tell(struct mpx_target *t, const mproxy_round *round, mproxy_error *err)
{
    if (t->is_joined)
        refresh_own(t, round->wall_us);
    mproxy_source source = source_of(t, round);
    bool is_whole = t->figures.is_reshaped || t->epoch != source.epoch;
    if (!is_whole && !t->figures.is_changed)
        return MPROXY_OK;
    mproxy_status status = MPROXY_E_GAP;
    if (!is_whole)
        status = put_changes(t, &source, round->reduction, err);
    if (status == MPROXY_E_GAP)
        status = put_whole(t, &source, round->reduction, err);
    if (status == MPROXY_OK)
        settle(t, &source);
    return status;
}
