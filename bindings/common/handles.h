// Taking handles of metrics once, from whatever thread comes first.
//
// A handle can't be had while this thread is inside the client library, as when a tool that
// wraps the same functions hands us the library's own calls: such a refusal passes. One that
// comes again and again does not: then the handle that counts nothing is kept, for asking
// costs more than counting.
#ifndef MPX_BINDINGS_HANDLES_H
#define MPX_BINDINGS_HANDLES_H

#include <mproxy/client.h>

enum { MPX_REFUSALS = 1000 };

// To be called with the error of the handles asked for: 1 when they are to be kept.
static inline int mpx_handles_keep(const mproxy_error *err)
{
    static int refusals;
    return err->status == MPROXY_OK ||
           __atomic_add_fetch(&refusals, 1, __ATOMIC_RELAXED) >= MPX_REFUSALS;
}

// Two threads may come at once: both are given the same handle, and one sets it.
#define MPX_HANDLE_SET(at, handle)                                                       \
    (void)__atomic_compare_exchange_n((at), &(__typeof__(handle)){NULL}, (handle), 0,    \
                                      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)

#endif
