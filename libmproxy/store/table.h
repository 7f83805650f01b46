// A hash table of interned items, found by a text: what the pool of names stands on.
//
// The first member of every item is a `const char *`, its key, which ends in NUL.
// Items are never removed.
#ifndef MPX_STORE_TABLE_H
#define MPX_STORE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mpx_table {
    struct mpx_table_slot {
        uint64_t hash;
        void *item; // NULL: free
    } * slots;
    size_t used;
    size_t room; // a power of two, or 0
};

// Keyed by `seed`, so that names from outside can't be made to collide.
uint64_t mpx_table_hash(uint64_t seed, const char *text, size_t length);
void *mpx_table_find(const struct mpx_table *t, uint64_t hash, const char *text,
                     size_t length);
// Make sure that the next add has room.
bool mpx_table_reserve(struct mpx_table *t);
// Add an item whose key is not there yet, after mpx_table_reserve().
void mpx_table_add(struct mpx_table *t, uint64_t hash, void *item);
void mpx_table_fini(struct mpx_table *t); // the items belong to somebody else

#endif
