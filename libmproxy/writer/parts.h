// The parts of a writer, shared by writer.c (log, rows, definitions) and birth.c (the file's
// birth and what fork makes of it).
//
// Memory: page 0 and row 0 share one reservation, so that row 0's slots, which begin in
// page 0, are contiguous; every other row has a reservation of its own. Reservations are
// PROT_NONE and the file is mapped over them extent by extent, so that mlockall() never
// populates more than is allocated, and no address ever moves. Log chunks lie anywhere.
#ifndef MPX_WRITER_PARTS_H
#define MPX_WRITER_PARTS_H

#include "writer/segment_file.h"
#include "writer/writer.h"

enum {
    MPX_WRITER_ROW_BYTES = MPX_SEG_SLOTS_MAX * 8, // whole pages of any size
    MPX_WRITER_LOG_ROOM = MPX_SEG_ROW0_OFFSET - MPX_SEG_LOG_OFFSET,
    MPX_WRITER_CHUNKS_MAX = 64,
};

// A stretch of the log; its last bytes are kept free for the record that leads on.
struct mpx_writer_chunk {
    char *at;
    size_t length, used;
};

struct mpx_writer_row_memory {
    char *at;          // of slot 0
    uint32_t extent;   // slots backed by memory
    uint32_t capacity; // slots reserved; less where a mapping over it failed
};

struct mpx_writer {
    struct mpx_seg_header *header; // start of the region
    size_t region_bytes;
    size_t page_size; // what the file grows by
    size_t total_log;
    char *saved; // while detached: the records that survive a fork
    size_t saved_used, saved_bytes;
    uint32_t slot_end, defs, row_count, chunk_count;
    struct mpx_segment_file file;
    struct mpx_writer_chunk chunks[MPX_WRITER_CHUNKS_MAX];
    struct mpx_writer_row_memory rows[MPX_SEG_ROWS_MAX];
    // Where the first page is put together, when it is a small one.
    _Alignas(MPX_SEG_PAGE) char page[MPX_SEG_PAGE];
};

static inline size_t mpx_writer_round(size_t value, size_t unit)
{
    return (value + unit - 1) / unit * unit;
}

// Address space without memory; NULL when there is none.
char *mpx_writer_reserve(size_t length);

// Make sure that the next record of this size fits: 0, or reasons.
unsigned mpx_writer_make_room(struct mpx_writer *w, size_t size);
// The next record, its head filled in; there must be room. Then publish it.
void *mpx_writer_take_record(struct mpx_writer *w, uint32_t type, size_t size);
void mpx_writer_publish(struct mpx_writer *w);

// Back at least `slots` slots of a row with the file: 0, or reasons.
unsigned mpx_writer_extend(struct mpx_writer *w, uint32_t row, uint32_t slots);

// Fail with the words of the reasons.
mproxy_status mpx_writer_fail(struct mpx_writer *w, unsigned reasons, mproxy_error *err);

#endif
