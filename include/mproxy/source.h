/**
 * @file mproxy/source.h
 * Sources are what is added up: a source is an identity and a cumulative state with an order.
 *
 * The state of a source is replaced by a later one and never added to, so receiving it
 * twice, late or by two paths changes nothing. A share is one job on one node, the base a
 * node's nameless, never finished rest; the ledger (mproxy/ledger.h) makes them, the
 * reduction (mproxy/reduction.h) adds them up. A state comes whole, as a mproxy_source, or
 * as a mproxy_change on one that the receiver holds.
 * See docs/architecture.md, "Sources and sums".
 *
 * Threads: plain values.
 * Memory:  all pointers are borrowed; a call that takes a source copies what it keeps.
 * Times:   `_ms` are milliseconds. Ages (age_ms, silent_ms) are durations as of the call that
 *          takes or gives them; one who receives a source from another process adds the time
 *          since it asked for it to both.
 */
#ifndef MPROXY_SOURCE_H
#define MPROXY_SOURCE_H

#include <mproxy/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The kinds of sources; sums add a directory's sources up in this order. */
typedef enum mproxy_source_kind {
    MPROXY_SOURCE_BASE = 1,  /**< the rest of a directory that belongs to no job */
    MPROXY_SOURCE_SHARE = 2, /**< one job on one node */
    MPROXY_SOURCE_NODE = 3,  /**< the node's own metrics: of a host they are taken once */
    MPROXY_SOURCE_TARGET = 4 /**< a Prometheus target that this directory's proxy reads */
} mproxy_source_kind;

/**
 * Where a source counts. What somebody else has added up counts in the one sum that it was told
 * as, for his other sums have the same values in them.
 */
typedef enum mproxy_scope {
    MPROXY_SCOPE_ALL = 0,  /**< in main, in its host's node, and a share in its job */
    MPROXY_SCOPE_MAIN = 1, /**< in main only */
    MPROXY_SCOPE_NODE = 2, /**< in its host's node only */
    MPROXY_SCOPE_JOB =
        3 /**< in its job only; all shares of that kind, and no other source */
} mproxy_scope;

/**
 * A list of metrics that many arrays of values follow; compared by address. Its owner keeps it,
 * and refers to its metrics (mproxy_metric_ref()), for as long as anything follows it.
 */
typedef struct mproxy_layout {
    size_t count;
    const mproxy_metric *const *metrics; /**< `count` of them, none twice */
} mproxy_layout;

/** Share numbers from `first` on and below `end`. */
typedef struct mproxy_span {
    uint64_t first, end;
} mproxy_span;

struct mpx_numbers;

/**
 * A source: identity, order, description and cumulative state.
 *
 * The state's values stand in slots: those of `metrics` from 0 on, those of `node_metrics`
 * from `count` on. A source that a reduction shows has them in a form of its own, without
 * `values`: read any source by mproxy_source_value().
 */
typedef struct mproxy_source {
    size_t struct_size; /**< sizeof(mproxy_source) */
    uint8_t directory[16];
    mproxy_source_kind kind;
    uint64_t number; /**< of the share or target; 0 for the kinds of which there is one */
    mproxy_scope scope; /**< never changes while the source is held */
    uint64_t epoch;     /**< of the proxy that read it; raised at each of its starts */
    uint64_t sequence;  /**< within the epoch; changes whenever the state has */
    int64_t age_ms;     /**< since the state was read on its node */
    const char *host;   /**< of the directory: a source that says another moves it */
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
    /* private: the values of a source that is held */
    const struct mpx_numbers *numbers, *node_numbers;
} mproxy_source;

/** The value of a slot below count + node_count. */
MPROXY_API mproxy_value mproxy_source_value(const mproxy_source *source, size_t slot);

/**
 * A source's state as what differs from an earlier state of it; or that the source is gone.
 *
 * It stands on what a receiver holds of the same epoch at `from` or later. Metrics, ranks
 * and, unless it is `described`, host, job, user and absorbed numbers are those held.
 */
typedef struct mproxy_change {
    size_t struct_size;          /**< sizeof(mproxy_change) */
    const mproxy_source *source; /**< without values, unless the change is whole */
    int whole;                   /**< not a change: all of `source` counts */
    int described; /**< host, job, uid and absorbed of `source` are told, and count */
    /**
     * Forgotten by the one who tells: of `source` only the identity counts, and the order of
     * the state that was held last, so that a receiver keeps a later one; and of a base,
     * `absorbed`: those shares are gone with it.
     */
    int gone;
    uint64_t from;         /**< the sequence that must be held at least */
    size_t count;          /**< of slots */
    const uint32_t *slots; /**< rising */
    const mproxy_value *values;
} mproxy_change;

#ifdef __cplusplus
}
#endif
#endif
