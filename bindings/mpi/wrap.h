// What every wrapper does around the real call: notice nesting, take the time, count.
//
// One array of counters per function, declared at its first call, so that a program's
// segment holds only what it uses.
#ifndef MPX_BINDINGS_MPI_WRAP_H
#define MPX_BINDINGS_MPI_WRAP_H

#include <mproxy/client.h>

#include "backend.h"
#include "common/handles.h"
#include "common/ticks.h"

// In the order in which add_many() takes them.
enum mpx_fn_counter { MPX_HITS, MPX_TIME, MPX_IN, MPX_OUT, MPX_FN_COUNTERS };

struct mpx_fn {
    int calls, moves; // state of HITS and TIME, of IN and OUT: common/handles.h
    mproxy_counter *counter[MPX_FN_COUNTERS];
    mproxy_histogram *size, *latency; // NULL: histograms are off
};
extern struct mpx_fn mpx_fns[];

// Which local calls are timed: all, or one in MPX_SAMPLING for each thread.
enum { MPX_SAMPLING = 64 };
extern uint32_t mpx_sample_mask; // 0: all are timed
extern int mpx_histograms;

// Cold: where handles are not set yet. Bytes without a call are credited to an earlier one.
void mpx_fn_count_first(uint32_t fn, uint64_t took, uint64_t in, uint64_t out)
    __attribute__((cold));
void mpx_fn_credit_first(uint32_t fn, uint64_t in, uint64_t out) __attribute__((cold));
void mpx_fn_observe(uint32_t fn, uint64_t ticks, uint64_t bytes) __attribute__((cold));

static inline int nested(void)
{
    return mpx_mpi_thread.depth != 0;
}

static inline uint64_t enter(void)
{
    mpx_mpi_thread.depth = 1;
    return mpx_ticks();
}

static inline void count(uint32_t fn, uint64_t took, uint64_t in, uint64_t out)
{
    struct mpx_fn *f = &mpx_fns[fn];
    if (!mpx_handles_are_set(&f->calls))
        mpx_fn_count_first(fn, took, in, out);
    else if (!(in | out))
        mproxy_counter_add_many(f->counter, (uint64_t[]){1, took}, 2);
    else if (mpx_handles_are_set(&f->moves))
        mproxy_counter_add_many(f->counter, (uint64_t[]){1, took, in, out},
                                out ? MPX_FN_COUNTERS : MPX_OUT);
    else
        mpx_fn_count_first(fn, took, in, out);
    if (__builtin_expect(mpx_histograms, 0))
        mpx_fn_observe(fn, took, in + out);
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

static inline void leave(uint32_t fn, uint64_t begin, uint64_t out, uint64_t in)
{
    count(fn, mpx_ticks() - begin, in, out);
    mpx_mpi_thread.depth = 0;
}

// A local call costs less than reading the clock twice: time one in MPX_SAMPLING and count
// its time for all of them. The last, since a first call is cold. Zero: not this one.
static inline uint64_t enter_local(void)
{
    mpx_mpi_thread.depth = 1;
    if (__builtin_expect((++mpx_mpi_thread.sample & mpx_sample_mask) != 0, 1))
        return 0;
    return mpx_ticks() | 1;
}

static inline void leave_local(uint32_t fn, uint64_t begin)
{
    if (begin)
        count(fn, (mpx_ticks() - begin) * (mpx_sample_mask + 1), 0, 0);
    else if (mpx_handles_are_set(&mpx_fns[fn].calls))
        mproxy_counter_add(mpx_fns[fn].counter[MPX_HITS], 1);
    else
        mpx_fn_count_first(fn, 0, 0, 0);
    mpx_mpi_thread.depth = 0;
}

#endif
