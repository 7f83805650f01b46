// Handles by name: a hash table that is read without a lock and never frees. Its memory is
// mapped, not allocated: metrics are declared inside malloc() and signal handlers too.
#ifndef MPX_CLIENT_NAMES_H
#define MPX_CLIENT_NAMES_H

#include "client/handle.h"

uint64_t mpx_names_hash(const char *name);

// Any thread, without the lock. NULL when there is none (or none yet).
struct mpx_handle *mpx_names_find(const char *name, uint64_t hash);

// A copy of the handle with its name and bounds copied, findable from now on. With the
// lock held. NULL when there is no memory.
struct mpx_handle *mpx_names_add(const struct mpx_handle *handle);

#endif
