// A node's programs as other daemons than ours see them: the hold on a rendezvous directory,
// its ledger and its segments, opened and moved together.
#include <mproxy/processes.h>

#include <limits.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/options.h"
#include "processes/hold.h"
#include "segment/rendezvous.h"

struct mproxy_processes {
    char dir_path[PATH_MAX];
    struct mpx_hold hold;
    mproxy_ledger *ledger;
    struct mpx_segments *segments;
};

static mproxy_status open_parts(struct mproxy_processes *p,
                                const mproxy_processes_options *o, mproxy_error *err)
{
    mproxy_status status = mpx_rendezvous_path(o->socket_path, p->dir_path, err);
    if (status == MPROXY_OK)
        status = mpx_hold_take(p->dir_path, &MPX_HOLD_NONE, &p->hold, err);
    if (status == MPROXY_OK)
        status =
            mproxy_ledger_open(p->hold.state_fd, o->store, o->ledger, &p->ledger, err);
    if (status != MPROXY_OK)
        return status;
    const struct mpx_segments_options segments = {.store = o->store,
                                                  .ledger = p->ledger,
                                                  .dir_path = p->dir_path,
                                                  .dir_fd = p->hold.dir_fd,
                                                  .state_fd = p->hold.state_fd,
                                                  .log = o->log,
                                                  .log_arg = o->log_arg};
    return mpx_segments_open(&segments, &p->segments, err);
}

mproxy_status mproxy_processes_open(const mproxy_processes_options *options,
                                    mproxy_processes **out, mproxy_error *err)
{
    MPX_REQUIRE(options && out, err);
    mproxy_processes_options o;
    mproxy_status status =
        MPX_OPTIONS_TAKE(mproxy_processes_options, log_arg, &o, options, err);
    if (status != MPROXY_OK)
        return status;
    MPX_REQUIRE(o.socket_path && o.store && o.ledger, err);
    struct mproxy_processes *p = calloc(1, sizeof *p);
    if (!p)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the node's programs");
    p->hold = MPX_HOLD_NONE;
    status = open_parts(p, &o, err);
    if (status == MPROXY_OK)
        *out = p;
    else
        mproxy_processes_close(p);
    return status;
}

void mproxy_processes_close(mproxy_processes *processes)
{
    struct mproxy_processes *p = processes;
    if (!p)
        return;
    mpx_segments_close(p->segments);
    mproxy_ledger_close(p->ledger);
    mpx_hold_close(&p->hold);
    free(p);
}

mproxy_ledger *mproxy_processes_ledger(mproxy_processes *processes)
{
    return processes->ledger;
}

mproxy_status mproxy_processes_read(mproxy_processes *processes, int64_t boot_ms,
                                    uint64_t wall_us, mproxy_error *err)
{
    MPX_REQUIRE(processes, err);
    struct mproxy_processes *p = processes;
    if (!mpx_hold_is_whole(&p->hold, p->segments)) {
        mproxy_status status =
            mpx_hold_remake(&p->hold, p->dir_path, p->ledger, p->segments, err);
        if (status != MPROXY_OK)
            return status;
    }
    return mpx_segments_round(p->segments, boot_ms, wall_us, err);
}

void mproxy_processes_settle(mproxy_processes *processes)
{
    mpx_segments_unlink(processes->segments);
}
