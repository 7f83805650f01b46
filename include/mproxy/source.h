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

/** What a source is; sums add a directory's sources up in this order. */
typedef enum mproxy_source_kind {
    MPROXY_SOURCE_BASE = 1,  /**< the rest of a directory that belongs to no job */
    MPROXY_SOURCE_SHARE = 2, /**< one job on one node */
    MPROXY_SOURCE_NODE = 3,  /**< the node's own metrics: of a host they are taken once */
    MPROXY_SOURCE_TARGET = 4 /**< a Prometheus target that this directory's proxy reads */
} mproxy_source_kind;

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
    mproxy_source_kind kind;
    uint64_t number; /**< of the share or target; 0 for the kinds of which there is one */
    uint64_t epoch;
    uint64_t sequence; /**< changes whenever the state has */
    const char *host;
    /* shares only */
    const mproxy_job *job;
    uint32_t uid;
    int sealed;        /**< no later state will come; it is in the state file */
    int idle;          /**< none of its processes lives, as far as is known */
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
