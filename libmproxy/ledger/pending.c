#include "ledger/pending.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

bool mpx_pending_has(const struct mpx_pending *p, const char *name)
{
    uint32_t hash = mpx_hash_text(name);
    for (uint32_t at = mpx_index_start(&p->index, hash), i;
         mpx_index_next(&p->index, hash, &at, &i);)
        if (strcmp(p->items[i].name, name) == 0)
            return true;
    return false;
}

bool mpx_pending_reserve(struct mpx_pending *p, uint32_t more)
{
    return MPX_RESERVE(p->items, p->room, (size_t)p->count + more) &&
           mpx_index_reserve(&p->index, p->count + more);
}

void mpx_pending_take(struct mpx_pending *p, char *name, bool durable)
{
    if (mpx_pending_has(p, name)) {
        free(name);
        return;
    }
    mpx_index_put(&p->index, mpx_hash_text(name), p->count);
    p->items[p->count++] = (struct mpx_pending_item){.name = name, .durable = durable};
}

void mpx_pending_sweep(struct mpx_pending *p, int (*is_gone)(void *arg, const char *name),
                       void *arg)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->items[i].durable && is_gone(arg, p->items[i].name))
            free(p->items[i].name);
        else
            p->items[kept++] = p->items[i];
    }
    if (kept == p->count)
        return;
    p->count = kept;
    mpx_index_clear(&p->index);
    for (uint32_t i = 0; i < kept; i++)
        mpx_index_put(&p->index, mpx_hash_text(p->items[i].name), i);
}

void mpx_pending_fini(struct mpx_pending *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        free(p->items[i].name);
    free(p->items);
    mpx_index_fini(&p->index);
    *p = (struct mpx_pending){0};
}
