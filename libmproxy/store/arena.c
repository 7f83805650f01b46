#include "store/arena.h"

#include <stdlib.h>
#include <string.h>

// A small daemon has some hundred names; a large one does not mind more blocks.
#define BLOCK_SIZE (32 * 1024 - 64)

struct mpx_arena_block {
    struct mpx_arena_block *next;
    size_t size;
    char bytes[];
};

static void *take(struct mpx_arena *a, size_t size, size_t align)
{
    size_t at = (a->used + align - 1) & ~(align - 1);
    if (!a->blocks || at > a->blocks->size || a->blocks->size - at < size) {
        size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        struct mpx_arena_block *block = malloc(sizeof *block + room);
        if (!block)
            return NULL;
        block->next = a->blocks;
        block->size = room;
        a->blocks = block;
        at = 0;
    }
    a->used = at + size;
    return a->blocks->bytes + at;
}

void *mpx_arena_alloc(struct mpx_arena *a, size_t size)
{
    return take(a, size, 8);
}

char *mpx_arena_text(struct mpx_arena *a, const char *text, size_t length)
{
    char *copy = take(a, length + 1, 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

void mpx_arena_fini(struct mpx_arena *a)
{
    while (a->blocks) {
        struct mpx_arena_block *next = a->blocks->next;
        free(a->blocks);
        a->blocks = next;
    }
    a->used = 0;
}
