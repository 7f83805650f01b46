// Shared by the samplers of node metrics (cpu.c, memory.c, ...).
//
// To add a sampler: write its file, declare its table entry here and list it in system.c.
#ifndef MPX_SYSTEM_SAMPLER_H
#define MPX_SYSTEM_SAMPLER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include <mproxy/system.h>

enum mpx_node_metric {
#define MPX_NODE_METRIC(id, name, type, doc) MPX_NODE_##id,
#include "tables/metrics.def"
#undef MPX_NODE_METRIC
    MPX_NODE_METRICS
};

// One sampler. The state is zeroed memory of `size` bytes of its own.
struct mpx_sampler {
    size_t size;
    void (*sample)(struct mproxy_system *system, void *state);
    void (*fini)(void *state); // may be NULL
};

extern const struct mpx_sampler mpx_sampler_cpu;
extern const struct mpx_sampler mpx_sampler_memory;
extern const struct mpx_sampler mpx_sampler_mounts;
extern const struct mpx_sampler mpx_sampler_disk;
extern const struct mpx_sampler mpx_sampler_net;
extern const struct mpx_sampler mpx_sampler_hwmon;
extern const struct mpx_sampler mpx_sampler_energy;
extern const struct mpx_sampler mpx_sampler_infiniband;
extern const struct mpx_sampler mpx_sampler_pressure;
extern const struct mpx_sampler mpx_sampler_misc;

// ---- input

int mpx_system_proc(const struct mproxy_system *system); // directory descriptors
int mpx_system_sys(const struct mproxy_system *system);
const char *mpx_system_host(const struct mproxy_system *system);
int64_t mpx_system_now_ms(const struct mproxy_system *system); // of this sample

// A file that is read at every sample and stays open in between. Zeroed: not open yet.
struct mpx_system_file {
    int fd_plus_1;
};

// Read a whole file: NUL-terminated, valid until the next read of any file; NULL when it is
// not there or can't be read. `file` may be NULL: opened and closed for this read.
char *mpx_system_read(struct mproxy_system *system, struct mpx_system_file *file,
                      int root, const char *path);
void mpx_system_file_fini(struct mpx_system_file *file);
// A file that holds one number.
bool mpx_system_read_number(struct mproxy_system *system, int root, const char *path,
                            double *out);
// A file's first line, without white space around it. False if absent, empty or too long.
bool mpx_system_read_line(struct mproxy_system *system, int root, const char *path,
                          char *out, size_t size);

// Which directory of /sys a path leads to now: the kernel gives a number of its own to each
// that it makes, so that a device which took another's name is told from it. 0: none.
uint64_t mpx_system_identity(struct mproxy_system *system, const char *path);

// Parse a decimal at *at, blanks before it skipped; *at moves behind it. False if none.
bool mpx_system_u64(const char **at, uint64_t *out);
// Cut the next line off *at, NUL-terminated; NULL at the end.
char *mpx_system_line(char **at);

// ---- output

// A label's value as it stands between quotes: escaped; control characters, and bytes that are
// no UTF-8, replaced.
void mpx_system_label(struct mpx_buf *labels, const char *key, const char *value);
struct mpx_system_device;
// The metric with these labels (`a="x",b="y"`, NULL: none); NULL if it can't be had. It stays
// until the device is forgotten, without one to the end.
const mproxy_metric *mpx_system_metric(struct mproxy_system *system,
                                       struct mpx_system_device *device,
                                       enum mpx_node_metric id, const char *labels);
// Report a value in this sample. A NULL metric or a value that is not finite: nothing.
void mpx_system_put(struct mproxy_system *system, const mproxy_metric *metric,
                    double value);

// A raw counter of the kernel that may restart at zero, made cumulative.
struct mpx_cumulative {
    bool seen;
    uint64_t last;
    uint64_t total;
};
// `range`: the raw counter wraps from this value to zero; 0: it restarts.
uint64_t mpx_cumulative_add(struct mpx_cumulative *c, uint64_t raw, uint64_t range);

// ---- devices by name, as many as there are

// Metrics that are referred to.
struct mpx_system_held {
    const mproxy_metric **metrics;
    size_t count, room;
};

// Head of a sampler's own struct per device; zeroed when made.
struct mpx_system_device {
    char *name;
    bool present; // in this sample
    bool was_present;
    unsigned away; // times that it was looked for in vain, at one go
    struct mpx_system_held held;
};

struct mpx_system_devices {
    struct mpx_system_device **items;
    size_t count, room;
    void (*fini)(void *device);
};

// Before looking at the devices of a sample: those that have been away for long are forgotten.
// `fini` is called for each that is forgotten, now or at the end; NULL: nothing to do.
void mpx_system_devices_begin(struct mpx_system_devices *devices,
                              void (*fini)(void *device));
// Find or make (`size` bytes) the device and mark it present. NULL: there are too many.
void *mpx_system_device(struct mpx_system_devices *devices, const char *name,
                        size_t size);
void mpx_system_devices_fini(struct mpx_system_devices *devices);

// Names in a directory that start with `prefix`, each once, in the order of names. The
// list is closed by NULL and belongs to the caller, as its names do; NULL if there are none.
char **mpx_system_list(int root, const char *path, const char *prefix, size_t max);
void mpx_system_list_free(char **names);

#endif
