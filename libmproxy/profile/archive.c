// Stored profiles: opening, reading, and the index that readers see.
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

void mpx_archive_mark_written(mproxy_archive *a, int lock)
{
    struct stat st;
    uint64_t generation = mpx_archive_generation(a) + 1;
    if (pwrite(lock, &generation, sizeof generation, 0) != sizeof generation)
        generation = UINT64_MAX; // unknown: scan before the next write
    a->generation = generation;
    a->seen = fstat(a->dir_fd, &st) == 0 ? mpx_stamp_of(&st) : (struct mpx_stamp){0};
}

static mproxy_status first_scan(mproxy_archive *a, mproxy_error *err)
{
    mproxy_status status = mpx_archive_open_dir(a, false, err);
    if (status == MPROXY_E_NOTFOUND)
        return MPROXY_OK;
    if (status != MPROXY_OK)
        return status;
    int lock = mpx_archive_lock(a, 0); // whoever holds it may be in the midst of a write
    if (lock >= 0)
        mpx_archive_sweep(a);
    status = mpx_archive_scan(a, true, lock >= 0, err);
    if (lock >= 0)
        close(lock);
    return status;
}

mproxy_status mproxy_archive_open(const char *dir, mproxy_log_fn log, void *log_arg,
                                  mproxy_archive **out, mproxy_error *err)
{
    mproxy_archive *a = calloc(1, sizeof *a);
    if (!a)
        return mpx_fail(err, MPROXY_E_NOMEM, "%s: no memory", dir);
    pthread_mutex_init(&a->lock, NULL);
    a->dir_fd = -1;
    a->logger = (struct mpx_logger){log, log_arg};
    a->dir = strdup(dir);
    a->index = mpx_archive_index_new(NULL, 0);
    mproxy_status status = a->dir && a->index
                               ? first_scan(a, err)
                               : mpx_fail(err, MPROXY_E_NOMEM, "%s: no memory", dir);
    if (status != MPROXY_OK) {
        mproxy_archive_close(a);
        return status;
    }
    *out = a;
    return MPROXY_OK;
}

void mproxy_archive_close(mproxy_archive *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->damaged_count; i++)
        free(a->damaged[i].file);
    free(a->damaged);
    mpx_archive_index_unref(a->index);
    if (a->dir_fd >= 0)
        close(a->dir_fd);
    pthread_mutex_destroy(&a->lock);
    free(a->dir);
    free(a);
}

// The file that the index has under a key, open. A store may be renaming it just now.
static mproxy_status open_key(mproxy_archive *a, const char *key, int *fd,
                              mproxy_error *err)
{
    for (int tries = 0;; tries++) {
        struct mpx_archive_index *index = mpx_archive_take_index(a);
        const struct mpx_archive_entry *e = mpx_archive_index_find(index, key);
        if (e)
            *fd = openat(a->dir_fd, e->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        int saved = errno;
        mpx_archive_index_unref(index);
        if (!e)
            return mpx_fail(err, MPROXY_E_NOTFOUND, "profile '%s': not found", key);
        if (*fd >= 0)
            return MPROXY_OK;
        errno = saved;
        if (saved != ENOENT)
            return mpx_fail_errno(err, "profile '%s'", key);
        if (tries == 5)
            return mpx_fail(err, MPROXY_E_NOTFOUND, "profile '%s': its file is gone",
                            key);
        struct timespec pause = {.tv_nsec = 2000000};
        nanosleep(&pause, NULL);
    }
}

static mproxy_status read_open(int fd, const char *key, struct mpx_buf *out,
                               mproxy_error *err)
{
    ssize_t got = 1;
    while (got > 0) {
        if (out->size > MPX_PROFILE_BYTES_MAX)
            return mpx_fail(err, MPROXY_E_LIMIT, "profile '%s': too large", key);
        if (!mpx_buf_reserve(out, 65536))
            return mpx_fail(err, MPROXY_E_NOMEM, "profile '%s': no memory", key);
        got = read(fd, out->data + out->size, out->room - out->size);
        if (got < 0)
            return mpx_fail_errno(err, "profile '%s'", key);
        out->size += (size_t)got;
    }
    return MPROXY_OK;
}

mproxy_status mproxy_archive_load(mproxy_archive *a, const char *key,
                                  mproxy_profile **out, mproxy_error *err)
{
    int fd = -1;
    mproxy_status status = open_key(a, key, &fd, err);
    if (status != MPROXY_OK)
        return status;
    struct mpx_buf text = MPX_BUF_INIT;
    status = read_open(fd, key, &text, err);
    close(fd);
    if (status == MPROXY_OK)
        status = mproxy_profile_parse(text.data, text.size, out, err);
    mpx_buf_free(&text);
    return status;
}

mproxy_status mproxy_archive_refresh(mproxy_archive *a, mproxy_error *err)
{
    mproxy_status status = mpx_archive_open_dir(a, false, err);
    if (status == MPROXY_E_NOTFOUND)
        return MPROXY_OK;
    return status == MPROXY_OK ? mpx_archive_scan(a, false, false, err) : status;
}

size_t mproxy_archive_size(mproxy_archive *a)
{
    pthread_mutex_lock(&a->lock);
    size_t size = a->index->count;
    pthread_mutex_unlock(&a->lock);
    return size;
}

void mproxy_archive_each(mproxy_archive *a,
                         void (*visit)(void *arg, const mproxy_archive_item *item),
                         void *arg)
{
    struct mpx_archive_index *index = mpx_archive_take_index(a);
    for (size_t i = 0; i < index->count; i++)
        visit(arg, &index->entries[i]->item);
    mpx_archive_index_unref(index);
}
