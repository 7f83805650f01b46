// The processes of this node: from the segments of a rendezvous directory to the ledger.
//
// A round, by the daemon's event loop:
//     mproxy_ledger_round_begin(); mpx_segments_round(); ... mproxy_ledger_round_end();
//     publish; mpx_segments_unlink();
// All that mpx_segments_round() hands to the ledger stays valid until the next
// mpx_segments_round(), _unlink() or _close().
//
// Threads: one thread at a time.
#ifndef MPX_PROCESSES_SEGMENTS_H
#define MPX_PROCESSES_SEGMENTS_H

#include <stdbool.h>

#include <mproxy/ledger.h>

struct mpx_segments;

struct mpx_segments_options {
    mproxy_store *store;   // metrics are interned here; outlives us
    mproxy_ledger *ledger; // gets every process; outlives us
    const char *dir_path;  // rendezvous directory; copied
    int dir_fd;            // the same, open; duplicated
    int state_fd;          // its `state`; duplicated; keeps the file `samples`
    const char *proc_root; // NULL: /proc; copied
    mproxy_log_fn
        log; // called by round() and move(), a few times at the most; may be NULL
    void *log_arg;
    uint64_t max_bytes_per_uid; // of mapped segments; 0: 256 MiB
    // Of each user but the proxy's own.
    uint32_t max_files_per_uid; // segments and notes known at a time; 0: 65,536
    uint32_t max_names_per_uid; // metrics that nobody else brought before; 0: 262,144
    uint32_t max_descriptors;   // kept open for segments; 0: RLIMIT_NOFILE less 256
};

// @return MPROXY_OK, MPROXY_E_NOMEM, MPROXY_E_SYSTEM. A damaged `samples` file is made anew.
mproxy_status mpx_segments_open(const struct mpx_segments_options *options,
                                struct mpx_segments **out, mproxy_error *err);
void mpx_segments_close(struct mpx_segments *s); // accepts NULL

// Between mproxy_ledger_round_begin() and _end(): look for new segments, read all, hand
// every process that is not pending to the ledger. Bad files are warned of and counted, not
// failures; a round that fails has handed over what it could.
// @return MPROXY_OK, MPROXY_E_NOMEM, MPROXY_E_SYSTEM (the directory cannot be read)
mproxy_status mpx_segments_round(struct mpx_segments *s, int64_t boot_ms,
                                 uint64_t wall_us, mproxy_error *err);

// Bytes mapped of all segments.
uint64_t mpx_segments_bytes(const struct mpx_segments *s);

// Whether a segment of this name is adopted. It is kept then, even if its file is removed.
bool mpx_segments_has(const struct mpx_segments *s, const char *name);

// After a successful mproxy_ledger_round_end(): unlink what is pending and forget it. A
// file that cannot be unlinked stays pending and is tried again at the next call.
void mpx_segments_unlink(struct mpx_segments *s);

// Whether dir_path is no longer the directory that is open: it was removed or replaced.
// Segments already adopted go on counting.
bool mpx_segments_lost(const struct mpx_segments *s);
// Go on in a new directory at the same path, keeping all processes known. Both are
// duplicated. On failure everything is as before.
mproxy_status mpx_segments_move(struct mpx_segments *s, int dir_fd, int state_fd,
                                mproxy_error *err);

struct mpx_segments_stats {
    uint64_t segments;  // adopted and not yet unlinked
    uint64_t bytes;     // of them, mapped
    uint64_t processes; // with such segments
    uint64_t alive;     // of them, not final
    uint64_t layouts;   // vectors of metrics that they follow
    // Files that are refused now, by reason.
    uint64_t bad_corrupt, bad_version, bad_limit, bad_system;
    uint64_t bad_crowd; // left out, because their users have too many
    // Raised since open.
    uint64_t refused;        // processes that said no more than that they do not count
    uint64_t uncounted;      // processes that left an `.off-*` link
    uint64_t damaged;        // segments that went bad after they had been good
    uint64_t refused_jobs;   // segments whose job id can't name a job
    uint64_t refused_names;  // definitions with a name that is none
    uint64_t refused_types;  // definitions of a metric that it has with the other type
    uint64_t refused_values; // not finite, or a counter below zero
    uint64_t refused_limits; // definitions past the most names of their user, or of all
};
void mpx_segments_stats(const struct mpx_segments *s, struct mpx_segments_stats *out);

#endif
