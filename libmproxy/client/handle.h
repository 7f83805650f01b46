// Handles: what a program holds of its metrics.
#ifndef MPX_CLIENT_HANDLE_H
#define MPX_CLIENT_HANDLE_H

#include <stdbool.h>
#include <stdint.h>

#include <mproxy/client.h>

#include "segment/layout.h"

struct mpx_handle {
    uint32_t slot; // first: mproxy_counter_slot() reads it; MPX_NO_SLOT: counts nothing
    uint32_t bound_count;
    const double *bounds;
    bool powers; // bounds are 1, 2, 4, ... 2^62
    enum mpx_def_kind kind;
    double scale;
    uint64_t hash;
    const char *name;
};

struct mproxy_counter {
    struct mpx_handle handle;
};
struct mproxy_fcounter {
    struct mpx_handle handle;
};
struct mproxy_gauge {
    struct mpx_handle handle;
};
struct mproxy_histogram {
    struct mpx_handle handle;
};

#endif
