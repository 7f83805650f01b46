// What exporters compare the processor's time stamp to: they would have to wait for two
// readings of their own to lie apart.
#include "launch/clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"

#define NAME "MPROXY_CLOCK"

#ifdef __x86_64__
// As early as can be: what is left of the millisecond when a program first counts a timed call, it
// has to wait.
static unsigned long long start_ticks;
static long long start_ns;

__attribute__((constructor)) static void note_start(void)
{
    start_ticks = __builtin_ia32_rdtsc();
    start_ns = mpx_clock_ns(CLOCK_MONOTONIC_RAW);
}
#endif

bool mpx_launch_set_clock(void)
{
#ifdef __x86_64__
    char text[200];
    struct utsname host;
    if (uname(&host) != 0)
        return true;
    const char *held = getenv(NAME);
    size_t length = strlen(host.nodename);
    // An outer launcher's on this host is older, which is better.
    if (held && strncmp(held, host.nodename, length) == 0 && held[length] == ' ')
        return true;
    mpx_format(text, sizeof text, "%s %llu %lld", host.nodename, start_ticks, start_ns);
    return setenv(NAME, text, 1) == 0;
#else
    return true;
#endif
}
