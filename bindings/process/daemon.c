// daemon(): the C library's own ends the parent by a call of its own that nobody can stand in
// for. Done here as there: a child in a session of its own, and the parent ends. Files go by
// syscall(), lest other wrappers count them as the program's.
#include <mproxy/base.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// By a system call: stat() has other names in older C libraries. Older kernels can't say.
static int is_null(int fd)
{
    struct statx st;
    if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) != 0)
        return errno == ENOSYS;
    return S_ISCHR(st.stx_mode) && st.stx_rdev_major == 1 && st.stx_rdev_minor == 3;
}

static int open_null(void)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR);
    if (fd < 0 || is_null(fd))
        return fd;
    syscall(SYS_close, fd);
    errno = ENODEV;
    return -1;
}

MPROXY_API int daemon(int stays_in_directory, int keeps_streams)
{
    pid_t pid = fork();
    if (pid > 0)
        _exit(0);
    if (pid < 0 || setsid() < 0)
        return -1;
    int moved = stays_in_directory ? 0 : chdir("/");
    (void)moved; // as in the C library
    if (keeps_streams)
        return 0;
    int fd = open_null();
    if (fd < 0)
        return -1;
    for (int stream = 0; stream <= 2; stream++)
        syscall(SYS_dup3, fd, stream, 0);
    if (fd > 2)
        syscall(SYS_close, fd);
    return 0;
}
