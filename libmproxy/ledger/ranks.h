// What each rank of a share has counted, until the share is sealed.
#ifndef MPX_LEDGER_RANKS_H
#define MPX_LEDGER_RANKS_H

#include <stdbool.h>

#include <mproxy/metric.h>

enum {
    MPX_RANK_CELLS_MAX = 4 << 20 // of one share; beyond, its spread is not known
};

struct mpx_rank_row {
    uint32_t rank;
    uint32_t count;
    double *values; // by slot; NaN: the rank does not count it
};

struct mpx_rank_table {
    struct mpx_rank_row *rows; // rising by rank
    uint32_t count;
    size_t room;
    uint64_t cells;
    bool overflow; // rows were given up
};

// A row for `rank` with at least `slots` cells. False only when there is no memory.
bool mpx_rank_reserve(struct mpx_rank_table *t, uint32_t rank, uint32_t slots);
// The row of a rank; NULL if there is none.
struct mpx_rank_row *mpx_rank_row(const struct mpx_rank_table *t, uint32_t rank);
void mpx_rank_add(struct mpx_rank_row *row, uint32_t slot, double value);
// The spread per slot, to free(); n = 0 where no rank counts. NULL: no memory.
mproxy_ranks *mpx_rank_condense(const struct mpx_rank_table *t, uint32_t slots);
void mpx_rank_fini(struct mpx_rank_table *t);

#endif
