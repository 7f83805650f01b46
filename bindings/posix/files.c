// Wrappers of calls on names and descriptors that move no data.
#include "count.h"

#include <fcntl.h>
#include <stdarg.h>

struct stat;
struct stat64;
struct statx;

// The mode is there only with O_CREAT or O_TMPFILE; reading it otherwise is harmless on the
// machines we build for, but the real function ignores it too.
#define WITH_MODE(last)                                                                  \
    mode_t mode = 0;                                                                     \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                 \
        va_list list;                                                                    \
        va_start(list, last);                                                            \
        mode = va_arg(list, mode_t);                                                     \
        va_end(list);                                                                    \
    }

#define WRAP_OPEN(symbol)                                                                \
    POSIX_EXPORT int symbol(const char *path, int flags, ...);                           \
    POSIX_EXPORT int symbol(const char *path, int flags, ...)                            \
    {                                                                                    \
        WITH_MODE(flags)                                                                 \
        int (*real)(const char *, int, ...) =                                            \
            (int (*)(const char *, int, ...))posix_real(FN_##symbol);                    \
        if (posix_is_own(__builtin_return_address(0)))                                   \
            return real(path, flags, mode);                                              \
        uint64_t begin = mpx_ticks();                                                    \
        int result = real(path, flags, mode);                                            \
        posix_count(FN_##symbol, begin, 0);                                              \
        return result;                                                                   \
    }

#define WRAP_OPENAT(symbol)                                                              \
    POSIX_EXPORT int symbol(int dir, const char *path, int flags, ...);                  \
    POSIX_EXPORT int symbol(int dir, const char *path, int flags, ...)                   \
    {                                                                                    \
        WITH_MODE(flags)                                                                 \
        int (*real)(int, const char *, int, ...) =                                       \
            (int (*)(int, const char *, int, ...))posix_real(FN_##symbol);               \
        if (posix_is_own(__builtin_return_address(0)))                                   \
            return real(dir, path, flags, mode);                                         \
        uint64_t begin = mpx_ticks();                                                    \
        int result = real(dir, path, flags, mode);                                       \
        posix_count(FN_##symbol, begin, 0);                                              \
        return result;                                                                   \
    }

WRAP_OPEN(open)
WRAP_OPEN(open64)
WRAP_OPENAT(openat)
WRAP_OPENAT(openat64)
POSIX_WRAP(int, __open_2, (const char *path, int flags), (path, flags), 0)
POSIX_WRAP(int, __open64_2, (const char *path, int flags), (path, flags), 0)
POSIX_WRAP(int, __openat_2, (int dir, const char *path, int flags), (dir, path, flags), 0)
POSIX_WRAP(int, __openat64_2, (int dir, const char *path, int flags), (dir, path, flags),
           0)
POSIX_WRAP(int, creat, (const char *path, mode_t mode), (path, mode), 0)
POSIX_WRAP(int, creat64, (const char *path, mode_t mode), (path, mode), 0)
POSIX_WRAP(int, close, (int fd), (fd), 0)

// What else makes descriptors that close() ends.
POSIX_WRAP(int, dup, (int fd), (fd), 0)
POSIX_WRAP(int, dup2, (int from, int to), (from, to), 0)
POSIX_WRAP(int, dup3, (int from, int to, int flags), (from, to, flags), 0)
POSIX_WRAP(int, pipe, (int fds[2]), (fds), 0)
POSIX_WRAP(int, pipe2, (int fds[2], int flags), (fds, flags), 0)
POSIX_WRAP(int, socket, (int domain, int type, int protocol), (domain, type, protocol), 0)
POSIX_WRAP(int, socketpair, (int domain, int type, int protocol, int fds[2]),
           (domain, type, protocol, fds), 0)
POSIX_WRAP(int, accept, (int fd, void *address, unsigned *size), (fd, address, size), 0)
POSIX_WRAP(int, accept4, (int fd, void *address, unsigned *size, int flags),
           (fd, address, size, flags), 0)
POSIX_WRAP(int, mkstemp, (char *name), (name), 0)
POSIX_WRAP(int, mkstemp64, (char *name), (name), 0)
POSIX_WRAP(int, mkostemp, (char *name, int flags), (name, flags), 0)
POSIX_WRAP(int, mkostemp64, (char *name, int flags), (name, flags), 0)
POSIX_WRAP(int, mkstemps, (char *name, int end), (name, end), 0)
POSIX_WRAP(int, mkstemps64, (char *name, int end), (name, end), 0)
POSIX_WRAP(int, mkostemps, (char *name, int end, int flags), (name, end, flags), 0)
POSIX_WRAP(int, mkostemps64, (char *name, int end, int flags), (name, end, flags), 0)

POSIX_WRAP(off_t, lseek, (int fd, off_t at, int from), (fd, at, from), 0)
POSIX_WRAP(off64_t, lseek64, (int fd, off64_t at, int from), (fd, at, from), 0)
POSIX_WRAP(int, fsync, (int fd), (fd), 0)
POSIX_WRAP(int, fdatasync, (int fd), (fd), 0)
POSIX_WRAP(int, ftruncate, (int fd, off_t size), (fd, size), 0)
POSIX_WRAP(int, ftruncate64, (int fd, off64_t size), (fd, size), 0)

POSIX_WRAP(int, stat, (const char *path, struct stat *st), (path, st), 0)
POSIX_WRAP(int, stat64, (const char *path, struct stat64 *st), (path, st), 0)
POSIX_WRAP(int, lstat, (const char *path, struct stat *st), (path, st), 0)
POSIX_WRAP(int, lstat64, (const char *path, struct stat64 *st), (path, st), 0)
POSIX_WRAP(int, fstat, (int fd, struct stat *st), (fd, st), 0)
POSIX_WRAP(int, fstat64, (int fd, struct stat64 *st), (fd, st), 0)
POSIX_WRAP(int, fstatat, (int dir, const char *path, struct stat *st, int flags),
           (dir, path, st, flags), 0)
POSIX_WRAP(int, fstatat64, (int dir, const char *path, struct stat64 *st, int flags),
           (dir, path, st, flags), 0)
POSIX_WRAP(int, statx,
           (int dir, const char *path, int flags, unsigned mask, struct statx *st),
           (dir, path, flags, mask, st), 0)
// Programs built against a libc before 2.33 call these.
POSIX_WRAP(int, __xstat, (int v, const char *path, struct stat *st), (v, path, st), 0)
POSIX_WRAP(int, __xstat64, (int v, const char *path, struct stat64 *st), (v, path, st), 0)
POSIX_WRAP(int, __lxstat, (int v, const char *path, struct stat *st), (v, path, st), 0)
POSIX_WRAP(int, __lxstat64, (int v, const char *path, struct stat64 *st), (v, path, st),
           0)
POSIX_WRAP(int, __fxstat, (int v, int fd, struct stat *st), (v, fd, st), 0)
POSIX_WRAP(int, __fxstat64, (int v, int fd, struct stat64 *st), (v, fd, st), 0)
POSIX_WRAP(int, __fxstatat,
           (int v, int dir, const char *path, struct stat *st, int flags),
           (v, dir, path, st, flags), 0)
POSIX_WRAP(int, __fxstatat64,
           (int v, int dir, const char *path, struct stat64 *st, int flags),
           (v, dir, path, st, flags), 0)

POSIX_WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), 0)
POSIX_WRAP(int, mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode), 0)
POSIX_WRAP(int, rmdir, (const char *path), (path), 0)
POSIX_WRAP(int, unlink, (const char *path), (path), 0)
POSIX_WRAP(int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags), 0)
POSIX_WRAP(int, rename, (const char *from, const char *to), (from, to), 0)
POSIX_WRAP(int, renameat, (int d1, const char *from, int d2, const char *to),
           (d1, from, d2, to), 0)
POSIX_WRAP(int, renameat2,
           (int d1, const char *from, int d2, const char *to, unsigned flags),
           (d1, from, d2, to, flags), 0)

// Only mappings of files are I/O.
#define WRAP_MMAP(symbol, off_type)                                                      \
    POSIX_EXPORT void *symbol(void *at, size_t size, int prot, int flags, int fd,        \
                              off_type offset);                                          \
    POSIX_EXPORT void *symbol(void *at, size_t size, int prot, int flags, int fd,        \
                              off_type offset)                                           \
    {                                                                                    \
        void *(*real)(void *, size_t, int, int, int, off_type) =                         \
            (void *(*)(void *, size_t, int, int, int, off_type))posix_real(FN_##symbol); \
        if (fd < 0 || posix_is_own(__builtin_return_address(0)))                         \
            return real(at, size, prot, flags, fd, offset);                              \
        uint64_t begin = mpx_ticks();                                                    \
        void *result = real(at, size, prot, flags, fd, offset);                          \
        posix_count(FN_##symbol, begin, 0);                                              \
        return result;                                                                   \
    }
WRAP_MMAP(mmap, off_t)
WRAP_MMAP(mmap64, off64_t)
