// The parts of a writer, shared by writer.c (log, rows, definitions), birth.c (the file's
// birth) and child.c (what fork makes of it).
//
// Whoever changes a writer may be stopped for good at any instruction: a vfork child that is
// killed, a thread that is not there in a forked child, a handler that jumps away. So there is
// one moment at which a change has happened, the raising of `published`, which comes after
// the record is whole; everything else in here but addresses follows from the records that
// were published, and mpx_writer_resume() makes it follow. What is written beyond them is
// overwritten by the next record.
//
// Memory: page 0 and row 0 share one reservation, so that row 0's slots, which begin in
// page 0, are contiguous; every other row has a reservation of its own. Reservations are
// PROT_NONE and the file is mapped over them extent by extent, so that mlockall() never
// populates more than is allocated, and no address ever moves. Log chunks lie anywhere.
#ifndef MPX_WRITER_PARTS_H
#define MPX_WRITER_PARTS_H

#include <stddef.h>

#include "writer/segment_file.h"
#include "writer/writer.h"

enum {
    MPX_WRITER_ROW_BYTES = MPX_SEG_SLOTS_MAX * 8, // whole pages of any size
    MPX_WRITER_LOG_ROOM = MPX_SEG_ROW0_OFFSET - MPX_SEG_LOG_OFFSET,
    MPX_WRITER_CHUNKS_MAX = 64,
    // Where the client has its writer, a page's rest is the client's own.
    MPX_WRITER_TOUCHED = MPX_SEG_PAGE - 512,
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

// In a forked child each page that is written costs a copy, some 3 us, and a fork may be all that
// a program does: what it writes lies in the first page, but for a program that has rows.
struct mpx_writer {
    struct mpx_seg_header *header; // start of the region
    size_t region_bytes;
    bool has_room;      // lies in its owner's memory
    size_t page_size;   // what the file grows by
    uint32_t published; // records of the log; header->log_count may be one ahead
    size_t total_log;
    uint32_t slot_end, defs, row_count, chunk_count;
    uint32_t slots_taken; // below it counts who has no definition: the log does not tell
    struct mpx_segment_file file;
    // What comes before the log of a file that is being born.
    union {
        struct mpx_seg_header header;
        char room[MPX_SEG_LOG_OFFSET];
    } first;
    // In a forked child: the log that it goes on with, until that is in a file of its own.
    struct {
        uint32_t records, chunk_count;
        uint32_t done;      // of those that survive: in the image already
        bool is_whole;      // all of them are
        size_t job_size;    // bytes of them
        size_t image_bytes; // of the file made for the child; 0: there is none
        char *saved;        // the memory they are in where no file could be had
        size_t saved_bytes;
        struct mpx_writer_chunk chunks[MPX_WRITER_CHUNKS_MAX];
    } old;
    struct mpx_writer_chunk chunks[MPX_WRITER_CHUNKS_MAX];
    struct mpx_writer_row_memory rows[MPX_SEG_ROWS_MAX];
    // The old log's first chunk where it is needed after its page is replaced.
    char old_first[MPX_WRITER_LOG_ROOM];
    // Where the log of a file that is being born is put together, when it is a small one.
    _Alignas(8) char log[MPX_WRITER_LOG_ROOM];
    char other[MPX_SEGMENT_PATH_MAX]; // the file's
};
_Static_assert(sizeof(struct mpx_writer) <= MPX_WRITER_SIZE, "writer.h tells its size");
_Static_assert(offsetof(struct mpx_writer, chunks) +
                       4 * sizeof(struct mpx_writer_chunk) <=
                   MPX_WRITER_TOUCHED,
               "a forked child writes to one page");

// Give back the writer itself.
void mpx_writer_free(struct mpx_writer *w);

static inline size_t mpx_writer_round(size_t value, size_t unit)
{
    return (value + unit - 1) / unit * unit;
}

// What a file begins with: the header and the log; or one piece in memory of its own, when the
// job record is too long for the first page.
struct mpx_writer_image {
    struct mpx_segment_start start;
    size_t page; // size of one
    char *job;   // the job record and what follows it; may lie anywhere
    size_t job_size;
    char *mapped; // the one piece
};
bool mpx_writer_image_init(struct mpx_writer_image *image, struct mpx_writer *w,
                           size_t job_size);
void mpx_writer_image_fini(struct mpx_writer_image *image);
// All of the header, but what tells the process.
void mpx_writer_fill_header(const struct mpx_writer_image *image, uint32_t rank,
                            uint32_t kind);
// Write it to a new file; it is open, in w->file. 0, or reasons.
unsigned mpx_writer_image_write(struct mpx_writer *w, struct mpx_writer_image *image,
                                const char *dir_path, bool is_bounded);
// Map that file where the first page is to be: 0, or reasons.
unsigned mpx_writer_image_map(struct mpx_writer *w, const struct mpx_writer_image *image);

// Walk records of chunks, one after another.
struct mpx_writer_walk {
    const struct mpx_writer_chunk *chunks;
    uint32_t records, chunk;
    size_t at;
};
// NULL after the last.
const struct mpx_rec_head *mpx_writer_next(struct mpx_writer_walk *walk);

// Address space without memory; NULL when there is none.
char *mpx_writer_reserve(size_t length);

// Make sure that the next record of this size fits: 0, or reasons.
unsigned mpx_writer_make_room(struct mpx_writer *w, size_t size);
// The next record, its head filled in; there must be room. Nothing has happened until it is
// published.
void *mpx_writer_take_record(struct mpx_writer *w, uint32_t type, size_t size);
void mpx_writer_publish(struct mpx_writer *w);

// Back at least `slots` slots of a row with the file: 0, or reasons.
unsigned mpx_writer_extend(struct mpx_writer *w, uint32_t row, uint32_t slots);

// Fail with the words of the reasons.
mproxy_status mpx_writer_fail(struct mpx_writer *w, unsigned reasons, mproxy_error *err);

#endif
