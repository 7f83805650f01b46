// Names of segments that are folded and wait for their unlink.
#ifndef MPX_LEDGER_PENDING_H
#define MPX_LEDGER_PENDING_H

#include "base/index.h"

struct mpx_pending_item {
    char *name;   // owned
    bool durable; // the state file on disk says so: it may be unlinked
};

struct mpx_pending {
    struct mpx_pending_item *items;
    uint32_t count;
    size_t room;
    struct mpx_index index;
};

bool mpx_pending_has(const struct mpx_pending *p, const char *name);
// Room for `more` names: mpx_pending_take() cannot fail after it.
bool mpx_pending_reserve(struct mpx_pending *p, uint32_t more);
void mpx_pending_take(struct mpx_pending *p, char *name, bool durable);
// Forget the names that `is_gone` says are gone; asked of durable ones only.
void mpx_pending_sweep(struct mpx_pending *p, int (*is_gone)(void *arg, const char *name),
                       void *arg);
void mpx_pending_fini(struct mpx_pending *p);

#endif
