// Counters of a vector that are sums of others in it: see tables/derived.def.
#ifndef MPX_PROCESSES_DERIVED_H
#define MPX_PROCESSES_DERIVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// One addition: values[to] += values[from].
struct mpx_derived_term {
    uint32_t from, to;
};

// The terms of one vector; zeroed to begin with.
struct mpx_derived {
    uint32_t first, end; // values that are derived: [first, end)
    uint32_t term_count;
    size_t term_room;
    struct mpx_derived_term *terms;
};

// Finds or takes up a derived metric; its place in the vector, or -1.
typedef int64_t (*mpx_derived_place_fn)(void *arg, const char *name, const char *doc);

// Add the terms that the counter `name` at place `from` gives rise to. False: no memory.
bool mpx_derived_add(struct mpx_derived *d, const char *name, uint32_t from,
                     mpx_derived_place_fn place, void *arg);
void mpx_derived_compute(const struct mpx_derived *d, double *values);
void mpx_derived_free(struct mpx_derived *d);

#endif
