// The store's front: names to the writer, snapshots to everybody.
//
// It owns the pool of metrics (names.c) and the newest snapshot. A snapshot is a list of
// views, in the order in which they are shown and once more by key; the views themselves are
// the writer's work (view.c, reduction/sum.c). One that did not change between two
// publications is in both snapshots, and so is the order by key if no view came or went.
//
// Invariants:
// * What is published never changes. The writer builds a snapshot aside and exchanges one
//   pointer.
// * There is always a newest snapshot, so that a reader need not ask for the case without.
// * A failure, for want of memory or of two views with one key, leaves the newest one as it
//   was.
// * A reader's snapshot holds all that it shows, down to the names: views refer to shapes and
//   these to metrics. Nothing of it refers to the store, which may be closed before.
//
// The one lock covers the pointer to the newest snapshot and the taking of a reference to it,
// so that it can't go between the two: a few instructions, and nothing is called with it
// held. A scheme without any lock (hazard pointers, epochs) would save those few
// instructions for each request and cost the writer a wait for readers, or a list of what it
// may not free yet.
//
// Old snapshots are freed by whoever lets go of them last, mostly the writer at the next
// publication, sometimes a thread of the HTTP server at the end of a long reply.

#include <mproxy/store.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/options.h"
#include "store/buckets.h"
#include "store/cache.h"
#include "store/exempt.h"
#include "store/names.h"
#include "store/view.h"

#define MAX_METRICS_DEFAULT 4000000

// Of a view; the text is its title's.
struct key {
    const char *text;
    uint32_t view; // position
};

struct mproxy_snapshot {
    unsigned references; // atomic
    uint64_t sequence;
    struct mpx_cache *cache;
    size_t size;
    mproxy_view **views; // in order of display
    struct key *by_key;  // sorted
};

struct mproxy_store {
    struct mpx_names *names;
    struct mpx_buckets *buckets;
    uint64_t sequence; // the writer's
    pthread_mutex_t lock;
    mproxy_snapshot *newest; // guarded by lock; never NULL while open
};

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct key *)a)->text, ((const struct key *)b)->text);
}

// Whether the same titles stand in the same places: their order by key is the same then.
static bool has_titles_of(const mproxy_snapshot *s, const mproxy_snapshot *before)
{
    if (!before || s->size != before->size)
        return false;
    for (size_t i = 0; i < s->size; i++)
        if (s->views[i]->title != before->views[i]->title)
            return false;
    return true;
}

static void sort_keys(mproxy_snapshot *s, const mproxy_snapshot *before)
{
    if (has_titles_of(s, before)) {
        memcpy(s->by_key, before->by_key, s->size * sizeof *s->by_key);
        return;
    }
    for (size_t i = 0; i < s->size; i++)
        s->by_key[i] = (struct key){mproxy_view_key(s->views[i]), (uint32_t)i};
    qsort(s->by_key, s->size, sizeof *s->by_key, compare_keys);
}

static mproxy_snapshot *snapshot_new(uint64_t sequence, mproxy_view *const *views,
                                     size_t count, const mproxy_snapshot *before)
{
    mproxy_snapshot *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->references = 1;
    s->sequence = sequence;
    s->cache = mpx_cache_new();
    s->views = malloc((count + 1) * sizeof *s->views);
    s->by_key = malloc((count + 1) * sizeof *s->by_key);
    if (!s->cache || !s->views || !s->by_key) {
        mproxy_snapshot_unref(s);
        return NULL;
    }
    s->size = count;
    for (size_t i = 0; i < count; i++)
        s->views[i] = mproxy_view_ref(views[i]);
    sort_keys(s, before);
    return s;
}

// Two views of one key, or NULL.
static const char *find_twin(const mproxy_snapshot *s)
{
    for (size_t i = 1; i < s->size; i++)
        if (compare_keys(&s->by_key[i - 1], &s->by_key[i]) == 0)
            return s->by_key[i].text;
    return NULL;
}

mproxy_status mproxy_store_open(const mproxy_store_options *options, mproxy_store **out,
                                mproxy_error *err)
{
    MPX_REQUIRE(out, err);
    mproxy_store_options o;
    mproxy_status status =
        MPX_OPTIONS_TAKE(mproxy_store_options, max_metrics, &o, options, err);
    if (status != MPROXY_OK)
        return status;
    size_t max_metrics = o.max_metrics ? o.max_metrics : MAX_METRICS_DEFAULT;
    mproxy_store *store = calloc(1, sizeof *store);
    if (!store)
        return mpx_fail(err, MPROXY_E_NOMEM, "store: no memory");
    pthread_mutex_init(&store->lock, NULL);
    store->names = mpx_names_new(max_metrics);
    if (store->names)
        store->buckets = mpx_buckets_new(store->names);
    if (store->buckets)
        store->newest = snapshot_new(0, NULL, 0, NULL);
    if (!store->newest) {
        mproxy_store_close(store);
        return mpx_fail(err, MPROXY_E_NOMEM, "store: no memory");
    }
    *out = store;
    return MPROXY_OK;
}

void mproxy_store_close(mproxy_store *store)
{
    if (!store)
        return;
    mproxy_snapshot_unref(store->newest);
    mpx_buckets_free(store->buckets);
    mpx_names_unref(store->names);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

mproxy_status mproxy_store_metric(mproxy_store *store, const char *name, mproxy_type type,
                                  const char *doc, const mproxy_metric **out,
                                  mproxy_error *err)
{
    MPX_REQUIRE(store && name && out, err);
    MPX_REQUIRE(type == MPROXY_COUNTER || type == MPROXY_GAUGE, err);
    return mpx_names_intern(store->names, name, type, doc, true, NULL, out, err);
}

mproxy_status mpx_store_metric_exempt(mproxy_store *store, const char *name,
                                      mproxy_type type, const char *doc,
                                      const mproxy_metric **out, mproxy_error *err)
{
    return mpx_names_intern(store->names, name, type, doc, false, NULL, out, err);
}

mproxy_status mpx_store_metric_for(mproxy_store *store, const char *name,
                                   mproxy_type type, const char *doc, size_t *account,
                                   const mproxy_metric **out, mproxy_error *err)
{
    return mpx_names_intern(store->names, name, type, doc, true, account, out, err);
}

void mpx_store_close_account(mproxy_store *store, const size_t *account)
{
    mpx_names_close_account(store->names, account);
}

struct mpx_buckets *mpx_store_buckets(mproxy_store *store)
{
    return store->buckets;
}

uint64_t mpx_store_metric_version(const mproxy_store *store)
{
    return mpx_names_version(store->names);
}

uint32_t mpx_store_metric_bound(const mproxy_store *store)
{
    return mpx_names_bound(store->names);
}

uint64_t mpx_store_metric_forgotten(const mproxy_store *store)
{
    return mpx_names_forgotten(store->names);
}

bool mpx_store_has_family(const mproxy_store *store, const char *base, size_t length)
{
    return mpx_names_have_family(store->names, base, length);
}

void mproxy_store_sweep(mproxy_store *store)
{
    mpx_names_sweep(store->names);
}

const mproxy_metric *mpx_store_metric_find(const mproxy_store *store, const char *name,
                                           mproxy_type type)
{
    return mpx_names_lookup(store->names, name, type);
}

const char *mproxy_metric_name(const mproxy_metric *metric)
{
    return metric->name;
}

mproxy_type mproxy_metric_type(const mproxy_metric *metric)
{
    return metric->type;
}

uint32_t mproxy_metric_id(const mproxy_metric *metric)
{
    return metric->id;
}

const char *mproxy_metric_doc(const mproxy_metric *metric)
{
    return mpx_metric_doc_of(mpx_metric_of(metric))->text;
}

size_t mproxy_store_metric_count(const mproxy_store *store)
{
    return mpx_names_count(store->names);
}

const mproxy_metric *mproxy_store_metric_at(const mproxy_store *store, uint32_t id)
{
    return mpx_names_at(store->names, id);
}

const mproxy_metric *const *mproxy_store_metric_order(mproxy_store *store)
{
    return mpx_names_order(store->names);
}

mproxy_status mproxy_store_publish(mproxy_store *store, mproxy_view *const *views,
                                   size_t count, mproxy_error *err)
{
    MPX_REQUIRE(store && (views || count == 0), err);
    mproxy_snapshot *fresh =
        snapshot_new(store->sequence + 1, views, count, store->newest);
    if (!fresh)
        return mpx_fail(err, MPROXY_E_NOMEM, "snapshot of %zu views: no memory", count);
    const char *twin = find_twin(fresh);
    if (twin) {
        mpx_fail(err, MPROXY_E_EXISTS, "two views have the key '%.100s'", twin);
        mproxy_snapshot_unref(fresh);
        return MPROXY_E_EXISTS;
    }
    store->sequence++;
    pthread_mutex_lock(&store->lock);
    mproxy_snapshot *old = store->newest;
    store->newest = fresh;
    pthread_mutex_unlock(&store->lock);
    mproxy_snapshot_unref(old);
    return MPROXY_OK;
}

mproxy_snapshot *mproxy_store_snapshot(mproxy_store *store)
{
    pthread_mutex_lock(&store->lock);
    mproxy_snapshot *snapshot = mproxy_snapshot_ref(store->newest);
    pthread_mutex_unlock(&store->lock);
    return snapshot;
}

mproxy_snapshot *mproxy_snapshot_ref(mproxy_snapshot *snapshot)
{
    __atomic_add_fetch(&snapshot->references, 1, __ATOMIC_RELAXED);
    return snapshot;
}

void mproxy_snapshot_unref(mproxy_snapshot *snapshot)
{
    if (!snapshot || __atomic_sub_fetch(&snapshot->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < snapshot->size; i++)
        mproxy_view_unref(snapshot->views[i]);
    free(snapshot->views);
    free(snapshot->by_key);
    mpx_cache_free(snapshot->cache);
    free(snapshot);
}

uint64_t mproxy_snapshot_sequence(const mproxy_snapshot *snapshot)
{
    return snapshot->sequence;
}

size_t mproxy_snapshot_size(const mproxy_snapshot *snapshot)
{
    return snapshot->size;
}

const mproxy_view *mproxy_snapshot_at(const mproxy_snapshot *snapshot, size_t index)
{
    return index < snapshot->size ? snapshot->views[index] : NULL;
}

const mproxy_view *mproxy_snapshot_find(const mproxy_snapshot *snapshot, const char *key)
{
    size_t low = 0, high = snapshot->size;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(snapshot->by_key[middle].text, key);
        if (order == 0)
            return snapshot->views[snapshot->by_key[middle].view];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

struct mpx_cache *mpx_snapshot_cache(const mproxy_snapshot *snapshot)
{
    return snapshot->cache;
}
