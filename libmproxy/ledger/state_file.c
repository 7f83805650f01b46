// Two files take turns: the next state is written into the spare, then both exchange their
// names. So the blocks of the state before are there for the one after, and in steady state
// nothing is allocated at all. Files are longer than the state in them, which knows its
// length: blocks past it are the reserve. They lie in memory as a rule, so a spare that is
// many times as long as it need be is cut first, to what one of its state would have.

#include "ledger/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/err.h"
#include "base/file.h"
#include "ledger/state.h"

enum {
    RESERVE_STEP = 65536, // files are reserved in multiples of it
    CUT_FROM = 4,         // times what would be reserved
    ASIDE_MAX = 10000,
};

mproxy_status mpx_state_file_read(int dir_fd, struct mpx_buf *out, mproxy_error *err)
{
    mproxy_status status = mpx_file_read(dir_fd, MPX_STATE_FILE, MPX_STATE_MAX, out, err);
    if ((status == MPROXY_E_INVALID || status == MPROXY_E_LIMIT) && err)
        err->status = MPROXY_E_CORRUPT;
    return status == MPROXY_E_INVALID || status == MPROXY_E_LIMIT ? MPROXY_E_CORRUPT
                                                                  : status;
}

// What the state's own file has beyond the state is given up for the next.
static void trim_state(int dir_fd)
{
    uint64_t body;
    struct stat st;
    int fd = openat(dir_fd, MPX_STATE_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    if (pread(fd, &body, sizeof body, MPX_STATE_HEAD - sizeof body) == sizeof body &&
        fstat(fd, &st) == 0 && body < (uint64_t)st.st_size - MPX_STATE_HEAD)
        (void)!ftruncate(fd, (off_t)(MPX_STATE_HEAD + body));
    close(fd);
}

// Room for twice the state, so that it can double while the file system is full. Having
// less is no failure: then writing says whether there is enough.
static void reserve(int dir_fd, int fd, size_t length)
{
    struct stat st;
    off_t room = (off_t)((length * 2 / RESERVE_STEP + 1) * RESERVE_STEP);
    if (fstat(fd, &st) != 0)
        return;
    if (st.st_size > CUT_FROM * room)
        (void)!ftruncate(fd, room);
    if ((uint64_t)st.st_size >= length + length / 2)
        return;
    if (fallocate(fd, 0, 0, room) == 0 || errno != ENOSPC ||
        fallocate(fd, 0, 0, (off_t)length) == 0 || errno != ENOSPC)
        return;
    trim_state(dir_fd);
    (void)fallocate(fd, 0, 0, (off_t)length);
}

// Write all at offset 0, going on after signals and short writes.
static bool write_at_start(int fd, const char *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t put = pwrite(fd, bytes + done, length - done, (off_t)done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        done += (size_t)put;
    }
    return true;
}

// There is no ledger yet, or this file system can't exchange names.
static int rename_over(int dir_fd)
{
    if (errno != ENOENT && errno != EINVAL && errno != ENOSYS)
        return -1;
    return renameat(dir_fd, MPX_STATE_SPARE, dir_fd, MPX_STATE_FILE);
}

// After a plain rename there is no spare: make one now rather than when it is needed.
static void make_spare(int dir_fd, size_t length)
{
    int fd = openat(dir_fd, MPX_STATE_SPARE,
                    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return;
    reserve(dir_fd, fd, length);
    close(fd);
}

mproxy_status mpx_state_file_replace(int dir_fd, const void *bytes, size_t length,
                                     mproxy_error *err)
{
    // With its reserve it must be one that is read. What was not folded is safe where it is.
    if (length > MPX_STATE_MAX / 2 - RESERVE_STEP)
        return mpx_fail(err, MPROXY_E_SYSTEM, "state file: %zu bytes are too many",
                        length);
    int fd = openat(dir_fd, MPX_STATE_SPARE, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                    0600);
    if (fd < 0)
        return mpx_fail_errno(err, "state file %s", MPX_STATE_SPARE);
    reserve(dir_fd, fd, length);
    bool ok = write_at_start(fd, bytes, length);
    int saved = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        saved = errno;
    }
    if (!ok) {
        errno = saved;
        return mpx_fail_errno(err, "state file %s, %zu bytes", MPX_STATE_SPARE, length);
    }
    MPX_CRASH_POINT("ledger.written");
    if (renameat2(dir_fd, MPX_STATE_SPARE, dir_fd, MPX_STATE_FILE, RENAME_EXCHANGE) !=
            0 &&
        rename_over(dir_fd) != 0)
        return mpx_fail_errno(err, "state file %s", MPX_STATE_FILE);
    MPX_CRASH_POINT("ledger.renamed");
    make_spare(dir_fd, length);
    return MPROXY_OK;
}

mproxy_status mpx_state_file_set_aside(int dir_fd, mproxy_error *err)
{
    char name[64];
    for (int n = 1; n < ASIDE_MAX; n++) {
        snprintf(name, sizeof name, MPX_STATE_FILE ".damaged-%d", n);
        if (renameat2(dir_fd, MPX_STATE_FILE, dir_fd, name, RENAME_NOREPLACE) == 0)
            return MPROXY_OK;
        if (errno != EEXIST)
            return mpx_fail_errno(err, "%s", name);
    }
    return mpx_fail(err, MPROXY_E_LIMIT, "%d damaged state files are there already",
                    ASIDE_MAX - 1);
}
