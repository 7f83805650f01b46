/**
 * @file mproxy/metric.h
 * Metrics: a name with labels, a type, and a value that merges.
 *
 * Merging is commutative and associative, with the zeroed value as identity, so that the
 * order and the place of adding up do not matter.
 *
 * Threads: any thread; plain values.
 */
#ifndef MPROXY_METRIC_H
#define MPROXY_METRIC_H

#include <mproxy/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mproxy_type {
    MPROXY_COUNTER = 1, /**< grows; contributors are added */
    MPROXY_GAUGE = 2    /**< goes up and down; contributors are averaged */
} mproxy_type;

/**
 * A metric's value. For a counter only `total` and `ts_us` count. For a gauge `hits` is the
 * number of contributors, `total` the sum of their values, `min` and `max` over the same.
 */
typedef struct mproxy_value {
    double total;
    double min;
    double max;
    double hits;
    uint64_t ts_us; /**< last change, microseconds of UNIX time */
} mproxy_value;

/** How a counter spreads over the ranks of a job. n = 0: not known. */
typedef struct mproxy_ranks {
    uint64_t n; /**< ranks that count it */
    double sum; /**< mean = sum / n */
    double min;
    double max;
    uint32_t min_rank; /**< of several, the lowest */
    uint32_t max_rank;
} mproxy_ranks;

/** A gauge of one contributor. */
MPROXY_API mproxy_value mproxy_value_gauge(double value, uint64_t ts_us);
/** A counter's value. */
MPROXY_API mproxy_value mproxy_value_counter(double value, uint64_t ts_us);
/** Merge `other` into `value`; a gauge without hits is the identity. */
MPROXY_API void mproxy_value_merge(mproxy_type type, mproxy_value *value,
                                   const mproxy_value *other);
/** Merge the spread of other ranks into `ranks`. */
MPROXY_API void mproxy_ranks_merge(mproxy_ranks *ranks, const mproxy_ranks *other);
/** Add one rank's whole value. */
MPROXY_API void mproxy_ranks_add(mproxy_ranks *ranks, uint32_t rank, double value);

/**
 * Check a metric's name: `base` or `base{label="value",...}`, at most 1,024 bytes of valid
 * UTF-8, without control characters. The base starts with a letter, `_` or `:` and holds no
 * spaces, quotes or braces; characters that Prometheus does not take become `_` in text
 * exposition only. Label names are `[a-zA-Z_][a-zA-Z0-9_]*`, none twice; in a label value
 * `\`, `"` and newline are escaped with a backslash.
 *
 * @param length  bytes of `name`, which need not end in NUL
 * @return MPROXY_OK or MPROXY_E_INVALID, err->column at the fault
 */
MPROXY_API mproxy_status mproxy_metric_check_name(const char *name, size_t length,
                                                  mproxy_error *err);

/** Length of the base of a valid name: up to its `{` or end. */
MPROXY_API size_t mproxy_metric_base_length(const char *name);

#ifdef __cplusplus
}
#endif
#endif
