#include "store/table.h"

#include <stdlib.h>

#include "base/array.h"

static bool has_key(const void *item, const char *text, size_t length)
{
    const char *key = *(const char *const *)item;
    return strncmp(key, text, length) == 0 && key[length] == '\0';
}

void *mpx_table_find(const struct mpx_table *t, uint32_t hash, const char *text,
                     size_t length)
{
    for (uint32_t at = mpx_index_start(&t->index, hash), place;
         mpx_index_next(&t->index, hash, &at, &place);)
        if (has_key(t->items[place], text, length))
            return t->items[place];
    return NULL;
}

bool mpx_table_reserve(struct mpx_table *t)
{
    return (t->spare_count > 0 || MPX_RESERVE(t->items, t->room, t->bound + (size_t)1)) &&
           mpx_index_reserve(&t->index, t->used + 1);
}

uint32_t mpx_table_add(struct mpx_table *t, uint32_t hash, void *item)
{
    uint32_t place = t->spare_count > 0 ? t->spare[--t->spare_count] : t->bound++;
    t->items[place] = item;
    t->used++;
    mpx_index_put(&t->index, hash, place);
    return place;
}

void mpx_table_remove(struct mpx_table *t, uint32_t hash, uint32_t place)
{
    mpx_index_remove(&t->index, hash, place);
    t->items[place] = NULL;
    t->used--;
    // Without memory for its number the place stays empty: eight bytes.
    if (MPX_RESERVE(t->spare, t->spare_room, t->spare_count + 1))
        t->spare[t->spare_count++] = place;
}

void mpx_table_fini(struct mpx_table *t)
{
    free(t->items);
    free(t->spare);
    mpx_index_fini(&t->index);
    *t = (struct mpx_table){0};
}
