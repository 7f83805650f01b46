/**
 * @file mproxy/ledger.h
 * The ledger of one node: it keeps the shares and the base of one rendezvous directory in
 * its state file, and says which segments may be unlinked.
 *
 * A *share* is one job on this node, the *base* the rest of the node that belongs to no job.
 * Whoever reads processes tells of each in every round: while it lives, and once when it is
 * final. Then its values are *folded* into its share, and the segments that they were read from
 * may be unlinked. A share that has had no process for the linger is *sealed*: no later
 * state of it comes. One that is *released*, since a profile holds it, is absorbed by the base.
 * See docs/architecture.md, "Shares, base and jobs", for the rules and the reason of each.
 *
 * Threads: one thread at a time, the writer of the store.
 * Memory:  what a round is told of is borrowed until the round's end, layouts for longer. What
 *          the ledger shows it owns. Metrics that it counts stay known.
 * Times:   `boot_ms` is CLOCK_BOOTTIME in milliseconds, `wall_ms` and `wall_us` UNIX time in
 *          milli- and microseconds.
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
    uint32_t uid;          /**< of its user: jobs of one id and two users are two */
    uint32_t rank;         /**< in its job; 0 where there are none */
    uint64_t size; /**< ranks of its job, as the image says that knows most; 0: as job */
    uint64_t key;  /**< tells this process from others of the directory */
    uint64_t version; /**< changes whenever a value has changed */
    int64_t start_boot_ms;
    int64_t start_wall_ms; /**< the same; 0: not known */
    int64_t end_wall_ms;   /**< 0 while it lives, or not known */
    int final;             /**< all its segments are final and it is gone */
    int passive;           /**< does not keep its share alive (the proxy's own) */
    uint32_t uncounted;    /**< reasons for which part of it was not counted; 0: none */
    size_t part_count;
    const mproxy_part
        *parts; /**< none may count the metric `walltime`: it is the share's */
    size_t segment_count;
    const char *const *segments; /**< of the files; none may ever stand for another one */
} mproxy_process;

typedef struct mproxy_ledger_options {
    size_t struct_size;  /**< sizeof(mproxy_ledger_options) */
    const char *host;    /**< host name of the node; copied. NULL: "" */
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
 * @param out       set on success; release with mproxy_ledger_close()
 * @return MPROXY_OK, MPROXY_E_CORRUPT, MPROXY_E_VERSION, MPROXY_E_SYSTEM, MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_ledger_open(int state_fd, mproxy_store *store,
                                            const mproxy_ledger_options *options,
                                            mproxy_ledger **out, mproxy_error *err);
MPROXY_API void mproxy_ledger_close(mproxy_ledger *ledger); /**< accepts NULL */

/**
 * The rendezvous was removed and made anew: write the same state there from now on.
 *
 * @return MPROXY_OK, MPROXY_E_SYSTEM or MPROXY_E_NOMEM: it stays where it was
 */
MPROXY_API mproxy_status mproxy_ledger_move(mproxy_ledger *ledger, int state_fd,
                                            mproxy_error *err);

/** The directory's id: 16 random bytes, made with the first state file. Borrowed. */
MPROXY_API const uint8_t *mproxy_ledger_directory(const mproxy_ledger *ledger);
MPROXY_API uint64_t mproxy_ledger_epoch(const mproxy_ledger *ledger);

/**
 * One round: begin, one call of _process for each process seen (segments listed as pending
 * left out), optionally _node and _release, then end.
 */
MPROXY_API void mproxy_ledger_round_begin(mproxy_ledger *ledger, int64_t boot_ms,
                                          uint64_t wall_us);
/**
 * `process` and what it points to must stay until round_end. In a share the first type of a
 * name wins: a process that has the other is refused that metric, and marks the share.
 *
 * @return MPROXY_OK, MPROXY_E_INVALID (struct_size) or MPROXY_E_NOMEM: it is not in this round
 */
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
 * Before the first round, of a ledger that began afresh where there was one: a share that begins
 * with a process older than this time, in ms since boot, is incomplete. What its other processes
 * had counted was in the state that is lost.
 */
MPROXY_API void mproxy_ledger_lost(mproxy_ledger *ledger, int64_t boot_ms);
/**
 * In a round: something of this user waits to be read in a later one, so that none of his shares
 * is sealed in this one. Of the ledger's own user: no share at all.
 */
MPROXY_API void mproxy_ledger_unread(mproxy_ledger *ledger, uint32_t uid);
/**
 * Between rounds, or in one before any process is told of: this layout is not used any more.
 * Does nothing when it is not known.
 */
MPROXY_API void mproxy_ledger_forget(mproxy_ledger *ledger, const mproxy_layout *layout);
/**
 * The node's own metrics of this round; unsealed shares count them from a baseline.
 *
 * @param layout  must stay until mproxy_ledger_forget() or the end
 * @param values  layout->count of them; borrowed until round_end
 * @return MPROXY_OK
 */
MPROXY_API mproxy_status mproxy_ledger_node(mproxy_ledger *ledger,
                                            const mproxy_layout *layout,
                                            const mproxy_value *values,
                                            mproxy_error *err);
/**
 * In a round: release a share, since a profile holds it. It is absorbed at the round's end if it
 * is sealed, else this has no effect; it is asked for again if that can't be written.
 *
 * @return MPROXY_OK or MPROXY_E_NOTFOUND
 */
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
