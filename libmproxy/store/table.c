#include "store/table.h"

#include <stdlib.h>
#include <string.h>

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9fb21c651e98df25);
    return hash ^ hash >> 32;
}

uint64_t mpx_table_hash(uint64_t seed, const char *text, size_t length)
{
    uint64_t hash = seed ^ UINT64_C(0x9e3779b97f4a7c15);
    uint64_t word;
    size_t left = length;
    for (; left >= 8; left -= 8, text += 8) {
        memcpy(&word, text, 8);
        hash = mix(hash, word);
    }
    word = 0;
    memcpy(&word, text, left);
    hash = mix(hash, word);
    return mix(hash, length ^ seed);
}

static bool has_key(const void *item, const char *text, size_t length)
{
    const char *key = *(const char *const *)item;
    return strncmp(key, text, length) == 0 && key[length] == '\0';
}

void *mpx_table_find(const struct mpx_table *t, uint64_t hash, const char *text,
                     size_t length)
{
    if (t->room == 0)
        return NULL;
    for (size_t i = hash & (t->room - 1); t->slots[i].item; i = (i + 1) & (t->room - 1))
        if (t->slots[i].hash == hash && has_key(t->slots[i].item, text, length))
            return t->slots[i].item;
    return NULL;
}

void mpx_table_add(struct mpx_table *t, uint64_t hash, void *item)
{
    size_t i = hash & (t->room - 1);
    while (t->slots[i].item)
        i = (i + 1) & (t->room - 1);
    t->slots[i] = (struct mpx_table_slot){.hash = hash, .item = item};
    t->used++;
}

bool mpx_table_reserve(struct mpx_table *t)
{
    if (t->used + 1 <= t->room / 4 * 3)
        return true;
    struct mpx_table larger = {.room = t->room ? t->room * 2 : 64};
    larger.slots = calloc(larger.room, sizeof *larger.slots);
    if (!larger.slots)
        return false;
    for (size_t i = 0; i < t->room; i++)
        if (t->slots[i].item)
            mpx_table_add(&larger, t->slots[i].hash, t->slots[i].item);
    free(t->slots);
    *t = larger;
    return true;
}

void mpx_table_fini(struct mpx_table *t)
{
    free(t->slots);
    *t = (struct mpx_table){0};
}
