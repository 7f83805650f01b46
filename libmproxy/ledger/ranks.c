#include "ledger/ranks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

// Position of the first row that is not below `rank`.
static uint32_t lower_bound(const struct mpx_rank_table *t, uint32_t rank)
{
    uint32_t low = 0, high = t->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t->rows[middle].rank < rank)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct mpx_rank_row *mpx_rank_row(const struct mpx_rank_table *t, uint32_t rank)
{
    uint32_t at = lower_bound(t, rank);
    return at < t->count && t->rows[at].rank == rank ? &t->rows[at] : NULL;
}

static bool grow_row(struct mpx_rank_table *t, struct mpx_rank_row *row, uint32_t slots)
{
    if (slots <= row->count)
        return true;
    if (!MPX_RESERVE_TO(row->values, slots))
        return false;
    t->cells += slots - row->count;
    while (row->count < slots)
        row->values[row->count++] = NAN;
    return true;
}

static struct mpx_rank_row *insert(struct mpx_rank_table *t, uint32_t rank)
{
    if (!MPX_RESERVE(t->rows, t->room, t->count + 1u))
        return NULL;
    uint32_t at = lower_bound(t, rank);
    memmove(t->rows + at + 1, t->rows + at, (t->count - at) * sizeof *t->rows);
    t->rows[at] = (struct mpx_rank_row){.rank = rank};
    t->count++;
    return &t->rows[at];
}

static void clear(struct mpx_rank_table *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        free(t->rows[i].values);
    free(t->rows);
    *t = (struct mpx_rank_table){.overflow = t->overflow};
}

bool mpx_rank_reserve(struct mpx_rank_table *t, uint32_t rank, uint32_t slots)
{
    if (t->overflow)
        return true;
    struct mpx_rank_row *row = mpx_rank_row(t, rank);
    uint64_t more = slots - (row && row->count < slots ? row->count : 0);
    if (row && row->count >= slots)
        return true;
    if (t->cells + more > MPX_RANK_CELLS_MAX) {
        t->overflow = true;
        clear(t);
        return true;
    }
    if (!row)
        row = insert(t, rank);
    return row && grow_row(t, row, slots);
}

void mpx_rank_add(struct mpx_rank_row *row, uint32_t slot, double value)
{
    row->values[slot] = isnan(row->values[slot]) ? value : row->values[slot] + value;
}

mproxy_ranks *mpx_rank_condense(const struct mpx_rank_table *t, uint32_t slots)
{
    mproxy_ranks *out = calloc(slots + 1, sizeof *out);
    if (!out)
        return NULL;
    for (uint32_t r = 0; r < t->count; r++)
        for (uint32_t slot = 0; slot < t->rows[r].count && slot < slots; slot++)
            if (!isnan(t->rows[r].values[slot]))
                mproxy_ranks_add(&out[slot], t->rows[r].rank, t->rows[r].values[slot]);
    return out;
}

void mpx_rank_fini(struct mpx_rank_table *t)
{
    t->overflow = false;
    clear(t);
}
