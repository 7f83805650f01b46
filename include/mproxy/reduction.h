/**
 * @file mproxy/reduction.h
 * The reduction: it holds sources, whoever they come from, adds them up into `main`,
 * `Node: HOST` and one view per job, and says what has changed since somebody last asked.
 *
 * Sources belong to a directory. A call about one directory costs what that directory holds
 * and what is told of it, however many others there are; a publication costs what changed
 * plus one pass over the sources of each sum that did. See docs/architecture.md, "Sources
 * and sums".
 *
 * Threads: one thread at a time.
 * Memory:  what is told is copied; what is shown is borrowed as each function says.
 * Errors:  a call that fails for want of memory has changed nothing, unless it says so.
 */
#ifndef MPROXY_REDUCTION_H
#define MPROXY_REDUCTION_H

#include <mproxy/source.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mproxy_reduction mproxy_reduction;

/**
 * @param store  where the sums are published; must outlive the reduction
 * @param out    set on success; release with mproxy_reduction_free()
 * @return MPROXY_OK or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_reduction_new(mproxy_store *store, mproxy_reduction **out,
                                              mproxy_error *err);
MPROXY_API void mproxy_reduction_free(mproxy_reduction *reduction); /**< accepts NULL */
/** Gap after which shares of one job id are another run; 10 minutes unless told. */
MPROXY_API void mproxy_reduction_set_continue(mproxy_reduction *reduction,
                                              int64_t continue_ms);
/**
 * The time from which on ages are reckoned: of any clock that runs evenly, in milliseconds.
 * Told before sources are put and before they are looked at; 0 until then.
 */
MPROXY_API void mproxy_reduction_set_time(mproxy_reduction *reduction, int64_t now_ms);

/**
 * Hold a source's whole state in place of the one held for its identity, unless that is
 * later. A share that the base of its directory has absorbed is dropped.
 *
 * @return MPROXY_OK; MPROXY_E_INVALID: not a source (struct_size, kind), of a job id that may
 *         not name a job, or with a metric twice;
 *         MPROXY_E_GAP: the directory was absorbed as lost, see mproxy_reduction_absorb();
 *         MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_reduction_put(mproxy_reduction *reduction,
                                              const mproxy_source *source,
                                              mproxy_error *err);
/**
 * Take a change. One that leads to no later state than the one held has no effect, and one that
 * says that a source is gone has none on a later state of it than was gone.
 *
 * @return as mproxy_reduction_put(), of a source that is gone, too; MPROXY_E_GAP also when it
 *         stands on a state that is not held: ask for the source whole; MPROXY_E_INVALID also for a slot past the last
 */
MPROXY_API mproxy_status mproxy_reduction_apply(mproxy_reduction *reduction,
                                                const mproxy_change *change,
                                                mproxy_error *err);
/**
 * A whole report of a directory was taken, of this age: what it did not mention is as held.
 * No effect for a directory of which nothing is held.
 */
MPROXY_API void mproxy_reduction_heard(mproxy_reduction *reduction,
                                       const uint8_t directory[16], int64_t age_ms);
/**
 * Forget all sources of one kind of a directory but those with these numbers. What was held is
 * freed, with its directory and host when nothing else is held of them, once sums without it
 * are published.
 */
MPROXY_API void mproxy_reduction_retain(mproxy_reduction *reduction,
                                        const uint8_t directory[16],
                                        mproxy_source_kind kind, const uint64_t *numbers,
                                        size_t count);
/**
 * Say that a profile holds all of a share. When another share of its job has been absorbed
 * it leaves the list with the job if it is sealed; one that no profile holds is shown on.
 * A sealed share of MPROXY_SCOPE_JOB is forgotten: its counters are in main without it.
 */
MPROXY_API void mproxy_reduction_stored(mproxy_reduction *reduction,
                                        const uint8_t directory[16], uint64_t number);
/**
 * Absorb the stored shares of a lost directory into the base that is held for it: their
 * counters are added to it and their numbers to those that it has absorbed, gauges leave.
 *
 * A directory that is heard of again comes back by mproxy_reduction_replace() only. Until
 * then what is told of its base and shares one by one is refused with MPROXY_E_GAP, for the
 * base of its own lacks what was absorbed here. That they are gone is refused, too: one who
 * asks for the whole then and is told that nothing is held (MPROXY_E_NOTFOUND, or no source of
 * the directory) keeps what was absorbed, or forgets it by mproxy_reduction_retain() of shares
 * and base. With its base the directory is as one never absorbed.
 *
 * @return MPROXY_OK, MPROXY_E_NOTFOUND (nothing is held of it) or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_reduction_absorb(mproxy_reduction *reduction,
                                                 const uint8_t directory[16],
                                                 mproxy_error *err);
/**
 * Hold these sources, the whole state of a directory as of one report, in place of all that
 * is held of it. No effect when the base held is later than theirs; sources held in a state
 * as late as theirs stay, and so do shares younger than the report.
 *
 * @param sources  of the same directory, with its base
 * @return as mproxy_reduction_put(); MPROXY_E_INVALID also without a base or with a source
 *         twice; nothing was changed then
 */
MPROXY_API mproxy_status mproxy_reduction_replace(mproxy_reduction *reduction,
                                                  const mproxy_source *const *sources,
                                                  size_t count, mproxy_error *err);
/**
 * Add up what changed and publish main, each `Node: HOST`, then the running jobs. A name that
 * the terms of a sum have as a counter and as a gauge is left out of it
 * (mproxy_view_left_out()). On failure what is shown stays as it was, and the next call makes
 * up for it.
 *
 * @return MPROXY_OK or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_reduction_publish(mproxy_reduction *reduction,
                                                  mproxy_error *err);

/**
 * All sources held, with their ages as of now; a lost directory's absorbed ones are not.
 * Borrowed until the next call that changes the reduction. *out is NULL without memory.
 */
MPROXY_API size_t mproxy_reduction_sources(mproxy_reduction *reduction,
                                           const mproxy_source *const **out);
/** Raised whenever something held changes: the cursor of one who asks for changes. */
MPROXY_API uint64_t mproxy_reduction_sequence(const mproxy_reduction *reduction);
/**
 * Tell what has changed in the sources held since mproxy_reduction_sequence() was `since`,
 * a source at a time: first those that are gone since then, then the others by directory. 0:
 * all that is held, whole. A change is whole for a source that is new since then, whose metrics
 * or ranks are others, or that has changed too often. A share that the base of its directory
 * has absorbed is not told as gone: the base says so. A base that was made by
 * mproxy_reduction_absorb(), or came in place of one, is told as gone and then whole, for its
 * order may be that of the one before. The changes of one call belong
 * together, between two of them sums may step back.
 *
 * @param tell  gets changes that are borrowed for the call; must not change the reduction;
 *              not MPROXY_OK ends the calls and is returned
 * @return MPROXY_OK, what `tell` returned, MPROXY_E_NOMEM, or MPROXY_E_GAP: some 4,096 sources
 *         are gone since, and not all of them are remembered; whoever asks forgets what it
 *         holds and begins with 0
 */
MPROXY_API mproxy_status mproxy_reduction_changes(
    mproxy_reduction *reduction, uint64_t since,
    mproxy_status (*tell)(void *arg, const mproxy_change *change), void *arg);
/**
 * What has changed in one source since a state of it.
 *
 * @param out  its struct_size is set by the caller, the rest on success; what it points to is
 *             borrowed until the next call; whole when the state is not of the epoch held or
 *             its metrics or ranks are others, or when the base was absorbed or came back
 *             since: if its order is that of the state asked from, forget that one first
 * @return MPROXY_OK, MPROXY_E_NOTFOUND, MPROXY_E_INVALID (struct_size) or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_reduction_change_of(
    mproxy_reduction *reduction, const uint8_t directory[16], mproxy_source_kind kind,
    uint64_t number, uint64_t since_epoch, uint64_t since_sequence, mproxy_change *out);

typedef struct mproxy_reduction_stats {
    size_t struct_size; /**< sizeof(mproxy_reduction_stats), set before it is filled in */
    uint64_t sources;
    uint64_t views;
    uint64_t refused_sources; /**< not sources, or of a job id that may not name a job */
    uint64_t dropped_values;  /**< not finite */
    uint64_t steps_back; /**< counters shown lower than before: a source made a step */
} mproxy_reduction_stats;
/** @return MPROXY_OK or MPROXY_E_INVALID (struct_size) */
MPROXY_API mproxy_status mproxy_reduction_get_stats(const mproxy_reduction *reduction,
                                                    mproxy_reduction_stats *out);

#ifdef __cplusplus
}
#endif
#endif
