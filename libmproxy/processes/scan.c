// The rendezvous directory, name by name.
//
// Reading a directory of 10,000 names costs milliseconds, and in most rounds none is
// new. So it is read only if its time has changed since, or a file is there that may
// become readable without a change of the directory: one that was refused, one for which
// there was no descriptor, one that is being born. A change within the clock's tick of
// the one before bears the same time, so that a directory is trusted to be unchanged
// only once its time is older than a tick; and every eighth look reads it whatever its
// time says.
//
// Names that mean something: `NAME.seg` is a segment; `.off-*` is a link by which a
// process says that it does not count; `refused` has a byte for each process that could
// not even leave a link; `.new-*` is a segment that a client of an earlier release is
// about to rename. Everything else is left alone.
//
// A segment is being born while it is empty or its magic is 0: it is passed over. One that
// is so for seconds and that nobody holds the lock of was left behind, by a process that
// was killed, and is removed with its lock held: a process that was only stopped finds that
// it can't have the lock, or that its file has no name, and makes another one.
//
// A file that cannot be read is refused with a reason, told once, and looked at again
// when it has changed or when what was missing may be there. Of those that are final as many
// are read in a round as there is room for; meanwhile no share of their user is sealed. Files count for their
// owner, as stat() says, never for the user whom their header names.

#include "processes/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"

enum {
    UNBORN_AGE_MAX_S = 5,
    NEW_AGE_MAX_S = 60,
    LIMIT_RETRY_ROUNDS = 8,
    LIMIT_LOOKS_MAX = 1024, // in each other round
    NOTE_MAX = 600,         // bytes of a link's target
    TICK_MAX_NS = 50 * 1000 * 1000,
    SKIPS_MAX = 8,
};

static int64_t mtime_ns(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

// What is missing for it may be there at the next look.
static bool is_for_want(mproxy_status status)
{
    return status == MPROXY_E_SYSTEM || status == MPROXY_E_NOMEM ||
           status == MPROXY_E_BUSY;
}

// Whether to look at a refused file again: it is not what it was, or what was missing may be
// there.
static bool is_worth_retry(struct mpx_segments *s, struct mpx_segment *seg)
{
    struct stat st;
    if (is_for_want(seg->bad))
        return true;
    // There is room once it is final.
    if (seg->bad == MPROXY_E_LIMIT &&
        (s->round % LIMIT_RETRY_ROUNDS == 0 || s->limit_looks++ < LIMIT_LOOKS_MAX))
        return true;
    if (fstatat(s->dir_fd, seg->name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        (st.st_ino == seg->inode && st.st_size == seg->size &&
         mtime_ns(&st) == seg->mtime_ns))
        return false;
    // As it is before it is read: what changes from now on is news.
    seg->inode = st.st_ino;
    seg->size = st.st_size;
    seg->mtime_ns = mtime_ns(&st);
    return true;
}

static void refuse(struct mpx_segments *s, struct mpx_segment *seg, mproxy_status status,
                   const mproxy_error *why)
{
    s->watch = true;
    if (seg->bad != status && status != MPROXY_E_BUSY)
        mpx_segments_warn(s, "%s", why->text);
    seg->bad = status;
    s->missed |= is_for_want(status);
    if (status == MPROXY_E_BUSY)
        mproxy_ledger_unread(s->ledger, seg->user->uid);
}

// Our client never writes such an id; the ledger puts the process into the base.
static void check_job(struct mpx_segments *s, const struct mpx_segment *seg)
{
    const char *jobid = mpx_reader_job(seg->reader)->jobid;
    mproxy_error err;
    if (jobid[0] == '\0' || mproxy_job_check_id(jobid, &err) == MPROXY_OK)
        return;
    s->stats.refused_jobs++;
    mpx_segments_warn(s, "segment '%s': %s; it counts for the node only", seg->name,
                      err.text);
}

// MPROXY_E_OFF, and forgotten: it is being born.
static mproxy_status open_segment(struct mpx_segments *s, struct mpx_segment *seg)
{
    mproxy_error err;
    mproxy_status status =
        mpx_reader_open(s->readers, s->dir_fd, seg->name, &seg->reader, &err);
    if (status == MPROXY_OK &&
        (!mpx_segment_give_key(seg, mpx_reader_inode(seg->reader)) ||
         !mpx_unit_adopt(s, seg))) {
        mpx_reader_close(seg->reader);
        seg->reader = NULL;
        status = mpx_fail(&err, MPROXY_E_NOMEM, "segment '%s': no memory", seg->name);
    }
    if (status == MPROXY_OK) {
        seg->bad = MPROXY_OK;
        check_job(s, seg);
    } else if (status == MPROXY_E_NOTFOUND || status == MPROXY_E_OFF)
        mpx_segments_drop(s, seg);
    else
        refuse(s, seg, status, &err);
    return status;
}

// ---- left behind

// Whether a file is there still and nobody wrote that it is whole.
static bool is_unborn(const struct mpx_segments *s, const char *name, int fd)
{
    struct stat st, named;
    uint64_t magic = 0;
    ssize_t got = pread(fd, &magic, sizeof magic, 0);
    return got >= 0 && magic == 0 && fstat(fd, &st) == 0 &&
           fstatat(s->dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           st.st_ino == named.st_ino && st.st_dev == named.st_dev;
}

// With the lock held, so that its process, should it only have been stopped, can't have it.
static void sweep(struct mpx_segments *s, const char *name, bool is_renamed)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd =
        openat(s->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return;
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0 && (is_renamed || is_unborn(s, name, fd)) &&
        unlinkat(s->dir_fd, name, 0) == 0)
        mpx_segments_warn(s, "segment '%s': removed; nobody holds it, nor is it whole",
                          name);
    close(fd);
}

static bool is_older(const struct mpx_segments *s, const struct stat *st, int seconds)
{
    return st->st_mtim.tv_sec + seconds <= (int64_t)(s->wall_us / 1000000);
}

static void see_unborn(struct mpx_segments *s, const char *name, const struct stat *st)
{
    s->watch = true;
    if (is_older(s, st, UNBORN_AGE_MAX_S))
        sweep(s, name, false);
}

// ---- segments

static void see_segment(struct mpx_segments *s, const char *name, uint64_t inode)
{
    struct mpx_segment *seg = mpx_segments_find_shown(s, name, inode);
    struct stat st;
    if (!seg && fstatat(s->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        s->missed |= errno != ENOENT;
        return;
    }
    // Some file systems list other numbers than their files have.
    if (!seg && st.st_ino != inode) {
        inode = st.st_ino;
        seg = mpx_segments_find_shown(s, name, inode);
    }
    if (!seg) {
        if (mpx_segment_is_pending(s, name, inode))
            return;
        if (S_ISREG(st.st_mode) && st.st_size == 0) {
            see_unborn(s, name, &st);
            return;
        }
        seg = mpx_segments_add(s, name, st.st_uid);
        if (!seg)
            return;
        seg->seen = s->round;
        if (open_segment(s, seg) == MPROXY_E_OFF)
            see_unborn(s, name, &st);
        return;
    }
    seg->seen = s->round;
    s->watch |= !seg->reader;
    if (!seg->reader && is_worth_retry(s, seg))
        open_segment(s, seg);
}

// ---- what else is in the directory

// A link `.off-PID-BOOTNS` -> "REASONS JOBID": a process says that it does not count.
static void see_note(struct mpx_segments *s, const char *name, uint64_t inode)
{
    struct mpx_segment *seg = mpx_segments_find_shown(s, name, inode);
    if (seg) {
        seg->seen = s->round;
        return;
    }
    struct stat st;
    char target[NOTE_MAX];
    if (fstatat(s->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISLNK(st.st_mode) ||
        mpx_segment_is_pending(s, name, st.st_ino))
        return;
    ssize_t length = readlinkat(s->dir_fd, name, target, sizeof target - 1);
    if (length < 0)
        return;
    target[length] = '\0';
    char *jobid;
    unsigned long reasons = strtoul(target, &jobid, 10);
    jobid += *jobid == ' ';
    const char *born = strrchr(name, '-');
    int64_t boot_ms = born ? strtoll(born + 1, NULL, 10) / 1000000 : 0;
    seg = mpx_segments_add(s, name, st.st_uid);
    if (!seg)
        return;
    seg->seen = s->round;
    if (!mpx_segment_give_key(seg, st.st_ino) ||
        !mpx_unit_adopt_note(s, seg, st.st_uid, (uint32_t)reasons, jobid, boot_ms)) {
        mpx_segments_drop(s, seg);
        return;
    }
    s->stats.uncounted++;
}

// A segment of an earlier release's client whose process died while it was being born.
static void see_new(struct mpx_segments *s, const char *name)
{
    struct stat st;
    s->watch = true;
    if (fstatat(s->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
        is_older(s, &st, NEW_AGE_MAX_S))
        sweep(s, name, true);
}

// One byte per process; the ledger knows how many of them it was told of.
static void see_refused(struct mpx_segments *s, const char *name)
{
    struct stat st;
    const int64_t most = INT64_C(1) << 40; // a file of holes is somebody's joke
    if (fstatat(s->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
        return;
    s->stats.refused = (uint64_t)(st.st_size < most ? st.st_size : most);
    mproxy_ledger_refused(s->ledger, s->stats.refused);
}

static bool starts_with(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static void see(struct mpx_segments *s, const struct dirent *entry)
{
    const char *name = entry->d_name;
    size_t length = strlen(name);
    if (starts_with(name, ".off-"))
        see_note(s, name, entry->d_ino);
    else if (starts_with(name, ".new-"))
        see_new(s, name);
    else if (strcmp(name, "refused") == 0)
        see_refused(s, name);
    else if (name[0] != '.' && length > 4 && strcmp(name + length - 4, ".seg") == 0)
        see_segment(s, name, entry->d_ino);
}

// Whether the directory has not changed since it was read. A change that came within the
// clock's tick of the one before bears the same time: trust only what was old then.
static bool is_unchanged(struct mpx_segments *s)
{
    struct stat st;
    int64_t now_ns = mpx_clock_ns(CLOCK_REALTIME);
    if (fstat(s->dir_fd, &st) != 0)
        return false;
    bool unchanged = mtime_ns(&st) == s->dir_mtime_ns && !s->watch && !s->missed &&
                     s->scanned_ns - s->dir_mtime_ns > TICK_MAX_NS &&
                     ++s->skipped < SKIPS_MAX;
    if (unchanged)
        return true;
    s->skipped = 0;
    s->scanned_ns = now_ns;
    s->dir_mtime_ns = mtime_ns(&st);
    return false;
}

mproxy_status mpx_segments_scan(struct mpx_segments *s, mproxy_error *err)
{
    if (is_unchanged(s))
        return MPROXY_OK;
    s->watch = false;
    s->missed = false;
    s->limit_looks = 0;
    s->stats.bad_crowd = 0;
    s->read_round = s->round;
    rewinddir(s->dir);
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(s->dir);
        if (entry)
            see(s, entry);
        else if (errno == 0 || errno == ENOENT) // ENOENT: the directory was removed
            return MPROXY_OK;
        else
            return mpx_fail_errno(err, "%s", s->dir_path);
    }
}

void mpx_segments_forget_unseen(struct mpx_segments *s)
{
    if (s->read_round != s->round)
        return;
    // From behind, for the last takes the place of one that is dropped.
    for (size_t i = s->segment_count; i-- > 0;) {
        struct mpx_segment *seg = s->segments[i];
        // A segment that was removed under us counts all the same.
        if (!seg->reader && seg->seen != s->round && !(seg->unit && seg->unit->folded))
            mpx_segments_drop(s, seg);
    }
}
