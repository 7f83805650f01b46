// The values of a shape's metrics, in place: eight bytes for a counter's total or the value
// of a gauge of one contributor, and eight for the time of its last change.
//
// Reference counted. The writer may change one that nobody else holds; one that a view holds
// never changes again, so readers on any thread see what was published.
#ifndef MPX_STORE_NUMBERS_H
#define MPX_STORE_NUMBERS_H

#include "store/shape.h"

// A gauge of several contributors: what a single double does not say.
struct mpx_many {
    double min, max, hits;
};

struct mpx_numbers {
    unsigned references;     // atomic
    struct mpx_shape *shape; // referenced
    double *totals;          // by slot; without `many` NaN is a gauge that was never set
    uint64_t *times;         // by slot: last change, microseconds of UNIX time; 0: never
    struct mpx_many *many; // by shape->gauge_at; NULL: no gauge has several contributors
    mproxy_ranks *ranks;   // by slot; NULL: not known
};

// Zeroes, or gauges never set. NULL: no memory.
struct mpx_numbers *mpx_numbers_new(struct mpx_shape *shape, bool many, bool ranks);
struct mpx_numbers *mpx_numbers_copy(const struct mpx_numbers *n); // of the same kind
struct mpx_numbers *mpx_numbers_ref(struct mpx_numbers *n);
void mpx_numbers_unref(struct mpx_numbers *n); // accepts NULL

static inline bool mpx_numbers_is_shared(const struct mpx_numbers *n)
{
    return __atomic_load_n(&n->references, __ATOMIC_ACQUIRE) > 1;
}

// Whether a double alone holds this gauge.
static inline bool mpx_value_is_single(const mproxy_value *v)
{
    return v->hits == 0 ? v->total == 0 && v->min == 0 && v->max == 0
                        : v->hits == 1 && v->min == v->total && v->max == v->total;
}

static inline mproxy_value mpx_numbers_at(const struct mpx_numbers *n, uint32_t slot)
{
    mproxy_value v = {.total = n->totals[slot], .ts_us = n->times[slot]};
    uint32_t gauge = n->shape->gauge_at[slot];
    if (gauge == MPX_NO_GAUGE)
        return v;
    if (n->many) {
        const struct mpx_many *many = &n->many[gauge];
        v.min = many->min;
        v.max = many->max;
        v.hits = many->hits;
    } else if (v.total == v.total) {
        v.min = v.max = v.total;
        v.hits = 1;
    } else
        v.total = 0;
    return v;
}

// Without `many` a gauge must be a single one.
void mpx_numbers_set(struct mpx_numbers *n, uint32_t slot, const mproxy_value *v);

#endif
