// Memory that bursts leave behind: to write or read a profile of many metrics takes some
// kilobytes for each of them, for a moment. The heap keeps what was freed below the last
// allocation that lives, so that a proxy would stay as large as its largest moment.

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/daemon_private.h"

#if defined(__GLIBC__)
#if __GLIBC_PREREQ(2, 33)
#define CAN_TRIM 1
#endif
#endif

#ifdef CAN_TRIM

enum {
    ROUNDS_BETWEEN = 8,
    SLACK = 4 << 20, // bytes that are left to it
};

// Bytes that the process holds and shares with nobody; 0: not known.
static size_t held(void)
{
    char text[128] = "";
    unsigned long resident = 0, shared = 0;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got <= 0 || sscanf(text, "%*u %lu %lu", &resident, &shared) != 2 ||
        resident < shared)
        return 0;
    return (resident - shared) * (size_t)sysconf(_SC_PAGESIZE);
}

void mpx_daemon_trim(struct mproxy_daemon *d)
{
    if (d->round_count % ROUNDS_BETWEEN != 0)
        return;
    size_t before = held();
    if (before <= d->trim_above) {
        // What was in use at the last try may be free by now: some tries later there is another.
        d->trim_above -= d->trim_above / 8;
        return;
    }
    struct mallinfo2 heap = mallinfo2();
    size_t used = heap.uordblks + heap.hblkhd;
    if (before <= used + used / 4 + SLACK)
        return;
    malloc_trim(0);
    // What is in pieces smaller than a page stays; to try that again each time is a waste.
    size_t after = held();
    d->trim_above = after + after / 8 + SLACK;
}

#else

void mpx_daemon_trim(struct mproxy_daemon *d)
{
    (void)d;
}

#endif
