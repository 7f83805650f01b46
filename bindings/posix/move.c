// Wrappers of calls on descriptors that move data.
#include "count.h"

struct iovec;

#define MOVED (result > 0 ? result : 0)

POSIX_WRAP(ssize_t, read, (int fd, void *to, size_t n), (fd, to, n), MOVED)
POSIX_WRAP(ssize_t, __read_chk, (int fd, void *to, size_t n, size_t room),
           (fd, to, n, room), MOVED)
POSIX_WRAP(ssize_t, pread, (int fd, void *to, size_t n, off_t at), (fd, to, n, at), MOVED)
POSIX_WRAP(ssize_t, pread64, (int fd, void *to, size_t n, off64_t at), (fd, to, n, at),
           MOVED)
POSIX_WRAP(ssize_t, __pread_chk, (int fd, void *to, size_t n, off_t at, size_t room),
           (fd, to, n, at, room), MOVED)
POSIX_WRAP(ssize_t, __pread64_chk, (int fd, void *to, size_t n, off64_t at, size_t room),
           (fd, to, n, at, room), MOVED)
POSIX_WRAP(ssize_t, readv, (int fd, const struct iovec *v, int n), (fd, v, n), MOVED)
POSIX_WRAP(ssize_t, preadv, (int fd, const struct iovec *v, int n, off_t at),
           (fd, v, n, at), MOVED)
POSIX_WRAP(ssize_t, preadv64, (int fd, const struct iovec *v, int n, off64_t at),
           (fd, v, n, at), MOVED)
POSIX_WRAP(ssize_t, preadv2, (int fd, const struct iovec *v, int n, off_t at, int flags),
           (fd, v, n, at, flags), MOVED)
POSIX_WRAP(ssize_t, preadv64v2,
           (int fd, const struct iovec *v, int n, off64_t at, int flags),
           (fd, v, n, at, flags), MOVED)

POSIX_WRAP(ssize_t, write, (int fd, const void *from, size_t n), (fd, from, n), MOVED)
POSIX_WRAP(ssize_t, pwrite, (int fd, const void *from, size_t n, off_t at),
           (fd, from, n, at), MOVED)
POSIX_WRAP(ssize_t, pwrite64, (int fd, const void *from, size_t n, off64_t at),
           (fd, from, n, at), MOVED)
POSIX_WRAP(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), MOVED)
POSIX_WRAP(ssize_t, pwritev, (int fd, const struct iovec *v, int n, off_t at),
           (fd, v, n, at), MOVED)
POSIX_WRAP(ssize_t, pwritev64, (int fd, const struct iovec *v, int n, off64_t at),
           (fd, v, n, at), MOVED)
POSIX_WRAP(ssize_t, pwritev2, (int fd, const struct iovec *v, int n, off_t at, int flags),
           (fd, v, n, at, flags), MOVED)
POSIX_WRAP(ssize_t, pwritev64v2,
           (int fd, const struct iovec *v, int n, off64_t at, int flags),
           (fd, v, n, at, flags), MOVED)

POSIX_WRAP(ssize_t, sendfile, (int out, int in, off_t *at, size_t n), (out, in, at, n),
           MOVED)
POSIX_WRAP(ssize_t, sendfile64, (int out, int in, off64_t *at, size_t n),
           (out, in, at, n), MOVED)
POSIX_WRAP(ssize_t, copy_file_range,
           (int in, off64_t *from, int out, off64_t *to, size_t n, unsigned flags),
           (in, from, out, to, n, flags), MOVED)
