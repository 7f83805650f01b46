// Around each wrapped libc function: the real one, the time, the counters.
//
// No thread-local storage, no lock and no allocation: wrappers run before main, in signal
// handlers, and between vfork and exec, and in children of clone() without thread-local storage.
// Calls of our own libraries (the client makes its segment with open and mmap, finstrument
// reads symbol tables) are told by their return address and passed on uncounted.
#ifndef MPX_BINDINGS_POSIX_COUNT_H
#define MPX_BINDINGS_POSIX_COUNT_H

#include <stdint.h>
#include <sys/types.h>

#include <mproxy/inline.h>

#include "common/ticks.h"

enum posix_fn {
#define POSIX_FN(symbol, as, bytes, op) FN_##symbol,
#include "functions.def"
#undef POSIX_FN
    FN_COUNT
};

enum posix_op { OP_READ, OP_WRITE, OP_NO };

struct posix_handles {
    mproxy_counter *counter[3]; // hits, time, bytes
    mproxy_histogram *sizes;    // of calls that move bytes
};

struct posix_counters {
    void *real; // loaded and stored atomically
    int state;  // of the handles: common/handles.h
    struct posix_handles handles;
};
extern struct posix_counters posix_fns[FN_COUNT] __attribute__((visibility("hidden")));

// One range about all libraries of ours, which the loader puts side by side: others rarely
// lie in it.
extern uintptr_t posix_own_begin __attribute__((visibility("hidden")));
extern uintptr_t posix_own_size __attribute__((visibility("hidden")));

// Cold: look the real function up.
void *posix_resolve(enum posix_fn fn) __attribute__((cold, visibility("hidden")));
void posix_count(enum posix_fn fn, uint64_t begin, uint64_t bytes)
    __attribute__((visibility("hidden")));
// Cold: whether an address in that range is in one of the libraries.
int posix_is_in_own(uintptr_t at) __attribute__((cold, visibility("hidden")));

static inline void *posix_real(enum posix_fn fn)
{
    void *real = __atomic_load_n(&posix_fns[fn].real, __ATOMIC_RELAXED);
    return __builtin_expect(real != NULL, 1) ? real : posix_resolve(fn);
}

static inline int posix_is_own(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    return __builtin_expect(at - posix_own_begin < posix_own_size, 0) &&
           posix_is_in_own(at);
}

#define POSIX_EXPORT __attribute__((visibility("default")))

// Define the wrapper of `symbol`; BYTES is an expression of `result`.
#define POSIX_WRAP(ret, symbol, params, args, BYTES)                                     \
    POSIX_EXPORT ret symbol params;                                                      \
    POSIX_EXPORT ret symbol params                                                       \
    {                                                                                    \
        ret(*real) params = (ret(*) params)posix_real(FN_##symbol);                      \
        if (posix_is_own(__builtin_return_address(0)))                                   \
            return real args;                                                            \
        uint64_t begin = mpx_ticks();                                                    \
        ret result = real args;                                                          \
        posix_count(FN_##symbol, begin, (uint64_t)(BYTES));                              \
        return result;                                                                   \
    }

#endif
