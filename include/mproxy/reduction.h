/**
 * @file mproxy/reduction.h
 * The reduction: it holds sources, whoever they come from, and adds them up into `main`,
 * `Node: HOST` and one view per job.
 *
 * See docs/architecture.md, "Sources and sums".
 *
 * Threads: one thread at a time.
 */
#ifndef MPROXY_REDUCTION_H
#define MPROXY_REDUCTION_H

#include <mproxy/source.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mproxy_reduction mproxy_reduction;

/** @param store  where the sums are published; must outlive the reduction */
MPROXY_API mproxy_status mproxy_reduction_new(mproxy_store *store, mproxy_reduction **out,
                                              mproxy_error *err);
MPROXY_API void mproxy_reduction_free(mproxy_reduction *reduction); /**< accepts NULL */
/** Gap after which shares of one job id are another run; 10 minutes unless told. */
MPROXY_API void mproxy_reduction_set_continue(mproxy_reduction *reduction,
                                              int64_t continue_ms);
/**
 * Hold a source's state in place of the one held for its identity, unless that is later.
 * A share that the base of its directory has absorbed is dropped.
 */
MPROXY_API mproxy_status mproxy_reduction_put(mproxy_reduction *reduction,
                                              const mproxy_source *source,
                                              mproxy_error *err);
/** Forget all shares of a directory that are not in `numbers` (a whole state arrived). */
MPROXY_API void mproxy_reduction_keep(mproxy_reduction *reduction,
                                      const uint8_t directory[16],
                                      const uint64_t *numbers, size_t count);
/**
 * Say that a profile holds all of a sealed share. When another share of its job has been
 * absorbed it leaves the list with the job; one that no profile holds is shown on.
 */
MPROXY_API void mproxy_reduction_stored(mproxy_reduction *reduction,
                                        const uint8_t directory[16], uint64_t number);
/** Add up what changed and publish main, each `Node: HOST`, then the running jobs. */
MPROXY_API mproxy_status mproxy_reduction_publish(mproxy_reduction *reduction,
                                                  mproxy_error *err);
/** All sources held; borrowed until the next put, keep or free. */
MPROXY_API size_t mproxy_reduction_sources(mproxy_reduction *reduction,
                                           const mproxy_source *const **out);

typedef struct mproxy_reduction_stats {
    uint64_t sources;
    uint64_t views;
    uint64_t refused_sources; /**< of a job id that may not name a job */
    uint64_t dropped_values;  /**< not finite */
    uint64_t steps_back; /**< counters shown lower than before: a source made a step */
} mproxy_reduction_stats;
MPROXY_API void mproxy_reduction_get_stats(const mproxy_reduction *reduction,
                                           mproxy_reduction_stats *out);

#ifdef __cplusplus
}
#endif
#endif
