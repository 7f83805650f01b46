// Items found by a text, each at a place of its own: what the pool of names stands on.
//
// The first member of every item is a `const char *`, its key, which ends in NUL. Several
// items may have one key. A place that an item has left is given to a later one.
#ifndef MPX_STORE_TABLE_H
#define MPX_STORE_TABLE_H

#include "base/index.h"

struct mpx_table {
    void **items; // by place; NULL: free
    size_t room;
    uint32_t bound; // places are below it
    uint32_t used;
    uint32_t *spare; // places that were left
    size_t spare_count, spare_room;
    struct mpx_index index;
};

// An item with this key, NULL: none; `hash` is mpx_hash_bytes() of the text.
void *mpx_table_find(const struct mpx_table *t, uint32_t hash, const char *text,
                     size_t length);
// Make sure that the next add has room.
bool mpx_table_reserve(struct mpx_table *t);
// Add an item, after mpx_table_reserve(); its place.
uint32_t mpx_table_add(struct mpx_table *t, uint32_t hash, void *item);
void mpx_table_remove(struct mpx_table *t, uint32_t hash, uint32_t place);
void mpx_table_fini(struct mpx_table *t); // the items belong to somebody else

#endif
