#include "base/index.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

bool mpx_index_reserve(struct mpx_index *ix, uint32_t count)
{
    if ((uint64_t)count * 2 <= ix->room)
        return true;
    uint32_t room = ix->room ? ix->room : 16;
    while (room < (uint64_t)count * 2) {
        if (room > UINT32_MAX / 2)
            return false;
        room *= 2;
    }
    struct mpx_index_cell *cells = calloc(room, sizeof *cells);
    if (!cells)
        return false;
    struct mpx_index old = *ix;
    *ix = (struct mpx_index){.cells = cells, .room = room};
    for (uint32_t i = 0; i < old.room; i++)
        if (old.cells[i].position)
            mpx_index_put(ix, old.cells[i].hash, old.cells[i].position - 1);
    free(old.cells);
    return true;
}

void mpx_index_put(struct mpx_index *ix, uint32_t hash, uint32_t position)
{
    uint32_t at = hash & (ix->room - 1);
    while (ix->cells[at].position)
        at = (at + 1) & (ix->room - 1);
    ix->cells[at] = (struct mpx_index_cell){.hash = hash, .position = position + 1};
    ix->used++;
}

static uint32_t cell_of(const struct mpx_index *ix, uint32_t hash, uint32_t position)
{
    uint32_t at = hash & (ix->room - 1);
    while (ix->cells[at].position != position + 1)
        at = (at + 1) & (ix->room - 1);
    return at;
}

// A search ends at an empty cell, so that what stands behind the hole moves up into it,
// unless it would come to stand before the cell where its search begins.
void mpx_index_remove(struct mpx_index *ix, uint32_t hash, uint32_t position)
{
    uint32_t mask = ix->room - 1, hole = cell_of(ix, hash, position);
    for (uint32_t at = (hole + 1) & mask; ix->cells[at].position; at = (at + 1) & mask) {
        uint32_t home = ix->cells[at].hash & mask;
        if (((at - home) & mask) < ((at - hole) & mask))
            continue;
        ix->cells[hole] = ix->cells[at];
        hole = at;
    }
    ix->cells[hole].position = 0;
    ix->used--;
}

void mpx_index_move(struct mpx_index *ix, uint32_t hash, uint32_t from, uint32_t to)
{
    ix->cells[cell_of(ix, hash, from)].position = to + 1;
}

void mpx_index_clear(struct mpx_index *ix)
{
    if (ix->used)
        memset(ix->cells, 0, ix->room * sizeof *ix->cells);
    ix->used = 0;
}

void mpx_index_fini(struct mpx_index *ix)
{
    free(ix->cells);
    *ix = (struct mpx_index){0};
}

// One for the process, so that nobody can choose names that meet in one cell.
static uint64_t seed(void)
{
    static _Atomic uint64_t drawn; // 0: not yet
    uint64_t value = atomic_load_explicit(&drawn, memory_order_relaxed), none = 0;
    if (value)
        return value;
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) != sizeof value)
        value = (uintptr_t)&value;
    value |= 1;
    return atomic_compare_exchange_strong(&drawn, &none, value) ? value : none;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9fb21c651e98df25);
    return hash ^ hash >> 32;
}

uint32_t mpx_hash_bytes(const void *bytes, size_t length)
{
    const char *at = bytes;
    uint64_t hash = mix(seed(), length), word;
    for (; length >= sizeof word; length -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        hash = mix(hash, word);
    }
    word = 0;
    memcpy(&word, at, length);
    return mpx_hash_u64(mix(hash, word));
}
