/**
 * @file mproxy/system.h
 * The node's own metrics, from procfs and sysfs (docs: metrics.md, "Node").
 *
 * A sample reads every source once and leaves what is there now as a layout and values that
 * are parallel to it. A source that is absent or malformed has no metrics, never zeros; a
 * rate needs two samples. Counters that the kernel restarts or wraps (an interface made anew,
 * an energy counter) are made cumulative here, so that counters only grow. A device that has
 * been away for sixty samples is forgotten and its names are given back; should it come back,
 * it starts anew.
 *
 * It is an input of rounds (<mproxy/round.h>), which samples once a round and hands the
 * values to the ledger or, where there is none, to the reduction.
 *
 * Threads: one thread at a time, the writer of the store.
 */
#ifndef MPROXY_SYSTEM_H
#define MPROXY_SYSTEM_H

#include <mproxy/round.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mproxy_system mproxy_system;

/** All fields but struct_size and store may be zero. Strings are copied. */
typedef struct mproxy_system_options {
    size_t struct_size;    /**< sizeof(mproxy_system_options) */
    mproxy_store *store;   /**< metrics are interned here; must outlive the system */
    const char *proc_root; /**< NULL: /proc; other roots for tests on fixture trees */
    const char *sys_root;  /**< NULL: /sys */
    const char *host;      /**< label `hostname`; NULL: what the kernel says */
} mproxy_system_options;

/**
 * @param out  set on success; release with mproxy_system_close()
 * @return MPROXY_OK, MPROXY_E_INVALID (options), MPROXY_E_NOMEM, MPROXY_E_SYSTEM (a root
 *         can't be opened)
 */
MPROXY_API mproxy_status mproxy_system_open(const mproxy_system_options *options,
                                            mproxy_system **out, mproxy_error *err);
MPROXY_API void mproxy_system_close(mproxy_system *system); /**< accepts NULL */
/** What rounds ask; valid until close. */
MPROXY_API const mproxy_input *mproxy_system_input(const mproxy_system *system);

/**
 * Read all sources.
 *
 * @param boot_ms  CLOCK_BOOTTIME, for rates
 * @param wall_us  stamps the values: UNIX time
 * @return MPROXY_OK or MPROXY_E_NOMEM: the previous layout and values stay then
 */
MPROXY_API mproxy_status mproxy_system_sample(mproxy_system *system, int64_t boot_ms,
                                              uint64_t wall_us);
/**
 * The metrics present now; empty before the first sample. A layout never changes; another one is
 * made when the set of metrics has changed. As an input of rounds it frees one that has not been
 * in use for some rounds, which the ledger is told to forget; else a layout is valid until close.
 */
MPROXY_API const mproxy_layout *mproxy_system_layout(const mproxy_system *system);
/** Parallel to the layout's metrics; valid until the next sample. */
MPROXY_API const mproxy_value *mproxy_system_values(const mproxy_system *system);

#ifdef __cplusplus
}
#endif
#endif
