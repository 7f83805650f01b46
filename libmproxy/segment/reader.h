// Checked reading of a segment that may be hostile: truncated, growing, shrinking or
// scribbled over while we look. Every offset is checked against the file's size at each
// round, strings are validated, and a SIGBUS inside a mapping turns into a bad segment.
#ifndef MPX_SEGMENT_READER_H
#define MPX_SEGMENT_READER_H

#include <stdbool.h>

#include <mproxy/job.h>

#include "segment/layout.h"

// A definition as read; name, doc and bounds are borrowed from the layout.
struct mpx_def {
    enum mpx_def_kind kind;
    uint32_t slot, slot_count, bound_count;
    double scale;
    const char *name, *doc;
    const double *bounds;
};

// Definitions shared by all segments whose definition records are the same bytes.
// Reference counted; `user` is the caller's (collect keeps its metric vector there).
struct mpx_def_table {
    uint32_t count;
    const struct mpx_def *defs;
    uint32_t slot_end; // one past the highest slot used
    void *user;
};

struct mpx_reader; // one segment
struct
    mpx_readers; // what segments of one directory share: table cache, SIGBUS guard, budgets

struct mpx_readers_options {
    uint64_t max_bytes_per_uid; // 0: 256 MiB
    void (*free_user)(void *user);
};
mproxy_status mpx_readers_open(const struct mpx_readers_options *options,
                               struct mpx_readers **out, mproxy_error *err);
void mpx_readers_close(struct mpx_readers *rs); // accepts NULL; readers first

// Open a segment of the directory: a regular file, not a link, one link, owner = header's
// uid (or the directory's owner). Keeps the descriptor and a mapping.
// @return MPROXY_OK, MPROXY_E_NOTFOUND, _CORRUPT, _VERSION, _LIMIT, _SYSTEM; the text names
//         the file and the value
mproxy_status mpx_reader_open(struct mpx_readers *rs, int dir_fd, const char *name,
                              struct mpx_reader **out, mproxy_error *err);
void mpx_reader_close(struct mpx_reader *r); // accepts NULL

// Identity, copied at open and never read again from the file.
const struct mpx_seg_header *mpx_reader_header(const struct mpx_reader *r);
const mproxy_job *mpx_reader_job(const struct mpx_reader *r);
const char *mpx_reader_name(const struct mpx_reader *r);

// Whether the lock is free. Ask before mpx_reader_sample(): what is read after a free lock
// was seen is the last word.
bool mpx_reader_is_final(struct mpx_reader *r);

// Read what changed. Values are per definition expanded: `slot_end` raw columns, summed over
// rows: u64 sums for integer slots, doubles for double slots, both already turned into
// doubles (scale not applied). `*changed` is set when any differs from the last sample, or
// the table has changed.
// @return MPROXY_OK or MPROXY_E_CORRUPT (then the last good values stay)
mproxy_status mpx_reader_sample(struct mpx_reader *r, bool *changed, mproxy_error *err);

const struct mpx_def_table *mpx_reader_table(const struct mpx_reader *r);
const double *mpx_reader_columns(const struct mpx_reader *r); // table->slot_end of them

// The changing header fields as of the last sample.
struct mpx_reader_state {
    uint32_t flags, started, finished;
    uint64_t end_wall_ns, final_set, final[MPX_SEG_FINAL_MAX];
};
const struct mpx_reader_state *mpx_reader_state(const struct mpx_reader *r);

#endif
