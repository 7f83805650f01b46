// The file of a segment: its name, its birth, and its growth page by page. No descriptor is
// kept: the mapping of the first page holds the lock, and growth begins from that mapping.
#ifndef MPX_SEGMENT_FILE_H
#define MPX_SEGMENT_FILE_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <mproxy/base.h>

#include "segment/layout.h"

// Small, since a path may be built on a signal handler's stack; sockets' paths are shorter.
enum { MPX_SEGMENT_PATH_MAX = 1024 };

struct mpx_segment_file {
    dev_t device;
    ino_t inode;
    uint64_t size;
    bool attached;       // there is a file that we may let grow
    unsigned let_go_for; // why there is none, if we let go of it; else it was removed
    void *first;         // its first page, mapped
    bool bounded;        // the bounds without a live proxy apply
    size_t dir_length;
    // What is under way, so that a child that is forked meanwhile can let go of it.
    bool opening;    // a descriptor may be open that is not yet below
    int fd;          // -1: none
    void *mapped_at; // the last mapping, until mpx_segment_file_settle()
    size_t mapped_length;
    void *room_at; // where the file is mapped as a whole while it grows
    size_t room_length;
    char *other; // room for a second path, the owner's; a birth does not write there
    char path[MPX_SEGMENT_PATH_MAX];
};

// What a file begins with.
struct mpx_segment_start {
    struct mpx_seg_header *header; // lies in the first part
    struct iovec parts[2];         // one after the other; zeros follow
    size_t size;                   // of the file: whole pages
};

// Create it in a checked directory under the first name that is free, whose number goes to the
// header; lock it and write what it begins with. Its magic is for the caller to write, when it is
// mapped: until then nobody reads it. The descriptor stays open, for the lock. NULL for dir_path:
// the directory of before. Returns 0, f->fd being open, or reasons; MPX_OFF_NONE with f->fd -1
// when there is no directory.
unsigned mpx_segment_file_begin(struct mpx_segment_file *f, const char *dir_path,
                                bool is_bounded, const struct mpx_segment_start *start);
// The file is mapped, its first page at `first`: the descriptor is closed. False when it was not
// ours any more, and so may not be what was mapped.
bool mpx_segment_file_finish(struct mpx_segment_file *f, void *first);
void mpx_segment_file_abandon(struct mpx_segment_file *f);

// Append `length` zero bytes (whole pages) and map them: at `at`, or where there is room
// when NULL; then call mpx_segment_file_settle(), the mapping being known. Returns 0 or reasons;
// *hole is set when the old mapping at `at` may be gone.
unsigned mpx_segment_file_grow(struct mpx_segment_file *f, size_t length, void *at,
                               void **out, uint64_t *offset, bool *hole);

void mpx_segment_file_settle(struct mpx_segment_file *f);

// What was under way will not go on: close its descriptor, give back its room. What is mapped
// for the caller is left to it.
void mpx_segment_file_forget(struct mpx_segment_file *f);

// Whether somebody has removed it.
bool mpx_segment_file_is_gone(const struct mpx_segment_file *f);

// Whether a segment of an earlier image of this process said that it has started.
bool mpx_segment_file_started_before(struct mpx_segment_file *f,
                                     const struct mpx_seg_header *header);

#endif
