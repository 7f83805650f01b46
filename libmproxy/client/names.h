// Handles by name: a hash table that is read without a lock and never frees. Its memory is
// mapped, not allocated: metrics are declared inside malloc() and signal handlers too.
#ifndef MPX_CLIENT_NAMES_H
#define MPX_CLIENT_NAMES_H

#include "client/handle.h"

uint64_t mpx_names_hash(const char *name);

// Any thread, without the lock. NULL when there is none (or none yet).
struct mpx_handle *mpx_names_find(const char *name, uint64_t hash);

// With the lock held: a copy of the handle, its name and bounds; NULL when there is no
// memory. Then either publish it, and it is found from now on, or discard it at once.
struct mpx_handle *mpx_names_make(const struct mpx_handle *handle);
void mpx_names_publish(struct mpx_handle *made);
void mpx_names_discard(struct mpx_handle *made);

// With the lock held, after somebody was stopped in between: see that each metric of the log
// has its handle. NULL where there is no memory.
struct mpx_handle *mpx_names_complete(const struct mpx_handle *handle);
void mpx_names_recount(void);

// Bounds of powers of two, from 1 on: at most so many.
enum { MPX_POWERS = 63 };
bool mpx_bounds_are_powers(const double *bounds, size_t count);

#endif
