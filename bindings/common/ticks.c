// What a tick is worth: the processor's stamps compared with the kernel's raw clock.
//
// No interface tells the frequency (CPUID does not in most virtual machines, the kernel's own
// figure is in its log), so two readings of both clocks a millisecond apart do: good to 1 in
// 10,000, and rounded to 0.1 MHz, so that all processes of a node tell the same scale.
//
// The millisecond is rarely waited for. proxy_run reads both clocks when it starts and hands
// its reading on in MPROXY_CLOCK; a process compares with that. It is believed only on the
// same host and where a short look of our own (20 us) agrees within 10 %: a variable may come
// from before a suspend, from another boot, or from somebody else.
//
// Invariants:
// * A clock of the program's libraries is never asked where the kernel's own can be had: they
//   may be replaced (libfaketime), stand still, or be forbidden by a filter.
// * Each loop has an end that does not depend on a clock that may stand still.
// * What was found is kept: all metrics of a process have one scale.
#include "common/ticks.h"

#include <elf.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <mproxy/client.h>

enum {
    ENOUGH_NS = 1000000, // between two readings, for what a tick is worth
    COARSE_NS = 20000,   // to tell it within 10 %
    TORN_TICKS = 10000,  // some microseconds
};

// The kernel's own function, which it maps into each process: clock_gettime() may be another
// preloaded library's, and stand still; and the system call may be forbidden by now.
typedef int clock_function(clockid_t clock, struct timespec *t);
static clock_function *kernel_clock;

#ifdef __x86_64__
#define CLOCK_SYMBOL "__vdso_clock_gettime"
#else
#define CLOCK_SYMBOL "__kernel_clock_gettime"
#endif

// What of the kernel's object is looked at; its entries hold addresses that want `base`.
struct vdso {
    const char *base; // of what is in the file
    uintptr_t moved;  // from where it was to lie
    const ElfW(Sym) * symbols;
    const char *names;
    const uint32_t *hash;
};

static void read_dynamic(struct vdso *v, const ElfW(Dyn) * d)
{
    for (; d->d_tag != DT_NULL; d++) {
        const void *at = (const void *)(v->moved + d->d_un.d_ptr);
        if (d->d_tag == DT_SYMTAB)
            v->symbols = at;
        else if (d->d_tag == DT_STRTAB)
            v->names = at;
        else if (d->d_tag == DT_HASH)
            v->hash = at;
    }
}

static void find_kernel_clock(void)
{
    const ElfW(Ehdr) *head = (const void *)getauxval(AT_SYSINFO_EHDR);
    struct vdso v = {.base = (const char *)head};
    const ElfW(Phdr) *part = head ? (const void *)(v.base + head->e_phoff) : NULL;
    const ElfW(Dyn) *dynamic = NULL;
    for (int i = 0; head && i < head->e_phnum; i++) {
        if (part[i].p_type == PT_LOAD)
            v.moved = (uintptr_t)v.base + part[i].p_offset - part[i].p_vaddr;
        else if (part[i].p_type == PT_DYNAMIC)
            dynamic = (const void *)(v.base + part[i].p_offset);
    }
    if (dynamic)
        read_dynamic(&v, dynamic);
    if (!v.symbols || !v.names || !v.hash)
        return;
    for (uint32_t i = 0; i < v.hash[1]; i++)
        if (strcmp(v.names + v.symbols[i].st_name, CLOCK_SYMBOL) == 0)
            kernel_clock = (clock_function *)(v.moved + v.symbols[i].st_value);
}

static int64_t now_ns(void)
{
    struct timespec t = {0};
    if (!kernel_clock || kernel_clock(CLOCK_MONOTONIC_RAW, &t) != 0)
        clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// Both clocks at one moment: of a few tries the one least torn apart by an interruption.
struct reading {
    uint64_t ticks;
    int64_t ns;
};

static struct reading read_clocks(void)
{
    if (!kernel_clock)
        find_kernel_clock();
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

// A tracer that counts system calls leaves this one out, as it is not the program's.
static bool ask_host(struct utsname *host)
{
    bool is_traced = getenv(MPROXY_TRACED) != NULL;
    if (is_traced)
        syscall(SYS_close, MPROXY_OWN_BEGIN);
    bool is_known = uname(host) == 0;
    if (is_traced)
        syscall(SYS_close, MPROXY_OWN_END);
    return is_known;
}

// The part of MPROXY_CLOCK behind the host's name: "HOST TICKS NANOSECONDS" is what proxy_run
// has read, long enough ago to be compared with. Launchers hand variables on to other hosts.
static const char *find_older_reading(void)
{
    const char *text = getenv("MPROXY_CLOCK");
    struct utsname host;
    if (!text || !ask_host(&host))
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

// A reading long enough after another one to tell what a tick is worth; earlier where a clock
// stands still, as a filter of system calls or an emulator may have it.
static struct reading read_long_after(struct reading from)
{
    // What a processor of 100 GHz makes in 10 ms.
    const uint64_t most = UINT64_C(1000000000);
    uint64_t begin = mpx_ticks();
    struct reading now;
    do
        now = read_clocks();
    while (now.ns - from.ns < ENOUGH_NS && mpx_ticks() - begin < most);
    return now;
}

// 0 where there is no older reading, or one that is at odds with what we see ourselves.
static double megahertz_of_launcher(void)
{
    const char *text = find_older_reading();
    char *end;
    if (!text)
        return 0;
    struct reading then, now;
    then.ticks = strtoul(text, &end, 10);
    then.ns = strtol(end, NULL, 10);
    if (then.ns > start.ns)
        return 0;
    now = read_long_after(then);
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
    struct reading now = read_long_after(start);
    return now.ns - start.ns < ENOUGH_NS ? 1000 : megahertz(start, now);
}

static double find_seconds_per_tick(void)
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

double mpx_seconds_per_tick(void)
{
    // Asked for with each function that is counted for the first time, by any thread: two that
    // find it at once find the same.
    static _Atomic double known;
    double seconds = atomic_load_explicit(&known, memory_order_relaxed);
    if (seconds == 0) {
        seconds = find_seconds_per_tick();
        atomic_store_explicit(&known, seconds, memory_order_relaxed);
    }
    return seconds;
}
