// System calls without the C library's functions of the same names.
//
// Our code inside other people's programs must not run other people's code: open(),
// clock_gettime() and even syscall() may be another preloaded tool's wrappers, which take
// locks of their own, count, or tell another time. Direct calls also need no version of any
// symbol and pass no cancellation point. Results and errno are those of the C library.
//
// `struct stat` is taken to be the kernel's own, as glibc and musl have it on these
// machines; elsewhere the C library is called after all.
#ifndef MPX_BASE_SYS_H
#define MPX_BASE_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)

static inline long mpx_sys_raw(long number, long a, long b, long c, long d, long e,
                               long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#elif defined(__aarch64__)

static inline long mpx_sys_raw(long number, long a, long b, long c, long d, long e,
                               long f)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}

#else

static inline long mpx_sys_raw(long number, long a, long b, long c, long d, long e,
                               long f)
{
    int saved = errno;
    long result = syscall(number, a, b, c, d, e, f);
    if (result != -1)
        return result;
    result = -errno;
    errno = saved;
    return result;
}

#endif

static inline long mpx_sys(long number, long a, long b, long c, long d, long e, long f)
{
    long result = mpx_sys_raw(number, a, b, c, d, e, f);
    if (result >= 0 || result < -4095)
        return result;
    errno = (int)-result;
    return -1;
}

// One system call. The descriptor may be 0, 1 or 2: for where no other thread runs.
static inline int mpx_open_plain(const char *path, int flags, unsigned mode)
{
    return (int)mpx_sys(SYS_openat, AT_FDCWD, (long)path, flags, mode, 0, 0);
}

// Put what can neither be read nor written, as if it was closed, where standard streams are
// closed. Returns a bit for each.
static inline unsigned mpx_fill_streams(void)
{
    unsigned filled = 0;
    for (int stream = 0; stream < 3; stream++) {
        if (mpx_sys_raw(SYS_fcntl, stream, F_GETFD, 0, 0, 0, 0) >= 0)
            continue;
        long fd =
            mpx_sys_raw(SYS_openat, AT_FDCWD, (long)"/", O_PATH | O_CLOEXEC, 0, 0, 0);
        if (fd >= 0 && fd < 3)
            filled |= 1u << fd;
        else if (fd >= 0) // another thread has just opened this one
            mpx_sys_raw(SYS_close, fd, 0, 0, 0, 0, 0);
    }
    return filled;
}

// Not what the program may have put in their place.
static inline void mpx_clear_streams(unsigned filled)
{
    for (int fd = 0; fd < 3; fd++)
        if ((filled & 1u << fd) &&
            (mpx_sys_raw(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0) & O_PATH))
            mpx_sys_raw(SYS_close, fd, 0, 0, 0, 0, 0);
}

// Never gives 0, 1 or 2: where a program has closed those, another of its threads may go on
// writing messages there. What can't be written may have such a number for a moment.
static inline int mpx_openat(int dir_fd, const char *path, int flags, unsigned mode)
{
    unsigned filled = (flags & O_ACCMODE) == O_RDONLY ? 0 : mpx_fill_streams();
    long fd = mpx_sys_raw(SYS_openat, dir_fd, (long)path, flags, mode, 0, 0);
    if (fd >= 0 && fd < 3) {
        long low = fd;
        fd = mpx_sys_raw(SYS_fcntl, low, F_DUPFD_CLOEXEC, 3, 0, 0, 0);
        mpx_sys_raw(SYS_close, low, 0, 0, 0, 0, 0);
    }
    if (filled)
        mpx_clear_streams(filled);
    if (fd >= 0)
        return (int)fd;
    errno = (int)-fd;
    return -1;
}

static inline int mpx_open(const char *path, int flags, unsigned mode)
{
    return mpx_openat(AT_FDCWD, path, flags, mode);
}

static inline int mpx_close(int fd)
{
    return (int)mpx_sys(SYS_close, fd, 0, 0, 0, 0, 0);
}

static inline ssize_t mpx_read(int fd, void *to, size_t size)
{
    return mpx_sys(SYS_read, fd, (long)to, (long)size, 0, 0, 0);
}

static inline ssize_t mpx_write(int fd, const void *from, size_t size)
{
    return mpx_sys(SYS_write, fd, (long)from, (long)size, 0, 0, 0);
}

static inline long mpx_getdents(int dir_fd, void *to, size_t size)
{
    return mpx_sys(SYS_getdents64, dir_fd, (long)to, (long)size, 0, 0, 0);
}

static inline ssize_t mpx_pread(int fd, void *to, size_t size, off_t at)
{
    return mpx_sys(SYS_pread64, fd, (long)to, (long)size, at, 0, 0);
}

static inline ssize_t mpx_pwrite(int fd, const void *from, size_t size, off_t at)
{
    return mpx_sys(SYS_pwrite64, fd, (long)from, (long)size, at, 0, 0);
}

static inline ssize_t mpx_pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    return mpx_sys(SYS_pwritev, fd, (long)parts, count, at, 0, 0);
}

static inline int mpx_lock_fd(int fd, int command, struct flock *lock)
{
    return (int)mpx_sys(SYS_fcntl, fd, command, (long)lock, 0, 0, 0);
}

static inline int mpx_fstatat(int dir_fd, const char *path, struct stat *st, int flags)
{
#if defined(__x86_64__) || defined(__aarch64__)
    return (int)mpx_sys(SYS_newfstatat, dir_fd, (long)path, (long)st, flags, 0, 0);
#else
    return fstatat(dir_fd, path, st, flags);
#endif
}

static inline int mpx_lstat(const char *path, struct stat *st)
{
    return mpx_fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

static inline int mpx_fstat(int fd, struct stat *st)
{
#if defined(__x86_64__) || defined(__aarch64__)
    return (int)mpx_sys(SYS_fstat, fd, (long)st, 0, 0, 0, 0);
#else
    return fstat(fd, st);
#endif
}

// Zero, or something else: errno, which a child that has just been forked pays for, stays.
static inline long mpx_fstat_raw(int fd, struct stat *st)
{
#if defined(__x86_64__) || defined(__aarch64__)
    return mpx_sys_raw(SYS_fstat, fd, (long)st, 0, 0, 0, 0);
#else
    return mpx_fstat(fd, st);
#endif
}

static inline int mpx_access(const char *path, int mode)
{
    return (int)mpx_sys(SYS_faccessat, AT_FDCWD, (long)path, mode, 0, 0, 0);
}

static inline int mpx_chmod(const char *path, unsigned mode)
{
    return (int)mpx_sys(SYS_fchmodat, AT_FDCWD, (long)path, mode, 0, 0, 0);
}

static inline int mpx_unlink(const char *path)
{
    return (int)mpx_sys(SYS_unlinkat, AT_FDCWD, (long)path, 0, 0, 0, 0);
}

static inline int mpx_symlink(const char *target, const char *path)
{
    return (int)mpx_sys(SYS_symlinkat, (long)target, AT_FDCWD, (long)path, 0, 0, 0);
}

static inline ssize_t mpx_readlink(const char *path, char *to, size_t size)
{
    return mpx_sys(SYS_readlinkat, AT_FDCWD, (long)path, (long)to, (long)size, 0, 0);
}

static inline int mpx_truncate(const char *path, uint64_t size)
{
    return (int)mpx_sys(SYS_truncate, (long)path, (long)size, 0, 0, 0, 0);
}

static inline int mpx_ftruncate(int fd, uint64_t size)
{
    return (int)mpx_sys(SYS_ftruncate, fd, (long)size, 0, 0, 0, 0);
}

static inline void *mpx_mmap(void *at, size_t length, int prot, int flags, int fd,
                             off_t offset)
{
    return (void *)mpx_sys(SYS_mmap, (long)at, (long)length, prot, flags, fd, offset);
}

static inline int mpx_munmap(void *at, size_t length)
{
    return (int)mpx_sys(SYS_munmap, (long)at, (long)length, 0, 0, 0, 0);
}

// Move what is mapped at `from` to `to`. With `moved` 0 and a shared mapping it stays, and is
// mapped once more at `to`, where it may go on past its end. On failure what was at `to` may be
// gone.
static inline void *mpx_mremap(void *from, size_t moved, size_t length, void *to)
{
    enum { MAY_MOVE = 1, FIXED = 2 }; // MREMAP_*
    return (void *)mpx_sys(SYS_mremap, (long)from, (long)moved, (long)length,
                           MAY_MOVE | FIXED, (long)to, 0);
}

static inline int mpx_munlock(void *at, size_t length)
{
    return (int)mpx_sys(SYS_munlock, (long)at, (long)length, 0, 0, 0, 0);
}

static inline int mpx_getrlimit(int resource, struct rlimit *limit)
{
    return (int)mpx_sys(SYS_prlimit64, 0, resource, 0, (long)limit, 0, 0);
}

static inline int mpx_getrusage(struct rusage *own)
{
    return (int)mpx_sys(SYS_getrusage, RUSAGE_SELF, (long)own, 0, 0, 0, 0);
}

static inline int mpx_getpid(void)
{
    return (int)mpx_sys_raw(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static inline int mpx_getppid(void)
{
    return (int)mpx_sys_raw(SYS_getppid, 0, 0, 0, 0, 0, 0);
}

static inline int mpx_gettid(void)
{
    return (int)mpx_sys_raw(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

static inline unsigned mpx_geteuid(void)
{
    return (unsigned)mpx_sys_raw(SYS_geteuid, 0, 0, 0, 0, 0, 0);
}

static inline int mpx_clock_gettime(clockid_t clock, struct timespec *t)
{
    return (int)mpx_sys(SYS_clock_gettime, clock, (long)t, 0, 0, 0, 0);
}

#endif
