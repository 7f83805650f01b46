// The pool of interned metrics, with the texts that rendering needs made once per name.
//
// One thread interns and sweeps; any thread reads a metric that something it holds shows.
#ifndef MPX_STORE_NAMES_H
#define MPX_STORE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/families.h"
#include "store/metric.h"

struct mpx_names;

// What every mproxy_metric of a store really is. What rendering reads of each comes first: 64
// bytes, because metrics lie in memory as they came, and each line of it is waited for.
struct mpx_metric {
    mproxy_metric public;
    const struct mpx_family *family;
    const struct mpx_doc *doc; // atomic
    const char *text;          // for text formats, labels included; NULL: can't be shown
    const char *json;          // escaped name, without quotes
    uint32_t text_length;
    uint32_t json_length;
    uint32_t name_length;
    unsigned references; // atomic; raised by the writer only
    struct mpx_names *names;
    struct mpx_metric *twin; // the metric of this name and the other type; NULL: none
    size_t *account;         // that is one higher while the name is known; NULL: none
    struct mpx_metric *next; // of those that are given back
    bool is_dead;            // to be freed by the sweep that is at work
};

static inline const struct mpx_metric *mpx_metric_of(const mproxy_metric *metric)
{
    return (const struct mpx_metric *)metric;
}

// Ask for what rendering reads of a metric, which may lie over two lines of the cache.
static inline void mpx_metric_prefetch(const mproxy_metric *metric)
{
    __builtin_prefetch(metric);
    __builtin_prefetch((const char *)metric + offsetof(struct mpx_metric, name_length));
}

static inline const struct mpx_doc *mpx_metric_doc_of(const struct mpx_metric *metric)
{
    return __atomic_load_n(&metric->doc, __ATOMIC_ACQUIRE);
}

// The metric of the same name and the other type, for the writer; NULL: none is known.
static inline const mproxy_metric *mpx_metric_twin(const mproxy_metric *metric)
{
    const struct mpx_metric *twin = mpx_metric_of(metric)->twin;
    return twin ? &twin->public : NULL;
}

// Order of display: by base name bytewise, then by the whole name, counters first.
int mpx_metric_compare(const mproxy_metric *a, const mproxy_metric *b);

struct mpx_names *mpx_names_new(size_t max_metrics); // one reference; NULL: no memory
void mpx_names_unref(struct mpx_names *names);       // accepts NULL
// Unless it is `bounded` a new name is taken past `max_metrics` too. `account`, if not NULL,
// is raised by one for a new name, and lowered when it is given back.
mproxy_status mpx_names_intern(struct mpx_names *names, const char *name,
                               mproxy_type type, const char *doc, bool bounded,
                               size_t *account, const mproxy_metric **out,
                               mproxy_error *err);
// NULL: not known.
const mproxy_metric *mpx_names_lookup(const struct mpx_names *names, const char *name,
                                      mproxy_type type);
bool mpx_names_have_family(const struct mpx_names *names, const char *base,
                           size_t length);
size_t mpx_names_count(const struct mpx_names *names);
uint32_t mpx_names_bound(const struct mpx_names *names); // ids are below it
// Changes whenever a name comes or goes.
uint64_t mpx_names_version(const struct mpx_names *names);
// How many have gone in all.
uint64_t mpx_names_forgotten(const struct mpx_names *names);
const mproxy_metric *mpx_names_at(const struct mpx_names *names, uint32_t id);
// NULL: no memory for it.
const mproxy_metric *const *mpx_names_order(struct mpx_names *names);
// Give back metrics without a reference; a bounded number of them is looked at.
void mpx_names_sweep(struct mpx_names *names);
// The account goes: what it has brought is nobody's.
void mpx_names_close_account(struct mpx_names *names, const size_t *account);

// References of all of these; the pool is kept with them. What refers on a thread that is
// not the writer's, as shapes do, uses these two.
void mpx_metrics_ref(const mproxy_metric *const *metrics, size_t count);
void mpx_metrics_unref(const mproxy_metric *const *metrics, size_t count);

#endif
