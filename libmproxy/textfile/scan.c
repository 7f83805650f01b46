// Files are known by device, inode, size and times. One whose times are younger than the
// clock's tick could be written once more without a trace, so it is read again next time.

#include "textfile/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/err.h"

#define SUFFIX ".prom"

enum { YOUNG_NS = 1000000000, FILES_MAX = 10000 };

struct mpx_scan *mpx_scan_new(const char *path, size_t max_bytes)
{
    struct mpx_scan *scan = calloc(1, sizeof *scan);
    if (!scan || !(scan->path = strdup(path))) {
        free(scan);
        return NULL;
    }
    scan->max_bytes = max_bytes;
    return scan;
}

bool mpx_scan_know(struct mpx_scan *scan, size_t room, const char *name,
                   const struct mpx_file_id *id)
{
    if (!scan->known && !(scan->known = calloc(room, sizeof *scan->known)))
        return false;
    char *copy = strdup(name);
    if (!copy)
        return false;
    scan->known[scan->known_count++] = (struct mpx_seen){.name = copy, .id = *id};
    return true;
}

static void free_list(struct mpx_seen *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(list[i].name);
        mpx_buf_free(&list[i].text);
    }
    free(list);
}

void mpx_scan_free(struct mpx_scan *scan)
{
    if (!scan)
        return;
    free_list(scan->known, scan->known_count);
    free_list(scan->seen, scan->count);
    free(scan->path);
    free(scan);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct mpx_seen *)a)->name, ((const struct mpx_seen *)b)->name);
}

static bool is_known(const struct mpx_scan *scan, const struct mpx_seen *file)
{
    if (scan->known_count == 0)
        return false;
    const struct mpx_seen *known =
        bsearch(file, scan->known, scan->known_count, sizeof *scan->known, compare_names);
    return known && memcmp(&known->id, &file->id, sizeof file->id) == 0;
}

static int64_t ns_of(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void identify(struct mpx_seen *file, const struct stat *st)
{
    file->id = (struct mpx_file_id){.device = st->st_dev,
                                    .inode = st->st_ino,
                                    .size = (uint64_t)st->st_size,
                                    .mtime_ns = ns_of(st->st_mtim),
                                    .ctime_ns = ns_of(st->st_ctim)};
    file->is_young = mpx_clock_ns(CLOCK_REALTIME) - file->id.ctime_ns < YOUNG_NS;
}

static mproxy_status read_open(const struct mpx_scan *scan, struct mpx_seen *file, int fd)
{
    struct stat st;
    ssize_t got = 1;
    if (fstat(fd, &st) != 0)
        return mpx_fail_errno(&file->why, "it can't be read");
    if (!S_ISREG(st.st_mode))
        return mpx_fail(&file->why, MPROXY_E_INVALID, "it is no regular file");
    identify(file, &st);
    while (got > 0 && file->text.size <= scan->max_bytes) {
        if (!mpx_buf_reserve(&file->text, 65536))
            return mpx_fail(&file->why, MPROXY_E_NOMEM, "no memory to read it");
        got = read(fd, file->text.data + file->text.size, 65536);
        if (got < 0 && errno != EINTR)
            return mpx_fail_errno(&file->why, "it can't be read");
        file->text.size += got > 0 ? (size_t)got : 0;
        got = got < 0 ? 1 : got;
    }
    if (file->text.size > scan->max_bytes)
        return mpx_fail(&file->why, MPROXY_E_LIMIT, "it has more than %zu bytes",
                        scan->max_bytes);
    file->is_fresh = true;
    return MPROXY_OK;
}

static void look_at(const struct mpx_scan *scan, int dir_fd, struct mpx_seen *file)
{
    struct stat st;
    if (fstatat(dir_fd, file->name, &st, 0) == 0) {
        identify(file, &st);
        if (is_known(scan, file))
            return;
    }
    int fd = openat(dir_fd, file->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        mpx_fail_errno(&file->why, "it can't be read");
        return;
    }
    read_open(scan, file, fd);
    close(fd);
}

static bool is_ours(const char *name)
{
    size_t length = strlen(name), suffix = strlen(SUFFIX);
    return length >= suffix && strcmp(name + length - suffix, SUFFIX) == 0;
}

static mproxy_status list(struct mpx_scan *scan, DIR *dir)
{
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (!is_ours(e->d_name))
            continue;
        if (scan->count == FILES_MAX)
            return mpx_fail(&scan->why, MPROXY_E_LIMIT, "there are more than %d files",
                            FILES_MAX);
        char *name = MPX_RESERVE(scan->seen, scan->room, scan->count + 1)
                         ? strdup(e->d_name)
                         : NULL;
        if (!name)
            return mpx_fail(&scan->why, MPROXY_E_NOMEM, "no memory to list it");
        scan->seen[scan->count++] = (struct mpx_seen){.name = name};
    }
    return MPROXY_OK;
}

void mpx_scan_run(void *arg)
{
    struct mpx_scan *scan = arg;
    DIR *dir = opendir(scan->path);
    if (!dir) {
        mpx_fail_errno(&scan->why, "it can't be read");
        return;
    }
    if (list(scan, dir) == MPROXY_OK) {
        if (scan->count > 1)
            qsort(scan->seen, scan->count, sizeof *scan->seen, compare_names);
        for (size_t i = 0; i < scan->count; i++)
            look_at(scan, dirfd(dir), &scan->seen[i]);
    }
    closedir(dir);
}
