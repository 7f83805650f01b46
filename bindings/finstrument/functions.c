// Counting the functions of programs built with -finstrument-functions: the compiler calls
// __cyg_profile_func_enter() at each entry, which costs one look-up in a table without locks
// and one addition. Time is not taken: it would cost more than most functions do.
//
// Counters of doubles, so that the older client API, which knows no others, shares them.
#include "finstrument/functions.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include <mproxy/inline.h>

#include "common/handles.h"
#include "finstrument/symbols.h"

#define EXPORT __attribute__((visibility("default"), no_instrument_function))

struct entry {
    _Atomic(void *) function;
    int state; // of the counter: common/handles.h
    _Atomic(mproxy_fcounter *) counter;
};

// 16,384 is what a segment can hold; twice that keeps probes short. In .bss: only pages of
// functions in use take memory.
enum { ENTRIES = 32768 };
static struct entry table[ENTRIES];

static uint32_t home_of(const void *function)
{
    return (uint32_t)(((uintptr_t)function * UINT64_C(0x9e3779b97f4a7c15)) >> 49) %
           ENTRIES;
}

__attribute__((cold, noinline)) static mproxy_fcounter *declare(struct entry *e,
                                                                void *function)
{
    char name[MPROXY_NAME_MAX];
    int length = snprintf(name, sizeof name, "func__");
    mpx_symbol_name(function, name + length, sizeof name - (size_t)length - 1);
    mproxy_error err = {0};
    mproxy_fcounter *counter =
        mproxy_fcounter_get(name, "Number of calls of a function", &err);
    if (mpx_handles_claim(&e->state, &err))
        atomic_store_explicit(&e->counter, counter, memory_order_release);
    return counter;
}

// The counter of a function, or NULL when the table is full or another thread is at it.
__attribute__((cold, noinline)) static mproxy_fcounter *find_slowly(void *function)
{
    uint32_t at = home_of(function);
    for (int i = 0; i < ENTRIES; i++, at = (at + 1) % ENTRIES) {
        struct entry *e = &table[at];
        void *there = NULL;
        if (atomic_compare_exchange_strong(&e->function, &there, function))
            return declare(e, function);
        if (there != function)
            continue;
        mproxy_fcounter *counter =
            atomic_load_explicit(&e->counter, memory_order_acquire);
        // Taken but without a counter: another thread declares it right now, or we came
        // back here from within. Both find the same counter by its name.
        return counter ? counter : declare(e, function);
    }
    return NULL;
}

mproxy_fcounter *mpx_function_counter(void *function)
{
    struct entry *e = &table[home_of(function)];
    mproxy_fcounter *counter = NULL;
    if (atomic_load_explicit(&e->function, memory_order_relaxed) == function)
        counter = atomic_load_explicit(&e->counter, memory_order_acquire);
    return __builtin_expect(counter != NULL, 1) ? counter : find_slowly(function);
}

EXPORT void __cyg_profile_func_enter(void *function, void *call_site);
EXPORT void __cyg_profile_func_exit(void *function, void *call_site);

EXPORT void __cyg_profile_func_enter(void *function, void *call_site)
{
    (void)call_site;
    if (!mproxy_thread_has_storage())
        return;
    mproxy_fcounter *counter = mpx_function_counter(function);
    if (counter)
        mproxy_fcounter_add(counter, 1);
}

EXPORT void __cyg_profile_func_exit(void *function, void *call_site)
{
    (void)function;
    (void)call_site;
}
