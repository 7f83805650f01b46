/**
 * @file mproxy/source.h
 * What is added up: a source is an identity and a cumulative state with an order.
 *
 * The state of a source is replaced by a later one and never added to, so receiving it
 * twice, late or by two paths changes nothing. A share is one job on one node, the base a
 * node's nameless, never finished rest; the ledger (mproxy/ledger.h) makes them, the
 * reduction (mproxy/reduction.h) adds them up. See docs/architecture.md, "Sources and sums".
 *
 * Threads: plain values.
 */
#ifndef MPROXY_SOURCE_H
#define MPROXY_SOURCE_H

#include <mproxy/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Share numbers that are none. */
#define MPROXY_SHARE_BASE UINT64_C(0) /**< the base of a directory */
#define MPROXY_SHARE_NODE UINT64_MAX  /**< the node's own metrics */

/** A vector of metrics that many value arrays follow; compared by address. */
typedef struct mproxy_layout {
    size_t count;
    const mproxy_metric *const *metrics; /**< `count` of them, none twice */
} mproxy_layout;

/** Share numbers from `first` on and below `end`. */
typedef struct mproxy_span {
    uint64_t first, end;
} mproxy_span;

/** A source: identity, order and cumulative state. Plain; pointers are borrowed. */
typedef struct mproxy_source {
    uint8_t directory[16];
    uint64_t number; /**< of the share; MPROXY_SHARE_BASE or MPROXY_SHARE_NODE */
    uint64_t epoch;
    uint64_t sequence; /**< changes whenever the state has */
    const char *host;
    /* shares only */
    const mproxy_job *job;
    uint32_t uid;
    int sealed;        /**< no later state will come; it is in the state file */
    int incomplete;    /**< some process could not count, wholly or in part */
    int64_t start_ms;  /**< UNIX milliseconds */
    int64_t end_ms;    /**< UNIX milliseconds: last sign of life */
    int64_t silent_ms; /**< since that last sign of life */
    /* base only */
    size_t absorbed_count;
    const mproxy_span *absorbed; /**< numbers of shares it holds: rising, with gaps */
    /* state: parallel arrays */
    size_t count;
    const mproxy_metric *const *metrics;
    const mproxy_value *values;
    const mproxy_ranks *ranks; /**< NULL: not known */
    /* node metrics that count in the share's job only */
    size_t node_count;
    const mproxy_metric *const *node_metrics;
    const mproxy_value *node_values;
} mproxy_source;

#ifdef __cplusplus
}
#endif
#endif
