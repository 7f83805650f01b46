// One view as a sum: which sources it adds up, and the slots of their metrics in it.
#ifndef MPX_REDUCTION_SUM_H
#define MPX_REDUCTION_SUM_H

#include "reduction/held.h"

// What all sums of a store share: where each metric is in the order of display.
struct mpx_order {
    mproxy_store *store;
    const mproxy_metric *const *metrics; // in order
    size_t count;
    uint32_t *rank;       // by id
    uint64_t *marks;      // scratch: a bit per rank, all clear
    uint32_t *slots;      // scratch: by rank
    mproxy_value *values; // scratch: of the sum that is computed
    mproxy_ranks *ranks;
    size_t value_room;
    bool filled;
};

enum mpx_sum_kind { MPX_SUM_MAIN = 0, MPX_SUM_NODE = 1, MPX_SUM_JOB = 2 };

struct mpx_term {
    struct mpx_held *held;
    bool node;       // the share's part of the node's metrics, not its own
    uint32_t *slots; // by metric of the source; the top bit marks a gauge
};

struct mpx_sum {
    enum mpx_sum_kind kind;
    char *key;       // of the view
    mproxy_job desc; // owned
    uint32_t uid;    // jobs
    char *jobid;     // jobs: as the sources say; key may differ
    int64_t start_ms;
    struct mpx_held *node; // the node's source that is taken; nodes
    struct mpx_term *parts;
    uint32_t part_count, part_room;
    bool planned;
    const mproxy_metric **metrics; // of the view, in order of display
    uint32_t count;
    bool stale;        // members or description changed
    bool other;        // it is another run: counters may be lower
    mproxy_view *view; // published last
};

// Bring the order up to date. False: no memory.
bool mpx_order_refresh(struct mpx_order *order);
void mpx_order_fini(struct mpx_order *order);

bool mpx_sum_add_term(struct mpx_sum *sum, struct mpx_held *held, bool node);
bool mpx_sum_same_terms(const struct mpx_sum *a, const struct mpx_sum *b);
// Whether it must be computed again.
bool mpx_sum_is_dirty(const struct mpx_sum *sum);
// Compute it and build a view. Counters that went back are added to *steps_back; what a sum
// in another order differs by in its last bits does not count and is not shown.
// @return MPROXY_OK (*out set) or MPROXY_E_NOMEM
mproxy_status mpx_sum_build(struct mpx_sum *sum, struct mpx_order *order,
                            mproxy_view **out, uint64_t *steps_back, mproxy_error *err);
void mpx_sum_fini(struct mpx_sum *sum);

#endif
