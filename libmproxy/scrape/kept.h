// What outlives the proxy, in its directory `state/`: of each target a file with its counters,
// and the list of targets.
//
// All of it is read back as if a stranger had written it.
#ifndef MPX_SCRAPE_KEPT_H
#define MPX_SCRAPE_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mproxy/base.h>

#include "base/buf.h"

// A counter: `offset` is what it was before restarts, `raw` what the last page said.
struct mpx_kept_item {
    const char *name;
    double offset, raw;
};

// The mapped file of one target; zeroes: none.
struct mpx_kept {
    void *map;
    size_t size;
    size_t count;
};

// Make a file of these counters, of places 0 to count - 1, and map it in place of the one before. On
// failure both are as before.
// @return MPROXY_OK, MPROXY_E_SYSTEM (no room) or MPROXY_E_NOMEM
mproxy_status mpx_kept_write(int state_fd, uint64_t number,
                             const struct mpx_kept_item *items, size_t count,
                             struct mpx_kept *kept, mproxy_error *err);
// Change a counter; whenever the proxy is killed, it is the one or the other.
void mpx_kept_set(struct mpx_kept *kept, size_t place, double offset, double raw);
void mpx_kept_close(struct mpx_kept *kept); // the file stays
void mpx_kept_remove(int state_fd, uint64_t number);

// Tell each counter of the file, whose name and values are good; what `each` returns, unless it
// is MPROXY_OK, ends it. *skipped: how many were not good.
// @return MPROXY_OK, MPROXY_E_NOTFOUND, MPROXY_E_CORRUPT, MPROXY_E_SYSTEM or MPROXY_E_NOMEM
typedef mproxy_status (*mpx_kept_fn)(void *arg, const struct mpx_kept_item *item);
mproxy_status mpx_kept_read(int state_fd, uint64_t number, mpx_kept_fn each, void *arg,
                            size_t *skipped, mproxy_error *err);
mproxy_status mpx_kept_decode(const void *bytes, size_t size, mpx_kept_fn each, void *arg,
                              size_t *skipped, mproxy_error *err);
// Rename a damaged file, so that it can be looked at.
void mpx_kept_set_aside(int state_fd, uint64_t number);
// Remove the files of targets of which `is_known` is false.
void mpx_kept_sweep(int state_fd, bool (*is_known)(void *arg, uint64_t number),
                    void *arg);

// ---- the list

struct mpx_kept_target {
    uint64_t number;
    const char *url;
    unsigned period_ms;
    bool is_joined;  // else its counters are shown
    bool is_for_now; // joined by this proxy only
    bool is_proxy;   // counters of a proxy are among its own
};

void mpx_kept_list_begin(struct mpx_buf *out, uint64_t last_number, size_t count);
void mpx_kept_list_add(struct mpx_buf *out, const struct mpx_kept_target *target);
// On failure the list is as before.
mproxy_status mpx_kept_list_write(int state_fd, struct mpx_buf *list, mproxy_error *err);

typedef mproxy_status (*mpx_kept_list_fn)(void *arg,
                                          const struct mpx_kept_target *target);
// @return MPROXY_OK, MPROXY_E_NOTFOUND, MPROXY_E_CORRUPT (nothing was told), MPROXY_E_SYSTEM,
//         MPROXY_E_NOMEM, or what `each` returned
mproxy_status mpx_kept_list_read(int state_fd, uint64_t *last_number,
                                 mpx_kept_list_fn each, void *arg, mproxy_error *err);
mproxy_status mpx_kept_list_decode(const void *bytes, size_t size, uint64_t *last_number,
                                   mpx_kept_list_fn each, void *arg, mproxy_error *err);

#endif
