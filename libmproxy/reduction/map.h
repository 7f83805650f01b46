// Where the slots of one shape stand in another: what a sum adds an array by. Ten thousand
// nodes of one kind share one map.
#ifndef MPX_REDUCTION_MAP_H
#define MPX_REDUCTION_MAP_H

#include "store/shape.h"

// What all sums of a store share: where each metric is in the order of display.
struct mpx_order {
    mproxy_store *store;
    const mproxy_metric *const *metrics; // in order
    size_t count, room;                  // of metrics; of the arrays
    uint64_t version;                    // of the names
    uint32_t *places;                    // by id
    uint64_t *marks;                     // scratch: a bit per place, all clear
    uint32_t *slots;                     // scratch: by id
    const struct mpx_shape *slots_of;    // whose they are; see mpx_maps_begin()
    const mproxy_metric **marked;        // scratch
    const mproxy_metric **twins;         // scratch: marked with both types
    size_t twin_count;
    bool filled;
};

// Bring the order up to date. False: no memory.
bool mpx_order_refresh(struct mpx_order *order);
void mpx_order_fini(struct mpx_order *order);
// Mark a shape's metrics; how many of them were marked already, or those of the other type.
uint32_t mpx_order_mark(struct mpx_order *order, const struct mpx_shape *shape);
// The shape of all marked metrics, in order of display, with a reference; clears the marks.
// Names that are marked with both types are left out: *twins is the shape of those, NULL
// where there are none. False: no memory.
bool mpx_order_take(struct mpx_order *order, struct mpx_shapes *shapes,
                    struct mpx_shape **out, struct mpx_shape **twins);
void mpx_order_clear(struct mpx_order *order);

struct mpx_map {
    struct mpx_shape *from, *to; // referenced
    uint32_t users;
    // What is added: first the counters, then the gauges. All of `from` but what `to` lacks,
    // which sums leave out.
    uint32_t counter_count, count;
    const uint32_t *from_slots;
    uint32_t slots[]; // of `to`
};

struct mpx_maps {
    struct mpx_map **items;
    size_t count, room;
    struct mpx_index index;
};

// Before maps into another shape are used; until the next call that one must stay.
void mpx_maps_begin(struct mpx_order *order);
// NULL: no memory.
struct mpx_map *mpx_maps_use(struct mpx_maps *maps, struct mpx_order *order,
                             struct mpx_shape *from, struct mpx_shape *to);
void mpx_maps_leave(struct mpx_maps *maps, struct mpx_map *map); // accepts NULL
void mpx_maps_fini(struct mpx_maps *maps);

#endif
