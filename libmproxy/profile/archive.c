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
    MPX_REQUIRE(dir && out, err);
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
    for (size_t i = 0; i < a->unread_count; i++)
        free(a->unread[i].file);
    free(a->unread);
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
    MPX_REQUIRE(a && key && out, err);
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
    MPX_REQUIRE(a, err);
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
