// Shapes and displays: what the slots of an array of values are, and in which order views show
// them.
//
// Values stand in bare arrays, without names, since ten thousand nodes have the same metrics;
// a shape says once for all of them which metric each slot is of, which slots are gauges, and
// what their order of display is. A display is the same for a view of one to four arrays:
// their slots merged into one order. A view of one array that is in order borrows the shape's.
//
// Invariants:
// * A shape and a display never change once anybody but their maker has seen them. The one
//   exception is a shape that a view made by hand grows (mpx_shape_append()), before that.
// * Of shapes that are interned there is one for each list of metrics, so sums compare shapes,
//   and cache maps between them, by address.
// * A shape refers to its metrics, and so to the pool that they are from: a name is given back
//   only when no shape has it. Whoever gives names back needs to look at no array of values.
// * A shape that names a metric twice, or both types of one name (twins), says so; the first is
//   refused by those who take sources, the second is never shown as it is.
//
// Lifetime: the set of interned ones is the writer's and holds a reference to each member, so
// a reader's last reference never reaches into the set. Members that only the set holds are
// swept out by the writer: when sources were grouped anew, when a source has changed its
// shape, now and then in any case (a reader may have been the last), and when many have come
// since. Sweeping looks at every member, which are few: a node has some ten.
//
// A shape stands in one block of memory, its arrays behind it.

#include "store/shape.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "store/names.h"

static struct mpx_shape *shape_alloc(size_t room)
{
    struct mpx_shape *s =
        room <= MPX_SLOT_MASK
            ? calloc(1, sizeof *s + room * (sizeof *s->metrics + 3 * sizeof(uint32_t)))
            : NULL;
    if (!s)
        return NULL;
    s->references = 1;
    s->room = (uint32_t)room;
    s->metrics = (const mproxy_metric **)(s + 1);
    s->gauge_at = (uint32_t *)(s->metrics + room);
    s->by_type = s->gauge_at + room;
    s->order = s->by_type + room;
    return s;
}

static uint32_t hash_metrics(const mproxy_metric *const *metrics, size_t count)
{
    uint64_t hash = count;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ metrics[i]->id) * UINT64_C(0x9e3779b97f4a7c15) >> 7 ^ hash << 57;
    return mpx_hash_u64(hash);
}

static bool is_ordered(const struct mpx_shape *s)
{
    for (uint32_t i = 1; i < s->count; i++)
        if (mpx_metric_compare(s->metrics[i - 1], s->metrics[i]) > 0)
            return false;
    return true;
}

static void look_at_neighbours(struct mpx_shape *s)
{
    for (uint32_t i = 1; i < s->count; i++) {
        const mproxy_metric *a = s->metrics[s->order[i - 1]];
        const mproxy_metric *b = s->metrics[s->order[i]];
        s->is_twice |= a == b;
        s->has_twins |= mpx_metric_twin(a) == b;
    }
}

static int compare_slots(const void *a, const void *b, void *metrics)
{
    const mproxy_metric **m = metrics;
    return mpx_metric_compare(m[*(const uint32_t *)a], m[*(const uint32_t *)b]);
}

static void sort_by_type(struct mpx_shape *s)
{
    uint32_t gauges = 0, at = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        bool is_gauge = s->metrics[i]->type == MPROXY_GAUGE;
        s->gauge_at[i] = is_gauge ? gauges++ : MPX_NO_GAUGE;
        if (!is_gauge)
            s->by_type[at++] = i;
    }
    s->counter_count = at;
    for (uint32_t i = 0; i < s->count; i++)
        if (s->gauge_at[i] != MPX_NO_GAUGE)
            s->by_type[at++] = i;
}

static struct mpx_shape *shape_new(const mproxy_metric *const *metrics, size_t count)
{
    struct mpx_shape *s = shape_alloc(count);
    if (!s)
        return NULL;
    s->count = (uint32_t)count;
    if (count)
        memcpy(s->metrics, metrics, count * sizeof(const mproxy_metric *));
    mpx_metrics_ref(metrics, count);
    for (uint32_t i = 0; i < count; i++)
        s->order[i] = i;
    if (!is_ordered(s))
        qsort_r(s->order, count, sizeof *s->order, compare_slots, s->metrics);
    look_at_neighbours(s);
    sort_by_type(s);
    s->hash = hash_metrics(metrics, count);
    return s;
}

struct mpx_shape *mpx_shape_begin(uint32_t room)
{
    return shape_alloc(room);
}

// by_type stays as if all were of one type: only what is summed needs it.
void mpx_shape_append(struct mpx_shape *s, const mproxy_metric *metric)
{
    uint32_t slot = s->count++;
    assert(slot == 0 || mpx_metric_compare(s->metrics[slot - 1], metric) < 0);
    bool is_gauge = metric->type == MPROXY_GAUGE;
    if (slot == 0)
        mpx_metrics_ref(&metric, 1);
    else
        (void)mproxy_metric_ref(metric);
    s->metrics[slot] = metric;
    s->gauge_at[slot] = is_gauge ? slot - s->counter_count : MPX_NO_GAUGE;
    s->counter_count += !is_gauge;
    s->order[slot] = s->by_type[slot] = slot;
}

struct mpx_shape *mpx_shape_ref(struct mpx_shape *s)
{
    __atomic_add_fetch(&s->references, 1, __ATOMIC_RELAXED);
    return s;
}

void mpx_shape_unref(struct mpx_shape *s)
{
    if (!s || __atomic_sub_fetch(&s->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    mpx_metrics_unref(s->metrics, s->count);
    free(s);
}

bool mpx_shape_is(const struct mpx_shape *s, const mproxy_metric *const *metrics,
                  size_t count)
{
    return s->count == count &&
           (count == 0 || memcmp(s->metrics, metrics, count * sizeof *metrics) == 0);
}

// The metrics and places of a display of one part that is in order are the shape's own.
static bool borrow(struct mpx_display *d)
{
    const struct mpx_shape *s = d->shapes[0];
    if (d->part_count != 1)
        return false;
    for (uint32_t i = 0; i < s->count; i++)
        if (s->order[i] != i)
            return false;
    d->metrics = s->metrics;
    d->places = s->order;
    return true;
}

static void merge(const struct mpx_display *d, const mproxy_metric **metrics,
                  uint32_t *places)
{
    uint32_t at[MPX_PARTS_MAX] = {0};
    for (uint32_t i = 0; i < d->count; i++) {
        const mproxy_metric *first = NULL;
        uint32_t from = 0;
        for (uint32_t p = 0; p < d->part_count; p++) {
            const struct mpx_shape *s = d->shapes[p];
            if (at[p] == s->count)
                continue;
            const mproxy_metric *next = s->metrics[s->order[at[p]]];
            if (first && mpx_metric_compare(first, next) < 0)
                continue;
            first = next;
            from = p;
        }
        metrics[i] = first;
        places[i] = from << MPX_SLOT_BITS | d->shapes[from]->order[at[from]++];
    }
}

struct mpx_display *mpx_display_new(struct mpx_shape *const *shapes, uint32_t count)
{
    struct mpx_display *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->references = 1;
    d->part_count = count;
    for (uint32_t i = 0; i < count; i++) {
        d->shapes[i] = mpx_shape_ref(shapes[i]);
        d->count += shapes[i]->count;
    }
    if (borrow(d))
        return d;
    const mproxy_metric **metrics =
        malloc((d->count + 1) * sizeof(const mproxy_metric *));
    uint32_t *places = malloc((d->count + 1) * sizeof *places);
    if (metrics && places)
        merge(d, metrics, places);
    d->metrics = metrics;
    d->places = places;
    if (metrics && places)
        return d;
    mpx_display_unref(d);
    return NULL;
}

struct mpx_display *mpx_display_ref(struct mpx_display *d)
{
    __atomic_add_fetch(&d->references, 1, __ATOMIC_RELAXED);
    return d;
}

void mpx_display_unref(struct mpx_display *d)
{
    if (!d || __atomic_sub_fetch(&d->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (d->part_count != 1 || d->places != d->shapes[0]->order) {
        free((void *)d->metrics);
        free((void *)d->places);
    }
    for (uint32_t i = 0; i < d->part_count; i++)
        mpx_shape_unref(d->shapes[i]);
    free(d);
}

struct mpx_shape *mpx_shapes_get(struct mpx_shapes *all,
                                 const mproxy_metric *const *metrics, size_t count)
{
    uint32_t hash = hash_metrics(metrics, count);
    for (uint32_t at = mpx_index_start(&all->index, hash), i;
         mpx_index_next(&all->index, hash, &at, &i);)
        if (mpx_shape_is(all->shapes[i], metrics, count))
            return mpx_shape_ref(all->shapes[i]);
    if (!MPX_RESERVE(all->shapes, all->room, all->count + 1) ||
        !mpx_index_reserve(&all->index, (uint32_t)all->count + 1))
        return NULL;
    struct mpx_shape *s = shape_new(metrics, count);
    if (!s)
        return NULL;
    mpx_index_put(&all->index, hash, (uint32_t)all->count);
    all->shapes[all->count++] = s;
    return mpx_shape_ref(s);
}

static uint32_t hash_shapes(struct mpx_shape *const *shapes, uint32_t count)
{
    return mpx_hash_bytes(shapes, count * sizeof(struct mpx_shape *));
}

struct mpx_display *mpx_shapes_display(struct mpx_shapes *all,
                                       struct mpx_shape *const *shapes, uint32_t count)
{
    uint32_t hash = hash_shapes(shapes, count);
    for (uint32_t at = mpx_index_start(&all->display_index, hash), i;
         mpx_index_next(&all->display_index, hash, &at, &i);) {
        struct mpx_display *d = all->displays[i];
        if (d->part_count == count &&
            memcmp(d->shapes, shapes, count * sizeof *shapes) == 0)
            return mpx_display_ref(d);
    }
    if (!MPX_RESERVE(all->displays, all->display_room, all->display_count + 1) ||
        !mpx_index_reserve(&all->display_index, (uint32_t)all->display_count + 1))
        return NULL;
    struct mpx_display *d = mpx_display_new(shapes, count);
    if (!d)
        return NULL;
    mpx_index_put(&all->display_index, hash, (uint32_t)all->display_count);
    all->displays[all->display_count++] = d;
    return mpx_display_ref(d);
}

static bool is_unused(const unsigned *references)
{
    return __atomic_load_n(references, __ATOMIC_ACQUIRE) == 1;
}

static void sweep_displays(struct mpx_shapes *all)
{
    size_t kept = 0;
    for (size_t i = 0; i < all->display_count; i++) {
        if (is_unused(&all->displays[i]->references))
            mpx_display_unref(all->displays[i]);
        else
            all->displays[kept++] = all->displays[i];
    }
    if (kept == all->display_count)
        return;
    all->display_count = kept;
    mpx_index_clear(&all->display_index);
    for (size_t i = 0; i < kept; i++)
        mpx_index_put(&all->display_index,
                      hash_shapes(all->displays[i]->shapes, all->displays[i]->part_count),
                      (uint32_t)i);
}

static void sweep_shapes(struct mpx_shapes *all)
{
    size_t kept = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (is_unused(&all->shapes[i]->references))
            mpx_shape_unref(all->shapes[i]);
        else
            all->shapes[kept++] = all->shapes[i];
    }
    if (kept == all->count)
        return;
    all->count = kept;
    mpx_index_clear(&all->index);
    for (size_t i = 0; i < kept; i++)
        mpx_index_put(&all->index, all->shapes[i]->hash, (uint32_t)i);
}

void mpx_shapes_sweep(struct mpx_shapes *all)
{
    sweep_displays(all); // first: they hold shapes
    sweep_shapes(all);
    all->swept = all->count + all->display_count;
}

void mpx_shapes_tidy(struct mpx_shapes *all)
{
    enum { SPARE = 64 };
    if (all->count + all->display_count > 2 * all->swept + SPARE)
        mpx_shapes_sweep(all);
}

void mpx_shapes_fini(struct mpx_shapes *all)
{
    for (size_t i = 0; i < all->display_count; i++)
        mpx_display_unref(all->displays[i]);
    for (size_t i = 0; i < all->count; i++)
        mpx_shape_unref(all->shapes[i]);
    free(all->displays);
    free(all->shapes);
    mpx_index_fini(&all->index);
    mpx_index_fini(&all->display_index);
    *all = (struct mpx_shapes){0};
}
