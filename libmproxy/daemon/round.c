// A round of the daemon: that of its inputs (<mproxy/round.h>), and what only a daemon does
// around it.

#include "base/clock.h"
#include "daemon/daemon_private.h"

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
    mpx_daemon_trim(d);
    d->round_ns = mpx_clock_ns(CLOCK_MONOTONIC) - round->begin_ns;
    if (round->shown)
        mpx_daemon_tell_round(d);
    // Residues alone would step everybody back: nothing is served before a whole round.
    d->whole |= round->written && round->shown;
    mpx_daemon_settle(d);
}
