// The rendezvous directory from the daemon's side: taking it, and making it again.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "daemon/daemon_private.h"
#include "ledger/state_file.h"
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

static bool has(int dir_fd, const char *name, int fd)
{
    struct stat path, open;
    return fstatat(dir_fd, name, &path, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstat(fd, &open) == 0 && path.st_dev == open.st_dev &&
           path.st_ino == open.st_ino;
}

// In a directory that everybody may write to, somebody may have been first.
static void put_strangers_aside(int dir_fd)
{
    struct stat dir, state;
    char name[64];
    if (fstat(dir_fd, &dir) != 0 || dir.st_uid != geteuid() ||
        fstatat(dir_fd, "state", &state, AT_SYMLINK_NOFOLLOW) != 0 ||
        state.st_uid == geteuid())
        return;
    snprintf(name, sizeof name, ".strange-state-%lld",
             (long long)mpx_clock_ns(CLOCK_BOOTTIME));
    (void)renameat(dir_fd, "state", dir_fd, name); // what is still there is told of
}

static mproxy_status open_state(struct opened *o, int held, mproxy_error *err)
{
    if (held >= 0 && has(o->dir_fd, "state", held)) {
        o->state_fd = fcntl(held, F_DUPFD_CLOEXEC, 3);
        return o->state_fd >= 0 ? MPROXY_OK : mpx_fail_errno(err, "state");
    }
    put_strangers_aside(o->dir_fd);
    if (mkdirat(o->dir_fd, "state", 0700) != 0 && errno != EEXIST)
        return mpx_fail_errno(err, "state");
    o->state_fd =
        openat(o->dir_fd, "state", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (o->state_fd < 0 || fstat(o->state_fd, &st) != 0)
        return mpx_fail_errno(err, "state");
    if (st.st_uid != geteuid())
        return mpx_fail(err, MPROXY_E_INVALID, "state: owned by user %u, not by us",
                        (unsigned)st.st_uid);
    return MPROXY_OK;
}

static mproxy_status fail_busy(const struct opened *o, mproxy_error *err)
{
    int pid;
    mpx_rendezvous_is_live(o->dir_fd, &pid);
    return mpx_fail(err, MPROXY_E_BUSY, "a proxy lives there already: pid %d", pid);
}

// Two locks: the file `proxy` tells everybody that a proxy lives; everybody may open it. The
// directory `state` is locked for what is in it, and nobody else can open that. Locks that
// we have go on.
static mproxy_status lock(struct opened *o, const struct opened *held, mproxy_error *err)
{
    if (held->lock_fd >= 0 && has(o->dir_fd, "proxy", held->lock_fd)) {
        o->lock_fd = fcntl(held->lock_fd, F_DUPFD_CLOEXEC, 3);
        if (o->lock_fd < 0)
            return mpx_fail_errno(err, "lock of file 'proxy'");
    } else if (mpx_rendezvous_is_live(o->dir_fd, NULL)) {
        // Asked first, so that a start that is refused takes no lock away in passing.
        return fail_busy(o, err);
    }
    if (flock(o->state_fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? fail_busy(o, err)
                                    : mpx_fail_errno(err, "lock of directory 'state'");
    return o->lock_fd >= 0 ? MPROXY_OK : mpx_rendezvous_take(o->dir_fd, &o->lock_fd, err);
}

static mproxy_status take(const char *path, const struct opened *held, struct opened *o,
                          mproxy_error *err)
{
    *o = (struct opened){.dir_fd = -1, .state_fd = -1, .lock_fd = -1};
    mproxy_status status = mpx_rendezvous_open(path, true, &o->dir_fd, err);
    if (status == MPROXY_OK)
        status = open_state(o, held->state_fd, err);
    if (status == MPROXY_OK)
        status = lock(o, held, err);
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
    struct opened o, none = {-1, -1, -1};
    mproxy_status status = mpx_rendezvous_path(d->socket_path, d->dir_path, err);
    mproxy_error why;
    if (status != MPROXY_OK)
        return status;
    status = take(d->dir_path, &none, &o, &why);
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
    mproxy_status status = take(d->dir_path, &old, &o, err);
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
    if (d->syscalls)
        mpx_syscalls_move(d->syscalls, d->dir_fd);
    return MPROXY_OK;
}
