#include "common/ticks.h"

#include <sys/syscall.h>
#include <unistd.h>

static uint64_t start_ticks;
static int64_t start_ns;

// By the kernel's word: clock_gettime() may be another preloaded library's, and stand still.
static long raw_clock(struct timespec *t)
{
#ifdef __x86_64__
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_clock_gettime), "D"(CLOCK_MONOTONIC_RAW), "S"(t)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = SYS_clock_gettime;
    register long x0 __asm__("x0") = CLOCK_MONOTONIC_RAW;
    register struct timespec *x1 __asm__("x1") = t;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1) : "memory");
    return x0;
#else
    return clock_gettime(CLOCK_MONOTONIC_RAW, t);
#endif
}

static int64_t now_ns(void)
{
    struct timespec t = {0};
    raw_clock(&t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// Early, so that the millisecond is usually over when the first counter is declared.
__attribute__((constructor)) static void note_start(void)
{
    start_ns = now_ns();
    start_ticks = mpx_ticks();
}

double mpx_seconds_per_tick(void)
{
#ifdef __aarch64__
    uint64_t hertz;
    __asm__("mrs %0, cntfrq_el0" : "=r"(hertz));
    if (hertz)
        return 1 / (double)hertz;
#endif
    // Of ticks that a processor of 100 GHz makes in 10 ms: a clock that stands still, as a
    // filter of system calls or an emulator may have it, is not waited for.
    const uint64_t most = UINT64_C(1000000000);
    if (!start_ticks)
        note_start(); // called from another library's constructor
    int64_t ns;
    uint64_t ticks;
    do {
        ns = now_ns() - start_ns;
        ticks = mpx_ticks() - start_ticks;
    } while (ns < 1000000 && ticks < most);
    if (ns < 1000000)
        return 1e-9;
    double megahertz = (double)ticks * 1e3 / (double)ns;
    double rounded = (double)(uint64_t)(megahertz * 10 + 0.5) / 10;
    return 1e-6 / rounded;
}
