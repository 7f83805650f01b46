// The record log of a segment, parsed once per record, never trusted.
#ifndef MPX_READER_LOG_H
#define MPX_READER_LOG_H

#include <stdbool.h>

#include <mproxy/job.h>

#include "base/buf.h"
#include "segment/layout.h"

struct mpx_extent {
    uint32_t row, first, count;
    uint64_t offset;
};

// What the records read so far have said. Zeroed before the first mpx_log_read(), but for
// what the header says.
struct mpx_log {
    uint32_t page_size; // of the header, checked; the file has at least one such page
    uint64_t at, end;   // of the chunk that is being read
    uint64_t bytes;     // of all records
    uint32_t seen;      // records
    bool has_job;
    mproxy_job job;
    struct mpx_extent *extents;
    uint32_t extent_count;
    size_t extent_room;
    uint64_t extent_slots; // of all extents
    uint32_t *row_end;     // of row_room rows
    size_t row_room;
};

void mpx_log_free(struct mpx_log *log);

// A place in the log to go back to when what was read since could not be used.
struct mpx_log_mark {
    uint64_t at, end, bytes;
    uint32_t seen, extent_count;
};
struct mpx_log_mark mpx_log_mark(const struct mpx_log *log);
void mpx_log_rewind(struct mpx_log *log, const struct mpx_log_mark *mark);

// Read records up to `count`, of a file of which `size` bytes are mapped at `base`. METRIC
// records are appended to `metrics`, in whole. Every byte is copied before it is judged.
// A record that lies beyond `size` is left for later when `more` is set.
// @return MPROXY_OK, MPROXY_E_CORRUPT (text without the file's name), MPROXY_E_NOMEM
mproxy_status mpx_log_read(struct mpx_log *log, const unsigned char *base, uint64_t size,
                           uint32_t count, bool more, struct mpx_buf *metrics,
                           mproxy_error *err);

#endif
