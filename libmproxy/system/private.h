// The struct behind node metrics: for system.c and files.c only.
#ifndef MPX_SYSTEM_PRIVATE_H
#define MPX_SYSTEM_PRIVATE_H

#include "system/sampler.h"

struct layout {
    struct layout *next;
    uint64_t used; // number of the last sample that was of it
    mproxy_layout layout;
    const mproxy_metric *metrics[];
};

struct mproxy_system {
    mproxy_store *store;
    char *host;
    int proc_fd;
    int sys_fd; // -1: none
    struct mpx_buf text;
    int64_t boot_ms; // of this sample
    uint64_t wall_us;
    bool failed; // no memory in this sample
    size_t count, room;
    const mproxy_metric **metrics; // what this sample reports
    mproxy_value *fresh;
    struct layout *layouts; // current, and those of some samples before
    struct layout *current;
    mproxy_value *values;        // of `current`
    struct mpx_system_held held; // of no device
    uint64_t samples;
    mproxy_input input;
    void *states[]; // one per sampler
};

void mpx_system_held_fini(struct mpx_system_held *held);

#endif
