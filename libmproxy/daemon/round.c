// One round: what is there now, from the segments to what readers see.
//
// The order matters: segments are read first and the node's state file written before
// anything of it is shown or unlinked, and what is to be released is told to the ledger
// inside the same round.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "daemon/daemon_private.h"
#include "segment/crowd.h"

// Keep the first reason of a round.
static void note(struct mproxy_daemon *d, const char *what, const mproxy_error *why)
{
    if (d->trouble[0] == '\0')
        snprintf(d->trouble, sizeof d->trouble, "%s: %s", what, why->text);
}

static void keep_rendezvous(struct mproxy_daemon *d)
{
    mproxy_error err;
    if (mpx_daemon_has_rendezvous(d))
        return;
    mproxy_status status = mpx_daemon_remake_rendezvous(d, &err);
    d->ousted = status == MPROXY_E_BUSY;
    if (status == MPROXY_OK)
        mpx_say(&d->logger, MPROXY_LOG_WARNING, "%s was removed and has been made again",
                d->dir_path);
    else
        note(d, "the rendezvous directory was removed", &err);
}

static bool change_ledger(struct mproxy_daemon *d, const struct mpx_input_round *round)
{
    mproxy_error err;
    mproxy_ledger_round_begin(d->ledger, round->boot_ms, round->wall_us);
    mpx_inputs_before_round(d, round, note);
    mpx_daemon_release(d);
    if (mproxy_ledger_round_end(d->ledger, &err) == MPROXY_OK)
        return true;
    note(d, "the node's state can't be written", &err);
    return false;
}

static mproxy_status put_sources(struct mproxy_daemon *d, uint64_t wall_us,
                                 mproxy_error *err)
{
    const mproxy_source *const *sources;
    size_t count = mproxy_ledger_sources(d->ledger, &sources);
    mproxy_status status = MPROXY_OK;
    for (size_t i = 0; i < count && status == MPROXY_OK; i++)
        status = mproxy_reduction_put(d->reduction, sources[i], err);
    if (count > 0 && status == MPROXY_OK)
        status =
            mproxy_reduction_put(d->reduction, mpx_self_source(d->self, wall_us), err);
    return status;
}

static mproxy_status keep_sources(struct mproxy_daemon *d, mproxy_error *err)
{
    const mproxy_source *const *sources;
    size_t count = mproxy_ledger_sources(d->ledger, &sources);
    if (count == 0)
        return MPROXY_OK;
    uint64_t *numbers = calloc(count, sizeof *numbers);
    if (!numbers)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for %zu shares", count);
    for (size_t i = 0; i < count; i++)
        numbers[i] = sources[i]->number;
    mproxy_reduction_retain(d->reduction, mproxy_ledger_directory(d->ledger),
                            MPROXY_SOURCE_SHARE, numbers, count);
    free(numbers);
    return MPROXY_OK;
}

static void measure(struct mproxy_daemon *d)
{
    mproxy_snapshot *snapshot = mproxy_store_snapshot(d->store);
    d->jobs = mproxy_snapshot_size(snapshot);
    d->series = 0;
    for (size_t i = 0; i < d->jobs; i++)
        d->series += mproxy_view_size(mproxy_snapshot_at(snapshot, i));
    mproxy_snapshot_unref(snapshot);
}

static bool publish(struct mproxy_daemon *d, uint64_t wall_us)
{
    mproxy_error err;
    mproxy_status status = put_sources(d, wall_us, &err);
    if (status == MPROXY_OK)
        status = keep_sources(d, &err);
    if (status == MPROXY_OK)
        status = mproxy_reduction_publish(d->reduction, &err);
    if (status != MPROXY_OK)
        note(d, "the sums can't be shown", &err);
    return status == MPROXY_OK;
}

// One line when something goes wrong, otherwise wrong, or right again.
static void tell_trouble(struct mproxy_daemon *d, const char *before)
{
    if (strcmp(before, d->trouble) == 0)
        return;
    if (d->trouble[0])
        mpx_say(&d->logger, MPROXY_LOG_ERROR, "%s", d->trouble);
    else
        mpx_say(&d->logger, MPROXY_LOG_INFO, "all is well again");
}

void mpx_daemon_round(struct mproxy_daemon *d)
{
    int64_t start_ns = mpx_clock_ns(CLOCK_MONOTONIC);
    struct mpx_input_round round = {
        .boot_ms = mpx_boot_ms(), .wall_us = mpx_wall_us(), .segments = d->segments};
    char before[sizeof d->trouble];
    memcpy(before, d->trouble, sizeof before);
    d->trouble[0] = '\0';
    d->rounds++;
    d->round_began_ns = start_ns;
    keep_rendezvous(d);
    if (d->ousted)
        return;
    round.written = change_ledger(d, &round);
    mproxy_reduction_set_time(d->reduction, round.boot_ms);
    round.shown = publish(d, round.wall_us);
    MPX_CRASH_POINT("round.published");
    mpx_inputs_after_round(d, &round);
    mpx_crowd_attend(d->hold.lock_fd, d->hold.dir_fd, d->options.sampling_period_ms);
    mpx_daemon_archive(d, round.boot_ms);
    mproxy_store_sweep(d->store);
    mpx_daemon_trim(d);
    measure(d);
    d->round_us = round.wall_us;
    d->round_ns = mpx_clock_ns(CLOCK_MONOTONIC) - start_ns;
    mpx_self_observe_round(d->self, (double)d->round_ns / 1e9);
    tell_trouble(d, before);
    if (round.shown)
        mpx_daemon_tell_round(d);
    // Residues alone would step everybody back: nothing is served before a whole round.
    d->whole |= round.written && round.shown;
    mpx_daemon_settle(d);
}
