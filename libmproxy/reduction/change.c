// What is held, told to others: all of it, or what has changed since they last asked.

#include "reduction/reduction.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "base/options.h"

bool mpx_lay_out(struct mproxy_reduction *r, const mproxy_source *source,
                 mproxy_source *out)
{
    size_t count = source->count + source->node_count;
    *out = *source;
    if (!source->numbers && !source->node_numbers)
        return true;
    if (!MPX_RESERVE(r->values, r->value_room, count))
        return false;
    for (size_t i = 0; i < count; i++)
        r->values[i] = mproxy_source_value(source, i);
    out->values = r->values;
    out->node_values = r->values + source->count;
    out->numbers = out->node_numbers = NULL;
    return true;
}

const mproxy_source *mpx_held_show(const struct mproxy_reduction *r, struct mpx_held *h)
{
    const struct mpx_directory *d = h->directory;
    bool is_confirmed = d->is_heard && d->heard_ms > h->read_ms;
    h->source.age_ms = r->now_ms - (is_confirmed ? d->heard_ms : h->read_ms);
    h->source.silent_ms = r->now_ms - h->alive_ms;
    return &h->source;
}

size_t mproxy_reduction_sources(mproxy_reduction *r, const mproxy_source *const **out)
{
    size_t count = 0;
    *out = NULL;
    mpx_directories_sort(r);
    if (!MPX_RESERVE(r->list, r->list_room, r->source_count))
        return 0;
    for (size_t i = 0; i < r->directory_count; i++) {
        const struct mpx_directory *d = r->directories[i];
        for (size_t k = 0; k < d->count; k++)
            if (!d->items[k]->dropped)
                r->list[count++] = mpx_held_show(r, d->items[k]);
    }
    *out = r->list;
    return count;
}

uint64_t mproxy_reduction_sequence(const mproxy_reduction *r)
{
    return r->sequence;
}

static bool tell_whole(struct mproxy_reduction *r, struct mpx_held *h, mproxy_change *out)
{
    *out = (mproxy_change){
        .struct_size = sizeof *out, .source = &r->told, .whole = 1, .described = 1};
    return mpx_lay_out(r, mpx_held_show(r, h), &r->told);
}

// What has changed since the source was at `since` of the epoch held.
static bool tell_since(struct mproxy_reduction *r, struct mpx_held *h, uint64_t since,
                       mproxy_change *out)
{
    size_t slots = h->source.count + h->source.node_count;
    if (!MPX_RESERVE(r->values, r->value_room, slots) ||
        !MPX_RESERVE(r->slots, r->slot_room, slots))
        return false;
    *out = (mproxy_change){.struct_size = sizeof *out,
                           .source = mpx_held_show(r, h),
                           .described = h->described > since,
                           .from = since,
                           .slots = r->slots,
                           .values = r->values};
    for (uint32_t i = 0; i < slots; i++) {
        if (h->marks[i] <= since - h->first)
            continue;
        r->slots[out->count] = i;
        r->values[out->count++] = mproxy_source_value(&h->source, i);
    }
    return true;
}

static bool tell(struct mproxy_reduction *r, struct mpx_held *h, uint64_t since_epoch,
                 uint64_t since, mproxy_change *out)
{
    if (since_epoch != h->source.epoch || since < h->first ||
        (h->is_remade && since <= h->remade))
        return tell_whole(r, h, out);
    return tell_since(r, h, since, out);
}

// The sequence that was held at `at`. False: it is not remembered, or was not held.
static bool held_at(const struct mpx_held *h, uint64_t at, uint64_t *sequence)
{
    for (uint32_t i = h->step_count; i-- > 0;)
        if (h->steps[i].at <= at) {
            *sequence = h->steps[i].sequence;
            return true;
        }
    return false;
}

mproxy_status mproxy_reduction_changes(mproxy_reduction *r, uint64_t since,
                                       mproxy_status (*fn)(void *arg,
                                                           const mproxy_change *change),
                                       void *arg)
{
    MPX_REQUIRE(r && fn, NULL);
    mproxy_status status = mpx_gone_tell(r, since, fn, arg);
    mpx_directories_sort(r);
    for (size_t i = 0; i < r->directory_count && status == MPROXY_OK; i++) {
        const struct mpx_directory *d = r->directories[i];
        for (size_t k = 0; k < d->count && status == MPROXY_OK; k++) {
            struct mpx_held *h = d->items[k];
            uint64_t sequence;
            mproxy_change change;
            if (h->dropped || h->steps[h->step_count - 1].at <= since)
                continue;
            bool ok = since > 0 && held_at(h, since, &sequence)
                          ? tell_since(r, h, sequence, &change)
                          : tell_whole(r, h, &change);
            status = ok ? fn(arg, &change) : MPROXY_E_NOMEM;
        }
    }
    return status;
}

mproxy_status mproxy_reduction_change_of(mproxy_reduction *r, const uint8_t directory[16],
                                         mproxy_source_kind kind, uint64_t number,
                                         uint64_t since_epoch, uint64_t since_sequence,
                                         mproxy_change *out)
{
    MPX_REQUIRE(r && directory && out, NULL);
    struct mpx_directory *d = mpx_directory_find(r, directory);
    struct mpx_held *h = d ? mpx_directory_source(d, kind, number) : NULL;
    if (!h)
        return MPROXY_E_NOTFOUND;
    mproxy_change change;
    if (!tell(r, h, since_epoch, since_sequence, &change))
        return MPROXY_E_NOMEM;
    return MPX_STRUCT_GIVE(mproxy_change, values, out, &change, NULL);
}
