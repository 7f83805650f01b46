// Readers of segments: opening one, and what all of a directory share.
//
// A segment is written by a program that may be anybody's, while we read. So its file is
// opened without following links and without waiting for a FIFO or a terminal, and only
// if it has one name. What identifies the process is copied from the header once and
// never read again.
//
// A header may claim any user, and is not asked: the owner of the file is the user. Only
// root's proxy, in root's directory, may say for whom it wrote a segment.
//
// Mappings are kept, so that a segment goes on counting when its file is removed; they
// count for the file's owner, who has a budget of bytes. Descriptors are kept as far as
// they go, since the lock is asked for by them; a reader without one opens its file
// again when it is needed, and checks that it is the same.
//
// All reading of mapped bytes happens between mpx_guard_enter() and mpx_guard_leave(): a
// file that was cut under us is a bus error, which the guard turns into zeros and a
// flag.

#include "reader/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "reader/guard.h"
#include "reader/private.h"
#include "reader/rows.h"
#include "reader/table.h"

enum { DESCRIPTORS_FOR_OTHERS = 256 };

static uint32_t default_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > UINT32_MAX)
        return UINT32_MAX;
    return limit.rlim_cur > 2 * DESCRIPTORS_FOR_OTHERS
               ? (uint32_t)limit.rlim_cur - DESCRIPTORS_FOR_OTHERS
               : (uint32_t)limit.rlim_cur / 2;
}

mproxy_status mpx_readers_open(const struct mpx_readers_options *o,
                               struct mpx_readers **out, mproxy_error *err)
{
    struct mpx_readers *rs = calloc(1, sizeof *rs);
    if (!rs)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the segments");
    rs->max_bytes = o->max_bytes_per_uid ? o->max_bytes_per_uid : UINT64_C(256) << 20;
    rs->max_descriptors = o->max_descriptors ? o->max_descriptors : default_descriptors();
    rs->dir_fd = -1;
    rs->tables = mpx_def_tables_new(o->free_user);
    rs->sum = calloc(MPX_SEG_SLOTS_MAX, sizeof *rs->sum);
    rs->columns = calloc(MPX_SEG_SLOTS_MAX, sizeof *rs->columns);
    mproxy_status status = MPROXY_E_NOMEM;
    if (rs->tables && rs->sum && rs->columns)
        status = mpx_guard_install(err);
    else
        mpx_fail(err, status, "no memory for the segments");
    rs->guarded = status == MPROXY_OK;
    if (status != MPROXY_OK)
        mpx_readers_close(rs);
    else
        *out = rs;
    return status;
}

void mpx_readers_close(struct mpx_readers *rs)
{
    if (!rs)
        return;
    if (rs->guarded)
        mpx_guard_remove();
    mpx_def_tables_free(rs->tables);
    mpx_buf_free(&rs->metrics);
    free(rs->owners);
    free(rs->sum);
    free(rs->columns);
    free(rs);
}

uint64_t mpx_readers_bytes(const struct mpx_readers *rs)
{
    return rs->bytes;
}

void mpx_readers_begin(struct mpx_readers *rs)
{
    rs->spare_used = 0;
}

void mpx_readers_set_directory(struct mpx_readers *rs, int dir_fd)
{
    rs->dir_fd = dir_fd;
}

static mproxy_status fail_unborn(const struct mpx_reader *r, mproxy_error *err)
{
    return mpx_fail(err, MPROXY_E_OFF, "segment '%s': is being born", r->name);
}

static mproxy_status check_file(const struct mpx_reader *r, const struct stat *st,
                                mproxy_error *err)
{
    if (!S_ISREG(st->st_mode))
        return mpx_fail(err, MPROXY_E_CORRUPT, "segment '%s': not a regular file",
                        r->name);
    if (st->st_nlink == 0)
        return mpx_fail(err, MPROXY_E_NOTFOUND, "segment '%s': gone", r->name);
    if (st->st_nlink != 1)
        return mpx_fail(err, MPROXY_E_CORRUPT, "segment '%s': has %lu names", r->name,
                        (unsigned long)st->st_nlink);
    if (st->st_size == 0)
        return fail_unborn(r, err);
    mproxy_error why;
    if (mpx_reader_check_size((uint64_t)st->st_size, &why) != MPROXY_OK)
        return mpx_reader_fail(r, &why, err);
    return MPROXY_OK;
}

// The user whose process it is: the file's owner, whatever the process says, which in a user
// namespace sees numbers of that namespace. Only what root wrote for others, a client of the
// socket or who raises counters of a job, in root's own directory, says whose it is.
static uint32_t user_of(const struct mpx_reader *r, int dir_fd)
{
    struct stat dir;
    bool is_for_others =
        r->header.kind == MPX_SEG_GATEWAY || r->header.kind == MPX_SEG_PASSIVE;
    bool is_told =
        is_for_others && r->owner == 0 && fstat(dir_fd, &dir) == 0 && dir.st_uid == 0;
    return is_told ? r->header.uid : r->owner;
}

static mproxy_status check_header(const struct mpx_reader *r, mproxy_error *err)
{
    const struct mpx_seg_header *h = &r->header;
    if (h->magic == 0)
        return fail_unborn(r, err);
    if (h->magic != MPX_SEG_MAGIC)
        return mpx_fail(err, MPROXY_E_CORRUPT, "segment '%s': not a segment", r->name);
    if (h->version != MPX_SEG_VERSION)
        return mpx_fail(err, MPROXY_E_VERSION, "segment '%s': version %u, known is %u",
                        r->name, h->version, MPX_SEG_VERSION);
    if (!mpx_seg_page_is_known(h->page_size) || h->page_size > r->map_size ||
        h->kind > MPX_SEG_PASSIVE)
        return mpx_fail(err, MPROXY_E_CORRUPT, "segment '%s': page size %u, kind %u",
                        r->name, h->page_size, h->kind);
    return MPROXY_OK;
}

static mproxy_status open_file(struct mpx_reader *r, int dir_fd, mproxy_error *err)
{
    r->fd = openat(dir_fd, r->name,
                   O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (r->fd >= 0) {
        r->rs->descriptors++;
        return MPROXY_OK;
    }
    switch (errno) {
    case ENOENT:
        return mpx_fail(err, MPROXY_E_NOTFOUND, "segment '%s': gone", r->name);
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return mpx_fail_errno(err, "segment '%s'", r->name);
    case ELOOP:
        return mpx_fail(err, MPROXY_E_CORRUPT, "segment '%s': a symbolic link", r->name);
    default:
        mpx_fail_errno(err, "segment '%s'", r->name);
        if (err)
            err->status = MPROXY_E_CORRUPT;
        return MPROXY_E_CORRUPT;
    }
}

static mproxy_status read_first(struct mpx_reader *r, int dir_fd, mproxy_error *err)
{
    bool changed;
    mproxy_error why = {0};
    mpx_guard_enter(r->map, r->map_size);
    const struct mpx_seg_header *live = (const void *)r->map;
    // Written last by a birth: what is read after it is whole.
    uint64_t magic = __atomic_load_n(&live->magic, __ATOMIC_ACQUIRE);
    memcpy(&r->header, r->map, sizeof r->header);
    r->header.magic = magic;
    uint32_t count = __atomic_load_n(&live->log_count, __ATOMIC_ACQUIRE);
    bool gone = mpx_guard_hit();
    mproxy_status status = gone ? MPROXY_OK : check_header(r, err);
    r->user = user_of(r, dir_fd);
    r->log.page_size = r->header.page_size;
    // The file may have grown since it was mapped, and its log speak of that.
    if (!gone && status == MPROXY_OK)
        status = mpx_reader_follow_size(r, err);
    if (!gone && status == MPROXY_OK &&
        mpx_reader_read_log(r, count, &changed, &why) != MPROXY_OK)
        status = mpx_reader_fail(r, &why, err);
    gone = mpx_guard_leave();
    if (gone)
        return mpx_fail(err, MPROXY_E_CORRUPT, "segment '%s': lost its first page",
                        r->name);
    if (status == MPROXY_OK && !r->log.has_job)
        return mpx_fail(err, MPROXY_E_CORRUPT, "segment '%s': says nothing of its job",
                        r->name);
    return status;
}

// Nothing of it has been read yet, so what is read now is final if its lock is free.
static mproxy_status map_first(struct mpx_reader *r, mproxy_error *err)
{
    mproxy_status status = mpx_reader_map(r, r->fd, r->size, err);
    if (status == MPROXY_E_LIMIT && mpx_reader_is_final(r))
        status = mpx_reader_map(r, r->fd, r->size, err);
    return status;
}

mproxy_status mpx_reader_open(struct mpx_readers *rs, int dir_fd, const char *name,
                              struct mpx_reader **out, mproxy_error *err)
{
    struct mpx_reader *r = calloc(1, sizeof *r);
    if (!r)
        return mpx_fail(err, MPROXY_E_NOMEM, "segment '%s': no memory", name);
    r->rs = rs;
    r->fd = -1;
    rs->dir_fd = dir_fd;
    struct stat st;
    mproxy_status status = MPROXY_E_NOMEM;
    r->name = strdup(name);
    if (!r->name) {
        mpx_fail(err, status, "segment '%s': no memory", name);
        goto fail;
    }
    status = open_file(r, dir_fd, err);
    if (status != MPROXY_OK)
        goto fail;
    if (fstat(r->fd, &st) != 0) {
        status = mpx_fail_errno(err, "segment '%s'", name);
        goto fail;
    }
    r->device = st.st_dev;
    r->inode = st.st_ino;
    r->owner = st.st_uid;
    r->size = (uint64_t)st.st_size;
    status = check_file(r, &st, err);
    if (status == MPROXY_OK)
        status = map_first(r, err);
    if (status == MPROXY_OK)
        status = read_first(r, dir_fd, err);
    if (status != MPROXY_OK)
        goto fail;
    if (rs->descriptors > rs->max_descriptors)
        mpx_reader_drop_descriptor(r);
    *out = r;
    return MPROXY_OK;

fail:
    mpx_reader_close(r);
    return status;
}

void mpx_reader_close(struct mpx_reader *r)
{
    if (!r)
        return;
    mpx_reader_drop_mapping(r);
    mpx_reader_drop_descriptor(r);
    mpx_def_table_unref(r->rs->tables, r->table);
    mpx_records_free(&r->log);
    free(r->sum);
    free(r->name);
    free(r);
}

const struct mpx_seg_header *mpx_reader_header(const struct mpx_reader *r)
{
    return &r->header;
}

const mproxy_job *mpx_reader_job(const struct mpx_reader *r)
{
    return &r->log.job;
}

const char *mpx_reader_name(const struct mpx_reader *r)
{
    return r->name;
}

uint32_t mpx_reader_owner(const struct mpx_reader *r)
{
    return r->owner;
}

uint32_t mpx_reader_user(const struct mpx_reader *r)
{
    return r->user;
}

uint64_t mpx_reader_inode(const struct mpx_reader *r)
{
    return r->inode;
}

struct mpx_def_table *mpx_reader_table(const struct mpx_reader *r)
{
    return r->table;
}

const double *mpx_reader_columns(const struct mpx_reader *r)
{
    const uint32_t *doubles;
    uint32_t count = mpx_def_table_doubles(r->table, &doubles);
    mpx_sum_to_doubles(r->sum, r->table->slot_end, doubles, count, r->rs->columns);
    return r->rs->columns;
}

const struct mpx_reader_state *mpx_reader_state(const struct mpx_reader *r)
{
    return &r->state;
}
