// The node's own metrics, from procfs and sysfs (docs: spec/metrics, "Node").
//
// One call reads every source once and leaves what is there now as a layout and values that
// are parallel to it. A source that is absent or malformed has no metrics, never zeros; a
// rate needs two samples. What the kernel restarts or wraps (an interface made anew, an
// energy counter) is made cumulative here, so that counters only grow while this is open.
//
// One thread at a time, the writer of the store.
#ifndef MPX_SYSTEM_SYSTEM_H
#define MPX_SYSTEM_SYSTEM_H

#include <mproxy/ledger.h>
#include <mproxy/source.h>

#include "source/input.h"

struct mpx_system;

struct mpx_system_options {
    mproxy_store *store; // metrics are interned here; must outlive the system
    mproxy_ledger
        *ledger; // gets them before each round; may be NULL, outlives the system
    const char *proc_root; // NULL: /proc; other roots for tests on fixture trees
    const char *sys_root;  // NULL: /sys
    const char *host;      // label `hostname`; NULL: what the kernel says
};

// @return MPROXY_OK, MPROXY_E_NOMEM, MPROXY_E_SYSTEM (a root can't be opened)
mproxy_status mpx_system_open(const struct mpx_system_options *options,
                              struct mpx_system **out, mproxy_error *err);
void mpx_system_close(struct mpx_system *system); // accepts NULL

// Read all sources. `boot_ms` is CLOCK_BOOTTIME, for rates; `wall_us` stamps the values.
// On MPROXY_E_NOMEM the previous layout and values stay.
mproxy_status mpx_system_sample(struct mpx_system *system, int64_t boot_ms,
                                uint64_t wall_us);

// Before a round all sources are read, and what they say is handed to the ledger.
extern const struct mpx_input mpx_system_input;

// What is present now; an empty layout before the first sample. A layout never changes and
// stays valid until close; another one is made when the set of metrics has changed. The
// values are valid until the next sample.
const mproxy_layout *mpx_system_layout(const struct mpx_system *system);
const mproxy_value *mpx_system_values(const struct mpx_system *system);

#endif
