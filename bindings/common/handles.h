// Taking handles of metrics once, from whatever thread comes first.
//
// A handle can't be had while this thread is inside the client library, as when a tool that
// wraps the same functions hands us the library's own calls: such a refusal passes. One that
// comes again and again does not, nor one because counting is off: then the handle that counts
// nothing is kept, for asking costs more than counting.
#ifndef MPX_BINDINGS_HANDLES_H
#define MPX_BINDINGS_HANDLES_H

#include <mproxy/client.h>

enum { MPX_REFUSALS = 1000 };

// What is known of a set of handles that all threads share: written by one thread, read by
// those that see MPX_HANDLES_SET. Whoever comes meanwhile counts with handles of its own,
// which are the same; a lock would not do in signal handlers. In a forked child the one that
// was writing may not be there: after a while another one writes, be it the same once more.
enum { MPX_HANDLES_NONE, MPX_HANDLES_CLAIMED, MPX_HANDLES_SET };

static inline int mpx_handles_are_set(const int *state)
{
    return __builtin_expect(__atomic_load_n(state, __ATOMIC_ACQUIRE) == MPX_HANDLES_SET,
                            1);
}

// With the error of the handles that were asked for: 1 when the caller is to store them and
// then call mpx_handles_publish().
static inline int mpx_handles_claim(int *state, const mproxy_error *err)
{
    static int refusals, waits;
    int none = MPX_HANDLES_NONE;
    if (err->status != MPROXY_OK && err->status != MPROXY_E_OFF &&
        __atomic_add_fetch(&refusals, 1, __ATOMIC_RELAXED) < MPX_REFUSALS)
        return 0;
    if (__atomic_compare_exchange_n(state, &none, MPX_HANDLES_CLAIMED, 0,
                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return 1;
    return none == MPX_HANDLES_CLAIMED &&
           __atomic_add_fetch(&waits, 1, __ATOMIC_RELAXED) % MPX_REFUSALS == 0;
}

static inline void mpx_handles_publish(int *state)
{
    __atomic_store_n(state, MPX_HANDLES_SET, __ATOMIC_RELEASE);
}

#endif
