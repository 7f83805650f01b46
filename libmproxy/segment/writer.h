// The writing side of a segment: birth, definitions, rows. One object per segment; the
// client has one for the process, the daemon one per client of its gateway.
//
// Not thread-safe: the caller serialises all calls, except that slots are written by the
// threads that own rows. Allocates with mmap only, so it can run inside another malloc.
// Never touches a page that is not allocated, never grows a file past RLIMIT_FSIZE.
#ifndef MPX_SEGMENT_WRITER_H
#define MPX_SEGMENT_WRITER_H

#include <stdatomic.h>

#include <mproxy/job.h>

#include "segment/layout.h"

struct mpx_writer; // lives in mapped memory of its own

struct mpx_writer_birth {
    const char *dir_path; // rendezvous directory
    const mproxy_job *job;
    uint32_t rank;
    enum mpx_seg_kind kind;
    int proxy_is_live; // 1: skip the bounds that hold without a proxy; 0: enforce; -1: find out
};

// Create `.new-*`, lock it, write one page, rename it to PID-START-NS-IMAGE.seg, map it,
// close the descriptor. On failure *reasons says why (enum mpx_off_reason).
mproxy_status mpx_writer_open(const struct mpx_writer_birth *birth,
                              struct mpx_writer **out, unsigned *reasons,
                              mproxy_error *err);
// Unmap: the segment becomes final. Accepts NULL.
void mpx_writer_close(struct mpx_writer *w);

struct mpx_seg_header *mpx_writer_header(struct mpx_writer *w);

// Append a definition and make row 0 cover its slots. *slot is its first slot.
// @return MPROXY_OK, MPROXY_E_LIMIT or MPROXY_E_SYSTEM; then the header's flags say why too
mproxy_status mpx_writer_define(struct mpx_writer *w, enum mpx_def_kind kind,
                                const char *name, const char *doc, double scale,
                                const double *bounds, uint32_t bound_count,
                                uint32_t *slot, mproxy_error *err);

// Slots of a row: base address and how many are backed by memory. Row 0 exists from birth.
struct mpx_row {
    _Atomic uint64_t *slots;
    uint32_t extent;
};
struct mpx_row mpx_writer_row(struct mpx_writer *w, uint32_t row);

// A new row that covers at least `slots` slots; or more room for one (same address).
mproxy_status mpx_writer_add_row(struct mpx_writer *w, uint32_t slots, uint32_t *row,
                                 mproxy_error *err);
mproxy_status mpx_writer_extend_row(struct mpx_writer *w, uint32_t row, uint32_t slots,
                                    mproxy_error *err);

// In a forked child: put anonymous memory at every address the segment had, so that no
// write reaches the parent's file; definitions and extents are known still. Then
// mpx_writer_rebirth() tries to give it a file of its own at the same addresses.
void mpx_writer_detach(struct mpx_writer *w);
mproxy_status mpx_writer_rebirth(struct mpx_writer *w, unsigned *reasons,
                                 mproxy_error *err);

#endif
