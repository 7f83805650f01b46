// What a page says, taken into the figures that are shown.
//
// Most samples of most pages are what they were. So the value that each series had last stands
// in an array of its own, by the series' number, and only one that differs looks at its figure.
//
// A counter that is lower than before has been restarted with its exporter: what it was is
// added to its offset. (One that was restarted and has overtaken itself between two scrapes
// can't be told from one that grew.) A histogram restarts as a whole: of its buckets some have
// often overtaken themselves, and added up by themselves they would be out of order.
//
// A series that leaves the page is forgotten by the ingest at once. Its gauge goes; its counter
// stays in its figure, found again by its metric, for a sum that is shown must not step back. Of
// such counters only so many are kept: labels that change with each request would fill all
// memory with counters that nobody adds to. The oldest are given up.
//
// A page that can't be taken, for want of memory or of room for its file, takes the ingest along,
// which may know half of it. Its figures stay, of no series, and the next page finds them by
// their metrics; gauges that it does not find go then.

#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/err.h"
#include "scrape/private.h"

static bool is_counter(const struct mpx_figure *figure)
{
    return mproxy_metric_type(figure->metric) == MPROXY_COUNTER;
}

static bool reserve(struct mpx_target *t, size_t bound)
{
    size_t figures = t->figure_of_room, values = t->last_room;
    if (!MPX_RESERVE(t->figure_of, t->figure_of_room, bound))
        return false;
    for (; figures < t->figure_of_room; figures++)
        t->figure_of[figures] = MPX_FIGURE_NONE;
    if (!MPX_RESERVE(t->last, t->last_room, bound))
        return false;
    for (; values < t->last_room; values++)
        t->last[values] = NAN;
    return true;
}

static void remove_figure(struct mpx_target *t, uint32_t figure)
{
    uint32_t moved = mpx_figures_remove(&t->figures, figure);
    if (moved != MPX_FIGURE_NONE && t->figures.items[moved].series != MPX_FIGURE_NONE)
        t->figure_of[t->figures.items[moved].series] = moved;
}

// ---- series that go

static void unlink_series(struct mpx_target *t, uint32_t series)
{
    t->figure_of[series] = MPX_FIGURE_NONE;
    t->last[series] = NAN;
}

static void set_gone(struct mpx_figures *r, struct mpx_figure *figure)
{
    figure->series = MPX_FIGURE_NONE;
    r->gone_count += figure->gone == 0;
    figure->gone = ++r->gone_last;
}

// A series without a value, which may be on the page all the same. A counter stays then.
static void take_gone(struct mpx_target *t, uint32_t series)
{
    bool is_there = !mpx_ingest_forget(t->ingest, series);
    uint32_t figure = t->figure_of[series];
    if (figure == MPX_FIGURE_NONE || (is_there && is_counter(&t->figures.items[figure])))
        return;
    if (is_counter(&t->figures.items[figure]))
        set_gone(&t->figures, &t->figures.items[figure]);
    else
        remove_figure(t, figure);
    unlink_series(t, series);
}

static void take_moved(struct mpx_target *t, const struct mpx_ingest_move *move)
{
    uint32_t figure = t->figure_of[move->from];
    t->figure_of[move->to] = figure;
    t->last[move->to] = t->last[move->from];
    unlink_series(t, move->from);
    if (figure != MPX_FIGURE_NONE)
        t->figures.items[figure].series = move->to;
}

mproxy_status mpx_page_note(struct mpx_target *t, const struct mpx_ingest_page *page,
                            mproxy_error *err)
{
    if (!reserve(t, page->bound))
        return mpx_fail(err, MPROXY_E_NOMEM, "%.150s: no memory for its page", t->url);
    for (size_t i = 0; i < page->moved_count; i++)
        take_moved(t, &page->moved[i]);
    for (size_t i = 0; i < page->gone_count; i++)
        take_gone(t, page->gone[i]);
    return MPROXY_OK;
}

static int compare_gone(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// The last `gone` of those that are given up; 0: none, also without memory to tell.
static uint64_t find_oldest(const struct mpx_figures *r, size_t count)
{
    uint64_t *all = malloc(r->gone_count * sizeof *all), found = 0;
    size_t at = 0;
    if (!all)
        return 0;
    for (size_t i = 0; i < r->count; i++)
        if (r->items[i].gone)
            all[at++] = r->items[i].gone;
    qsort(all, at, sizeof *all, compare_gone);
    found = all[count - 1];
    free(all);
    return found;
}

// Not each time that one is too many: to find the oldest costs a look at all.
static void give_up_oldest(struct mpx_target *t)
{
    struct mpx_figures *r = &t->figures;
    size_t most = t->scraper->o.max_gone;
    if (r->gone_count <= most + most / 8)
        return;
    uint64_t last = find_oldest(r, r->gone_count - most);
    for (uint32_t figure = (uint32_t)r->count; figure-- > 0;)
        if (r->items[figure].gone && r->items[figure].gone <= last) {
            remove_figure(t, figure);
            t->counts[MPX_SCRAPE_GIVEN_UP]++;
        }
    mpx_figures_shrink(r);
}

// ---- values

// A figure for each series of the page: new, or that of a counter which had left. Counters that no
// proxy knows of yet are written down. On failure figures were found for some.
static mproxy_status find_figures(struct mpx_target *t,
                                  const struct mpx_ingest_page *page, mproxy_error *err)
{
    bool is_new = false;
    struct mpx_figures *r = &t->figures;
    for (size_t i = 0; i < page->count; i++) {
        uint32_t series = page->series[i];
        if (t->figure_of[series] != MPX_FIGURE_NONE)
            continue;
        const mproxy_metric *metric = mpx_ingest_metric(t->ingest, series);
        if (page->values[i] < 0 && mproxy_metric_type(metric) == MPROXY_COUNTER)
            continue; // no value
        uint32_t figure = mpx_figures_find(r, metric);
        if (figure == MPX_FIGURE_NONE)
            figure = mpx_figures_add(r, metric);
        if (figure == MPX_FIGURE_NONE)
            return mpx_fail(err, MPROXY_E_NOMEM, "%.150s: no memory for its page",
                            t->url);
        t->figure_of[series] = figure;
        r->items[figure].series = series;
        is_new |=
            is_counter(&r->items[figure]) && r->items[figure].kept == MPX_FIGURE_NONE;
    }
    return is_new ? mpx_remember_figures(t, err) : MPROXY_OK;
}

static void let_go_of_figures(struct mpx_target *t, const struct mpx_ingest_page *page,
                              size_t count)
{
    struct mpx_figures *r = &t->figures;
    for (size_t i = 0; i < page->count; i++) {
        uint32_t series = page->series[i], figure = t->figure_of[series];
        if (figure == MPX_FIGURE_NONE || (figure < count && !r->items[figure].gone))
            continue;
        r->items[figure].series = MPX_FIGURE_NONE;
        unlink_series(t, series);
    }
    while (r->count > count)
        mpx_figures_remove(r, (uint32_t)r->count - 1);
}

static bool take_counter(struct mpx_target *t, struct mpx_figure *figure, double value)
{
    if (value < 0 || !isfinite(figure->offset + figure->raw + value)) {
        t->counts[MPX_SCRAPE_REFUSED]++;
        return false;
    }
    if (figure->gone) {
        figure->gone = 0;
        t->figures.gone_count--;
    }
    if (value == figure->raw)
        return true;
    if (value < figure->raw) // it was restarted
        figure->offset += figure->raw;
    figure->raw = value;
    if (figure->kept != MPX_FIGURE_NONE)
        mpx_kept_set(&t->kept, figure->kept, figure->offset, value);
    return true;
}

static void take_value(struct mpx_target *t, uint32_t series, double value,
                       uint64_t now_us)
{
    uint32_t at = t->figure_of[series];
    if (at == MPX_FIGURE_NONE) {
        t->counts[MPX_SCRAPE_REFUSED]++;
        return;
    }
    struct mpx_figure *figure = &t->figures.items[at];
    bool is_same = figure->raw == value && figure->ts_us > 0;
    if (is_counter(figure) && !take_counter(t, figure, value))
        return;
    figure->raw = value;
    t->last[series] = value;
    if (is_same)
        return;
    figure->ts_us = now_us;
    mpx_figures_mark(&t->figures, at);
}

static void restart(struct mpx_target *t, uint32_t series)
{
    uint32_t at = series < t->figure_of_room ? t->figure_of[series] : MPX_FIGURE_NONE;
    struct mpx_figure *figure = at == MPX_FIGURE_NONE ? NULL : &t->figures.items[at];
    if (!figure || !is_counter(figure) || !isfinite(figure->offset + figure->raw))
        return;
    figure->offset += figure->raw;
    figure->raw = 0;
    t->last[series] = NAN; // to be looked at, whatever its value
    if (figure->kept != MPX_FIGURE_NONE)
        mpx_kept_set(&t->kept, figure->kept, figure->offset, 0);
}

// The series that tells it comes last: a proxy that is killed in between leaves it to tell the
// next one, for which those before it restart from 0 once more.
static void restart_histogram(struct mpx_target *t, uint32_t series)
{
    uint32_t part;
    for (size_t i = 0; mpx_ingest_part(t->ingest, series, i, &part); i++)
        if (part != series)
            restart(t, part);
    restart(t, series);
}

static void find_restarts(struct mpx_target *t, const struct mpx_ingest_page *page)
{
    uint32_t part;
    for (size_t i = 0; i < page->count; i++) {
        uint32_t series = page->series[i], at = t->figure_of[series];
        double value = page->values[i];
        if (value >= t->last[series] || value < 0 || at == MPX_FIGURE_NONE)
            continue;
        const struct mpx_figure *figure = &t->figures.items[at];
        if (value < figure->raw && is_counter(figure) &&
            mpx_ingest_part(t->ingest, series, 0, &part))
            restart_histogram(t, series);
    }
}

// Gauges of a page before one that was refused, which are not on this one.
static void drop_left_over(struct mpx_target *t)
{
    for (uint32_t figure = (uint32_t)t->figures.count; figure-- > 0;) {
        const struct mpx_figure *item = &t->figures.items[figure];
        if (!item->own && item->series == MPX_FIGURE_NONE && !is_counter(item))
            remove_figure(t, figure); // what takes its place has been looked at
    }
    t->is_refused = false;
}

mproxy_status mpx_page_take(struct mpx_target *t, const struct mpx_ingest_page *page,
                            mproxy_error *err)
{
    size_t count = t->figures.count;
    uint64_t now_us = mpx_wall_us();
    mproxy_status status = find_figures(t, page, err);
    if (status != MPROXY_OK) {
        let_go_of_figures(t, page, count);
        return status;
    }
    find_restarts(t, page);
    for (size_t i = 0; i < page->count; i++) {
        uint32_t series = page->series[i];
        if (page->values[i] != t->last[series])
            take_value(t, series, page->values[i], now_us);
    }
    if (t->is_refused)
        drop_left_over(t);
    give_up_oldest(t);
    return MPROXY_OK;
}

static uint64_t refused_by(const struct mpx_ingest *ingest)
{
    struct mpx_ingest_stats stats;
    uint64_t sum = 0;
    mpx_ingest_get_stats(ingest, &stats);
    for (int i = 0; i < MPX_INGEST_REASONS; i++)
        sum += stats.total[i];
    return sum;
}

uint64_t mpx_page_refused(const struct mpx_target *t)
{
    return t->counts[MPX_SCRAPE_REFUSED] + (t->ingest ? refused_by(t->ingest) : 0);
}

static void close_ingest(struct mpx_target *t)
{
    t->counts[MPX_SCRAPE_REFUSED] = mpx_page_refused(t);
    mpx_ingest_close(t->ingest);
    t->ingest = NULL;
    free(t->figure_of);
    free(t->last);
    t->figure_of = NULL;
    t->last = NULL;
    t->figure_of_room = t->last_room = 0;
}

void mpx_page_refuse(struct mpx_target *t)
{
    struct mpx_figures *r = &t->figures;
    for (size_t i = 0; i < r->count; i++) {
        if (r->items[i].series == MPX_FIGURE_NONE)
            continue;
        if (is_counter(&r->items[i]))
            set_gone(r, &r->items[i]);
        r->items[i].series = MPX_FIGURE_NONE;
    }
    t->is_refused = true;
    close_ingest(t);
}

void mpx_page_end(struct mpx_target *t)
{
    struct mpx_figures *r = &t->figures;
    for (uint32_t figure = (uint32_t)r->count; figure-- > 0;) {
        struct mpx_figure *item = &r->items[figure];
        if (item->own)
            continue;
        if (is_counter(item))
            set_gone(r, item);
        else
            mpx_figures_remove(r, figure); // what takes its place has been looked at
    }
    t->is_refused = false;
    close_ingest(t);
    mpx_figures_shrink(r);
}
