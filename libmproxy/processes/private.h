// The inside of processes/, shared by its files.
//
// A *segment* here is a name in the directory; a *unit* is what the ledger takes as one
// process: the segments of all images of one (user, PID namespace, pid, start, job).
//
// Files call downwards only: segments.c (open, close, the round) -> scan.c (the directory)
// and submit.c (to the ledger) -> names.c (the segments known) and read.c (their values) ->
// unit.c (which segments are one process) -> vectors.c, samples.c, procfs.c, users.c. warn.c
// stands below all.
#ifndef MPX_PROCESSES_PRIVATE_H
#define MPX_PROCESSES_PRIVATE_H

#include <dirent.h>
#include <limits.h>

#include "base/index.h"
#include "base/log.h"
#include "processes/procfs.h"
#include "processes/samples.h"
#include "processes/segments.h"
#include "processes/users.h"
#include "processes/vectors.h"

enum {
    MPX_SEGMENT_NAMES_MAX = 1 << 18,             // known at a time, of all users
    MPX_SEGMENT_KEY_MAX = NAME_MAX + 1 + 20 + 1, // bytes, with the NUL
    MPX_PROCESS_VALUES = MPX_VALUE_PROCESS + MPX_SEG_FINAL_MAX,
};

struct mpx_unit;

struct mpx_segment {
    uint32_t place, hash;  // in the list of them; of the name
    struct mpx_unit *unit; // NULL: the file is refused
    char *name;
    struct mpx_user *user;     // that the file counts for
    char *key;                 // what the ledger knows it by; NULL: it does not
    uint64_t seen;             // round in which the directory showed it last
    struct mpx_reader *reader; // NULL: refused, or an `.off-*` link
    // Refused: why, and the file as it was.
    mproxy_status bad; // MPROXY_OK: not
    uint64_t inode;
    int64_t size, mtime_ns;
    // With a reader.
    bool final;                  // its lock was free before its values were read
    bool damaged;                // it went bad
    bool unlinked;               // to be forgotten
    const mproxy_layout *layout; // of values; NULL: none
    double *values;
    bool stale;         // values are to be computed again
    bool refused_value; // one of them was refused, now or before
    uint32_t uncounted; // why definitions were refused
};

struct mpx_unit {
    uint32_t place, hash; // in the list of them; of the identity
    bool listed;          // found by identity
    // Identity. `solo`: the proxy's own segments and links, one segment each.
    bool solo;
    uint32_t uid, pid;
    uint64_t pid_ns, start_ticks;
    const char *jobid;
    struct mpx_segment **segments; // the first tells job and rank
    size_t count, room;
    mproxy_job note;       // of a link
    bool gone;             // no process has the identity any more
    bool folded;           // the ledger has it
    uint32_t final_rounds; // in a row, with all locks free
    int64_t sample_at_ms;
    uint32_t sample; // entry in the file
    struct mpx_process_values used;
    bool started, finished;
    bool left;           // its last image said that it may end unseen
    uint32_t last_image; // number of that image
    double values[MPX_PROCESS_VALUES];
    bool changed; // since the ledger saw it
    mproxy_part *parts;
    const char **names;
    mproxy_process process; // as handed to the ledger
};

struct mpx_segments {
    mproxy_store *store;
    mproxy_ledger *ledger;
    char *dir_path;
    int dir_fd;
    DIR *dir;
    struct mpx_logger logger;
    unsigned warned;      // in this round
    unsigned limit_looks; // in this scan, at files that there was no room for
    struct mpx_procfs *procfs;
    struct mpx_samples *samples; // NULL: no room for the file
    struct mpx_readers *readers;
    struct mpx_vectors *vectors;
    struct mpx_users *users;
    const mproxy_layout *process_layout;
    uint64_t round, read_round; // the latter: when the directory was read
    int64_t boot_ms;
    uint64_t wall_us;
    uint64_t next_key;
    bool missed; // a file could not be opened for want of descriptors or memory
    bool watch;  // a file is there that may change without a change of the directory
    int64_t scanned_ns, dir_mtime_ns; // when the directory was read; its time before that
    unsigned skipped;                 // looks at the directory since
    struct mpx_segment **segments;    // all, in no order
    size_t segment_count, segment_room;
    struct mpx_index by_name; // of them
    struct mpx_unit **units;  // all, in no order
    size_t unit_count, unit_room;
    struct mpx_index by_identity; // of those that are listed
    uint64_t *gauge_marks;        // by metric id; scratch of read.c
    size_t gauge_room;
    uint64_t gauge_mark;
    struct mpx_segments_stats stats; // what is raised since open
};

static inline const struct mpx_seg_header *
mpx_segment_header(const struct mpx_segment *seg)
{
    return mpx_reader_header(seg->reader);
}

static inline bool mpx_segment_is_launch(const struct mpx_segment *seg)
{
    return mpx_segment_header(seg)->kind == MPX_SEG_LAUNCH;
}

// warn.c

// One line to the caller, unless there were too many in this round.
void mpx_segments_warn(struct mpx_segments *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// At the end of a round: how many there were besides.
void mpx_segments_warn_of_more(struct mpx_segments *s);

// names.c

// A key is NAME:INODE. A name may be borne again, by a later image of the process, when the
// file that was folded under it is long gone and the state file still says so.
bool mpx_segment_give_key(struct mpx_segment *seg, uint64_t inode); // false: no memory
bool mpx_segment_is_pending(const struct mpx_segments *s, const char *name,
                            uint64_t inode);
// The one that the ledger knows by this key, which begins with the name.
struct mpx_segment *mpx_segments_find(struct mpx_segments *s, const char *name,
                                      const char *key);
// The segment that the directory shows under a name. A segment whose file was removed goes on
// under its name beside it: the next image of the process finds the name free.
struct mpx_segment *mpx_segments_find_shown(struct mpx_segments *s, const char *name,
                                            uint64_t inode);
// NULL: no memory, or the file's owner has too many.
struct mpx_segment *mpx_segments_add(struct mpx_segments *s, const char *name,
                                     uint32_t uid);
// Forget a name, with its reader, and its unit when that was the last of it. The segment
// last in the list takes its place.
void mpx_segments_drop(struct mpx_segments *s, struct mpx_segment *seg);

// scan.c

// Look at all names, if there can be news; adopt the segments that are new.
mproxy_status mpx_segments_scan(struct mpx_segments *s, mproxy_error *err);
// Forget refused files and links that the directory no longer shows.
void mpx_segments_forget_unseen(struct mpx_segments *s);

// unit.c

// Put a segment that was opened, or a link, into its unit. False: no memory.
bool mpx_unit_adopt(struct mpx_segments *s, struct mpx_segment *seg);
bool mpx_unit_adopt_note(struct mpx_segments *s, struct mpx_segment *seg, uint32_t uid,
                         uint32_t reasons, const char *jobid, int64_t start_boot_ms);
// Its last segment takes the unit with it; the unit last in the list takes its place.
void mpx_unit_remove(struct mpx_segments *s, struct mpx_segment *seg);
// Later segments of the same identity belong to another unit from now on.
void mpx_unit_unlist(struct mpx_segments *s, struct mpx_unit *u);
// Order its images by birth; what launchers say comes behind them.
void mpx_unit_sort(struct mpx_unit *u);
bool mpx_unit_is_final(const struct mpx_unit *u); // all its segments are
// A process that changed its job by exec has two units; only the one that counts now, or
// the one that there is, may take what /proc says.
bool mpx_unit_is_current(const struct mpx_segments *s, const struct mpx_unit *u);
// A process that execs in a loop: hand over images in its middle, which are over, as
// processes of their own, so that their number stays bounded.
void mpx_unit_split(struct mpx_segments *s, struct mpx_unit *u);

// read.c

// Test locks, then read values, of segments that may have changed.
void mpx_unit_read(struct mpx_segments *s, struct mpx_unit *u);
// With all locks free: whether the process has ended. True when that is news.
bool mpx_unit_check_life(struct mpx_segments *s, struct mpx_unit *u);
// Read /proc/PID if it is time to.
void mpx_unit_sample(struct mpx_segments *s, struct mpx_unit *u);
// Hand it to the ledger, unless that has it.
mproxy_status mpx_unit_submit(struct mpx_segments *s, struct mpx_unit *u,
                              mproxy_error *err);

#endif
