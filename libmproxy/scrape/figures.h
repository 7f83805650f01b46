// What is shown of a target: a figure for each metric, whether its page has it now or had it.
//
// Of a counter a figure holds what it was before its exporter restarted, the *offset*, and the raw
// value of the last page; their sum is shown and never falls.
#ifndef MPX_SCRAPE_FIGURES_H
#define MPX_SCRAPE_FIGURES_H

#include <stdbool.h>

#include <mproxy/source.h>

#include "base/index.h"

#define MPX_FIGURE_NONE UINT32_MAX // of no figure, no series, no place

struct mpx_figure {
    const mproxy_metric *metric; // referred to
    double offset;               // 0 of a gauge
    double raw;
    uint64_t ts_us;
    uint64_t gone;   // counters that left the page: the larger, the later; 0: it is there
    uint32_t series; // of the page; MPX_FIGURE_NONE: of none
    uint32_t kept;   // place in the state file; MPX_FIGURE_NONE: it is in none
    uint8_t own;     // of the scraper's own metrics, + 1; 0: of the page
};

struct mpx_figures {
    struct mpx_figure *items;
    size_t count, room;
    struct mpx_index by_metric;
    uint64_t *changed; // a bit a figure: its value, since it was told last
    size_t changed_room;
    bool is_changed, is_reshaped; // something is; other figures than were told
    size_t gone_count;
    uint64_t gone_last;
};

void mpx_figures_fini(struct mpx_figures *r);
uint32_t mpx_figures_find(const struct mpx_figures *r, const mproxy_metric *metric);
// A figure that was not there. MPX_FIGURE_NONE: no memory.
uint32_t mpx_figures_add(struct mpx_figures *r, const mproxy_metric *metric);
// The last figure takes its place: `figure` is returned then, or MPX_FIGURE_NONE.
uint32_t mpx_figures_remove(struct mpx_figures *r, uint32_t figure);
void mpx_figures_shrink(struct mpx_figures *r); // give back memory, if much is not in use
void mpx_figures_mark(struct mpx_figures *r, uint32_t figure); // its value has changed

static inline mproxy_value mpx_figure_value(const struct mpx_figure *figure)
{
    return mproxy_metric_type(figure->metric) == MPROXY_COUNTER
               ? mproxy_value_counter(figure->offset + figure->raw, figure->ts_us)
               : mproxy_value_gauge(figure->raw, figure->ts_us);
}

#endif
