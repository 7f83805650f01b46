// The clocks in use, each in one place. The kernel is asked directly, because a preloaded
// library may stand in for clock_gettime() and tell another time.
#ifndef MPX_BASE_CLOCK_H
#define MPX_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "base/sys.h"

static inline int64_t mpx_clock_ns(clockid_t clock)
{
    struct timespec t;
    mpx_clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int64_t mpx_boot_ms(void)
{
    return mpx_clock_ns(CLOCK_BOOTTIME) / 1000000;
}

static inline uint64_t mpx_wall_us(void)
{
    return (uint64_t)mpx_clock_ns(CLOCK_REALTIME) / 1000;
}

#endif
