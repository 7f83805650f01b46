// The bounds of histograms: of each family those that came first, while it is known. Buckets of processes with
// other bounds do not add up: a bound that some have and others lack would be lower than the
// one before it.
#ifndef MPX_PROCESSES_BOUNDS_H
#define MPX_PROCESSES_BOUNDS_H

#include <mproxy/store.h>

#include "base/index.h"

struct mpx_family_bounds;
struct mpx_bounds {
    struct mpx_family_bounds *items;
    size_t count, room;
    struct mpx_index index; // by the family's name
    bool scanned;           // what the store held of an earlier proxy's
    uint64_t forgotten;     // names that the store had given back at the last look
};

void mpx_bounds_fini(struct mpx_bounds *all);

// The family's bounds are these from now on, unless it has others.
// @return MPROXY_OK, MPROXY_E_TYPE (it has others), MPROXY_E_NOMEM
mproxy_status mpx_bounds_take(struct mpx_bounds *all, const mproxy_store *store,
                              const char *name, const double *bounds, size_t count,
                              mproxy_error *err);

// A counter may have the name of a bucket: of one that the family's histogram has, or of any while
// there is no histogram; one that comes later has these bounds or is refused. Other names pass.
// @return MPROXY_OK, MPROXY_E_TYPE, MPROXY_E_NOMEM
mproxy_status mpx_bounds_take_counter(struct mpx_bounds *all, const mproxy_store *store,
                                      const char *name, mproxy_error *err);

#endif
