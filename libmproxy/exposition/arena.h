// Texts that are given back all at once.
#ifndef MPX_EXPOSITION_ARENA_H
#define MPX_EXPOSITION_ARENA_H

#include <stddef.h>

struct mpx_arena {
    struct mpx_arena_block *blocks;
    size_t used; // of the first block
};

// A copy with a NUL behind it; NULL: no memory.
char *mpx_arena_text(struct mpx_arena *a, const char *text, size_t length);
void mpx_arena_fini(struct mpx_arena *a);

#endif
