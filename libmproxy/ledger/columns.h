// What the ledger knows of each vector of metrics that processes count in.
#ifndef MPX_LEDGER_COLUMNS_H
#define MPX_LEDGER_COLUMNS_H

#include <mproxy/ledger.h>

#include "base/index.h"

struct mpx_columns {
    const mproxy_layout *key;
    uint32_t id; // small; one that was forgotten is given again
    uint32_t gauge_count;
    uint32_t *gauges; // columns that are gauges, rising
    double *sums;     // scratch of mpx_columns_sum()
    // Arrays of this round that follow the layout: counted while it is prepared, and those
    // of one share while that is summed.
    uint32_t parts;
    const double **rows;
    uint32_t row_count;
    size_t row_room;
    struct mpx_columns *next; // of those that one share uses
};

struct mpx_columns_set {
    struct mpx_columns **items; // by id; NULL: forgotten
    uint32_t count, forgotten;
    size_t room;
    struct mpx_index index;
};

// Find or add; NULL: no memory.
struct mpx_columns *mpx_columns_get(struct mpx_columns_set *ls, const mproxy_layout *key);
// Find; NULL: it is not known.
struct mpx_columns *mpx_columns_find(const struct mpx_columns_set *ls,
                                     const mproxy_layout *key);
void mpx_columns_forget(struct mpx_columns_set *ls, struct mpx_columns *columns);
// Room for one more row than `parts`, and count it.
bool mpx_columns_expect(struct mpx_columns *columns);
// Add up the rows, column by column and always in the same order, into `sums`. A gauge's
// column means nothing; a value that is not finite is left out.
void mpx_columns_sum(struct mpx_columns *columns);
void mpx_columns_fini(struct mpx_columns_set *ls);

#endif
