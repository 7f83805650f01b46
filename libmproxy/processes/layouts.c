// Layouts by content: the list of metrics that the values of processes follow.
//
// Programs of one kind define the same metrics in the same order and share a layout, so what
// the ledger works out for one (which slot of a share each column is) is worked out once.
// Two lists that are equal are one layout, found by a hash of the metrics' ids.
//
// Lifetime: tables and arrays of values count as users of the layout that they follow. One
// without users stays until the next round begins and the ledger has been told to forget it,
// since it may come into use again in the same round. A layout refers to its metrics, so no
// name is given back under it.
//
// The entries of all layouts together are bounded, and those of each user but the proxy's own,
// whose account gets them back when the layout goes.

#include "processes/layouts.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "processes/users.h"
#include "store/metric.h"
#include "store/names.h"

// A layout and its metrics in one piece.
struct layout {
    mproxy_layout shown; // first, so that one address is both
    struct mpx_vectors *owner;
    uint32_t place, hash;
    size_t users;             // maps, and arrays of values that follow it
    struct mpx_user *account; // that its entries count for; NULL: nobody's
    const mproxy_metric *metrics[];
};

static void free_layout(struct layout *l)
{
    mpx_metrics_unref(l->metrics, l->shown.count);
    free(l);
}

struct mpx_vectors *mpx_vectors_new(mproxy_store *store)
{
    struct mpx_vectors *vs = calloc(1, sizeof *vs);
    if (vs)
        vs->store = store;
    return vs;
}

void mpx_vectors_free(struct mpx_vectors *vs)
{
    if (!vs)
        return;
    for (size_t i = 0; i < vs->layout_count; i++)
        free_layout(vs->layouts[i]);
    free(vs->layouts);
    mpx_index_fini(&vs->index);
    mpx_bounds_fini(&vs->bounds);
    free(vs->metrics);
    free(vs->stamps);
    free(vs);
}

const struct mpx_vectors_stats *mpx_vectors_get_stats(const struct mpx_vectors *vs)
{
    return &vs->stats;
}

void mpx_layout_use(const mproxy_layout *shown)
{
    struct layout *l = (struct layout *)(uintptr_t)shown;
    if (l && l->users++ == 0)
        l->owner->idle--;
}

void mpx_layout_leave(const mproxy_layout *shown)
{
    struct layout *l = (struct layout *)(uintptr_t)shown;
    if (l && --l->users == 0)
        l->owner->idle++;
}

static void remove_layout(struct mpx_vectors *vs, struct layout *l)
{
    mpx_index_remove(&vs->index, l->hash, l->place);
    struct layout *last = vs->layouts[--vs->layout_count];
    if (last != l) {
        mpx_index_move(&vs->index, last->hash, last->place, l->place);
        last->place = l->place;
        vs->layouts[last->place] = last;
    }
    vs->idle--;
    vs->stats.layouts--;
    vs->layout_entries -= l->shown.count;
    if (l->account)
        l->account->entries -= l->shown.count;
    free_layout(l);
}

void mpx_vectors_sweep(struct mpx_vectors *vs, mproxy_ledger *ledger)
{
    // From behind, for the last takes the place of one that is removed.
    for (size_t i = vs->layout_count; i-- > 0 && vs->idle > 0;) {
        if (vs->layouts[i]->users > 0)
            continue;
        mproxy_ledger_forget(ledger, &vs->layouts[i]->shown);
        remove_layout(vs, vs->layouts[i]);
    }
}

static uint32_t hash_metrics(const struct mpx_vectors *vs)
{
    uint64_t hash = vs->count;
    for (size_t i = 0; i < vs->count; i++) {
        hash = (hash ^ vs->metrics[i]->id) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 32;
    }
    return mpx_hash_u64(hash);
}

static const mproxy_layout *find(const struct mpx_vectors *vs, uint32_t hash)
{
    size_t bytes = vs->count * sizeof *vs->metrics;
    uint32_t at = mpx_index_start(&vs->index, hash);
    for (uint32_t i; mpx_index_next(&vs->index, hash, &at, &i);)
        if (vs->layouts[i]->shown.count == vs->count &&
            memcmp(vs->layouts[i]->metrics, vs->metrics, bytes) == 0)
            return &vs->layouts[i]->shown;
    return NULL;
}

static const mproxy_layout *add(struct mpx_vectors *vs, uint32_t hash)
{
    size_t bytes = vs->count * sizeof *vs->metrics;
    if (!MPX_RESERVE(vs->layouts, vs->layout_room, vs->layout_count + 1) ||
        !mpx_index_reserve(&vs->index, (uint32_t)vs->layout_count + 1))
        return NULL;
    struct layout *l = malloc(sizeof *l + bytes);
    if (!l)
        return NULL;
    memcpy(l->metrics, vs->metrics, bytes);
    mpx_metrics_ref(l->metrics, vs->count);
    l->shown = (mproxy_layout){vs->count, l->metrics};
    l->owner = vs;
    l->hash = hash;
    l->users = 0;
    l->place = (uint32_t)vs->layout_count;
    l->account = vs->user;
    vs->layouts[vs->layout_count++] = l;
    vs->stats.layouts++;
    mpx_index_put(&vs->index, hash, l->place);
    vs->idle++;
    vs->layout_entries += vs->count;
    if (vs->user)
        vs->user->entries += vs->count;
    return &l->shown;
}

mproxy_status mpx_layout_intern(struct mpx_vectors *vs, const mproxy_layout **out,
                                mproxy_error *err)
{
    uint32_t hash = hash_metrics(vs);
    const mproxy_layout *known = find(vs, hash);
    if (known) {
        *out = known;
        return MPROXY_OK;
    }
    struct mpx_user *user = vs->user;
    if (user && vs->count > user->max_entries - user->entries)
        return mpx_fail(err, MPROXY_E_LIMIT,
                        "user %u has programs with more than %zu definitions in all",
                        user->uid, user->max_entries);
    if (vs->layout_entries + vs->count > MPX_LAYOUT_ENTRIES_MAX)
        return mpx_fail(err, MPROXY_E_LIMIT,
                        "programs with more than %d definitions in all",
                        MPX_LAYOUT_ENTRIES_MAX);
    known = add(vs, hash);
    if (!known)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for %zu metrics", vs->count);
    *out = known;
    return MPROXY_OK;
}

bool mpx_layout_begin(struct mpx_vectors *vs, size_t room)
{
    vs->count = 0;
    vs->stamp++;
    vs->starved = false;
    vs->uncounted = 0;
    return MPX_RESERVE(vs->metrics, vs->room, room);
}

bool mpx_layout_is_first(struct mpx_vectors *vs, const mproxy_metric *metric)
{
    if (!MPX_RESERVE_ZEROED(vs->stamps, vs->stamp_room, (size_t)metric->id + 1)) {
        vs->starved = true;
        return false;
    }
    if (vs->stamps[metric->id] == vs->stamp)
        return false;
    vs->stamps[metric->id] = vs->stamp;
    return true;
}

bool mpx_layout_has_twin(const struct mpx_vectors *vs, const mproxy_metric *metric)
{
    const mproxy_metric *twin = mpx_metric_twin(metric);
    return twin && twin->id < vs->stamp_room && vs->stamps[twin->id] == vs->stamp;
}

void mpx_layout_take_back(struct mpx_vectors *vs, size_t count)
{
    while (vs->count > count)
        vs->stamps[vs->metrics[--vs->count]->id] = 0;
}
