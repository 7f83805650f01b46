// Memory that is given back all at once.
#ifndef MPX_STORE_ARENA_H
#define MPX_STORE_ARENA_H

#include <stddef.h>

struct mpx_arena {
    struct mpx_arena_block *blocks;
    size_t used; // of the first block
};

void *mpx_arena_alloc(struct mpx_arena *a, size_t size); // aligned to 8; NULL: no memory
// A copy with a NUL behind it; NULL: no memory.
char *mpx_arena_text(struct mpx_arena *a, const char *text, size_t length);
void mpx_arena_fini(struct mpx_arena *a);

#endif
