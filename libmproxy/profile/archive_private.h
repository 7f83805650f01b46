// The archive: what archive.c, archive_write.c, archive_scan.c and archive_dir.c share, each
// calling those behind it only.
//
// One thread stores, removes and refreshes; it alone replaces `index`. Readers take a
// reference to the index under the lock and read files without it.
#ifndef MPX_PROFILE_ARCHIVE_PRIVATE_H
#define MPX_PROFILE_ARCHIVE_PRIVATE_H

#include <pthread.h>

#include "base/log.h"
#include "profile/archive_index.h"

// A file that is no profile: its name is not used, its content left alone.
struct mpx_damaged {
    char *file;
    struct mpx_stamp stamp;
    unsigned tries; // of `unread`: how often it could not be read
};

struct mproxy_archive {
    char *dir;
    pthread_mutex_t lock;            // guards the next
    struct mpx_archive_index *index; // never NULL
    atomic_int dir_fd;               // -1: not there yet; then the number stays
    struct mpx_logger logger;
    struct mpx_damaged *damaged;
    size_t damaged_count;
    struct mpx_damaged *unread; // files that a disk would not give, in one scan or more
    size_t unread_count, unread_room;
    struct mpx_stamp seen; // of the directory, when it was scanned
    uint64_t generation;   // of the directory then
    bool has_unread;       // the index lacks some of those
    bool has_leftovers;    // files that others supersede: not in the index, but there
};

#define MPX_ARCHIVE_SUFFIX ".json"
#define MPX_ARCHIVE_ASIDE ".new-"
#define MPX_ARCHIVE_LOCK ".lock"
#define MPX_ARCHIVE_ANY SIZE_MAX

// As mproxy_archive_store(), but nothing is written when the archive, looked at under the
// lock, has not `known_runs` profiles of the user's job id (MPX_ARCHIVE_ANY: however many).
// @return MPROXY_E_EXISTS then; the index is up to date, what is one run may be another set
mproxy_status mpx_archive_store(mproxy_archive *archive, const mproxy_profile *profile,
                                size_t known_runs, mproxy_error *err);

// Bring index and damaged up to date with the directory. `force`: also when it looks as it
// did. `is_locked`: the caller has locked it, and files that others supersede are removed.
// On failure, of one file even, both stay as they are and the next call looks again.
mproxy_status mpx_archive_scan(mproxy_archive *archive, bool force, bool is_locked,
                               mproxy_error *err);
// The index of what there is without `without` and with `with`.
struct mpx_archive_index *mpx_archive_derive(mproxy_archive *archive,
                                             struct mpx_archive_entry *const *without,
                                             size_t without_count,
                                             struct mpx_archive_entry *const *with,
                                             size_t with_count);
// Show this index to readers from now on; takes over the reference.
void mpx_archive_replace(mproxy_archive *archive, struct mpx_archive_index *index);
struct mpx_archive_index *mpx_archive_take_index(mproxy_archive *archive);
// Open the directory, making it and those above it when `make`. It may have been removed
// and made anew. @return MPROXY_OK, MPROXY_E_NOTFOUND, MPROXY_E_SYSTEM
mproxy_status mpx_archive_open_dir(mproxy_archive *archive, bool make, mproxy_error *err);
// Lock the directory against other processes; the descriptor to close, or -1 with errno set
// (EAGAIN: held for all of `wait_ms`).
int mpx_archive_lock(mproxy_archive *archive, int wait_ms);
// A number in the lock file, raised with every write to the directory: times alone are too
// coarse to tell that another process has written. 0: never written, or it can't be read.
uint64_t mpx_archive_generation(const mproxy_archive *archive);
// Remove what unfinished writes left. The directory must be locked.
void mpx_archive_sweep(mproxy_archive *archive);

#endif
