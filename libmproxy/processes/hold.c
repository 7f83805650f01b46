// Taking the rendezvous directory, and making it again.

#include "processes/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "ledger/state_file.h"
#include "segment/rendezvous.h"

void mpx_hold_close(const struct mpx_hold *o)
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

static mproxy_status open_state(struct mpx_hold *o, int held, mproxy_error *err)
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

static mproxy_status fail_busy(const struct mpx_hold *o, mproxy_error *err)
{
    int pid;
    mpx_rendezvous_is_live(o->dir_fd, &pid);
    return mpx_fail(err, MPROXY_E_BUSY, "a proxy lives there already: pid %d", pid);
}

// Two locks: the file `proxy` tells everybody that a proxy lives; everybody may open it. The
// directory `state` is locked for what is in it, and nobody else can open that. Locks that
// we have go on.
static mproxy_status lock(struct mpx_hold *o, const struct mpx_hold *held,
                          mproxy_error *err)
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

mproxy_status mpx_hold_take(const char *path, const struct mpx_hold *held,
                            struct mpx_hold *o, mproxy_error *err)
{
    *o = (struct mpx_hold){.dir_fd = -1, .state_fd = -1, .lock_fd = -1};
    mproxy_status status = mpx_rendezvous_open(path, true, &o->dir_fd, err);
    if (status == MPROXY_OK)
        status = open_state(o, held->state_fd, err);
    if (status == MPROXY_OK)
        status = lock(o, held, err);
    if (status != MPROXY_OK)
        mpx_hold_close(o);
    return status;
}

// A cleaner that meets a new segment leaves the directory, and little in it.
bool mpx_hold_is_whole(const struct mpx_hold *o, const struct mpx_segments *segments)
{
    return !mpx_segments_lost(segments) && has(o->dir_fd, "proxy", o->lock_fd) &&
           has(o->dir_fd, "state", o->state_fd) &&
           faccessat(o->state_fd, MPX_STATE_FILE, F_OK, 0) == 0;
}

mproxy_status mpx_hold_remake(struct mpx_hold *hold, const char *path,
                              mproxy_ledger *ledger, struct mpx_segments *segments,
                              mproxy_error *err)
{
    struct mpx_hold o;
    mproxy_status status = mpx_hold_take(path, hold, &o, err);
    if (status != MPROXY_OK)
        return status;
    // The state first: a directory with segments and no state file would count as new.
    status = mproxy_ledger_move(ledger, o.state_fd, err);
    if (status == MPROXY_OK)
        status = mpx_segments_move(segments, o.dir_fd, o.state_fd, err);
    if (status != MPROXY_OK) {
        mpx_hold_close(&o);
        return status;
    }
    mpx_hold_close(hold);
    *hold = o;
    return MPROXY_OK;
}
