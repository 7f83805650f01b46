// A growing set of metrics, each with the value that has been folded and the value shown.
//
// A metric's slot never changes while the set lives, so columns are mapped to slots once. The
// set refers to its metrics.
#ifndef MPX_LEDGER_SLOTS_H
#define MPX_LEDGER_SLOTS_H

#include <mproxy/store.h>

#include "base/index.h"

#define MPX_NO_SLOT UINT32_MAX

struct mpx_slots {
    uint32_t count;
    size_t room;
    const mproxy_metric **metrics;
    mproxy_value *folded; // of what has ended; of node metrics: the baseline
    mproxy_value *shown;  // folded and living, as of the last round
    struct mpx_index index;
};

// The slot of a metric, added with zero values if it is not there; MPX_NO_SLOT: no memory.
uint32_t mpx_slots_add(struct mpx_slots *v, const mproxy_metric *metric);
uint32_t mpx_slots_find(const struct mpx_slots *v, const mproxy_metric *metric);
// A copy with the same slots. False when there is no memory; *out is empty then.
bool mpx_slots_copy(const struct mpx_slots *v, struct mpx_slots *out);
void mpx_slots_fini(struct mpx_slots *v);

#endif
