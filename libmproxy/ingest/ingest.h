// Pages of others as metrics of the store: what a scrape or a push brings, behind a door that
// refuses what must not count. A *series* is the parser's, and has its number.
//
// A page is read in two steps: mpx_ingest_parse() takes the text apart, on any thread, and
// mpx_ingest_apply() looks at the series that are new and hands out the numbers. A page of
// the lines of the one before costs what its parser costs.
//
// What is handed out are raw values as the page has them. What becomes of a counter that
// restarts, of a series that is gone, and when one is forgotten, is the caller's business.
//
// The door refuses a series whose name is one of ours (`mpx_name_is_ours()`), that the store
// does not take, that the store knows with the other type, whose histogram has other bounds
// than somebody else's of its name, that would be the same as another one of the page, or that
// is one too many. What is refused for what others do is looked at again from time to time.
// Values that are not finite are dropped.
//
// Threads: one at a time; all but mpx_ingest_parse() only the writer of the store.
#ifndef MPX_INGEST_INGEST_H
#define MPX_INGEST_INGEST_H

#include <stdbool.h>

#include <mproxy/exposition.h>

struct mpx_ingest;

enum mpx_ingest_reason {
#define MPX_INGEST_REASON(id, reason, meaning) MPX_INGEST_##id,
#include "tables/ingest.def"
#undef MPX_INGEST_REASON
    MPX_INGEST_REASONS
};

// A label that each series gets in place of one of its name; an empty value: it has none.
struct mpx_ingest_label {
    const char *name, *value;
};

// All but the store may be zero.
struct mpx_ingest_options {
    mproxy_store *store;                   // outlives the ingest
    const struct mpx_ingest_label *labels; // copied; names must be those of labels
    size_t label_count;
    size_t
        max_series; // taken at a time, those that are gone and not forgotten too; 250,000
    size_t max_new; // settled by one apply, about; 0: all
};

// @return MPROXY_OK or MPROXY_E_NOMEM
mproxy_status mpx_ingest_open(const struct mpx_ingest_options *options,
                              struct mpx_ingest **out, mproxy_error *err);
// Gives all metrics back. Accepts NULL.
void mpx_ingest_close(struct mpx_ingest *in);

// A series is another one now, of the same metric: its TYPE has changed in a way that makes
// no difference here. What the caller knows of `from` belongs to `to`; `from` is forgotten.
struct mpx_ingest_move {
    uint32_t from, to;
};

// What a page says. The arrays are the ingest's, until its next call.
struct mpx_ingest_page {
    size_t samples;         // on the page, refused ones too
    uint32_t bound;         // numbers are below it
    size_t count;           // samples of series that are taken, of a value that is finite
    const uint32_t *series; // number of each; several of one number are points in time
    const double *values;   // of each
    const uint32_t *fresh;  // taken for the first time
    size_t fresh_count;
    const uint32_t
        *gone; // have no value, and had one on the page before; some perhaps twice
    size_t gone_count;
    const struct mpx_ingest_move *moved; // before all else
    size_t moved_count;
};

// Take a page apart. One that is refused has changed nothing.
//
// @return as mproxy_parser_read()
mproxy_status mpx_ingest_parse(struct mpx_ingest *in, const char *text, size_t length,
                               mproxy_format format, mproxy_error *err);
// Whether a sample of the page that was parsed last has a time.
bool mpx_ingest_has_times(const struct mpx_ingest *in);
// Apply the page that was parsed last, before the next is. Series that max_new or a lack of
// memory have left (`unsettled`) are settled by further calls, now or behind a later page; what
// such a call hands out is the whole page again, but for what is gone.
//
// @return MPROXY_OK or MPROXY_E_NOMEM, with *out untouched
mproxy_status mpx_ingest_apply(struct mpx_ingest *in, struct mpx_ingest_page *out,
                               mproxy_error *err);

// The metric of a series that is taken, held until that is forgotten; NULL: it is not taken.
const mproxy_metric *mpx_ingest_metric(const struct mpx_ingest *in, uint32_t series);
// The series of the histogram that this one is of, itself among them, one after the other: the
// one at `at`. False: there are no more, or it is of none.
bool mpx_ingest_part(const struct mpx_ingest *in, uint32_t series, size_t at,
                     uint32_t *out);
// Give back a series that is gone. @return false: it is on the last page
bool mpx_ingest_forget(struct mpx_ingest *in, uint32_t series);

struct mpx_ingest_stats {
    size_t taken;     // series, those that are gone and not forgotten too
    size_t refused;   // series, now
    size_t unsettled; // of the last page, that wait for their turn
    uint64_t total[MPX_INGEST_REASONS]; // refused so far: series; of VALUE, samples
};
void mpx_ingest_get_stats(const struct mpx_ingest *in, struct mpx_ingest_stats *out);
// A sentence about the last one refused for this reason; "": none.
const char *mpx_ingest_example(const struct mpx_ingest *in,
                               enum mpx_ingest_reason reason);
// The label `reason` of what is counted for it.
const char *mpx_ingest_reason_text(enum mpx_ingest_reason reason);

#endif
