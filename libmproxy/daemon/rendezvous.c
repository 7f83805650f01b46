// The rendezvous directory from the daemon's side: taking it, and making it again.

#include "base/err.h"
#include "daemon/daemon_private.h"
#include "segment/rendezvous.h"

mproxy_status mpx_daemon_take_rendezvous(struct mproxy_daemon *d, mproxy_error *err)
{
    mproxy_status status = mpx_rendezvous_path(d->socket_path, d->dir_path, err);
    mproxy_error why;
    if (status != MPROXY_OK)
        return status;
    struct mpx_hold hold;
    status = mpx_hold_take(d->dir_path, &MPX_HOLD_NONE, &hold, &why);
    if (status == MPROXY_OK)
        d->hold = hold;
    else if (status == MPROXY_E_BUSY)
        mpx_fail(err, status, "socket '%.200s': %s: choose another with -u",
                 d->socket_path, why.text);
    else if (err)
        *err = why;
    return status;
}

bool mpx_daemon_has_rendezvous(const struct mproxy_daemon *d)
{
    return mpx_hold_is_whole(&d->hold, d->segments);
}

mproxy_status mpx_daemon_remake_rendezvous(struct mproxy_daemon *d, mproxy_error *err)
{
    mproxy_status status =
        mpx_hold_remake(&d->hold, d->dir_path, d->ledger, d->segments, err);
    if (status == MPROXY_OK && d->syscalls)
        mpx_syscalls_move(d->syscalls, d->hold.dir_fd);
    return status;
}
