#include "common/ticks.h"

static uint64_t start_ticks;
static int64_t start_ns;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_RAW, &t);
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
    if (!start_ticks)
        note_start(); // called from another library's constructor
    int64_t ns;
    uint64_t ticks;
    do {
        ns = now_ns() - start_ns;
        ticks = mpx_ticks() - start_ticks;
    } while (ns < 1000000);
    double megahertz = (double)ticks * 1e3 / (double)ns;
    double rounded = (double)(uint64_t)(megahertz * 10 + 0.5) / 10;
    return 1e-6 / rounded;
}
