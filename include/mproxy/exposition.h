/**
 * @file mproxy/exposition.h
 * Metrics as text: Prometheus text format 0.0.4, OpenMetrics 1.0, and the JSON of the HTTP
 * API, at most 64 KiB a call of the mproxy_write_fn. Numbers are written in the shortest
 * form that reads back to the same double. Both text formats are also read, strictly.
 *
 * Source of the formats: prometheus.io/docs/instrumenting/exposition_formats,
 * OpenMetrics 1.0.0 (IETF draft), docs/http-api.md.
 *
 * Threads: any thread, on a snapshot or view that the caller holds; a parser, by one at a time.
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
 * @param parts  `count` of them, of one struct_size
 */
MPROXY_API mproxy_status mproxy_render_nodes(const mproxy_view *view,
                                             const mproxy_node_part *parts, size_t count,
                                             const mproxy_render_options *options,
                                             mproxy_write_fn write, void *arg);

/** Longest text of a number, the NUL included. */
#define MPROXY_NUMBER_MAX 32
/**
 * Write a finite double in its shortest form that reads back to the same, NUL-terminated. An
 * integer below 2^53 has digits only; a larger one may be rounded and has an exponent.
 *
 * @return its length without the NUL
 */
MPROXY_API size_t mproxy_format_number(double value, char out[MPROXY_NUMBER_MAX]);

/** What a page says that a family is; the words are those of the formats. */
typedef enum mproxy_family_kind {
    MPROXY_FAMILY_UNKNOWN = 1, /**< `unknown`, `untyped`, or no TYPE */
    MPROXY_FAMILY_COUNTER = 2,
    MPROXY_FAMILY_GAUGE = 3,
    MPROXY_FAMILY_HISTOGRAM = 4,
    MPROXY_FAMILY_GAUGE_HISTOGRAM = 5,
    MPROXY_FAMILY_SUMMARY = 6,
    MPROXY_FAMILY_INFO = 7,
    MPROXY_FAMILY_STATE_SET = 8
} mproxy_family_kind;

/** What a parser accepts at most. All fields may be zero. */
typedef struct mproxy_parser_options {
    size_t struct_size;    /**< sizeof(mproxy_parser_options) */
    size_t max_line_bytes; /**< of one line (default 1 MiB, at most 16 MiB) */
    size_t max_labels;     /**< of one series (default 64, at most 4,096) */
    size_t max_series;     /**< that are remembered (default 1,000,000) */
} mproxy_parser_options;

/**
 * Reads pages of one exporter, and remembers their series, so that the next page costs
 * little more than its numbers. A series keeps its index until it is forgotten; the indices
 * are small, and used again.
 *
 * Threads: one at a time.
 */
typedef struct mproxy_parser mproxy_parser;

/** A page that was read. Its arrays are the parser's, until the next call that takes it. */
typedef struct mproxy_page {
    size_t struct_size;     /**< sizeof(mproxy_page) */
    size_t count;           /**< samples, in the order of the page */
    const uint32_t *series; /**< index of each sample's series */
    const double *values;   /**< NaN and infinities among them */
    const int64_t
        *times_us;         /**< microseconds of UNIX time, INT64_MIN: the sample has none;
                                  NULL: no sample has one */
    const uint32_t *fresh; /**< series that were not known before */
    size_t fresh_count;
    const uint32_t *gone; /**< series of the page before that are not on this one */
    size_t gone_count;
    size_t families;  /**< with samples or without */
    size_t exemplars; /**< read, checked, and dropped */
    int same_order;   /**< `series` is as on the page before */
} mproxy_page;

/** A series. Its texts are the parser's, until the next call that takes it. */
typedef struct mproxy_series {
    size_t struct_size; /**< sizeof(mproxy_series) */
    const char *name;   /**< `base{label="value",...}`: labels in our order, those without
                                  a value left out; with NULs in it where the page has some */
    size_t name_length; /**< bytes */
    int fits;           /**< mproxy_metric_check_name() takes it */
    mproxy_type type;   /**< of this series: a histogram's are counters */
    mproxy_family_kind kind; /**< of its family */
    const char
        *family;      /**< name of the family; of OpenMetrics' counters without _total */
    const char *help; /**< unescaped; "": none */
    const char *unit; /**< "": none */
} mproxy_series;

/**
 * The format that a Content-Type header announces. Without a header (NULL or empty), and with
 * any other type, it is the text format 0.0.4, as for Prometheus 2 and the Pushgateway.
 *
 * @return MPROXY_OK or MPROXY_E_UNSUPPORTED (protobuf; a version or charset that is not read)
 */
MPROXY_API mproxy_status mproxy_format_of_content_type(const char *content_type,
                                                       mproxy_format *out,
                                                       mproxy_error *err);

/** @param options may be NULL  @param out release with mproxy_parser_free() */
MPROXY_API mproxy_status mproxy_parser_new(const mproxy_parser_options *options,
                                           mproxy_parser **out, mproxy_error *err);
/** Accepts NULL. */
MPROXY_API void mproxy_parser_free(mproxy_parser *parser);

/**
 * Read a whole page. One that breaks a rule of its format is refused, and the parser knows what
 * it knew before.
 *
 * @param format  MPROXY_FORMAT_PROMETHEUS or MPROXY_FORMAT_OPENMETRICS
 * @param page    struct_size set; else untouched on failure
 * @return MPROXY_OK, MPROXY_E_INVALID with err->line and err->column (in bytes) at the fault,
 *         MPROXY_E_LIMIT (with line and column too) or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_parser_read(mproxy_parser *parser, const char *text,
                                            size_t length, mproxy_format format,
                                            mproxy_page *page, mproxy_error *err);

/**
 * Describe a series that is remembered.
 *
 * @param out  struct_size set
 * @return MPROXY_OK, MPROXY_E_NOTFOUND or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_parser_series(mproxy_parser *parser, uint32_t series,
                                              mproxy_series *out, mproxy_error *err);

/**
 * Forget a series, whose index may then become another's.
 *
 * @return MPROXY_OK, MPROXY_E_NOTFOUND or MPROXY_E_BUSY (it is on the last page)
 */
MPROXY_API mproxy_status mproxy_parser_forget(mproxy_parser *parser, uint32_t series,
                                              mproxy_error *err);

#ifdef __cplusplus
}
#endif
#endif
