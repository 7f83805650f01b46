#include "reduction/map.h"

#include <stdlib.h>

#include "base/array.h"
#include "store/exempt.h"
#include "store/metric.h"

// There are no more places than ids.
static bool reserve_order(struct mpx_order *o, size_t bound)
{
    if (bound <= o->room)
        return true;
    size_t room = bound + bound / 4 + 64, words = room / 64 + 1;
    struct mpx_order fresh = *o;
    fresh.places = malloc(room * sizeof *fresh.places);
    fresh.slots = malloc(room * sizeof *fresh.slots);
    fresh.marks = calloc(words, sizeof *fresh.marks);
    fresh.marked = malloc(room * sizeof(const mproxy_metric *));
    bool ok = fresh.places && fresh.slots && fresh.marks && fresh.marked;
    struct mpx_order *unused = ok ? o : &fresh;
    free(unused->places);
    free(unused->slots);
    free(unused->marks);
    free(unused->marked);
    if (!ok)
        return false;
    *o = fresh;
    o->room = room;
    return true;
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
    free(o->places);
    free(o->slots);
    free(o->marks);
    free(o->marked);
    *o = (struct mpx_order){.store = o->store};
}

uint32_t mpx_order_mark(struct mpx_order *o, const struct mpx_shape *shape)
{
    uint32_t known = 0;
    for (uint32_t i = 0; i < shape->count; i++) {
        uint32_t place = o->places[shape->metrics[i]->id];
        uint64_t bit = UINT64_C(1) << place % 64;
        known += (o->marks[place / 64] & bit) != 0;
        o->marks[place / 64] |= bit;
    }
    return known;
}

// The marked metrics, in order, and clear marks.
static size_t collect(struct mpx_order *o)
{
    size_t count = 0;
    for (size_t w = 0; w <= o->count / 64; w++) {
        for (uint64_t bits = o->marks[w]; bits; bits &= bits - 1)
            o->marked[count++] = o->metrics[w * 64 + (size_t)__builtin_ctzll(bits)];
        o->marks[w] = 0;
    }
    return count;
}

struct mpx_shape *mpx_order_take(struct mpx_order *o, struct mpx_shapes *shapes)
{
    size_t count = collect(o);
    return mpx_shapes_get(shapes, o->marked, count);
}

void mpx_order_clear(struct mpx_order *o)
{
    (void)collect(o);
}

static uint32_t hash_of(const struct mpx_shape *from, const struct mpx_shape *to)
{
    return mpx_hash_u64((uint64_t)(uintptr_t)from * 31 ^ (uint64_t)(uintptr_t)to);
}

static struct mpx_map *map_new(struct mpx_order *o, struct mpx_shape *from,
                               struct mpx_shape *to)
{
    struct mpx_map *map = malloc(sizeof *map + from->count * sizeof *map->slots);
    if (!map)
        return NULL;
    *map = (struct mpx_map){.from = mpx_shape_ref(from), .to = mpx_shape_ref(to)};
    for (uint32_t i = 0; i < to->count; i++)
        o->slots[to->metrics[i]->id] = i;
    for (uint32_t i = 0; i < from->count; i++)
        map->slots[i] = o->slots[from->metrics[from->by_type[i]]->id];
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
