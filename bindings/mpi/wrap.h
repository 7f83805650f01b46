// What every wrapper does around the real call: notice nesting, take the time, count.
//
// One array of counters per function, declared at its first call, so that a program's
// segment holds only what it uses.
#ifndef MPX_BINDINGS_MPI_WRAP_H
#define MPX_BINDINGS_MPI_WRAP_H

#include <mproxy/inline.h>

#include "backend.h"
#include "caller.h"
#include "common/handles.h"
#include "sampling.h"

// In the order in which add_many() takes them: calls that are not timed start at HITS.
enum mpx_fn_counter { MPX_TIME, MPX_HITS, MPX_IN, MPX_OUT, MPX_FN_COUNTERS };

struct mpx_fn {
    int calls, moves; // state of HITS and TIME, of all four: common/handles.h
    uint32_t slot[MPX_FN_COUNTERS];
    // One more than the highest slot of HITS and TIME, and of all four; 0: not set yet.
    uint32_t call_slots, move_slots;
    mproxy_counter *counter[MPX_FN_COUNTERS];
    mproxy_histogram *size, *latency; // NULL: histograms are off
};
extern struct mpx_fn mpx_fns[];

extern int mpx_histograms;

// Cold: where handles are not set yet, or this thread has to count elsewhere. Bytes without
// a call are credited to an earlier one.
void mpx_fn_count_slowly(uint32_t fn, uint64_t took, uint64_t in, uint64_t out)
    __attribute__((cold));
// A brief call that was timed from `begin` on.
void mpx_fn_count_brief(uint32_t fn, uint64_t begin, uint64_t in, uint64_t out);
void mpx_fn_credit_first(uint32_t fn, uint64_t in, uint64_t out) __attribute__((cold));
void mpx_fn_observe(uint32_t fn, uint64_t ticks, uint64_t bytes) __attribute__((cold));

// The way it goes nearly always: 0 when it can't be done like this. Calls that are not timed
// take no time.
static inline __attribute__((always_inline)) int count_quickly(uint32_t fn, uint64_t took,
                                                               uint64_t in, uint64_t out)
{
    const struct mpx_fn *f = &mpx_fns[fn];
    uint32_t slots =
        __atomic_load_n(in | out ? &f->move_slots : &f->call_slots, __ATOMIC_ACQUIRE);
    struct mproxy_lane *lane = mproxy_lane_enter(slots - 1);
    if (__builtin_expect(!lane, 0))
        return 0;
    mproxy_lane_add(lane, f->slot[MPX_HITS], 1);
    if (took)
        mproxy_lane_add(lane, f->slot[MPX_TIME], took);
    if (in)
        mproxy_lane_add(lane, f->slot[MPX_IN], in);
    if (out)
        mproxy_lane_add(lane, f->slot[MPX_OUT], out);
    mproxy_lane_leave(lane);
    return 1;
}

static inline void count_timed(uint32_t fn, uint64_t took, uint64_t in, uint64_t out)
{
    if (__builtin_expect(!count_quickly(fn, took, in, out), 0))
        mpx_fn_count_slowly(fn, took, in, out);
    if (__builtin_expect(mpx_histograms, 0))
        mpx_fn_observe(fn, took, in + out);
}

static inline __attribute__((always_inline)) void count_untimed(uint32_t fn, uint64_t in,
                                                                uint64_t out)
{
    if (__builtin_expect(!count_quickly(fn, 0, in, out), 0))
        mpx_fn_count_slowly(fn, 0, in, out);
}

static inline void credit(uint32_t fn, uint64_t in, uint64_t out)
{
    if (!(in | out))
        return;
    if (mpx_handles_are_set(&mpx_fns[fn].moves))
        mproxy_counter_add_many(&mpx_fns[fn].counter[MPX_IN], (uint64_t[]){in, out}, 2);
    else
        mpx_fn_credit_first(fn, in, out);
}

// The three ways to take a call's time: see sampling.h.
static inline uint64_t enter(void)
{
    begin_call();
    uint64_t now = mpx_ticks();
    sample_pause(now);
    return now;
}

static inline void leave(uint32_t fn, uint64_t begin, uint64_t out, uint64_t in)
{
    uint64_t took = mpx_ticks_between(begin, mpx_ticks());
    sample_other(took);
    count_timed(fn, took, in, out);
    end_call();
}

static inline uint64_t enter_brief(void)
{
    return begin_brief();
}

// Written out in each wrapper up to the plain case: a ping-pong of 8 bytes feels a call.
static inline __attribute__((always_inline)) void leave_brief(uint32_t fn, uint64_t begin,
                                                              uint64_t out, uint64_t in)
{
    if (begin)
        mpx_fn_count_brief(fn, begin, in, out);
    else
        count_untimed(fn, in, out);
    end_call();
}

static inline uint64_t enter_local(void)
{
    return begin_local();
}

// Not inlined: what it keeps over its calls would be saved in the plain case, too.
static __attribute__((noinline)) void leave_timed_local(uint32_t fn, uint64_t begin)
{
    count_timed(fn, sample_local(mpx_ticks_between(begin, mpx_ticks())), 0, 0);
    end_call();
}

static inline void leave_local(uint32_t fn, uint64_t begin)
{
    if (__builtin_expect(begin != 0, 0)) {
        leave_timed_local(fn, begin);
        return;
    }
    count_untimed(fn, 0, 0);
    end_call();
}

#endif
