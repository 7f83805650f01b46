// The writing side of a segment: birth, definitions, rows. One object per segment; the
// client has one for the process, the daemon one per client of its gateway.
//
// Not thread-safe: the caller serialises all calls, except that slots are written by the
// threads that own rows. Allocates with mmap only, so it can run inside another malloc.
// Never touches a page that is not allocated, never grows a file past RLIMIT_FSIZE. errno
// is not kept. Exported to libmproxy.
#ifndef MPX_WRITER_WRITER_H
#define MPX_WRITER_WRITER_H

#include <stdatomic.h>
#include <stdbool.h>

#include <mproxy/job.h>

#include "segment/layout.h"

struct mpx_writer; // in mapped memory of its own, or where it is told to be

enum { MPX_WRITER_SIZE = 28672 }; // bytes of one

struct mpx_writer_birth {
    const char *dir_path; // rendezvous directory
    const mproxy_job *job;
    uint32_t rank;
    enum mpx_seg_kind kind;
    bool
        is_proxys; // the proxy itself writes it: no bound of a directory without one holds
    uint32_t page_size; // 0: the system's; any larger page will do too
    // For the writer itself: MPX_WRITER_SIZE zeros, aligned to 16 bytes, which the caller keeps and
    // which are zeros again afterwards. NULL: memory is mapped.
    void *room;
};

// Create PID-START-NS-IMAGE.seg (kinds PROGRAM and LAUNCH; image is the first free number) or
// PID-START-NS-gCOUNTER.seg, lock it, write one page, map it, close the descriptor, write the
// magic, which readers wait for. *out is set early, and back to what it was on failure: a child that is
// forked meanwhile finds there what it must let go by mpx_writer_drop().
// @return MPROXY_OK; MPROXY_E_NOTFOUND, *reasons 0: there is no directory; MPROXY_E_SYSTEM:
//         *reasons says why (enum mpx_off_reason)
MPROXY_API mproxy_status mpx_writer_open(const struct mpx_writer_birth *birth,
                                         struct mpx_writer **out, unsigned *reasons,
                                         mproxy_error *err);
// Unmap: the segment becomes final. Accepts NULL.
MPROXY_API void mpx_writer_close(struct mpx_writer *w);

MPROXY_API struct mpx_seg_header *mpx_writer_header(struct mpx_writer *w);

// Path of the segment's file.
MPROXY_API const char *mpx_writer_path(const struct mpx_writer *w);

// Whether a segment of an earlier image of this process has `started` set.
MPROXY_API bool mpx_writer_started_before(struct mpx_writer *w);
// Whether somebody has removed its file.
MPROXY_API bool mpx_writer_is_gone(const struct mpx_writer *w);

// Append a definition and make row 0 cover its slots. *slot is its first slot. The name is
// taken as it is; `doc` may be NULL. Slots: 1 for counters, 2 for a gauge (double, set
// flag), bound_count + 2 for a histogram.
// @return MPROXY_OK, MPROXY_E_INVALID, MPROXY_E_LIMIT or MPROXY_E_SYSTEM; then the header's
//         flags say why too
MPROXY_API mproxy_status mpx_writer_define(struct mpx_writer *w, enum mpx_def_kind kind,
                                           const char *name, const char *doc,
                                           double scale, const double *bounds,
                                           uint32_t bound_count, uint32_t *slot,
                                           mproxy_error *err);

// One past the highest slot defined.
MPROXY_API uint32_t mpx_writer_slot_end(const struct mpx_writer *w);

// Slots of a row: base address and how many are backed by memory. Row 0 exists from birth.
struct mpx_row {
    _Atomic uint64_t *slots;
    uint32_t extent;
};
MPROXY_API struct mpx_row mpx_writer_row(const struct mpx_writer *w, uint32_t row);
// Rows have the numbers below this one.
MPROXY_API uint32_t mpx_writer_row_count(const struct mpx_writer *w);

// A new row that covers at least `slots` slots; or more room for one (same address). That
// it cannot be had is no loss: row 0 covers all slots.
// @return MPROXY_OK, MPROXY_E_LIMIT or MPROXY_E_SYSTEM
MPROXY_API mproxy_status mpx_writer_add_row(struct mpx_writer *w, uint32_t slots,
                                            uint32_t *row, mproxy_error *err);
MPROXY_API mproxy_status mpx_writer_extend_row(struct mpx_writer *w, uint32_t row,
                                               uint32_t slots, mproxy_error *err);

// Whoever was changing the writer will not go on: what was published stands, all else is as if
// it had not begun.
MPROXY_API void mpx_writer_resume(struct mpx_writer *w);

// The definitions published, in their order.
typedef void mpx_writer_visit(const struct mpx_rec_metric *metric, void *arg);
MPROXY_API void mpx_writer_each(const struct mpx_writer *w, mpx_writer_visit *visit,
                                void *arg);

// In a forked child, three steps. The first makes a file for it and leaves the parent's mapped:
// until the second, mpx_writer_header() is the parent's. `before_fork_ns`: a time on
// CLOCK_BOOTTIME before the fork; 0: not known.
// @return MPROXY_OK; MPROXY_E_NOTFOUND: there is no directory; MPROXY_E_SYSTEM: *reasons
MPROXY_API mproxy_status mpx_writer_child_begin(struct mpx_writer *w,
                                                int64_t before_fork_ns, unsigned *reasons,
                                                mproxy_error *err);
// Then all that was the parent's is replaced: by that file, or by plain memory where there is
// none, at the same addresses. Row `pending` (0: none but row 0, which always is) can be
// written on, though nobody reads it. False when memory of the parent's is left in place: then
// nothing may be written ever.
MPROXY_API bool mpx_writer_child_detach(struct mpx_writer *w, uint32_t pending);
// Then the same definitions are put into the same slots. Rows above 0 keep their numbers, but
// have extent 0: mpx_writer_extend_row() puts their slots into the file. On failure, also of
// the first step, the slots of row 0 can be written all the same, only nobody reads them.
MPROXY_API mproxy_status mpx_writer_child_restore(struct mpx_writer *w, unsigned *reasons,
                                                  mproxy_error *err);
// In a child that was forked while mpx_writer_open() was under way in another thread.
MPROXY_API void mpx_writer_drop(struct mpx_writer *w);

#endif
