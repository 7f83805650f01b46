// The rendezvous directory from the daemon's side: taking it, and making it again.

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/daemon_private.h"
#include "reduce/state_file.h"
#include "segment/rendezvous.h"

struct opened {
    int dir_fd, state_fd, lock_fd;
};

static void close_opened(const struct opened *o)
{
    const int fds[] = {o->state_fd, o->lock_fd, o->dir_fd};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static mproxy_status open_state(struct opened *o, mproxy_error *err)
{
    if (mkdirat(o->dir_fd, "state", 0700) != 0 && errno != EEXIST)
        return mpx_fail_errno(err, "state");
    o->state_fd =
        openat(o->dir_fd, "state", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (o->state_fd < 0 || fstat(o->state_fd, &st) != 0)
        return mpx_fail_errno(err, "state");
    // In a directory that everybody may write to, somebody may have been first.
    if (st.st_uid != geteuid())
        return mpx_fail(err, MPROXY_E_INVALID, "state: owned by user %u, not by us",
                        (unsigned)st.st_uid);
    return MPROXY_OK;
}

static bool has(int dir_fd, const char *name, int fd)
{
    struct stat path, open;
    return fstatat(dir_fd, name, &path, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstat(fd, &open) == 0 && path.st_dev == open.st_dev &&
           path.st_ino == open.st_ino;
}

// A lock that we have and that is on the file still goes on.
static mproxy_status lock(struct opened *o, int held, mproxy_error *err)
{
    if (held < 0 || !has(o->dir_fd, "proxy", held))
        return mpx_rendezvous_take(o->dir_fd, &o->lock_fd, err);
    o->lock_fd = fcntl(held, F_DUPFD_CLOEXEC, 3);
    return o->lock_fd >= 0 ? MPROXY_OK : mpx_fail_errno(err, "lock of file 'proxy'");
}

static mproxy_status take(const char *path, int held, struct opened *o, mproxy_error *err)
{
    *o = (struct opened){.dir_fd = -1, .state_fd = -1, .lock_fd = -1};
    mproxy_status status = mpx_rendezvous_open(path, true, &o->dir_fd, err);
    if (status == MPROXY_OK)
        status = lock(o, held, err);
    if (status == MPROXY_OK)
        status = open_state(o, err);
    if (status != MPROXY_OK)
        close_opened(o);
    return status;
}

static void keep(struct mproxy_daemon *d, const struct opened *o)
{
    d->dir_fd = o->dir_fd;
    d->state_fd = o->state_fd;
    d->lock_fd = o->lock_fd;
}

mproxy_status mpx_daemon_take_rendezvous(struct mproxy_daemon *d, mproxy_error *err)
{
    struct opened o;
    mproxy_status status = mpx_rendezvous_path(d->socket_path, d->dir_path, err);
    mproxy_error why;
    if (status != MPROXY_OK)
        return status;
    status = take(d->dir_path, -1, &o, &why);
    if (status == MPROXY_OK)
        keep(d, &o);
    else if (status == MPROXY_E_BUSY)
        mpx_fail(err, status, "socket '%.200s': %s: choose another with -u",
                 d->socket_path, why.text);
    else if (err)
        *err = why;
    return status;
}

// A cleaner that meets a new segment leaves the directory, and little in it.
bool mpx_daemon_has_rendezvous(const struct mproxy_daemon *d)
{
    return !mpx_segments_lost(d->segments) && has(d->dir_fd, "proxy", d->lock_fd) &&
           has(d->dir_fd, "state", d->state_fd) &&
           faccessat(d->state_fd, MPX_STATE_FILE, F_OK, 0) == 0;
}

mproxy_status mpx_daemon_remake_rendezvous(struct mproxy_daemon *d, mproxy_error *err)
{
    struct opened o, old = {d->dir_fd, d->state_fd, d->lock_fd};
    mproxy_status status = take(d->dir_path, d->lock_fd, &o, err);
    if (status != MPROXY_OK)
        return status;
    // The state first: a directory with segments and no state file would count as new.
    status = mproxy_ledger_move(d->ledger, o.state_fd, err);
    if (status == MPROXY_OK)
        status = mpx_segments_move(d->segments, o.dir_fd, o.state_fd, err);
    if (status != MPROXY_OK) {
        close_opened(&o);
        return status;
    }
    keep(d, &o);
    close_opened(&old);
    if (d->gateway)
        mpx_gateway_move(d->gateway);
    if (d->direct)
        mpx_direct_move(d->direct);
    if (d->syscalls)
        mpx_syscalls_move(d->syscalls, d->dir_fd);
    return MPROXY_OK;
}
