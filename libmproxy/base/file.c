#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

static mproxy_status read_open(int fd, const char *name, size_t max, struct mpx_buf *out,
                               mproxy_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return mpx_fail_errno(err, "%s", name);
    if (!S_ISREG(st.st_mode))
        return mpx_fail(err, MPROXY_E_INVALID, "%s: not a regular file", name);
    if ((uint64_t)st.st_size > max)
        return mpx_fail(err, MPROXY_E_LIMIT, "%s: %lld bytes, at most %zu are read", name,
                        (long long)st.st_size, max);
    size_t left = max;
    for (;;) {
        size_t want = left < 65536 ? left + 1 : 65536; // one more shows a file that grew
        if (!mpx_buf_reserve(out, want))
            return mpx_fail(err, MPROXY_E_NOMEM, "%s: no memory", name);
        ssize_t got = read(fd, out->data + out->size, want);
        if (got == 0)
            return MPROXY_OK;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return mpx_fail_errno(err, "%s", name);
        if ((size_t)got > left)
            return mpx_fail(err, MPROXY_E_LIMIT, "%s: more than %zu bytes", name, max);
        out->size += (size_t)got;
        left -= (size_t)got;
    }
}

mproxy_status mpx_file_read(int dir_fd, const char *name, size_t max, struct mpx_buf *out,
                            mproxy_error *err)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return mpx_fail(err, MPROXY_E_NOTFOUND, "%s: no such file", name);
    if (fd < 0)
        return mpx_fail_errno(err, "%s", name);
    mproxy_status status = read_open(fd, name, max, out, err);
    close(fd);
    return status;
}

bool mpx_write_all(int fd, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t put = write(fd, at, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        at += put;
        length -= (size_t)put;
    }
    return true;
}

mproxy_status mpx_file_replace(int dir_fd, const char *temporary, const char *name,
                               const void *bytes, size_t length, bool sync,
                               mproxy_error *err)
{
    int fd = openat(dir_fd, temporary,
                    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return mpx_fail_errno(err, "%s", temporary);
    bool ok = mpx_write_all(fd, bytes, length) && (!sync || fsync(fd) == 0);
    int saved = errno;
    // A network file system reports a full disk at close only.
    if (close(fd) != 0 && ok) {
        ok = false;
        saved = errno;
    }
    if (ok && renameat(dir_fd, temporary, dir_fd, name) != 0) {
        ok = false;
        saved = errno;
    }
    if (!ok) {
        unlinkat(dir_fd, temporary, 0);
        errno = saved;
        return mpx_fail_errno(err, "%s", name);
    }
    if (sync)
        fsync(dir_fd);
    return MPROXY_OK;
}
