// What is shown of a target: a row for each metric, whether its page has it now or had it.
//
// Of a counter a row holds what it was before its exporter restarted, the *offset*, and the raw
// value of the last page; their sum is shown and never falls.
#ifndef MPX_SCRAPE_ROWS_H
#define MPX_SCRAPE_ROWS_H

#include <stdbool.h>

#include <mproxy/source.h>

#include "base/index.h"

#define MPX_ROW_NONE UINT32_MAX // of no row, no series, no place

struct mpx_row {
    const mproxy_metric *metric; // referred to
    double offset;               // 0 of a gauge
    double raw;
    uint64_t ts_us;
    uint64_t gone;   // counters that left the page: the larger, the later; 0: it is there
    uint32_t series; // of the page; MPX_ROW_NONE: of none
    uint32_t kept;   // place in the state file; MPX_ROW_NONE: it is in none
    uint8_t own;     // of the scraper's own metrics, + 1; 0: of the page
};

struct mpx_rows {
    struct mpx_row *items;
    size_t count, room;
    struct mpx_index by_metric;
    uint64_t *changed; // a bit a row: its value, since it was told last
    size_t changed_room;
    bool is_changed, is_reshaped; // something is; other rows than were told
    size_t gone_count;
    uint64_t gone_last;
};

void mpx_rows_fini(struct mpx_rows *r);
uint32_t mpx_rows_find(const struct mpx_rows *r, const mproxy_metric *metric);
// A row that was not there. MPX_ROW_NONE: no memory.
uint32_t mpx_rows_add(struct mpx_rows *r, const mproxy_metric *metric);
// The last row takes its place: `row` is returned then, or MPX_ROW_NONE.
uint32_t mpx_rows_remove(struct mpx_rows *r, uint32_t row);
void mpx_rows_shrink(struct mpx_rows *r); // give back memory, if much is not in use
void mpx_rows_mark(struct mpx_rows *r, uint32_t row); // its value has changed

static inline mproxy_value mpx_row_value(const struct mpx_row *row)
{
    return mproxy_metric_type(row->metric) == MPROXY_COUNTER
               ? mproxy_value_counter(row->offset + row->raw, row->ts_us)
               : mproxy_value_gauge(row->raw, row->ts_us);
}

#endif
