// Layouts by content, and the scratch in which a vector of metrics is put together. For
// vectors.c only.
#ifndef MPX_PROCESSES_LAYOUTS_H
#define MPX_PROCESSES_LAYOUTS_H

#include "base/index.h"
#include "processes/bounds.h"
#include "processes/vectors.h"

struct layout;
struct mpx_vectors {
    mproxy_store *store;
    struct layout **layouts; // in no order
    size_t layout_count, layout_room;
    struct mpx_index index; // of them, by content
    size_t layout_entries;
    struct mpx_bounds bounds; // of histograms, by family
    size_t idle;              // layouts without a user
    struct mpx_vectors_stats stats;
    bool allow_negative, allow_reserved;
    // Scratch of the vector that is being made.
    const mproxy_metric **metrics;
    size_t count, room;
    uint32_t *stamps; // by metric id: the number of the vector that has it
    size_t stamp_room;
    uint32_t stamp;
    bool starved; // memory was missing for a metric of it
    uint32_t
        uncounted; // why definitions of it were refused, bits as in a segment's flags
    struct mpx_user *user; // whose it is; NULL: the proxy's own
};

// Begin a vector of at most `room` metrics. False: no memory.
bool mpx_layout_begin(struct mpx_vectors *vs, size_t room);
// Whether a metric is new to the vector that is being made; it is not afterwards.
bool mpx_layout_is_first(struct mpx_vectors *vs, const mproxy_metric *metric);
// Whether the vector that is being made has the metric of this name and the other type.
bool mpx_layout_has_twin(const struct mpx_vectors *vs, const mproxy_metric *metric);
// Take back all but the first `count` metrics: they are new again.
void mpx_layout_take_back(struct mpx_vectors *vs, size_t count);
// The layout of the metrics in scratch.
// @return MPROXY_OK, MPROXY_E_LIMIT (too many definitions), MPROXY_E_NOMEM
mproxy_status mpx_layout_intern(struct mpx_vectors *vs, const mproxy_layout **out,
                                mproxy_error *err);

#endif
