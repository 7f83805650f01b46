#include "scrape/rows.h"

#include <stdlib.h>

#include "base/array.h"

static uint32_t hash_of(const mproxy_metric *metric)
{
    return mpx_hash_u64((uintptr_t)metric);
}

void mpx_rows_fini(struct mpx_rows *r)
{
    for (size_t i = 0; i < r->count; i++)
        mproxy_metric_unref(r->items[i].metric);
    free(r->items);
    free(r->changed);
    mpx_index_fini(&r->by_metric);
    *r = (struct mpx_rows){0};
}

uint32_t mpx_rows_find(const struct mpx_rows *r, const mproxy_metric *metric)
{
    uint32_t hash = hash_of(metric), at = mpx_index_start(&r->by_metric, hash);
    for (uint32_t row; mpx_index_next(&r->by_metric, hash, &at, &row);)
        if (r->items[row].metric == metric)
            return row;
    return MPX_ROW_NONE;
}

uint32_t mpx_rows_add(struct mpx_rows *r, const mproxy_metric *metric)
{
    if (!MPX_RESERVE(r->items, r->room, r->count + 1) ||
        !MPX_RESERVE_ZEROED(r->changed, r->changed_room, r->count / 64 + 1) ||
        !mpx_index_reserve(&r->by_metric, (uint32_t)r->count + 1))
        return MPX_ROW_NONE;
    uint32_t row = (uint32_t)r->count++;
    r->items[row] = (struct mpx_row){.metric = mproxy_metric_ref(metric),
                                     .series = MPX_ROW_NONE,
                                     .kept = MPX_ROW_NONE};
    mpx_index_put(&r->by_metric, hash_of(metric), row);
    r->is_reshaped = true;
    return row;
}

uint32_t mpx_rows_remove(struct mpx_rows *r, uint32_t row)
{
    uint32_t last = (uint32_t)--r->count;
    mpx_index_remove(&r->by_metric, hash_of(r->items[row].metric), row);
    mproxy_metric_unref(r->items[row].metric);
    r->gone_count -= r->items[row].gone > 0;
    r->is_reshaped = true;
    if (row == last)
        return MPX_ROW_NONE;
    r->items[row] = r->items[last];
    mpx_index_move(&r->by_metric, hash_of(r->items[row].metric), last, row);
    return row;
}

void mpx_rows_mark(struct mpx_rows *r, uint32_t row)
{
    r->changed[row / 64] |= UINT64_C(1) << row % 64;
    r->is_changed = true;
}

void mpx_rows_shrink(struct mpx_rows *r)
{
    if (r->room <= 1024 || r->count > r->room / 4)
        return;
    size_t room = r->count * 2;
    if (MPX_RESERVE_TO(r->items, room))
        r->room = room;
}
