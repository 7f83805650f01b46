// The processor's time stamp, and what a tick is worth: how exporters time calls.
//
// A reading costs 8 ns where clock_gettime() costs 18. Compiled into each exporter; link
// ticks.c once per library, its constructor notes the start.
#ifndef MPX_BINDINGS_TICKS_H
#define MPX_BINDINGS_TICKS_H

#include <stdint.h>
#include <time.h>

static inline uint64_t mpx_ticks(void)
{
#ifdef __x86_64__
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
#endif
}

// 0 where the clock seems to have gone back: it may be read ahead of what is before it, and
// processors may differ a little.
static inline uint64_t mpx_ticks_between(uint64_t begin, uint64_t end)
{
    return end > begin ? end - begin : 0;
}

// Told by the processor, or else measured against the system's clock since proxy_run or, for
// want of its reading, since the start of the process, for at least a millisecond (it waits
// for that at most once), good to 1 in 10,000, and rounded so that all processes of a node
// agree: their definitions must be the same bytes to be read together.
double mpx_seconds_per_tick(void);

#endif
