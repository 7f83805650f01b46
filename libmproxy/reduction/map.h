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
    const mproxy_metric **marked;        // scratch
    bool filled;
};

// Bring the order up to date. False: no memory.
bool mpx_order_refresh(struct mpx_order *order);
void mpx_order_fini(struct mpx_order *order);
// Mark a shape's metrics; how many of them were marked already.
uint32_t mpx_order_mark(struct mpx_order *order, const struct mpx_shape *shape);
// The shape of all marked metrics, in order of display, with a reference; clears the marks.
// NULL: no memory.
struct mpx_shape *mpx_order_take(struct mpx_order *order, struct mpx_shapes *shapes);
void mpx_order_clear(struct mpx_order *order);

struct mpx_map {
    struct mpx_shape *from, *to; // referenced
    uint32_t users;
    uint32_t slots[]; // of `to`, in the order of from->by_type
};

struct mpx_maps {
    struct mpx_map **items;
    size_t count, room;
    struct mpx_index index;
};

// NULL: no memory. Every metric of `from` must be one of `to`.
struct mpx_map *mpx_maps_use(struct mpx_maps *maps, struct mpx_order *order,
                             struct mpx_shape *from, struct mpx_shape *to);
void mpx_maps_leave(struct mpx_maps *maps, struct mpx_map *map); // accepts NULL
void mpx_maps_fini(struct mpx_maps *maps);

#endif
