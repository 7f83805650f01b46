/**
 * @file mproxy/inline.h
 * mproxy_counter_add() without the call: for wrappers of functions that take nanoseconds.
 *
 * The guards and the result are the same; cases that are not plain are left to the function.
 * Threads, memory and errors are as mproxy/client.h says; a lane is its thread's alone, and its
 * address must not be handed to another one. GCC or Clang.
 *
 * `struct mproxy_lane` is part of the binary interface; only the functions below use it.
 */
#ifndef MPROXY_INLINE_H
#define MPROXY_INLINE_H

#include <mproxy/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Where the calling thread counts. */
struct mproxy_lane {
    uint64_t *slots;        /**< its counters; stay valid memory for ever */
    const uint32_t *intact; /**< 0 in a forked child; NULL while extent is 0 */
    uint32_t extent;        /**< slots that may be written */
    uint8_t busy; /**< an update is under way: a signal handler counts elsewhere */
};

MPROXY_API extern __thread struct mproxy_lane mproxy_lane
    __attribute__((tls_model("initial-exec")));

/**
 * Whether the caller has thread-local storage. A child of clone() with CLONE_VM and CLONE_SETTLS
 * may have been given an empty area instead, as by browsers' sandboxes: in it neither this
 * library nor errno nor most of the C library may be touched. A wrapper that stands in for a
 * function of the C library asks first; that costs a load.
 */
static inline int mproxy_thread_has_storage(void)
{
#if defined(__x86_64__)
    // The first word of a thread's control block is its own address.
    const void *self;
    __asm__("movq %%fs:0, %0" : "=r"(self));
    return self != (const void *)0;
#elif defined(__aarch64__) && defined(__GLIBC__)
    // The first word leads to the blocks of thread-local storage.
    return *(void *const *)__builtin_thread_pointer() != (const void *)0;
#else
    return 1;
#endif
}

/** A counter's place in every lane: fixed for the life of the handle. */
static inline uint32_t mproxy_counter_slot(const mproxy_counter *counter)
{
    return *(const uint32_t *)(const void *)counter;
}

/**
 * Begin an update of slots up to `highest`. Code between this and mproxy_lane_leave() must not
 * call anything. NULL: the update is for mproxy_counter_add().
 */
static inline struct mproxy_lane *mproxy_lane_enter(uint32_t highest)
{
    struct mproxy_lane *lane = &mproxy_lane;
    if (!__builtin_expect(!lane->busy, 1))
        return NULL;
    lane->busy = 1;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (__builtin_expect(highest < lane->extent, 1) &&
        __builtin_expect(__atomic_load_n(lane->intact, __ATOMIC_RELAXED) != 0, 1))
        return lane;
    lane->busy = 0;
    return NULL;
}

static inline void mproxy_lane_add(struct mproxy_lane *lane, uint32_t slot,
                                   uint64_t value)
{
    uint64_t *at = &lane->slots[slot];
    uint64_t old = __atomic_load_n(at, __ATOMIC_RELAXED);
    __atomic_store_n(at, old + value, __ATOMIC_RELAXED);
}

static inline void mproxy_lane_leave(struct mproxy_lane *lane)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    lane->busy = 0;
}

/** The same as mproxy_counter_add(). */
static inline void mproxy_counter_add_inline(mproxy_counter *counter, uint64_t value)
{
    uint32_t slot = mproxy_counter_slot(counter);
    struct mproxy_lane *lane = value <= INT64_MAX ? mproxy_lane_enter(slot) : NULL;
    if (__builtin_expect(!lane, 0)) {
        mproxy_counter_add(counter, value);
        return;
    }
    mproxy_lane_add(lane, slot, value);
    mproxy_lane_leave(lane);
}

#ifdef __cplusplus
}
#endif
#endif
