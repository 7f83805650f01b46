// The order of display of all metrics, marks on it, and maps from one shape into another.
//
// A sum of many sources has the union of their metrics, in order of display. To find it each
// metric's place in the order of all that are known is looked up by id, and a bit is set
// there: a pass over the bits gives the union in order, without a sort, however many sources
// there are. A counter and a gauge of one name (twins) are neighbours in that order, so the
// same pass sees that both are marked: such a name is left out of the sum, and listed.
//
// A map says for each slot of a source's shape which slot of the sum's shape it is added to:
// counters first, then gauges, so that adding up is two loops without a branch on the type.
// What the sum leaves out is not in the map. All sources of one shape in one sum share their
// map, and so do all sums of one shape; it is counted by its users and freed with the last.
//
// The arrays by place and by id are scratch, large enough for all names, and follow the
// store's version of them: an id may stand for another metric once a name was given back.
// `slots` is never cleared. An entry of it counts only if the shape that it is asked for has
// that very metric there.

#include "reduction/map.h"

#include <stdlib.h>

#include "base/array.h"
#include "store/exempt.h"
#include "store/names.h"

static void free_arrays(const struct mpx_order *o)
{
    free(o->places);
    free(o->slots);
    free(o->marks);
    free(o->marked);
    free(o->twins);
}

// There are no more places than ids.
static bool reserve_order(struct mpx_order *o, size_t bound)
{
    if (o->room > 0 && bound <= o->room)
        return true; // a store without names has marks, too
    size_t room = bound + bound / 4 + 64, words = room / 64 + 1;
    struct mpx_order fresh = *o;
    fresh.places = malloc(room * sizeof *fresh.places);
    fresh.slots = calloc(room, sizeof *fresh.slots);
    fresh.marks = calloc(words, sizeof *fresh.marks);
    fresh.marked = malloc(room * sizeof(const mproxy_metric *));
    fresh.twins = malloc(room * sizeof(const mproxy_metric *));
    bool ok = fresh.places && fresh.slots && fresh.marks && fresh.marked && fresh.twins;
    free_arrays(ok ? o : &fresh);
    if (ok) {
        *o = fresh;
        o->room = room;
    }
    return ok;
}

bool mpx_order_refresh(struct mpx_order *o)
{
    uint64_t version = mpx_store_metric_version(o->store);
    if (o->filled && version == o->version)
        return true;
    size_t count = mproxy_store_metric_count(o->store);
    const mproxy_metric *const *metrics = mproxy_store_metric_order(o->store);
    if (!metrics || !reserve_order(o, mpx_store_metric_bound(o->store)))
        return false;
    o->metrics = metrics;
    for (size_t i = 0; i < count; i++)
        o->places[metrics[i]->id] = (uint32_t)i;
    o->count = count;
    o->version = version;
    o->filled = true;
    return true;
}

void mpx_order_fini(struct mpx_order *o)
{
    free_arrays(o);
    *o = (struct mpx_order){.store = o->store};
}

static bool is_twin_marked(const struct mpx_order *o, const mproxy_metric *metric)
{
    const mproxy_metric *twin = mpx_metric_twin(metric);
    return twin && (o->marks[o->places[twin->id] / 64] >> o->places[twin->id] % 64 & 1);
}

uint32_t mpx_order_mark(struct mpx_order *o, const struct mpx_shape *shape)
{
    uint32_t known = 0;
    for (uint32_t i = 0; i < shape->count; i++) {
        uint32_t place = o->places[shape->metrics[i]->id];
        uint64_t bit = UINT64_C(1) << place % 64;
        known +=
            (o->marks[place / 64] & bit) != 0 || is_twin_marked(o, shape->metrics[i]);
        o->marks[place / 64] |= bit;
    }
    return known;
}

// The marked metrics, in order, and clear marks. Twins follow each other.
static size_t collect(struct mpx_order *o)
{
    size_t count = 0;
    o->twin_count = 0;
    for (size_t w = 0; w <= o->count / 64; w++) {
        for (uint64_t bits = o->marks[w]; bits; bits &= bits - 1) {
            const mproxy_metric *metric =
                o->metrics[w * 64 + (size_t)__builtin_ctzll(bits)];
            if (count > 0 && mpx_metric_twin(metric) == o->marked[count - 1]) {
                o->twins[o->twin_count++] = metric;
                count--;
            } else
                o->marked[count++] = metric;
        }
        o->marks[w] = 0;
    }
    return count;
}

bool mpx_order_take(struct mpx_order *o, struct mpx_shapes *shapes,
                    struct mpx_shape **out, struct mpx_shape **twins)
{
    size_t count = collect(o);
    *out = mpx_shapes_get(shapes, o->marked, count);
    *twins = NULL;
    if (*out && o->twin_count > 0)
        *twins = mpx_shapes_get(shapes, o->twins, o->twin_count);
    return *out && (*twins || o->twin_count == 0);
}

void mpx_order_clear(struct mpx_order *o)
{
    (void)collect(o);
}

static uint32_t hash_of(const struct mpx_shape *from, const struct mpx_shape *to)
{
    return mpx_hash_u64((uint64_t)(uintptr_t)from * 31 ^ (uint64_t)(uintptr_t)to);
}

// o->slots has the slots of `to`; of other metrics it has what it had.
static bool has(const struct mpx_order *o, const struct mpx_shape *to,
                const mproxy_metric *metric)
{
    uint32_t slot = o->slots[metric->id];
    return slot < to->count && to->metrics[slot] == metric;
}

static uint32_t count_missing(const struct mpx_order *o, const struct mpx_shape *from,
                              const struct mpx_shape *to)
{
    uint32_t missing = 0;
    for (uint32_t i = 0; i < from->count; i++)
        missing += !has(o, to, from->metrics[i]);
    return missing;
}

// All maps of a sum lead into one shape, whose slots are filled in for the first of them.
static void fill_slots(struct mpx_order *o, const struct mpx_shape *to)
{
    if (o->slots_of == to)
        return;
    for (uint32_t i = 0; i < to->count; i++)
        o->slots[to->metrics[i]->id] = i;
    o->slots_of = to;
}

void mpx_maps_begin(struct mpx_order *o)
{
    o->slots_of = NULL;
}

static struct mpx_map *map_new(struct mpx_order *o, struct mpx_shape *from,
                               struct mpx_shape *to)
{
    fill_slots(o, to);
    uint32_t missing = count_missing(o, from, to);
    size_t room = from->count * (missing ? 2u : 1u);
    struct mpx_map *map = malloc(sizeof *map + room * sizeof *map->slots);
    if (!map)
        return NULL;
    *map = (struct mpx_map){.from = mpx_shape_ref(from),
                            .to = mpx_shape_ref(to),
                            .from_slots =
                                missing ? map->slots + from->count : from->by_type};
    for (uint32_t i = 0; i < from->count; i++) {
        uint32_t slot = from->by_type[i];
        if (missing && !has(o, to, from->metrics[slot]))
            continue;
        if (missing)
            map->slots[from->count + map->count] = slot;
        map->slots[map->count++] = o->slots[from->metrics[slot]->id];
        map->counter_count += i < from->counter_count;
    }
    return map;
}

static void map_free(struct mpx_map *map)
{
    mpx_shape_unref(map->from);
    mpx_shape_unref(map->to);
    free(map);
}

struct mpx_map *mpx_maps_use(struct mpx_maps *maps, struct mpx_order *order,
                             struct mpx_shape *from, struct mpx_shape *to)
{
    uint32_t hash = hash_of(from, to);
    for (uint32_t at = mpx_index_start(&maps->index, hash), i;
         mpx_index_next(&maps->index, hash, &at, &i);) {
        struct mpx_map *map = maps->items[i];
        if (map->from == from && map->to == to) {
            map->users++;
            return map;
        }
    }
    if (!MPX_RESERVE(maps->items, maps->room, maps->count + 1) ||
        !mpx_index_reserve(&maps->index, (uint32_t)maps->count + 1))
        return NULL;
    struct mpx_map *map = map_new(order, from, to);
    if (!map)
        return NULL;
    map->users = 1;
    mpx_index_put(&maps->index, hash, (uint32_t)maps->count);
    maps->items[maps->count++] = map;
    return map;
}

static uint32_t place_of(const struct mpx_maps *maps, const struct mpx_map *map)
{
    uint32_t hash = hash_of(map->from, map->to);
    for (uint32_t at = mpx_index_start(&maps->index, hash), i;
         mpx_index_next(&maps->index, hash, &at, &i);)
        if (maps->items[i] == map)
            return i;
    return 0; // it is there
}

void mpx_maps_leave(struct mpx_maps *maps, struct mpx_map *map)
{
    if (!map || --map->users > 0)
        return;
    uint32_t place = place_of(maps, map), last = (uint32_t)maps->count - 1;
    mpx_index_remove(&maps->index, hash_of(map->from, map->to), place);
    if (place != last) {
        struct mpx_map *moved = maps->items[place] = maps->items[last];
        mpx_index_move(&maps->index, hash_of(moved->from, moved->to), last, place);
    }
    maps->count--;
    map_free(map);
}

void mpx_maps_fini(struct mpx_maps *maps)
{
    for (size_t i = 0; i < maps->count; i++)
        map_free(maps->items[i]);
    free(maps->items);
    mpx_index_fini(&maps->index);
    *maps = (struct mpx_maps){0};
}
