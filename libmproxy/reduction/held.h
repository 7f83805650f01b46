// A source that the reduction holds: its own copy of the newest state.
#ifndef MPX_REDUCTION_HELD_H
#define MPX_REDUCTION_HELD_H

#include <stdbool.h>

#include <mproxy/source.h>

struct mpx_held {
    mproxy_source source; // points into what follows
    char *host;
    mproxy_job job;
    const mproxy_metric **metrics, **node_metrics;
    mproxy_value *values, *node_values;
    mproxy_ranks *ranks;
    mproxy_span *absorbed;
    uint64_t heard; // publication before which it was last put
    bool changed;   // since the last publication
    bool reshaped;  // its metrics are others
    bool dropped;   // forgotten, and freed once no view adds it up
    bool stored;    // a profile holds all of it
    bool retired;   // counts, but its job has left the list
};

static inline bool mpx_held_is_share(const struct mpx_held *h)
{
    return h->source.kind == MPROXY_SOURCE_SHARE;
}

// Two descriptions are equal; either may be NULL.
bool mpx_same_job(const mproxy_job *a, const mproxy_job *b);

// NULL: no memory.
struct mpx_held *mpx_held_new(const mproxy_source *source);
void mpx_held_free(struct mpx_held *h); // accepts NULL
// Take a later state. False: no memory, and the state held is as before. *regroup is set
// when views may have other members or descriptions now.
bool mpx_held_take(struct mpx_held *h, const mproxy_source *source, bool *regroup);
// Zero the values that are not finite; how many there were.
uint64_t mpx_held_clean(struct mpx_held *h);

#endif
