// The record log of a segment, parsed once per record, never trusted.
#ifndef MPX_READER_RECORDS_H
#define MPX_READER_RECORDS_H

#include <stdbool.h>

#include <mproxy/job.h>

#include "base/buf.h"
#include "segment/layout.h"

struct mpx_extent {
    uint32_t row, first, count;
    uint64_t offset;
};

// All that the records read so far have said. Zeroed before the first mpx_records_read(), but for
// what the header says.
struct mpx_records {
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

void mpx_records_free(struct mpx_records *log);

// A place in the log to go back to when what was read since could not be used.
struct mpx_records_mark {
    uint64_t at, end, bytes;
    uint32_t seen, extent_count;
};
struct mpx_records_mark mpx_records_mark(const struct mpx_records *log);
void mpx_records_rewind(struct mpx_records *log, const struct mpx_records_mark *mark);

// Read records up to `count`, of a file of which `size` bytes are mapped at `base`. METRIC
// records are appended to `metrics`, in whole. Every byte is copied before it is judged.
// A record that lies beyond `size` is left for later when `more` is set.
// @return MPROXY_OK, MPROXY_E_CORRUPT (text without the file's name), MPROXY_E_NOMEM
mproxy_status mpx_records_read(struct mpx_records *log, const unsigned char *base,
                               uint64_t size, uint32_t count, bool more,
                               struct mpx_buf *metrics, mproxy_error *err);

#endif
