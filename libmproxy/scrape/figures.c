#include "scrape/figures.h"

#include <stdlib.h>

#include "base/array.h"

static uint32_t hash_of(const mproxy_metric *metric)
{
    return mpx_hash_u64((uintptr_t)metric);
}

void mpx_figures_fini(struct mpx_figures *r)
{
    for (size_t i = 0; i < r->count; i++)
        mproxy_metric_unref(r->items[i].metric);
    free(r->items);
    free(r->changed);
    mpx_index_fini(&r->by_metric);
    *r = (struct mpx_figures){0};
}

uint32_t mpx_figures_find(const struct mpx_figures *r, const mproxy_metric *metric)
{
    uint32_t hash = hash_of(metric), at = mpx_index_start(&r->by_metric, hash);
    for (uint32_t figure; mpx_index_next(&r->by_metric, hash, &at, &figure);)
        if (r->items[figure].metric == metric)
            return figure;
    return MPX_FIGURE_NONE;
}

uint32_t mpx_figures_add(struct mpx_figures *r, const mproxy_metric *metric)
{
    if (!MPX_RESERVE(r->items, r->room, r->count + 1) ||
        !MPX_RESERVE_ZEROED(r->changed, r->changed_room, r->count / 64 + 1) ||
        !mpx_index_reserve(&r->by_metric, (uint32_t)r->count + 1))
        return MPX_FIGURE_NONE;
    uint32_t figure = (uint32_t)r->count++;
    r->items[figure] = (struct mpx_figure){.metric = mproxy_metric_ref(metric),
                                           .series = MPX_FIGURE_NONE,
                                           .kept = MPX_FIGURE_NONE};
    mpx_index_put(&r->by_metric, hash_of(metric), figure);
    r->is_reshaped = true;
    return figure;
}

uint32_t mpx_figures_remove(struct mpx_figures *r, uint32_t figure)
{
    uint32_t last = (uint32_t)--r->count;
    mpx_index_remove(&r->by_metric, hash_of(r->items[figure].metric), figure);
    mproxy_metric_unref(r->items[figure].metric);
    r->gone_count -= r->items[figure].gone > 0;
    r->is_reshaped = true;
    if (figure == last)
        return MPX_FIGURE_NONE;
    r->items[figure] = r->items[last];
    mpx_index_move(&r->by_metric, hash_of(r->items[figure].metric), last, figure);
    return figure;
}

void mpx_figures_mark(struct mpx_figures *r, uint32_t figure)
{
    r->changed[figure / 64] |= UINT64_C(1) << figure % 64;
    r->is_changed = true;
}

void mpx_figures_shrink(struct mpx_figures *r)
{
    if (r->room <= 1024 || r->count > r->room / 4)
        return;
    size_t room = r->count * 2;
    if (MPX_RESERVE_TO(r->items, room))
        r->room = room;
}
