// What all else of the archive stands on: its directory, open and locked, and the index that
// readers see.
#include "profile/archive_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"

struct mpx_archive_index *mpx_archive_take_index(mproxy_archive *a)
{
    pthread_mutex_lock(&a->lock);
    struct mpx_archive_index *index = mpx_archive_index_ref(a->index);
    pthread_mutex_unlock(&a->lock);
    return index;
}

void mpx_archive_replace(mproxy_archive *a, struct mpx_archive_index *index)
{
    pthread_mutex_lock(&a->lock);
    struct mpx_archive_index *old = a->index;
    a->index = index;
    pthread_mutex_unlock(&a->lock);
    mpx_archive_index_unref(old);
}

// Make a directory and those above it. An error shows when it is opened.
static void make_path(const char *dir)
{
    char *path = strdup(dir);
    if (!path)
        return;
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    mkdir(path, 0700);
    free(path);
}

static bool is_same_dir(int fd, const char *dir)
{
    struct stat now, ours;
    return stat(dir, &now) == 0 && fstat(fd, &ours) == 0 && now.st_ino == ours.st_ino &&
           now.st_dev == ours.st_dev;
}

mproxy_status mpx_archive_open_dir(mproxy_archive *a, bool make, mproxy_error *err)
{
    if (a->dir_fd >= 0 && is_same_dir(a->dir_fd, a->dir))
        return MPROXY_OK;
    int fd = open(a->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && make) {
        make_path(a->dir);
        fd = open(a->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0) {
        int saved = errno;
        mpx_fail_errno(err, "%s", a->dir);
        return saved == ENOENT && !make ? MPROXY_E_NOTFOUND : MPROXY_E_SYSTEM;
    }
    // Readers may be using the number just now: it stays, and means the new directory.
    if (a->dir_fd < 0) {
        a->dir_fd = fd;
    } else {
        dup3(fd, a->dir_fd, O_CLOEXEC);
        close(fd);
    }
    a->seen = (struct mpx_stamp){0};
    return MPROXY_OK;
}

int mpx_archive_lock(mproxy_archive *a, int wait_ms)
{
    int fd = openat(a->dir_fd, MPX_ARCHIVE_LOCK,
                    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fd < 0)
        return -1;
    while (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        bool is_held = errno == EAGAIN || errno == EACCES;
        if (errno != EINTR && (!is_held || wait_ms <= 0)) {
            int saved = is_held ? EAGAIN : errno;
            close(fd);
            errno = saved;
            return -1;
        }
        struct timespec pause = {.tv_nsec = 20000000};
        nanosleep(&pause, NULL);
        wait_ms -= 20;
    }
    return fd;
}

uint64_t mpx_archive_generation(const mproxy_archive *a)
{
    uint64_t generation = 0;
    int fd = openat(a->dir_fd, MPX_ARCHIVE_LOCK, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return 0;
    if (pread(fd, &generation, sizeof generation, 0) != sizeof generation)
        generation = 0;
    close(fd);
    return generation;
}
