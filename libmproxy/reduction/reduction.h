// The reduction's inside: sources held, and the sums that are made of them.
#ifndef MPX_REDUCTION_REDUCTION_H
#define MPX_REDUCTION_REDUCTION_H

#include <mproxy/reduction.h>

#include "base/index.h"
#include "reduction/sum.h"

enum {
    MPX_NODE_SILENT_MAX = 3 // publications after which a rival's node metrics are taken
};

struct mpx_sums {
    struct mpx_sum *items; // main, nodes by name, jobs by start and id
    size_t count, room;
};

struct mproxy_reduction {
    struct mpx_order order;
    int64_t continue_ms;
    struct mpx_held **held; // rising by directory and number, once sorted
    size_t held_count, held_room;
    struct mpx_index index; // of held, by identity
    bool unsorted;
    bool regroup; // members or descriptions of views may have changed
    bool rivals;  // some host has the node metrics of several directories
    bool published;
    struct mpx_sums sums;
    mproxy_view **views; // scratch of publish, one per sum
    size_t view_room;
    uint64_t round; // publications
    const mproxy_source **list;
    size_t list_room;
    mproxy_reduction_stats stats;
};

// Make the sums anew from what is held, keeping plans and views of those that are the same.
// Sources that were dropped are in none of them afterwards.
bool mpx_regroup(struct mproxy_reduction *r);
void mpx_sums_fini(struct mpx_sums *sums);

#endif
