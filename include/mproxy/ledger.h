/**
 * @file mproxy/ledger.h
 * The ledger of one node: it keeps the shares and the base of one rendezvous directory in
 * its state file, and says which segments may be unlinked.
 *
 * See docs/architecture.md, "Shares, base and jobs", for the rules and the reason of each.
 *
 * Threads: one thread at a time.
 * Times:   `boot_ms` is CLOCK_BOOTTIME in milliseconds, `wall_us` CLOCK_REALTIME in
 *          microseconds.
 */
#ifndef MPROXY_LEDGER_H
#define MPROXY_LEDGER_H

#include <mproxy/source.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mproxy_ledger mproxy_ledger;

/** One value array of a process: layout->count doubles. NaN: a gauge never set. */
typedef struct mproxy_part {
    const mproxy_layout *layout; /**< must stay until mproxy_ledger_forget() or the end */
    const double *values;        /**< borrowed until mproxy_ledger_round_end() */
} mproxy_part;

/** One process (all images of one pid and start time) as a round has read it. */
typedef struct mproxy_process {
    size_t struct_size;    /**< sizeof(mproxy_process) */
    const mproxy_job *job; /**< jobid "" or one that may not name a job: the base */
    uint32_t uid;
    uint32_t rank;
    uint64_t size; /**< ranks of its job, as the image says that knows most; 0: as job */
    uint64_t key;  /**< tells this process from others of the directory */
    uint64_t version; /**< changes whenever a value has changed */
    int64_t start_boot_ms;
    int64_t start_wall_ms;
    int64_t end_wall_ms; /**< 0 while it lives, or not known */
    int final;           /**< all its segments are final and it is gone */
    int passive;         /**< does not keep its share alive (the proxy's own) */
    uint32_t uncounted;  /**< reasons for which part of it was not counted; 0: none */
    size_t part_count;
    const mproxy_part
        *parts; /**< none may count the metric `walltime`: it is the share's */
    size_t segment_count;
    const char *const *segments; /**< of the files; none may ever stand for another one */
} mproxy_process;

typedef struct mproxy_ledger_options {
    size_t struct_size;  /**< sizeof(mproxy_ledger_options) */
    const char *host;    /**< host name of the node */
    int64_t linger_ms;   /**< a share without processes is sealed after it */
    int64_t continue_ms; /**< gap after which a job id is a new run */
    /**
     * How to treat a state file that is damaged or of a newer version. 0: refuse to open. That
     * protects counts best: processes go on counting in their segments, and nothing is lost or
     * counted twice while somebody looks. Nonzero: move it aside as `ledger.damaged-N` and
     * start as a new directory; the residues in it are lost to this node.
     */
    int discard_damaged;
} mproxy_ledger_options;

/**
 * Read the state file in the directory `state_fd` (made if missing), raise the epoch by one
 * and write it.
 *
 * @param state_fd  directory; duplicated
 * @param store     metrics are interned here; must outlive the ledger
 * @return MPROXY_OK, MPROXY_E_CORRUPT, MPROXY_E_VERSION, MPROXY_E_SYSTEM, MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_ledger_open(int state_fd, mproxy_store *store,
                                            const mproxy_ledger_options *options,
                                            mproxy_ledger **out, mproxy_error *err);
MPROXY_API void mproxy_ledger_close(mproxy_ledger *ledger); /**< accepts NULL */

/** The rendezvous was removed and made anew: write the same state there from now on. */
MPROXY_API mproxy_status mproxy_ledger_move(mproxy_ledger *ledger, int state_fd,
                                            mproxy_error *err);

/** The directory's id, 16 bytes, borrowed. */
MPROXY_API const uint8_t *mproxy_ledger_directory(const mproxy_ledger *ledger);
MPROXY_API uint64_t mproxy_ledger_epoch(const mproxy_ledger *ledger);

/**
 * One round: begin, one call of _process for each process seen (segments listed as pending
 * left out), optionally _node and _release, then end.
 */
MPROXY_API void mproxy_ledger_round_begin(mproxy_ledger *ledger, int64_t boot_ms,
                                          uint64_t wall_us);
/** `process` and what it points to must stay until round_end. */
MPROXY_API mproxy_status mproxy_ledger_process(mproxy_ledger *ledger,
                                               const mproxy_process *process,
                                               mproxy_error *err);
/**
 * In a round: it is told of every process that the directory has. What an earlier ledger,
 * which was killed, knew to be alive and is not among them has lost its file: the share is
 * incomplete.
 */
MPROXY_API void mproxy_ledger_whole(mproxy_ledger *ledger);
/**
 * Between rounds, or in one before any process is told of: this layout is not used any more.
 * Does nothing when it is not known.
 */
MPROXY_API void mproxy_ledger_forget(mproxy_ledger *ledger, const mproxy_layout *layout);
/** The node's own metrics of this round; unsealed shares count them from a baseline. */
MPROXY_API mproxy_status mproxy_ledger_node(mproxy_ledger *ledger,
                                            const mproxy_layout *layout,
                                            const mproxy_value *values,
                                            mproxy_error *err);
/** Release a share, since a profile holds it: absorbed if sealed; else no effect. */
MPROXY_API mproxy_status mproxy_ledger_release(mproxy_ledger *ledger, uint64_t share);
/**
 * Take the number of processes that could not count and said no more than that. `count` is the
 * size of the directory's file `refused`, which only grows: telling it again changes nothing.
 */
MPROXY_API void mproxy_ledger_refused(mproxy_ledger *ledger, uint64_t count);
/**
 * Whether a job is kept open by passive processes alone, its linger being over. Their owner
 * then ends them (they become final); the share is sealed in the round that sees it.
 */
MPROXY_API int mproxy_ledger_is_idle(const mproxy_ledger *ledger, const char *jobid,
                                     uint32_t uid);
/**
 * Fold final processes, seal, absorb, and write the state file if anything of that happened.
 * When the write fails the change is kept in memory, nothing new becomes pending on disk or
 * sealed to the outside, and the next round tries again.
 *
 * Gauges of processes without a job and of absorbed shares leave with them: a base sums what
 * has been counted, it does not average over the dead.
 *
 * @return MPROXY_OK, MPROXY_E_SYSTEM (the state file could not be written) or MPROXY_E_NOMEM
 *         (maybe before anything was done; what is shown stays)
 */
MPROXY_API mproxy_status mproxy_ledger_round_end(mproxy_ledger *ledger,
                                                 mproxy_error *err);

/** Whether a segment is already folded and only waits for its unlink. */
MPROXY_API int mproxy_ledger_is_pending(const mproxy_ledger *ledger, const char *segment);
/**
 * Segments that may be unlinked now: `unlink_one` unlinks one and says whether it is gone
 * (unlinked, or was not there), nonzero for yes.
 */
MPROXY_API void mproxy_ledger_unlink_pending(
    mproxy_ledger *ledger, int (*unlink_one)(void *arg, const char *segment), void *arg);

/**
 * The ledger's sources after a round: the base first, then its shares, then the node's own
 * metrics if any were given. None before the first round that could be written. Ranks are
 * there once a share is sealed. Borrowed until the next round begins.
 */
MPROXY_API size_t mproxy_ledger_sources(mproxy_ledger *ledger,
                                        const mproxy_source *const **out);

typedef struct mproxy_ledger_stats {
    size_t struct_size; /**< sizeof(mproxy_ledger_stats), set before it is filled in */
    uint64_t open_shares;
    uint64_t sealed_shares;
    uint64_t live_processes; /**< of the last round */
    uint64_t pending;        /**< segments folded and not yet unlinked */
    uint64_t state_bytes;    /**< size of the state file */
    uint64_t writes;         /**< of the state file since open */
    uint64_t failed_writes;
    uint64_t refused_series; /**< of the state file: their name is none to this version */
} mproxy_ledger_stats;
/** @return MPROXY_OK or MPROXY_E_INVALID (struct_size) */
MPROXY_API mproxy_status mproxy_ledger_get_stats(const mproxy_ledger *ledger,
                                                 mproxy_ledger_stats *out);

#ifdef __cplusplus
}
#endif
#endif
