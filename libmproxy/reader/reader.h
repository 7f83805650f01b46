// Checked reading of a segment that may be hostile: truncated, growing, shrinking or
// scribbled over while we look. Every offset is checked against the file's size before it is
// used, strings are validated, and a SIGBUS inside a mapping turns into a bad segment.
#ifndef MPX_READER_READER_H
#define MPX_READER_READER_H

#include <stdbool.h>

#include <mproxy/job.h>

#include "segment/layout.h"

// A definition as read; name, doc and bounds are borrowed from the table. A name that is not
// 1 to 1,024 bytes of text is given as "", and so is the name of a definition whose scale or
// bounds are none.
struct mpx_def {
    enum mpx_def_kind kind;
    uint32_t slot, slot_count, bound_count;
    double scale;
    const char *name, *doc;
    const double *bounds;
};

// Definitions shared by all segments of a user whose definition records are the same bytes.
// Reference counted; `user` is the caller's (processes/vectors.c keeps its map there).
struct mpx_def_table {
    uint32_t count;
    const struct mpx_def *defs;
    uint32_t slot_end; // one past the highest slot used
    void *user;
};

struct mpx_reader; // one segment
// Shared by the segments of a directory: table cache, SIGBUS guard, budgets.
struct mpx_readers;

struct mpx_readers_options {
    uint64_t max_bytes_per_uid; // 0: 256 MiB
    uint32_t max_descriptors;   // kept; 0: RLIMIT_NOFILE less 256. Beyond: open on demand
    void (*free_user)(void *user); // may be NULL
};
mproxy_status mpx_readers_open(const struct mpx_readers_options *options,
                               struct mpx_readers **out, mproxy_error *err);
void mpx_readers_close(struct mpx_readers *rs); // accepts NULL; readers first

// A round of reading begins.
void mpx_readers_begin(struct mpx_readers *rs);

// Bytes mapped of all segments.
uint64_t mpx_readers_bytes(const struct mpx_readers *rs);
// Where segments whose descriptor is not kept are looked for; mpx_reader_open() sets it too.
void mpx_readers_set_directory(struct mpx_readers *rs, int dir_fd);

// Open a segment of the directory: a regular file, not a link, of one name. Keeps a mapping
// and, while there are some, a descriptor.
// @return MPROXY_OK, MPROXY_E_NOTFOUND, _OFF (it is being born), _CORRUPT, _VERSION, _LIMIT (bytes
//         of the owner), _BUSY (it is final, and there is no room in this round), or for want of
//         descriptors or memory _SYSTEM, _NOMEM; the text names the file
mproxy_status mpx_reader_open(struct mpx_readers *rs, int dir_fd, const char *name,
                              struct mpx_reader **out, mproxy_error *err);
void mpx_reader_close(struct mpx_reader *r); // accepts NULL

// Identity, copied at open and never read again from the file. Strings of the job other
// than the job id are text; what is not was replaced by '?'.
const struct mpx_seg_header *mpx_reader_header(const struct mpx_reader *r);
const mproxy_job *mpx_reader_job(const struct mpx_reader *r);
const char *mpx_reader_name(const struct mpx_reader *r);
uint32_t mpx_reader_owner(const struct mpx_reader *r); // of the file
// The user of the process: the owner, or the one for whom root's proxy wrote the segment.
uint32_t mpx_reader_user(const struct mpx_reader *r);
uint64_t mpx_reader_inode(const struct mpx_reader *r);

// Whether the lock is free. Ask before mpx_reader_sample(): what is read after a free lock
// was seen is the last word, and gives the descriptor and the mapping back.
bool mpx_reader_is_final(struct mpx_reader *r);

// Read what changed. Values are per definition expanded: `slot_end` raw columns, summed over
// rows: u64 sums for integer slots, doubles for double slots, both already turned into
// doubles (scale not applied). `*changed` says whether any differs from the last sample, or
// the table or the state has changed.
// @return MPROXY_OK, MPROXY_E_CORRUPT (then, and from then on, the last good values stay), or
//         MPROXY_E_NOMEM, MPROXY_E_BUSY (it is final and there is no room in this round)
mproxy_status mpx_reader_sample(struct mpx_reader *r, bool *changed, mproxy_error *err);

struct mpx_def_table *mpx_reader_table(const struct mpx_reader *r); // write `user` only
// table->slot_end of them, valid until the next call for any segment of the same readers.
const double *mpx_reader_columns(const struct mpx_reader *r);

// The changing header fields as of the last sample. `flags` says MPX_OFF_LIMIT also when the
// owner's bytes are used up and the segment's growth could not be followed for 8 samples in a
// row, or to its end.
struct mpx_reader_state {
    uint32_t flags, started, finished, left;
    uint64_t end_wall_ns, final_set, final[MPX_SEG_FINAL_MAX];
};
const struct mpx_reader_state *mpx_reader_state(const struct mpx_reader *r);

#endif
