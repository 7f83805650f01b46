#include "reduction/reduction.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "source/spans.h"

enum { DEFAULT_CONTINUE_MS = 600000 };

mproxy_status mproxy_reduction_new(mproxy_store *store, mproxy_reduction **out,
                                   mproxy_error *err)
{
    struct mproxy_reduction *r = calloc(1, sizeof *r);
    if (!r)
        return mpx_fail(err, MPROXY_E_NOMEM, "reduction: no memory");
    r->order.store = store;
    r->continue_ms = DEFAULT_CONTINUE_MS;
    r->regroup = true;
    *out = r;
    return MPROXY_OK;
}

void mproxy_reduction_free(mproxy_reduction *r)
{
    if (!r)
        return;
    mpx_sums_fini(&r->sums);
    for (size_t i = 0; i < r->held_count; i++)
        mpx_held_free(r->held[i]);
    mpx_index_fini(&r->index);
    mpx_order_fini(&r->order);
    free(r->held);
    free(r->views);
    free(r->list);
    free(r);
}

void mproxy_reduction_set_continue(mproxy_reduction *r, int64_t continue_ms)
{
    r->continue_ms = continue_ms;
    r->regroup = true;
}

static uint32_t hash_identity(const uint8_t directory[16], mproxy_source_kind kind,
                              uint64_t number)
{
    return mpx_hash_bytes(directory, 16) ^ mpx_hash_u64(number * 4 + kind);
}

static struct mpx_held *find(const struct mproxy_reduction *r,
                             const uint8_t directory[16], mproxy_source_kind kind,
                             uint64_t number)
{
    uint32_t hash = hash_identity(directory, kind, number);
    for (uint32_t at = mpx_index_start(&r->index, hash), i;
         mpx_index_next(&r->index, hash, &at, &i);) {
        struct mpx_held *h = r->held[i];
        if (!h->dropped && h->source.kind == kind && h->source.number == number &&
            memcmp(h->source.directory, directory, sizeof h->source.directory) == 0)
            return h;
    }
    return NULL;
}

static bool is_absorbed(const struct mproxy_reduction *r, const mproxy_source *s)
{
    if (s->kind != MPROXY_SOURCE_SHARE)
        return false;
    const struct mpx_held *base = find(r, s->directory, MPROXY_SOURCE_BASE, 0);
    return base &&
           mpx_spans_have(base->source.absorbed, base->source.absorbed_count, s->number);
}

static void drop(struct mproxy_reduction *r, struct mpx_held *h)
{
    h->dropped = true;
    r->regroup = true;
}

static void drop_absorbed(struct mproxy_reduction *r, const struct mpx_held *base)
{
    const mproxy_source *s = &base->source;
    for (size_t i = 0; i < r->held_count; i++) {
        struct mpx_held *h = r->held[i];
        if (!h->dropped && mpx_held_is_share(h) &&
            memcmp(h->source.directory, s->directory, sizeof s->directory) == 0 &&
            mpx_spans_have(s->absorbed, s->absorbed_count, h->source.number))
            drop(r, h);
    }
}

static bool same_absorbed(const mproxy_source *a, const mproxy_source *b)
{
    return a->absorbed_count == b->absorbed_count &&
           (a->absorbed_count == 0 ||
            memcmp(a->absorbed, b->absorbed, a->absorbed_count * sizeof *a->absorbed) ==
                0);
}

static bool reserve_held(struct mproxy_reduction *r)
{
    if (r->held_count == r->held_room) {
        size_t room = r->held_room ? r->held_room * 2 : 16;
        struct mpx_held **held = realloc(r->held, room * sizeof *held);
        if (!held)
            return false;
        r->held = held;
        r->held_room = room;
    }
    return mpx_index_reserve(&r->index, (uint32_t)r->held_count + 1);
}

static mproxy_status no_memory(mproxy_error *err)
{
    return mpx_fail(err, MPROXY_E_NOMEM, "reduction: no memory for a source");
}

static mproxy_status put_new(struct mproxy_reduction *r, const mproxy_source *source,
                             mproxy_error *err)
{
    struct mpx_held *h = reserve_held(r) ? mpx_held_new(source) : NULL;
    if (!h)
        return no_memory(err);
    h->heard = r->round;
    r->stats.dropped_values += mpx_held_clean(h);
    mpx_index_put(&r->index,
                  hash_identity(source->directory, source->kind, source->number),
                  (uint32_t)r->held_count);
    r->held[r->held_count++] = h;
    r->unsorted = r->regroup = true;
    if (source->kind == MPROXY_SOURCE_BASE)
        drop_absorbed(r, h);
    return MPROXY_OK;
}

static mproxy_status put_later(struct mproxy_reduction *r, struct mpx_held *h,
                               const mproxy_source *source, mproxy_error *err)
{
    bool grew = !same_absorbed(&h->source, source);
    if (!mpx_held_take(h, source, &r->regroup))
        return no_memory(err);
    r->stats.dropped_values += mpx_held_clean(h);
    if (grew)
        drop_absorbed(r, h);
    return MPROXY_OK;
}

mproxy_status mproxy_reduction_put(mproxy_reduction *r, const mproxy_source *source,
                                   mproxy_error *err)
{
    bool is_share = source->kind == MPROXY_SOURCE_SHARE;
    if (is_share &&
        (!source->job || mproxy_job_check_id(source->job->jobid, err) != MPROXY_OK)) {
        r->stats.refused_sources++;
        return source->job ? MPROXY_E_INVALID
                           : mpx_fail(err, MPROXY_E_INVALID, "a share without a job");
    }
    if (is_absorbed(r, source))
        return MPROXY_OK;
    struct mpx_held *h = find(r, source->directory, source->kind, source->number);
    if (!h)
        return put_new(r, source, err);
    h->heard = r->round;
    if (source->epoch < h->source.epoch ||
        (source->epoch == h->source.epoch && source->sequence < h->source.sequence))
        return MPROXY_OK;
    if (source->epoch == h->source.epoch && source->sequence == h->source.sequence) {
        h->source.silent_ms = source->silent_ms; // an age: it grows without a change
        h->source.idle = source->idle;
        return MPROXY_OK;
    }
    return put_later(r, h, source, err);
}

void mproxy_reduction_stored(mproxy_reduction *r, const uint8_t directory[16],
                             uint64_t number)
{
    struct mpx_held *h = find(r, directory, MPROXY_SOURCE_SHARE, number);
    if (h)
        h->stored = true;
}

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static bool is_in(const uint64_t *numbers, size_t count, uint64_t number)
{
    for (size_t i = 0; i < count; i++)
        if (numbers[i] == number)
            return true;
    return false;
}

void mproxy_reduction_keep(mproxy_reduction *r, const uint8_t directory[16],
                           const uint64_t *numbers, size_t count)
{
    uint64_t *sorted = count ? malloc(count * sizeof *sorted) : NULL;
    if (sorted) {
        memcpy(sorted, numbers, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, compare_numbers);
    }
    for (size_t i = 0; i < r->held_count; i++) {
        struct mpx_held *h = r->held[i];
        if (h->dropped || !mpx_held_is_share(h) ||
            memcmp(h->source.directory, directory, sizeof h->source.directory) != 0)
            continue;
        if (!(sorted ? mpx_numbers_have(sorted, count, h->source.number)
                     : is_in(numbers, count, h->source.number)))
            drop(r, h);
    }
    free(sorted);
}

static int compare_held(const void *a, const void *b)
{
    const mproxy_source *x = &(*(struct mpx_held *const *)a)->source;
    const mproxy_source *y = &(*(struct mpx_held *const *)b)->source;
    int order = memcmp(x->directory, y->directory, sizeof x->directory);
    if (order)
        return order;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static void index_held(struct mproxy_reduction *r)
{
    mpx_index_clear(&r->index);
    for (size_t i = 0; i < r->held_count; i++)
        mpx_index_put(&r->index,
                      hash_identity(r->held[i]->source.directory, r->held[i]->source.kind,
                                    r->held[i]->source.number),
                      (uint32_t)i);
}

static void sort_held(struct mproxy_reduction *r)
{
    if (!r->unsorted)
        return;
    qsort(r->held, r->held_count, sizeof *r->held, compare_held);
    index_held(r);
    r->unsorted = false;
}

// No view adds up what is dropped any more.
static void free_dropped(struct mproxy_reduction *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->held_count; i++) {
        if (r->held[i]->dropped)
            mpx_held_free(r->held[i]);
        else
            r->held[kept++] = r->held[i];
    }
    if (kept == r->held_count)
        return;
    r->held_count = kept;
    index_held(r);
}

static bool group(struct mproxy_reduction *r)
{
    if (r->rivals && r->round % (MPX_NODE_SILENT_MAX + 1) == 0)
        r->regroup = true;
    if (!r->regroup)
        return true;
    sort_held(r);
    if (!mpx_regroup(r))
        return false;
    free_dropped(r);
    r->regroup = false;
    return true;
}

static bool reserve_views(struct mproxy_reduction *r)
{
    if (r->sums.count <= r->view_room)
        return true;
    mproxy_view **views = realloc(r->views, r->sums.count * 2 * sizeof(mproxy_view *));
    if (!views)
        return false;
    r->views = views;
    r->view_room = r->sums.count * 2;
    return true;
}

// The views that are to be published, each with a reference of its own.
static mproxy_status build(struct mproxy_reduction *r, bool *any, mproxy_error *err)
{
    for (size_t i = 0; i < r->sums.count; i++) {
        struct mpx_sum *sum = &r->sums.items[i];
        if (!mpx_sum_is_dirty(sum)) {
            r->views[i] = mproxy_view_ref(sum->view);
            continue;
        }
        *any = true;
        mproxy_status status =
            mpx_sum_build(sum, &r->order, &r->views[i], &r->stats.steps_back, err);
        if (status != MPROXY_OK) {
            while (i-- > 0)
                mproxy_view_unref(r->views[i]);
            return status;
        }
    }
    return MPROXY_OK;
}

static void settle(struct mproxy_reduction *r)
{
    for (size_t i = 0; i < r->sums.count; i++) {
        struct mpx_sum *sum = &r->sums.items[i];
        mproxy_view_unref(sum->view);
        sum->view = r->views[i];
        sum->stale = sum->other = false;
    }
    for (size_t i = 0; i < r->held_count; i++)
        r->held[i]->changed = r->held[i]->reshaped = false;
    r->published = true;
}

mproxy_status mproxy_reduction_publish(mproxy_reduction *r, mproxy_error *err)
{
    r->round++;
    size_t before = r->sums.count;
    bool any = !r->published || r->regroup;
    if (!group(r) || !mpx_order_refresh(&r->order) || !reserve_views(r))
        return mpx_fail(err, MPROXY_E_NOMEM, "reduction: no memory for %zu views",
                        before);
    mproxy_status status = build(r, &any, err);
    if (status != MPROXY_OK)
        return status;
    if (any)
        status = mproxy_store_publish(r->order.store, r->views, r->sums.count, err);
    if (status == MPROXY_OK) {
        settle(r);
        return MPROXY_OK;
    }
    for (size_t i = 0; i < r->sums.count; i++)
        mproxy_view_unref(r->views[i]);
    return status;
}

size_t mproxy_reduction_sources(mproxy_reduction *r, const mproxy_source *const **out)
{
    if (r->held_count > r->list_room) {
        const mproxy_source **list = realloc(r->list, r->held_count * 2 * sizeof *list);
        if (!list) {
            *out = NULL;
            return 0;
        }
        r->list = list;
        r->list_room = r->held_count * 2;
    }
    size_t count = 0;
    for (size_t i = 0; i < r->held_count; i++)
        if (!r->held[i]->dropped)
            r->list[count++] = &r->held[i]->source;
    *out = r->list;
    return count;
}

void mproxy_reduction_get_stats(const mproxy_reduction *r, mproxy_reduction_stats *out)
{
    *out = r->stats;
    out->views = r->sums.count;
    out->sources = 0;
    for (size_t i = 0; i < r->held_count; i++)
        out->sources += !r->held[i]->dropped;
}
