// What the ledger knows of each vector of metrics that processes count in.
#ifndef MPX_REDUCE_LAYOUTS_H
#define MPX_REDUCE_LAYOUTS_H

#include <mproxy/reduce.h>

#include "reduce/index.h"

struct mpx_layout {
    const mproxy_layout *key;
    uint32_t id; // small; one that was forgotten is given again
    uint32_t gauge_count;
    uint32_t *gauges; // columns that are gauges, rising
    double *sums;     // scratch of mpx_layout_sum()
    // Arrays of this round that follow the layout: counted while it is prepared, and those
    // of one share while that is summed.
    uint32_t parts;
    const double **rows;
    uint32_t row_count, row_room;
    struct mpx_layout *next; // of those that one share uses
};

struct mpx_layouts {
    struct mpx_layout **items; // by id; NULL: forgotten
    uint32_t count, room, forgotten;
    struct mpx_index index; // of those forgotten, too, until it is full
};

// Find or add; NULL: no memory.
struct mpx_layout *mpx_layouts_get(struct mpx_layouts *ls, const mproxy_layout *key);
// Find; NULL: it is not known.
struct mpx_layout *mpx_layouts_find(const struct mpx_layouts *ls,
                                    const mproxy_layout *key);
void mpx_layouts_forget(struct mpx_layouts *ls, struct mpx_layout *layout);
// Room for one more row than `parts`, and count it.
bool mpx_layout_expect(struct mpx_layout *layout);
// Add up the rows, column by column and always in the same order, into `sums`. A gauge's
// column means nothing; a value that is not finite is left out.
void mpx_layout_sum(struct mpx_layout *layout);
void mpx_layouts_fini(struct mpx_layouts *ls);

#endif
