// What a page says, taken into the rows that are shown.
//
// Most samples of most pages are what they were. So the value that each series had last stands
// in an array of its own, by the series' number, and only one that differs looks at its row.
//
// A counter that is lower than before has been restarted with its exporter: what it was is
// added to its offset. (One that was restarted and has overtaken itself between two scrapes
// can't be told from one that grew.)
//
// A series that leaves the page is forgotten by the ingest at once. Its gauge goes; its counter
// stays in its row, found again by its metric, for a sum that is shown must not step back. Of
// such counters only so many are kept: labels that change with each request would fill all
// memory with counters that nobody adds to. The oldest are given up.

#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/err.h"
#include "scrape/private.h"

static bool is_counter(const struct mpx_row *row)
{
    return mproxy_metric_type(row->metric) == MPROXY_COUNTER;
}

static bool reserve(struct mpx_target *t, size_t bound)
{
    size_t rows = t->row_of_room, values = t->last_room;
    if (!MPX_RESERVE(t->row_of, t->row_of_room, bound))
        return false;
    for (; rows < t->row_of_room; rows++)
        t->row_of[rows] = MPX_ROW_NONE;
    if (!MPX_RESERVE(t->last, t->last_room, bound))
        return false;
    for (; values < t->last_room; values++)
        t->last[values] = NAN;
    return true;
}

static void remove_row(struct mpx_target *t, uint32_t row)
{
    uint32_t moved = mpx_rows_remove(&t->rows, row);
    if (moved != MPX_ROW_NONE && t->rows.items[moved].series != MPX_ROW_NONE)
        t->row_of[t->rows.items[moved].series] = moved;
}

// ---- series that go

static void unlink_series(struct mpx_target *t, uint32_t series)
{
    t->row_of[series] = MPX_ROW_NONE;
    t->last[series] = NAN;
}

static void set_gone(struct mpx_rows *r, struct mpx_row *row)
{
    row->series = MPX_ROW_NONE;
    r->gone_count += row->gone == 0;
    row->gone = ++r->gone_last;
}

// A series without a value, which may be on the page all the same. A counter stays then.
static void take_gone(struct mpx_target *t, uint32_t series)
{
    bool is_there = !mpx_ingest_forget(t->ingest, series);
    uint32_t row = t->row_of[series];
    if (row == MPX_ROW_NONE || (is_there && is_counter(&t->rows.items[row])))
        return;
    if (is_counter(&t->rows.items[row]))
        set_gone(&t->rows, &t->rows.items[row]);
    else
        remove_row(t, row);
    unlink_series(t, series);
}

static void take_moved(struct mpx_target *t, const struct mpx_ingest_move *move)
{
    uint32_t row = t->row_of[move->from];
    t->row_of[move->to] = row;
    t->last[move->to] = t->last[move->from];
    unlink_series(t, move->from);
    if (row != MPX_ROW_NONE)
        t->rows.items[row].series = move->to;
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
static uint64_t find_oldest(const struct mpx_rows *r, size_t count)
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
    struct mpx_rows *r = &t->rows;
    size_t most = t->scraper->o.max_gone;
    if (r->gone_count <= most + most / 8)
        return;
    uint64_t last = find_oldest(r, r->gone_count - most);
    for (uint32_t row = (uint32_t)r->count; row-- > 0;)
        if (r->items[row].gone && r->items[row].gone <= last) {
            remove_row(t, row);
            t->counts[MPX_SCRAPE_GIVEN_UP]++;
        }
    mpx_rows_shrink(r);
}

// ---- values

// A row for each series of the page: new, or that of a counter which had left. Counters that no
// proxy knows of yet are written down. On failure rows were found for some.
static mproxy_status find_rows(struct mpx_target *t, const struct mpx_ingest_page *page,
                               mproxy_error *err)
{
    bool is_new = false;
    struct mpx_rows *r = &t->rows;
    for (size_t i = 0; i < page->count; i++) {
        uint32_t series = page->series[i];
        if (t->row_of[series] != MPX_ROW_NONE)
            continue;
        const mproxy_metric *metric = mpx_ingest_metric(t->ingest, series);
        if (page->values[i] < 0 && mproxy_metric_type(metric) == MPROXY_COUNTER)
            continue; // no value
        uint32_t row = mpx_rows_find(r, metric);
        if (row == MPX_ROW_NONE)
            row = mpx_rows_add(r, metric);
        if (row == MPX_ROW_NONE)
            return mpx_fail(err, MPROXY_E_NOMEM, "%.150s: no memory for its page",
                            t->url);
        t->row_of[series] = row;
        r->items[row].series = series;
        is_new |= is_counter(&r->items[row]) && r->items[row].kept == MPX_ROW_NONE;
    }
    return is_new ? mpx_remember_rows(t, err) : MPROXY_OK;
}

static void let_go_of_rows(struct mpx_target *t, const struct mpx_ingest_page *page,
                           size_t count)
{
    struct mpx_rows *r = &t->rows;
    for (size_t i = 0; i < page->count; i++) {
        uint32_t series = page->series[i], row = t->row_of[series];
        if (row == MPX_ROW_NONE || (row < count && !r->items[row].gone))
            continue;
        r->items[row].series = MPX_ROW_NONE;
        unlink_series(t, series);
    }
    while (r->count > count)
        mpx_rows_remove(r, (uint32_t)r->count - 1);
}

static bool take_counter(struct mpx_target *t, struct mpx_row *row, double value)
{
    if (value < 0 || !isfinite(row->offset + row->raw + value)) {
        t->counts[MPX_SCRAPE_REFUSED]++;
        return false;
    }
    if (row->gone) {
        row->gone = 0;
        t->rows.gone_count--;
    }
    if (value == row->raw)
        return true;
    if (value < row->raw) // it was restarted
        row->offset += row->raw;
    row->raw = value;
    if (row->kept != MPX_ROW_NONE)
        mpx_kept_set(&t->kept, row->kept, row->offset, value);
    return true;
}

static void take_value(struct mpx_target *t, uint32_t series, double value,
                       uint64_t now_us)
{
    uint32_t at = t->row_of[series];
    if (at == MPX_ROW_NONE) {
        t->counts[MPX_SCRAPE_REFUSED]++;
        return;
    }
    struct mpx_row *row = &t->rows.items[at];
    bool is_same = row->raw == value && row->ts_us > 0;
    if (is_counter(row) && !take_counter(t, row, value))
        return;
    row->raw = value;
    t->last[series] = value;
    if (is_same)
        return;
    row->ts_us = now_us;
    mpx_rows_mark(&t->rows, at);
}

mproxy_status mpx_page_take(struct mpx_target *t, const struct mpx_ingest_page *page,
                            mproxy_error *err)
{
    size_t count = t->rows.count;
    uint64_t now_us = mpx_wall_us();
    mproxy_status status = find_rows(t, page, err);
    if (status != MPROXY_OK) {
        let_go_of_rows(t, page, count);
        return status;
    }

    for (size_t i = 0; i < page->count; i++) {
        uint32_t series = page->series[i];
        if (page->values[i] != t->last[series])
            take_value(t, series, page->values[i], now_us);
    }
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

void mpx_page_end(struct mpx_target *t)
{
    struct mpx_rows *r = &t->rows;
    for (uint32_t row = (uint32_t)r->count; row-- > 0;) {
        struct mpx_row *item = &r->items[row];
        if (item->own)
            continue;
        if (is_counter(item))
            set_gone(r, item);
        else
            mpx_rows_remove(r, row); // what takes its place has been looked at
    }
    t->counts[MPX_SCRAPE_REFUSED] = mpx_page_refused(t);
    mpx_ingest_close(t->ingest);
    t->ingest = NULL;
    free(t->row_of);
    free(t->last);
    t->row_of = NULL;
    t->last = NULL;
    t->row_of_room = t->last_room = 0;
    mpx_rows_shrink(r);
}
