// One view as a sum: which sources it adds up, and how it is made of their numbers.
#ifndef MPX_REDUCTION_SUM_H
#define MPX_REDUCTION_SUM_H

#include "reduction/held.h"
#include "reduction/map.h"
#include "store/view.h"

enum mpx_sum_kind { MPX_SUM_MAIN = 0, MPX_SUM_NODE = 1, MPX_SUM_JOB = 2 };

struct mpx_term {
    struct mpx_held *held;
    struct mpx_map *map; // planned: into the sum; NULL: nothing to add, or shown as it is
    bool node;           // the share's part of the node's metrics, not its own
};

struct mpx_sum {
    enum mpx_sum_kind kind;
    struct mpx_title *title;
    struct mpx_held *node; // the node's source that is taken; nodes
    struct mpx_term *terms;
    uint32_t term_count;
    // The plan: what is added up has this shape, and is part 0; other parts are the numbers
    // of one term each.
    bool planned;
    struct mpx_shape *shape;    // NULL: nothing is added up
    struct mpx_shape *left_out; // names that terms have with both types; NULL: none
    uint32_t single_count, singles[MPX_PARTS_MAX];
    struct mpx_display *display;
    bool plain; // a counter is shown higher than its source has it: add up all terms
    // since the last publication
    bool dirty;        // a value changed
    bool stale;        // terms, their shapes or the title changed
    bool reshaped;     // the plan is out of date
    bool lowered;      // a counter of some term is lower
    bool other;        // it is another run: counters may be lower
    mproxy_view *view; // published last
};

// Whether a source counts in sums of a kind.
static inline bool mpx_sum_is_of(enum mpx_sum_kind kind, const struct mpx_held *h)
{
    static const mproxy_scope scopes[] = {MPROXY_SCOPE_MAIN, MPROXY_SCOPE_NODE,
                                          MPROXY_SCOPE_JOB};
    return h->source.scope == MPROXY_SCOPE_ALL || h->source.scope == scopes[kind];
}

// What sums are made with.
struct mpx_bench {
    struct mpx_order order;
    struct mpx_shapes shapes;
    struct mpx_maps maps;
};

// Replace the terms by these, taking the array. Says what that means for the view.
void mpx_sum_take_terms(struct mpx_sum *sum, struct mpx_bench *bench,
                        struct mpx_term *terms, uint32_t count, uint64_t stamp);
// Give it a title with this description, the one it has if it is the same. False: no memory.
bool mpx_sum_describe(struct mpx_sum *sum, const char *key, const mproxy_job *desc);
// Whether it must be computed again.
bool mpx_sum_is_dirty(const struct mpx_sum *sum);
// Compute it and build a view. Counters that went back are added to *steps_back; what a sum
// in another order differs by in its last bits does not count and is not shown.
// @return MPROXY_OK (*out set) or MPROXY_E_NOMEM
mproxy_status mpx_sum_build(struct mpx_sum *sum, struct mpx_bench *bench,
                            mproxy_view **out, uint64_t *steps_back, mproxy_error *err);
// The view was published; takes the reference to it.
void mpx_sum_settle(struct mpx_sum *sum, mproxy_view *view);
void mpx_sum_fini(struct mpx_sum *sum, struct mpx_bench *bench);

#endif
