#include "common/ticks.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

enum {
    ENOUGH_NS = 1000000, // between two readings, for what a tick is worth
    COARSE_NS = 20000,   // to tell it within 10 %
    TORN_TICKS = 10000,  // some microseconds
};

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

// Both clocks at one moment: of a few tries the one least torn apart by an interruption.
struct reading {
    uint64_t ticks;
    int64_t ns;
};

static struct reading read_clocks(void)
{
    struct reading best = {0};
    uint64_t gap = UINT64_MAX;
    for (int tries = 0; tries < 8 && gap > TORN_TICKS; tries++) {
        uint64_t before = mpx_ticks();
        int64_t ns = now_ns();
        uint64_t between = mpx_ticks_between(before, mpx_ticks());
        if (between < gap)
            best = (struct reading){.ticks = before + between / 2, .ns = ns};
        gap = between < gap ? between : gap;
    }
    return best;
}

static struct reading start;

// Early, so that the millisecond is usually over when the first counter is declared.
__attribute__((constructor)) static void note_start(void)
{
    // It takes system calls, which a filter may forbid: with a reading of proxy_run's they are
    // made where something counts.
    if (!getenv("MPROXY_CLOCK"))
        start = read_clocks();
}

// The part of MPROXY_CLOCK behind the host's name: "HOST TICKS NANOSECONDS" is what proxy_run
// has read, long enough ago to be compared with. Launchers hand variables on to other hosts.
static const char *find_older_reading(void)
{
    const char *text = getenv("MPROXY_CLOCK");
    struct utsname host;
    if (!text || uname(&host) != 0)
        return NULL;
    size_t length = strlen(host.nodename);
    if (strncmp(text, host.nodename, length) != 0 || text[length] != ' ')
        return NULL;
    return text + length;
}

// Ticks of a microsecond between two readings.
static double megahertz(struct reading from, struct reading to)
{
    return to.ns > from.ns
               ? (double)(to.ticks - from.ticks) * 1e3 / (double)(to.ns - from.ns)
               : 0;
}

// 0 where there is no older reading, or one that is at odds with what we see ourselves.
static double megahertz_of_launcher(void)
{
    const char *text = find_older_reading();
    char *end;
    if (!text)
        return 0;
    struct reading then, now = read_clocks();
    then.ticks = strtoul(text, &end, 10);
    then.ns = strtol(end, NULL, 10);
    if (now.ns - then.ns < ENOUGH_NS)
        return 0;
    double told = megahertz(then, now);
    for (int tries = 0; tries < 1000 && now.ns - start.ns < COARSE_NS; tries++)
        now = read_clocks();
    double seen = megahertz(start, now);
    return seen > told * 0.9 && seen < told * 1.1 ? told : 0;
}

static double measure_megahertz(void)
{
    // Of ticks that a processor of 100 GHz makes in 10 ms: a clock that stands still, as a
    // filter of system calls or an emulator may have it, is not waited for.
    const uint64_t most = UINT64_C(1000000000);
    struct reading now;
    do
        now = read_clocks();
    while (now.ns - start.ns < ENOUGH_NS && mpx_ticks() - start.ticks < most);
    return now.ns - start.ns < ENOUGH_NS ? 1000 : megahertz(start, now);
}

double mpx_seconds_per_tick(void)
{
#ifdef __aarch64__
    uint64_t hertz;
    __asm__("mrs %0, cntfrq_el0" : "=r"(hertz));
    if (hertz)
        return 1 / (double)hertz;
#endif
    if (!start.ticks)
        start = read_clocks(); // left out, or called from another library's constructor
    double found = megahertz_of_launcher();
    if (found == 0)
        found = measure_megahertz();
    double rounded = (double)(uint64_t)(found * 10 + 0.5) / 10;
    return 1e-6 / rounded;
}
