// Who the process of a segment is, as the header and the file's name tell.
#ifndef MPX_WRITER_IDENTITY_H
#define MPX_WRITER_IDENTITY_H

#include "segment/layout.h"

// Fill in pid, uid, start, PID namespace and the clocks of now.
void mpx_identity_read(struct mpx_seg_header *header);

// The same in a forked child, of whose parent the header is known, and a time on
// CLOCK_BOOTTIME before the fork (0: none); without /proc where these two tell.
void mpx_identity_of_child(struct mpx_seg_header *header,
                           const struct mpx_seg_header *parent, int64_t before_fork_ns);

#endif
