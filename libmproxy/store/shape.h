// What values are of: a shape names the metric of every slot of an array of values, a display
// the order in which a view shows the slots of its parts. Ten thousand nodes of one kind have
// ten thousand arrays, one shape and one display.
//
// Both are immutable and reference counted: readers hold them through views, on any thread.
// The set that interns them is the writer's.
#ifndef MPX_STORE_SHAPE_H
#define MPX_STORE_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mproxy/store.h>

#include "base/index.h"

enum { MPX_PARTS_MAX = 4, MPX_SLOT_BITS = 30 };
#define MPX_SLOT_MASK ((UINT32_C(1) << MPX_SLOT_BITS) - 1)
#define MPX_NO_GAUGE UINT32_MAX

struct mpx_shape {
    unsigned references; // atomic
    uint32_t count, room;
    uint32_t counter_count;
    uint32_t hash;
    bool is_twice;                 // names a metric twice: not to be used
    bool has_twins;                // a counter and a gauge of one name are in it
    const mproxy_metric **metrics; // by slot
    uint32_t *gauge_at; // by slot: place among the gauges, MPX_NO_GAUGE for a counter
    uint32_t *by_type;  // slots: the counters', then the gauges'
    uint32_t *order;    // slots in order of display
};

static inline uint32_t mpx_shape_gauges(const struct mpx_shape *shape)
{
    return shape->count - shape->counter_count;
}

struct mpx_display {
    unsigned references; // atomic
    uint32_t count, part_count;
    struct mpx_shape *shapes[MPX_PARTS_MAX]; // referenced
    const mproxy_metric *const *metrics;     // in order of display
    const uint32_t *places;                  // part << MPX_SLOT_BITS | slot
};

// An empty one, to which mpx_shape_append() adds up to `room` metrics in order of display
// before anybody else sees it. NULL: no memory.
struct mpx_shape *mpx_shape_begin(uint32_t room);
void mpx_shape_append(struct mpx_shape *shape, const mproxy_metric *metric);
struct mpx_shape *mpx_shape_ref(struct mpx_shape *shape);
void mpx_shape_unref(struct mpx_shape *shape); // accepts NULL
bool mpx_shape_is(const struct mpx_shape *shape, const mproxy_metric *const *metrics,
                  size_t count);

// The parts' metrics must differ. NULL: no memory.
struct mpx_display *mpx_display_new(struct mpx_shape *const *shapes, uint32_t count);
struct mpx_display *mpx_display_ref(struct mpx_display *display);
void mpx_display_unref(struct mpx_display *display); // accepts NULL

// All shapes and displays in use, one of each.
struct mpx_shapes {
    struct mpx_shape **shapes;
    size_t count, room;
    struct mpx_index index;
    struct mpx_display **displays;
    size_t display_count, display_room;
    struct mpx_index display_index;
    size_t swept; // how many of both the last sweep left
};

// Both with a reference for the caller; NULL: no memory. A shape's metrics may stand in any
// order; one that names a metric twice says so.
struct mpx_shape *mpx_shapes_get(struct mpx_shapes *all,
                                 const mproxy_metric *const *metrics, size_t count);
struct mpx_display *mpx_shapes_display(struct mpx_shapes *all,
                                       struct mpx_shape *const *shapes, uint32_t count);
// Let go of those that nobody else holds.
void mpx_shapes_sweep(struct mpx_shapes *all);
// The same once there are many more than the last sweep left: costs little when called often.
void mpx_shapes_tidy(struct mpx_shapes *all);
void mpx_shapes_fini(struct mpx_shapes *all);

#endif
