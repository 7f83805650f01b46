// The archive's index: what is stored, by key, as an immutable list that readers hold while
// the storing thread puts another one in its place.
#ifndef MPX_PROFILE_ARCHIVE_INDEX_H
#define MPX_PROFILE_ARCHIVE_INDEX_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "profile/profile.h"

// What tells one content of a file from another without reading it.
struct mpx_stamp {
    uint64_t inode;
    int64_t size, mtime_ns;
};

// A share as the index keeps it: enough to release it and to see a newer state.
struct mpx_archive_share {
    uint8_t directory[16];
    uint64_t number, epoch, sequence;
    int sealed;
    int64_t start_ms, end_ms;
    const char *command; // of its processes
};

// What a profile is; shared by the items that name it in turn.
struct mpx_archive_body {
    atomic_uint refs;
    mproxy_job desc;
    uint32_t uid;
    int64_t start_ms;      // of the share that started first
    int64_t last_start_ms; // and last: what tells the newest of several runs
    size_t share_count;
    struct mpx_archive_share shares[]; // ordered by (directory, number)
};

struct mpx_archive_entry {
    atomic_uint refs;
    mproxy_archive_item item; // points into what follows
    struct mpx_archive_body *body;
    char *key; // set when it is indexed
    char *file;
    struct mpx_stamp stamp;
};

struct mpx_archive_index {
    atomic_uint refs;
    size_t count;
    struct mpx_archive_entry *entries[]; // ordered by key
};

struct mpx_stamp mpx_stamp_of(const struct stat *st);

struct mpx_archive_body *mpx_archive_body_new(const mproxy_profile *profile);
void mpx_archive_body_unref(struct mpx_archive_body *body); // accepts NULL
// Takes a reference to the body.
struct mpx_archive_entry *mpx_archive_entry_new(struct mpx_archive_body *body,
                                                const char *file,
                                                const struct mpx_stamp *stamp);
struct mpx_archive_entry *mpx_archive_entry_ref(struct mpx_archive_entry *entry);
void mpx_archive_entry_unref(struct mpx_archive_entry *entry); // accepts NULL

// Index these entries; takes a reference to each, or to a copy under its new key. The newest
// run of an id has the id as its key, each older one ID@START_TIME (and a number behind it
// where that is taken).
struct mpx_archive_index *mpx_archive_index_new(struct mpx_archive_entry *const *entries,
                                                size_t count);
struct mpx_archive_index *mpx_archive_index_ref(struct mpx_archive_index *index);
void mpx_archive_index_unref(struct mpx_archive_index *index); // accepts NULL
struct mpx_archive_entry *mpx_archive_index_find(const struct mpx_archive_index *index,
                                                 const char *key);

// Whether all of a's shares are in b (none: same user and start).
bool mpx_archive_is_within(const struct mpx_archive_body *a,
                           const struct mpx_archive_body *b);
const struct mpx_archive_share *
mpx_archive_find_share(const struct mpx_archive_body *body, const uint8_t *directory,
                       uint64_t number);

// The file name of a job id, without suffix: nothing in it can leave the directory.
void mpx_archive_file_name(struct mpx_buf *out, const char *jobid);

#endif
