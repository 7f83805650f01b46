// A round of the daemon: that of its inputs (<mproxy/round.h>), and what only a daemon does
// around it: it holds the rendezvous, gives memory back, tells listeners, and begins to serve.

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/daemon_private.h"

// Memory that bursts leave behind: to write or read a profile of many metrics takes some
// kilobytes for each of them, for a moment. The heap keeps what was freed below the last
// allocation that lives, so that a proxy would stay as large as its largest moment.

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

static void give_memory_back(struct mproxy_daemon *d)
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

static void give_memory_back(struct mproxy_daemon *d)
{
    (void)d;
}

#endif

// The directory first: what inputs write in this round goes into one that is ours.
static mproxy_status ask_inputs(struct mproxy_daemon *d)
{
    mproxy_status status = mpx_processes_keep(d->processes, &d->ousted_by);
    if (status != MPROXY_E_BUSY)
        status = mproxy_rounds_run(d->rounds, &d->ousted_by);
    return status;
}

void mpx_daemon_round(struct mproxy_daemon *d)
{
    const mproxy_round *round = mproxy_rounds_last(d->rounds);
    d->round_count++;
    d->ousted = ask_inputs(d) == MPROXY_E_BUSY;
    if (d->ousted)
        return;
    give_memory_back(d);
    d->round_ns = mpx_clock_ns(CLOCK_MONOTONIC) - round->begin_ns;
    if (round->shown)
        mpx_daemon_tell_round(d);
    // Residues alone would step everybody back: nothing is served before a whole round.
    d->whole |= round->written && round->shown;
    mpx_daemon_settle(d);
}
