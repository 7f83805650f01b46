// A hash index over the positions of somebody else's array; the array decides equality.
//
//     for (uint32_t at = mpx_index_start(ix, hash), p; mpx_index_next(ix, hash, &at, &p);)
//         if (items[p].key == key)
//             return p;
#ifndef MPX_BASE_INDEX_H
#define MPX_BASE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct mpx_index_cell {
    uint32_t hash;
    uint32_t position; // + 1; 0: empty
};

struct mpx_index {
    struct mpx_index_cell *cells;
    uint32_t room; // power of two, or 0
    uint32_t used;
};

// Room for `count` entries in all. False when there is no memory; nothing has changed then.
bool mpx_index_reserve(struct mpx_index *ix, uint32_t count);
// Room must have been reserved. The caller keeps equal keys out.
void mpx_index_put(struct mpx_index *ix, uint32_t hash, uint32_t position);
// Forget a position, which is there under this hash. Not within mpx_index_next().
void mpx_index_remove(struct mpx_index *ix, uint32_t hash, uint32_t position);
// The item under this hash has moved to another place in its array.
void mpx_index_move(struct mpx_index *ix, uint32_t hash, uint32_t from, uint32_t to);
void mpx_index_clear(struct mpx_index *ix); // keeps its room
void mpx_index_fini(struct mpx_index *ix);

static inline uint32_t mpx_hash_u64(uint64_t x)
{
    x ^= x >> 32;
    x *= UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(x >> 32);
}

// Another one in each process: not for what is stored or sent.
uint32_t mpx_hash_bytes(const void *bytes, size_t length);

static inline uint32_t mpx_hash_text(const char *text)
{
    return mpx_hash_bytes(text, strlen(text));
}

static inline uint32_t mpx_index_start(const struct mpx_index *ix, uint32_t hash)
{
    return ix->room ? hash & (ix->room - 1) : 0;
}

static inline bool mpx_index_next(const struct mpx_index *ix, uint32_t hash, uint32_t *at,
                                  uint32_t *position)
{
    if (!ix->room)
        return false;
    for (;; *at = (*at + 1) & (ix->room - 1)) {
        struct mpx_index_cell cell = ix->cells[*at];
        if (!cell.position)
            return false;
        if (cell.hash != hash)
            continue;
        *at = (*at + 1) & (ix->room - 1);
        *position = cell.position - 1;
        return true;
    }
}

#endif
