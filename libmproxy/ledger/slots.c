#include "ledger/slots.h"

#include <stdlib.h>

#include "base/array.h"
#include "store/metric.h"

uint32_t mpx_slots_find(const struct mpx_slots *v, const mproxy_metric *metric)
{
    uint32_t hash = mpx_hash_u64(metric->id);
    for (uint32_t at = mpx_index_start(&v->index, hash), slot;
         mpx_index_next(&v->index, hash, &at, &slot);)
        if (v->metrics[slot] == metric)
            return slot;
    return MPX_NO_SLOT;
}

static bool reserve(struct mpx_slots *v, size_t room)
{
    if (room == v->room)
        return true;
    if (!MPX_RESERVE_TO(v->metrics, room) || !MPX_RESERVE_TO(v->folded, room) ||
        !MPX_RESERVE_TO(v->shown, room))
        return false;
    v->room = room;
    return true;
}

uint32_t mpx_slots_add(struct mpx_slots *v, const mproxy_metric *metric)
{
    uint32_t slot = mpx_slots_find(v, metric);
    if (slot != MPX_NO_SLOT)
        return slot;
    if (!reserve(v, mpx_array_room(v->room, v->count + 1u)) ||
        !mpx_index_reserve(&v->index, v->count + 1))
        return MPX_NO_SLOT;
    slot = v->count++;
    v->metrics[slot] = mproxy_metric_ref(metric);
    v->folded[slot] = (mproxy_value){0};
    v->shown[slot] = (mproxy_value){0};
    mpx_index_put(&v->index, mpx_hash_u64(metric->id), slot);
    return slot;
}

bool mpx_slots_copy(const struct mpx_slots *v, struct mpx_slots *out)
{
    *out = (struct mpx_slots){0};
    if (!reserve(out, v->room) || !mpx_index_reserve(&out->index, v->count)) {
        mpx_slots_fini(out);
        return false;
    }
    for (uint32_t i = 0; i < v->count; i++) {
        out->metrics[i] = mproxy_metric_ref(v->metrics[i]);
        out->folded[i] = v->folded[i];
        out->shown[i] = v->shown[i];
        mpx_index_put(&out->index, mpx_hash_u64(v->metrics[i]->id), i);
    }
    out->count = v->count;
    return true;
}

void mpx_slots_fini(struct mpx_slots *v)
{
    for (uint32_t i = 0; i < v->count; i++)
        mproxy_metric_unref(v->metrics[i]);
    free(v->metrics);
    free(v->folded);
    free(v->shown);
    mpx_index_fini(&v->index);
    *v = (struct mpx_slots){0};
}
