/**
 * @file mproxy/exposition.h
 * Metrics as text: Prometheus text format 0.0.4, OpenMetrics 1.0, and the JSON of the HTTP
 * API, at most 64 KiB a call of the mproxy_write_fn. Numbers are written in the shortest
 * form that reads back to the same double.
 *
 * Source of the formats: prometheus.io/docs/instrumenting/exposition_formats,
 * OpenMetrics 1.0.0 (IETF draft), docs/http-api.md.
 *
 * Threads: any thread, on a snapshot or view that the caller holds.
 */
#ifndef MPROXY_EXPOSITION_H
#define MPROXY_EXPOSITION_H

#include <mproxy/store.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mproxy_format {
    MPROXY_FORMAT_PROMETHEUS = 1,  /**< text/plain; version=0.0.4 */
    MPROXY_FORMAT_OPENMETRICS = 2, /**< application/openmetrics-text; version=1.0.0 */
    MPROXY_FORMAT_JSON = 3         /**< application/json: {"desc":…,"counters":[…]} */
} mproxy_format;

/** Which metrics to show, and how. All fields may be zero. */
typedef struct mproxy_render_options {
    size_t struct_size;    /**< sizeof(mproxy_render_options) */
    const char *job_label; /**< text: adds job_id="…" to every sample; NULL: none */
    const char *metric; /**< only this metric (whole name) or family (base); NULL: all */
    int received_only;  /**< leave out counters that never received data (ts 0) and gauges
                             that nobody set */
    int desc_only;      /**< JSON: 1 the bare description, 2 {"desc":…} */
    int ranks;          /**< JSON: with each counter's spread over ranks where known */
} mproxy_render_options;

/** One node's part of a job, for mproxy_render_nodes(). */
typedef struct mproxy_node_part {
    size_t struct_size;      /**< sizeof(mproxy_node_part) */
    const char *node;        /**< host name */
    int fresh;               /**< it reported lately */
    double age_s;            /**< seconds since its report */
    const mproxy_view *view; /**< what it reported of the job */
} mproxy_node_part;

/** Render one view. @param options may be NULL */
MPROXY_API mproxy_status mproxy_render_view(const mproxy_view *view, mproxy_format format,
                                            const mproxy_render_options *options,
                                            mproxy_write_fn write, void *arg);
/**
 * Render all views of a snapshot: JSON as one array; text as one exposition with each
 * family once and a `job_id` label on every sample.
 */
MPROXY_API mproxy_status mproxy_render_snapshot(const mproxy_snapshot *snapshot,
                                                mproxy_format format,
                                                const mproxy_render_options *options,
                                                mproxy_write_fn write, void *arg);

/**
 * Render a job per node, as JSON: `{"desc":…,"nodes":[{"node","fresh","age","counters"}],
 * "spread":[{"name","min","max","mean","min_node","max_node"}]}`. The spread is over the
 * nodes that have the metric: of a counter's values, of a gauge's means.
 *
 * @param view   the job's sum, for its description and its metrics
 * @param parts  `count` of them
 */
MPROXY_API mproxy_status mproxy_render_nodes(const mproxy_view *view,
                                             const mproxy_node_part *parts, size_t count,
                                             const mproxy_render_options *options,
                                             mproxy_write_fn write, void *arg);

/** Longest text of a number, the NUL included. */
#define MPROXY_NUMBER_MAX 32
/**
 * Write a finite double in its shortest round-trip form, an integer below 2^53 in digits
 * only, a larger one, which may be rounded, with an exponent; NUL-terminated. @return its length without the NUL
 */
MPROXY_API size_t mproxy_format_number(double value, char out[MPROXY_NUMBER_MAX]);

#ifdef __cplusplus
}
#endif
#endif
