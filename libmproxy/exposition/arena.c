#include "exposition/arena.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE (32 * 1024 - 64)

struct mpx_arena_block {
    struct mpx_arena_block *next;
    size_t size;
    char bytes[];
};

char *mpx_arena_text(struct mpx_arena *a, const char *text, size_t length)
{
    if (!a->blocks || a->blocks->size - a->used < length + 1) {
        size_t room = length + 1 > BLOCK_SIZE ? length + 1 : BLOCK_SIZE;
        struct mpx_arena_block *block = malloc(sizeof *block + room);
        if (!block)
            return NULL;
        block->next = a->blocks;
        block->size = room;
        a->blocks = block;
        a->used = 0;
    }
    char *copy = a->blocks->bytes + a->used;
    memcpy(copy, text, length);
    copy[length] = '\0';
    a->used += length + 1;
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
