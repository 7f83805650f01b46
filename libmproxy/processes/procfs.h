// A process as /proc/PID tells of it: whether it lives, and what it used.
#ifndef MPX_PROCESSES_PROCFS_H
#define MPX_PROCESSES_PROCFS_H

#include <stdbool.h>

#include <mproxy/base.h>

#include "segment/layout.h"

// Process metrics, indexed and in the units of tables/process.def.
struct mpx_process_values {
    uint64_t set; // bit i: value[i] is known
    uint64_t value[MPX_SEG_FINAL_MAX];
};

// Take over what `other` knows: of two values of a counter or a peak the greater stays, a
// gauge is replaced. True if anything changed.
bool mpx_process_values_merge(struct mpx_process_values *values,
                              const struct mpx_process_values *other);

struct mpx_procfs;

// @param root  of a proc file system
// @return MPROXY_OK, MPROXY_E_SYSTEM, MPROXY_E_NOMEM
mproxy_status mpx_procfs_open(const char *root, struct mpx_procfs **out,
                              mproxy_error *err);
void mpx_procfs_close(struct mpx_procfs *p); // accepts NULL

// The PID namespace whose pids we can ask about; 0: not known.
uint64_t mpx_procfs_namespace(const struct mpx_procfs *p);

enum mpx_life {
    MPX_LIFE_GONE = 0, // ended, or a zombie, or another process has the pid
    MPX_LIFE_ALIVE,
    MPX_LIFE_UNKNOWN, // the pid is in use and hidden from us
};
enum mpx_life mpx_procfs_life(const struct mpx_procfs *p, uint32_t pid,
                              uint64_t start_ticks);

// Read the process's use of resources. False, and nothing is known, when it is not alive, or
// none of its user ids is that of the `owner` who says that it is his: nobody may look at
// another's processes through us. Root may, and so may we.
bool mpx_procfs_sample(const struct mpx_procfs *p, uint32_t pid, uint64_t start_ticks,
                       uint32_t owner, struct mpx_process_values *out);

#endif
