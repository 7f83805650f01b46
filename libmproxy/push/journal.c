// The journal's files.
//
// An append is one pwrite() behind what is there, into the page cache: it outlives the proxy,
// not the machine. The directory is in memory as a rule (/run, /dev/shm), so a disk is not
// waited for, and nothing would outlive the machine anyway.
//
// A write that fails, most often because memory is full, is cut off again. One that was torn by
// a kill lies at the end of a file that nobody appends to any more, since each start begins
// its own; it was never answered. Everything else that is not whole is damage: told, and the
// file is kept for whoever wants to look.
//
// Which files there are is read from the directory. Names that are not `push-NUMBER` are
// somebody else's.

#include "push/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/file.h"

enum {
    NAME_ROOM = 64,
    LONG_FROM = 256 << 10, // bytes that are never worth a new file
    LONG_BY = 2            // times what all groups would take
};

struct older {
    uint64_t generation;
    size_t bytes;
    bool is_damaged; // kept aside once all groups are in the newest file
};

struct mpx_push_journal {
    const struct mpx_logger *logger;
    int dir_fd, fd; // fd -1: there was no room for a file
    uint64_t generation;
    size_t size;
    struct older *older; // rising
    size_t older_count, older_room;
};

static void name_of(uint64_t generation, char out[NAME_ROOM])
{
    snprintf(out, NAME_ROOM, "push-%" PRIu64, generation);
}

// ---- files

static mproxy_status write_at(int fd, const char *bytes, size_t length, size_t at,
                              mproxy_error *err)
{
    for (size_t done = 0; done < length;) {
        ssize_t put = pwrite(fd, bytes + done, length - done, (off_t)(at + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put > 0) {
            done += (size_t)put;
            continue;
        }
        int why = put < 0 ? errno : ENOSPC;
        (void)!ftruncate(fd, (off_t)at);
        errno = why;
        return mpx_fail_errno(err, "file of pushed groups");
    }
    return MPROXY_OK;
}

static mproxy_status begin_file(int dir_fd, uint64_t generation, int *fd, size_t *size,
                                mproxy_error *err)
{
    char name[NAME_ROOM];
    struct mpx_buf head = MPX_BUF_INIT;
    const struct mpx_push_record record = {
        .kind = MPX_PUSH_HEAD, .version = MPX_PUSH_VERSION, .generation = generation};
    name_of(generation, name);
    mpx_push_record_put(&head, &record);
    if (head.failed)
        return mpx_fail(err, MPROXY_E_NOMEM, "%s: no memory", name);
    int made =
        openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    mproxy_status status = made < 0 ? mpx_fail_errno(err, "%s", name)
                                    : write_at(made, head.data, head.size, 0, err);
    if (status == MPROXY_OK) {
        *fd = made;
        *size = head.size;
    } else if (made >= 0) {
        unlinkat(dir_fd, name, 0);
        close(made);
    }
    mpx_buf_free(&head);
    return status;
}

// ---- reading

struct reading {
    const struct mpx_push_journal_options *o;
    struct mpx_push_reader reader;
    uint64_t generation;
    size_t taken;     // records
    size_t damage_at; // byte of the first damage
    bool has_damage, is_newer;
};

static void note_damage(struct reading *r, size_t at)
{
    if (!r->has_damage)
        r->damage_at = at;
    r->has_damage = true;
}

static mproxy_status take_frame(struct reading *r, const char *payload, size_t length,
                                size_t at)
{
    struct mpx_push_record record;
    mproxy_status status = mpx_push_record_get(&r->reader, payload, length, &record);
    bool is_first = r->taken == 0;
    if (status == MPROXY_OK && (record.kind == MPX_PUSH_HEAD) != is_first)
        status = MPROXY_E_CORRUPT;
    if (status == MPROXY_OK && is_first && record.version > MPX_PUSH_VERSION)
        r->is_newer = true;
    if (status == MPROXY_OK && !r->is_newer)
        status = r->o->take(r->o->arg, &record, is_first);
    if (status == MPROXY_E_CORRUPT)
        note_damage(r, at);
    r->taken++;
    return status == MPROXY_E_CORRUPT ? MPROXY_OK : status;
}

static mproxy_status take_frames(struct reading *r, const struct mpx_buf *bytes)
{
    mproxy_status status = MPROXY_OK;
    for (size_t at = 0; status == MPROXY_OK && !r->is_newer;) {
        const char *payload;
        size_t length, begin = at;
        enum mpx_push_frame frame =
            mpx_push_frame_next(bytes->data, bytes->size, &at, &payload, &length);
        if (frame == MPX_PUSH_FRAME_END)
            return MPROXY_OK;
        if (frame == MPX_PUSH_FRAME_OK) {
            status = take_frame(r, payload, length, begin);
            continue;
        }
        bool goes_on = mpx_push_frame_find(bytes->data, bytes->size, &at);
        if (goes_on || frame == MPX_PUSH_FRAME_DAMAGED)
            note_damage(r, begin);
        if (!goes_on)
            return MPROXY_OK;
    }
    return status;
}

static bool put_aside(int dir_fd, uint64_t generation)
{
    char name[NAME_ROOM], aside[NAME_ROOM + 16];
    name_of(generation, name);
    snprintf(aside, sizeof aside, "%s.damaged", name);
    return renameat(dir_fd, name, dir_fd, aside) == 0;
}

static void set_aside(const struct mpx_push_journal *j, uint64_t generation)
{
    bool is_aside = put_aside(j->dir_fd, generation);
    mpx_say(j->logger, MPROXY_LOG_WARNING,
            "pushed groups: push-%" PRIu64 " was written by a newer version, or is no "
            "file, and is not read; it is kept as state/push-%" PRIu64 "%s",
            generation, generation, is_aside ? ".damaged" : "");
}

// What was read of it is nowhere else yet: it stays where the next proxy finds it.
static void tell_damage(const struct mpx_push_journal *j, const struct reading *r)
{
    mpx_say(j->logger, MPROXY_LOG_WARNING,
            "pushed groups: push-%" PRIu64 " is damaged from byte %zu on: what is whole "
            "in it was read, and it is kept as state/push-%" PRIu64 ".damaged",
            r->generation, r->damage_at, r->generation);
}

static mproxy_status read_file(struct mpx_push_journal *j,
                               const struct mpx_push_journal_options *o,
                               uint64_t generation, mproxy_error *err)
{
    char name[NAME_ROOM];
    struct mpx_buf bytes = MPX_BUF_INIT;
    struct reading r = {.o = o, .generation = generation};
    name_of(generation, name);
    mproxy_status status = mpx_file_read(j->dir_fd, name, SIZE_MAX / 4, &bytes, err);
    // A link or a pipe, which nobody of us makes.
    bool is_file =
        status != MPROXY_E_INVALID && (status != MPROXY_E_SYSTEM || errno != ELOOP);
    if (!is_file)
        status = MPROXY_OK;
    else if (status == MPROXY_OK && (status = take_frames(&r, &bytes)) != MPROXY_OK)
        mpx_fail(err, status, "%s: no memory for what is in it", name);
    if (status == MPROXY_OK && (!is_file || r.is_newer)) {
        set_aside(j, generation);
    } else if (status == MPROXY_OK) {
        if (r.has_damage)
            tell_damage(j, &r);
        j->older[j->older_count++] = (struct older){generation, bytes.size, r.has_damage};
    }
    mpx_push_reader_fini(&r.reader);
    mpx_buf_free(&bytes);
    return status;
}

static bool generation_of(const char *name, uint64_t *out)
{
    char again[NAME_ROOM];
    if (strncmp(name, "push-", 5) != 0)
        return false;
    *out = strtoull(name + 5, NULL, 10);
    name_of(*out, again);
    return strcmp(name, again) == 0 && *out < UINT64_MAX / 2;
}

static int compare_generations(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static mproxy_status list_files(int dir_fd, uint64_t **out, size_t *count,
                                mproxy_error *err)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    size_t room = 0;
    uint64_t generation;
    if (!dir) {
        mproxy_status status = mpx_fail_errno(err, "directory of the state");
        if (fd >= 0)
            close(fd);
        return status;
    }
    bool ok = true;
    for (const struct dirent *e; ok && (e = readdir(dir)) != NULL;)
        if (generation_of(e->d_name, &generation)) {
            ok = MPX_RESERVE(*out, room, *count + 1);
            if (ok)
                (*out)[(*count)++] = generation;
        }
    closedir(dir);
    if (*count > 1)
        qsort(*out, *count, sizeof **out, compare_generations);
    return ok ? MPROXY_OK : mpx_fail(err, MPROXY_E_NOMEM, "no memory for a list");
}

static mproxy_status read_all(struct mpx_push_journal *j,
                              const struct mpx_push_journal_options *o, mproxy_error *err)
{
    uint64_t *found = NULL;
    size_t count = 0;
    mproxy_status status = list_files(j->dir_fd, &found, &count, err);
    if (status == MPROXY_OK && !MPX_RESERVE(j->older, j->older_room, count + 1))
        status = mpx_fail(err, MPROXY_E_NOMEM, "no memory for a list");
    for (size_t i = 0; i < count && status == MPROXY_OK; i++)
        status = read_file(j, o, found[i], err);
    j->generation = count > 0 ? found[count - 1] : 0;
    free(found);
    return status;
}

mproxy_status mpx_push_journal_open(const struct mpx_push_journal_options *options,
                                    struct mpx_push_journal **out, mproxy_error *err)
{
    struct mpx_push_journal *j = calloc(1, sizeof *j);
    mproxy_error why;
    if (!j)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for pushed groups");
    j->logger = options->logger;
    j->fd = -1;
    j->dir_fd = fcntl(options->dir_fd, F_DUPFD_CLOEXEC, 3);
    mproxy_status status = j->dir_fd >= 0 ? read_all(j, options, err)
                                          : mpx_fail_errno(err, "directory of the state");
    if (status != MPROXY_OK) {
        mpx_push_journal_close(j);
        return status;
    }
    j->generation++;
    if (begin_file(j->dir_fd, j->generation, &j->fd, &j->size, &why) != MPROXY_OK)
        mpx_say(j->logger, MPROXY_LOG_WARNING, "nothing can be pushed for now: %s",
                why.text);
    *out = j;
    return MPROXY_OK;
}

void mpx_push_journal_close(struct mpx_push_journal *j)
{
    if (!j)
        return;
    if (j->fd >= 0)
        close(j->fd);
    if (j->dir_fd >= 0)
        close(j->dir_fd);
    free(j->older);
    free(j);
}

// ---- writing

uint64_t mpx_push_journal_generation(const struct mpx_push_journal *j)
{
    return j->generation;
}

size_t mpx_push_journal_bytes(const struct mpx_push_journal *j)
{
    size_t bytes = j->size;
    for (size_t i = 0; i < j->older_count; i++)
        bytes += j->older[i].bytes;
    return bytes;
}

mproxy_status mpx_push_journal_append(struct mpx_push_journal *j,
                                      const struct mpx_buf *frames, mproxy_error *err)
{
    mproxy_status status = MPROXY_OK;
    if (frames->failed)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory to write a group down");
    if (j->fd < 0)
        status = begin_file(j->dir_fd, j->generation, &j->fd, &j->size, err);
    if (status != MPROXY_OK)
        return status;
    MPX_CRASH_POINT("push.write");
    status = write_at(j->fd, frames->data, frames->size, j->size, err);
    if (status == MPROXY_OK)
        j->size += frames->size;
    MPX_CRASH_POINT("push.written");
    return status;
}

size_t mpx_push_journal_most(size_t live)
{
    size_t times = LONG_BY + 2; // the copy, and what is pushed meanwhile
    return live < (SIZE_MAX - LONG_FROM) / times ? LONG_FROM + times * live : SIZE_MAX;
}

bool mpx_push_journal_is_long(const struct mpx_push_journal *j, size_t live)
{
    return j->fd >= 0 && j->older_count == 0 && j->size > LONG_FROM + LONG_BY * live;
}

mproxy_status mpx_push_journal_turn(struct mpx_push_journal *j, mproxy_error *err)
{
    int fd;
    size_t size;
    if (!MPX_RESERVE(j->older, j->older_room, j->older_count + 1))
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for a file");
    mproxy_status status = begin_file(j->dir_fd, j->generation + 1, &fd, &size, err);
    if (status != MPROXY_OK)
        return status;
    if (j->fd >= 0) {
        close(j->fd);
        j->older[j->older_count++] = (struct older){j->generation, j->size, false};
    }
    j->fd = fd;
    j->size = size;
    j->generation++;
    MPX_CRASH_POINT("push.turned");
    return MPROXY_OK;
}

void mpx_push_journal_settle(struct mpx_push_journal *j)
{
    char name[NAME_ROOM];
    for (size_t i = 0; i < j->older_count; i++) {
        MPX_CRASH_POINT("push.settle");
        name_of(j->older[i].generation, name);
        if (!j->older[i].is_damaged || !put_aside(j->dir_fd, j->older[i].generation))
            unlinkat(j->dir_fd, name, 0);
    }
    j->older_count = 0;
}

bool mpx_push_journal_has_older(const struct mpx_push_journal *j)
{
    return j->older_count > 0;
}

bool mpx_push_journal_is_there(const struct mpx_push_journal *j)
{
    char name[NAME_ROOM];
    struct stat path, open;
    name_of(j->generation, name);
    return j->fd < 0 || (fstat(j->fd, &open) == 0 && open.st_nlink > 0 &&
                         fstatat(j->dir_fd, name, &path, AT_SYMLINK_NOFOLLOW) == 0 &&
                         path.st_ino == open.st_ino && path.st_dev == open.st_dev);
}

mproxy_status mpx_push_journal_move(struct mpx_push_journal *j, int dir_fd,
                                    mproxy_error *err)
{
    int fd, own = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
    size_t size;
    if (own < 0)
        return mpx_fail_errno(err, "directory of the state");
    mproxy_status status = begin_file(own, j->generation + 1, &fd, &size, err);
    if (status != MPROXY_OK) {
        close(own);
        return status;
    }
    if (j->fd >= 0)
        close(j->fd);
    close(j->dir_fd);
    j->dir_fd = own;
    j->fd = fd;
    j->size = size;
    j->generation++;
    j->older_count = 0; // what it told is to be written again
    return MPROXY_OK;
}
