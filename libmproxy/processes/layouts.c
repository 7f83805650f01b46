#include "processes/layouts.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "processes/users.h"

// A layout and its metrics in one piece.
struct layout {
    mproxy_layout shown; // first, so that one address is both
    struct mpx_vectors *owner;
    struct layout *next; // of its bucket
    uint64_t hash;
    size_t users;             // maps, and arrays of values that follow it
    struct mpx_user *account; // that its entries count for; NULL: nobody's
    const mproxy_metric *metrics[];
};

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
    for (int i = 0; i < MPX_LAYOUT_BUCKETS; i++) {
        for (struct layout *l = vs->buckets[i], *next; l; l = next) {
            next = l->next;
            free(l);
        }
    }
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

void mpx_vectors_sweep(struct mpx_vectors *vs, mproxy_ledger *ledger)
{
    for (int i = 0; i < MPX_LAYOUT_BUCKETS && vs->idle > 0; i++) {
        for (struct layout **link = &vs->buckets[i]; *link;) {
            struct layout *l = *link;
            if (l->users > 0) {
                link = &l->next;
                continue;
            }
            *link = l->next;
            vs->idle--;
            vs->stats.layouts--;
            vs->layout_entries -= l->shown.count;
            if (l->account)
                l->account->entries -= l->shown.count;
            mproxy_ledger_forget(ledger, &l->shown);
            free(l);
        }
    }
}

static uint64_t hash_metrics(const struct mpx_vectors *vs)
{
    uint64_t hash = vs->count;
    for (size_t i = 0; i < vs->count; i++) {
        hash = (hash ^ vs->metrics[i]->id) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 32;
    }
    return hash;
}

mproxy_status mpx_layout_intern(struct mpx_vectors *vs, const mproxy_layout **out,
                                mproxy_error *err)
{
    size_t bytes = vs->count * sizeof *vs->metrics;
    uint64_t hash = hash_metrics(vs);
    struct layout **bucket = &vs->buckets[hash % MPX_LAYOUT_BUCKETS];
    for (struct layout *l = *bucket; l; l = l->next) {
        if (l->hash == hash && l->shown.count == vs->count &&
            memcmp(l->metrics, vs->metrics, bytes) == 0) {
            *out = &l->shown;
            return MPROXY_OK;
        }
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
    struct layout *l = malloc(sizeof *l + bytes);
    if (!l)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for %zu metrics", vs->count);
    memcpy(l->metrics, vs->metrics, bytes);
    l->shown = (mproxy_layout){vs->count, l->metrics};
    l->owner = vs;
    l->hash = hash;
    l->users = 0;
    l->next = *bucket;
    *bucket = l;
    vs->idle++;
    vs->stats.layouts++;
    vs->layout_entries += vs->count;
    l->account = user;
    if (user)
        user->entries += vs->count;
    *out = &l->shown;
    return MPROXY_OK;
}

bool mpx_layout_begin(struct mpx_vectors *vs, size_t room)
{
    vs->count = 0;
    vs->stamp++;
    vs->starved = vs->is_cut = false;
    if (room <= vs->room)
        return true;
    const mproxy_metric **grown = realloc(vs->metrics, room * sizeof *grown);
    if (!grown)
        return false;
    vs->metrics = grown;
    vs->room = room;
    return true;
}

bool mpx_layout_is_first(struct mpx_vectors *vs, const mproxy_metric *metric)
{
    if (metric->id >= vs->stamp_room) {
        size_t room = (size_t)metric->id * 2 + 1024;
        uint32_t *grown = realloc(vs->stamps, room * sizeof *grown);
        vs->starved |= !grown;
        if (!grown)
            return false;
        memset(grown + vs->stamp_room, 0, (room - vs->stamp_room) * sizeof *grown);
        vs->stamps = grown;
        vs->stamp_room = room;
    }
    if (vs->stamps[metric->id] == vs->stamp)
        return false;
    vs->stamps[metric->id] = vs->stamp;
    return true;
}
