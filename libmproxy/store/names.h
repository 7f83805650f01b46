// The pool of interned metrics, with the texts that rendering needs made once per name.
//
// One thread interns; any thread reads what it got through a snapshot. What is interned
// never moves and lives until the last reference to the pool is gone.
#ifndef MPX_STORE_NAMES_H
#define MPX_STORE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/metric.h"

// A text for people, as each format writes it. The three are one where nothing is escaped.
struct mpx_doc {
    const char *text;
    const char *help; // Prometheus: `\` and newline escaped
    const char *json; // without the quotes around it
    uint32_t help_length;
    uint32_t json_length;
};

enum mpx_suffix {
    MPX_SUFFIX_NONE = 0,
    MPX_SUFFIX_TOTAL = 1,
    MPX_SUFFIX_BUCKET = 2,
    MPX_SUFFIX_SUM = 3,
    MPX_SUFFIX_COUNT = 4
};

// What metrics of one base name share.
struct mpx_family {
    const char *base;
    uint32_t length; // of `base`
    uint32_t id;     // dense, from 0
    enum mpx_suffix suffix;
    // The family of the name that text formats show: itself, unless it must be sanitised.
    const struct mpx_family *text;
    // The family of the name without its suffix; NULL where there is none.
    const struct mpx_family *stem;
};

// What every mproxy_metric of a store really is.
struct mpx_metric {
    mproxy_metric public; // `doc` is read and written with atomics, see mproxy_metric_doc()
    const struct mpx_family *family;
    const struct mpx_doc *doc; // atomic, as public.doc
    const char *text;          // for text formats, labels included; NULL: can't be shown
    const char *json;          // escaped name, without quotes
    uint32_t name_length;
    uint32_t text_length;
    uint32_t json_length;
    bool has_job_id; // has a label of the name that rendering may add
};

static inline const struct mpx_metric *mpx_metric_of(const mproxy_metric *metric)
{
    return (const struct mpx_metric *)metric;
}

static inline const struct mpx_doc *mpx_metric_doc_of(const struct mpx_metric *metric)
{
    return __atomic_load_n(&metric->doc, __ATOMIC_ACQUIRE);
}

// Order of display: by base name bytewise, then by the whole name.
int mpx_metric_compare(const mproxy_metric *a, const mproxy_metric *b);

struct mpx_names;

struct mpx_names *mpx_names_new(size_t max_metrics); // one reference; NULL: no memory
struct mpx_names *mpx_names_ref(struct mpx_names *names);
void mpx_names_unref(struct mpx_names *names); // accepts NULL
// Unless it is `bounded` a new name is taken past `max_metrics` too.
mproxy_status mpx_names_intern(struct mpx_names *names, const char *name,
                               mproxy_type type, const char *doc, bool bounded,
                               const mproxy_metric **out, mproxy_error *err);
// NULL: not known.
const mproxy_metric *mpx_names_lookup(const struct mpx_names *names, const char *name);
size_t mpx_names_count(const struct mpx_names *names);
const mproxy_metric *mpx_names_at(const struct mpx_names *names, uint32_t id);
// NULL: no memory for it.
const mproxy_metric *const *mpx_names_order(struct mpx_names *names);

#endif
