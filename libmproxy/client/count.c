// The hot path: a few instructions on memory of the calling thread, and everything that is
// not plain in a cold function beside it.
//
// An update is a load, an addition and a store in the thread's own row. Nobody else writes there,
// so no atomic addition is needed; the proxy reads the same words and sees the old value or
// the new one. Three things could still write in between, and each has its guard:
// - A signal handler of the same thread. `busy` is set around the update; a handler that finds it
//   set adds atomically to row 0, which all threads share.
// - A child of fork or of a raw clone, for which the row is its parent's. The kernel wipes
//   `mpx_guard.intact` there, which is tested inside `busy`: a handler that forks between the
//   two is why the order matters.
// - A slot that the row does not cover, because it was declared after the row was made, or because
//   there is no row yet: `extent` is the one comparison that covers all of that, and a handle
//   that could not be had (MPX_NO_SLOT), too.
// The slow path tries again until one of the three places is certain, and takes row 0 for want
// of a better one: what is counted is never dropped but where nothing can count.
//
// The obvious other way, a lock or an atomic addition for each update, costs 4 to 20 ns where
// two threads meet, and a signal handler could not take the lock.

#include <mproxy/client.h>

#include <math.h>
#include <string.h>

#include "client/handle.h"
#include "client/state.h"

#define COLD __attribute__((cold, noinline))
#define likely(x) __builtin_expect(!!(x), 1)

// A signal handler that comes between these two sees `busy`, and what comes after the fence
// sees what a handler before it has changed.
static inline bool enter(struct mproxy_lane *lane)
{
    if (!likely(!lane->busy))
        return false;
    lane->busy = 1;
    atomic_signal_fence(memory_order_seq_cst);
    if (likely(atomic_load_explicit(&mpx_guard.intact, memory_order_relaxed)))
        return true;
    lane->busy = 0;
    return false;
}

static inline void leave(struct mproxy_lane *lane)
{
    atomic_signal_fence(memory_order_seq_cst);
    lane->busy = 0;
}

static inline void raise_own(uint64_t *slot, uint64_t value)
{
    uint64_t old = __atomic_load_n(slot, __ATOMIC_RELAXED);
    __atomic_store_n(slot, old + value, __ATOMIC_RELAXED);
}

static inline uint64_t add_doubles(uint64_t bits, double value)
{
    double number;
    memcpy(&number, &bits, sizeof number);
    number += value;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

static inline void raise_own_double(uint64_t *slot, double value)
{
    uint64_t old = __atomic_load_n(slot, __ATOMIC_RELAXED);
    __atomic_store_n(slot, add_doubles(old, value), __ATOMIC_RELAXED);
}

static void raise_shared(uint32_t slot, uint64_t value)
{
    atomic_fetch_add_explicit(&mpx_client.shared[slot], value, memory_order_relaxed);
}

static void raise_shared_double(uint32_t slot, double value)
{
    _Atomic uint64_t *at = &mpx_client.shared[slot];
    uint64_t old = atomic_load_explicit(at, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(
        at, &old, add_doubles(old, value), memory_order_relaxed, memory_order_relaxed))
        ;
}

enum place { NOWHERE, SHARED_ROW, OWN_ROW };

// Where a thread may count whose row does not cover the slots before `end`.
static enum place find_place(uint32_t slot, uint32_t end)
{
    struct mpx_thread *t = &mpx_thread;
    if (slot == MPX_NO_SLOT)
        return NOWHERE;
    if (!atomic_load_explicit(&mpx_guard.intact, memory_order_relaxed) &&
        !mpx_client_recover())
        return NOWHERE;
    if (mproxy_lane.busy)
        return SHARED_ROW; // the call of a signal handler
    if (end > mproxy_lane.extent && !mpx_rows_prepare(t))
        return SHARED_ROW;
    return OWN_ROW;
}

static COLD void count_slowly(uint32_t slot, uint64_t value)
{
    struct mproxy_lane *lane = &mproxy_lane;
    enum place place;
    while ((place = find_place(slot, slot + 1)) == OWN_ROW) {
        // A handler may have come in between: look again.
        if (!enter(lane))
            continue;
        bool covered = slot < lane->extent;
        if (covered)
            raise_own(&lane->slots[slot], value);
        leave(lane);
        if (covered)
            return;
    }
    if (place == SHARED_ROW)
        raise_shared(slot, value);
}

static COLD void count_double_slowly(uint32_t slot, double value)
{
    struct mproxy_lane *lane = &mproxy_lane;
    enum place place;
    while ((place = find_place(slot, slot + 1)) == OWN_ROW) {
        if (!enter(lane))
            continue;
        bool covered = slot < lane->extent;
        if (covered)
            raise_own_double(&lane->slots[slot], value);
        leave(lane);
        if (covered)
            return;
    }
    if (place == SHARED_ROW)
        raise_shared_double(slot, value);
}

// A value that a metric can't take: not finite, or below zero for a counter (-60 as a uint64_t
// would let it step back). The segment says that it was refused.
static COLD void refuse_value(uint32_t slot)
{
    if (find_place(slot, 0) != NOWHERE)
        __atomic_fetch_or(&mpx_writer_header(mpx_client.writer)->flags, MPX_OFF_VALUE,
                          __ATOMIC_RELAXED);
}

void mproxy_counter_add(mproxy_counter *counter, uint64_t value)
{
    struct mproxy_lane *lane = &mproxy_lane;
    uint32_t slot = counter->handle.slot;
    if (!likely(value <= INT64_MAX)) {
        refuse_value(slot);
        return;
    }
    if (likely(enter(lane))) {
        if (likely(slot < lane->extent)) {
            raise_own(&lane->slots[slot], value);
            leave(lane);
            return;
        }
        leave(lane);
    }
    count_slowly(slot, value);
}

void mproxy_fcounter_add(mproxy_fcounter *counter, double value)
{
    struct mproxy_lane *lane = &mproxy_lane;
    uint32_t slot = counter->handle.slot;
    if (!likely(value >= 0 && value <= __DBL_MAX__)) {
        refuse_value(slot);
        return;
    }
    if (likely(enter(lane))) {
        if (likely(slot < lane->extent)) {
            raise_own_double(&lane->slots[slot], value);
            leave(lane);
            return;
        }
        leave(lane);
    }
    count_double_slowly(slot, value);
}

// Raises counters from the first on while they are covered; returns how many.
static size_t raise_covered(struct mproxy_lane *lane, mproxy_counter *const *counters,
                            const uint64_t *values, size_t count)
{
    size_t i = 0;
    for (; i < count && likely(counters[i]->handle.slot < lane->extent) &&
           likely(values[i] <= INT64_MAX);
         i++)
        raise_own(&lane->slots[counters[i]->handle.slot], values[i]);
    return i;
}

void mproxy_counter_add_many(mproxy_counter *const *counters, const uint64_t *values,
                             size_t count)
{
    struct mproxy_lane *lane = &mproxy_lane;
    for (size_t done = 0; done < count; done++) {
        if (likely(enter(lane))) {
            done += raise_covered(lane, counters + done, values + done, count - done);
            leave(lane);
        }
        if (!likely(done < count))
            return;
        mproxy_counter_add(counters[done], values[done]);
    }
}

// A plain store of the last value: no row, no busy byte; a handler's value is as good.
void mproxy_gauge_set(mproxy_gauge *gauge, double value)
{
    uint32_t slot = gauge->handle.slot;
    if (slot == MPX_NO_SLOT)
        return;
    if (!likely(isfinite(value))) {
        refuse_value(slot);
        return;
    }
    if (!likely(atomic_load_explicit(&mpx_guard.intact, memory_order_relaxed)) &&
        !mpx_client_recover())
        return;
    _Atomic uint64_t *at = &mpx_client.shared[slot];
    atomic_store_explicit(&at[0], add_doubles(0, value), memory_order_relaxed);
    atomic_store_explicit(&at[1], 1, memory_order_release);
}

// Index of the first bound that is not below the value; bound_count when all are.
static uint32_t find_bucket(const struct mpx_handle *h, double value)
{
    uint32_t low = 0, high = h->bound_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (h->bounds[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// The same for the bounds 2^0, 2^1, ...: the exponent, one more when there is a fraction.
static uint32_t find_power(const struct mpx_handle *h, double value)
{
    uint64_t bits;
    if (value <= 1)
        return 0;
    memcpy(&bits, &value, sizeof bits);
    uint32_t exponent = (uint32_t)(bits >> 52) - 1023;
    uint32_t bucket = exponent + ((bits & ((UINT64_C(1) << 52) - 1)) != 0);
    return bucket < h->bound_count ? bucket : h->bound_count;
}

static COLD void observe_slowly(const struct mpx_handle *h, uint32_t bucket, double value)
{
    if (h->slot == MPX_NO_SLOT)
        return;
    count_slowly(h->slot + bucket, 1);
    count_double_slowly(h->slot + h->bound_count + 1, value);
}

void mproxy_histogram_observe(mproxy_histogram *histogram, double value)
{
    struct mproxy_lane *lane = &mproxy_lane;
    const struct mpx_handle *h = &histogram->handle;
    if (!likely(isfinite(value))) {
        refuse_value(h->slot);
        return;
    }
    uint32_t bucket = h->powers ? find_power(h, value) : find_bucket(h, value);
    uint32_t last = h->slot == MPX_NO_SLOT ? MPX_NO_SLOT : h->slot + h->bound_count + 1;
    if (likely(enter(lane))) {
        if (likely(last < lane->extent)) {
            raise_own(&lane->slots[h->slot + bucket], 1);
            raise_own_double(&lane->slots[last], value);
            leave(lane);
            return;
        }
        leave(lane);
    }
    observe_slowly(h, bucket, value);
}
