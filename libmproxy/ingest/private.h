// The inside of an ingest: ingest.c reads pages, door.c settles what is new on them, and
// histogram.c knows which series are one histogram.
#ifndef MPX_INGEST_PRIVATE_H
#define MPX_INGEST_PRIVATE_H

#include "base/buf.h"
#include "base/index.h"
#include "ingest/ingest.h"

struct mpx_bucket_set;

#define MPX_SERIES_NONE UINT32_MAX

// What is known of a series; from MPX_STATE_REFUSED on, plus the reason.
enum {
    MPX_STATE_NEW = 0, // not looked at, or no number of a series
    MPX_STATE_TAKEN = 1,
    MPX_STATE_REFUSED = 2,
    MPX_STATE_AGAIN = 0x80 // with NEW: was refused and counted before
};

struct mpx_ingest_series {
    const mproxy_metric *metric; // NULL unless it is taken
    uint32_t histogram;          // its place + 1; 0: of none
    uint32_t dark;               // the page on which its value was last not finite
    uint8_t state;
};

// Series that are one histogram: a name with labels but for `le`.
struct mpx_histogram {
    char *name;                    // NULL: the place is free
    struct mpx_bucket_set *bounds; // held; NULL: refused, or not judged yet
    uint32_t judged;               // the page for which it was judged last
    struct mpx_part {
        uint32_t series;
        double bound; // not finite: the last bucket, the sum, the count
    } * parts;
    size_t count, room;
};

struct mpx_ingest {
    struct mpx_ingest_options o;
    mproxy_parser *parser;
    mproxy_page page;
    bool is_parsed; // and not applied
    bool is_unsettled;
    uint32_t pages;    // applied
    uint32_t tries_at; // the page of the last try with what was refused for others
    uint32_t bound;    // numbers of series are below it
    struct mpx_ingest_series *series;
    size_t series_room;
    struct mpx_index by_metric; // series that are taken
    struct mpx_histogram *histograms;
    size_t histogram_room;
    uint32_t histogram_bound; // places are below it
    uint32_t spare;           // a place + 1 that may be free; 0: none
    struct mpx_index by_name; // histograms
    struct mpx_ingest_stats stats;
    size_t for_others; // refused for what others do
    mproxy_error examples[MPX_INGEST_REASONS];
    // what a page hands out
    uint32_t *kept, *fresh, *gone;
    double *values;
    struct mpx_ingest_move *moved;
    size_t kept_room, values_room, fresh_room, gone_room, moved_room;
    size_t fresh_count, gone_count, moved_count;
    struct mpx_buf name; // scratch
};

// door.c

// Look at the series of the page that are new. MPROXY_OK, also with some of them left;
// MPROXY_E_NOMEM: some are left for want of memory.
mproxy_status mpx_door_settle(struct mpx_ingest *in, mproxy_error *err);
// Look once more at a series that was refused for what others do; no effect on any other.
void mpx_door_try_again(struct mpx_ingest *in, uint32_t series);
// Forget a series of any state, which is not on the last page.
void mpx_door_drop(struct mpx_ingest *in, uint32_t series);

// histogram.c

// All places are + 1.

// Put a series to its histogram, whose name are the first `stem` bytes of that of the series.
mproxy_status mpx_histogram_add(struct mpx_ingest *in, uint32_t series, const char *name,
                                size_t stem, mproxy_error *err);
// Whether its bounds are those of others, once all of its series are there.
// @return MPROXY_OK, MPROXY_E_TYPE (they are not) or MPROXY_E_NOMEM
mproxy_status mpx_histogram_judge(struct mpx_ingest *in, uint32_t place,
                                  mproxy_error *err);
void mpx_histogram_drop(struct mpx_ingest *in, uint32_t series);
void mpx_histograms_fini(struct mpx_ingest *in);

#endif
