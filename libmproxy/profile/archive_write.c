// Storing and removing profiles.
//
// Keys are derived from what the files hold, names only follow them. So whatever a crash
// leaves between two renames is indexed rightly, and each step is one rename or unlink:
//   1. the new profile is written aside and synced
//   2. an older run that has the name of the newest gets a name of its own
//   3. the new profile is renamed into place, and the directory synced
//   4. what it replaces under other names is unlinked
//
// All that needs memory, the index after the store included, is made before the first rename:
// afterwards only the file system can fail, and a rename that fails is taken back.
//
// Other processes, also on other hosts, may use the directory. A write is made under a lock,
// and the directory is looked at once more inside it; a name that is free for all we know is
// taken by a rename that refuses to replace, because a lock is only kept by those who ask
// for it.
#include "profile/archive_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/file.h"

enum { LOCK_WAIT_MS = 2000, WITHOUT_REPLACING = 1 }; // the latter as RENAME_NOREPLACE

struct store {
    mproxy_archive *archive;
    const mproxy_profile *profile;
    size_t known_runs; // of the job, to whoever made the profile
    char aside[64];
    struct mpx_archive_body *body;
    struct mpx_archive_entry **replaced; // borrowed from the archive's index
    size_t replaced_count;
    struct mpx_archive_entry *occupant; // borrowed: an older run that makes place
    struct mpx_archive_entry *fresh;    // the profile
    struct mpx_archive_entry *moved;    // the occupant under its other name
    struct mpx_archive_index *index;    // after all that
};

static mproxy_status write_bytes(void *arg, const char *bytes, size_t length)
{
    return mpx_write_all(*(int *)arg, bytes, length) ? MPROXY_OK : MPROXY_E_SYSTEM;
}

static mproxy_status write_aside(struct store *s, struct mpx_stamp *stamp,
                                 mproxy_error *err)
{
    mproxy_archive *a = s->archive;
    snprintf(s->aside, sizeof s->aside, MPX_ARCHIVE_ASIDE "%d-%" PRIx64, (int)getpid(),
             (uint64_t)mpx_clock_ns(CLOCK_REALTIME));
    int fd = openat(a->dir_fd, s->aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return mpx_fail_errno(err, "%s", a->dir);
    errno = 0;
    mproxy_status status = mproxy_profile_render(s->profile, write_bytes, &fd);
    struct stat st = {0};
    if (status == MPROXY_OK && (fsync(fd) != 0 || fstat(fd, &st) != 0))
        status = MPROXY_E_SYSTEM;
    int saved = errno;
    // A network file system reports a full disk at close only.
    if (close(fd) != 0 && status == MPROXY_OK) {
        status = MPROXY_E_SYSTEM;
        saved = errno;
    }
    *stamp = mpx_stamp_of(&st);
    if (status == MPROXY_OK)
        return MPROXY_OK;
    unlinkat(a->dir_fd, s->aside, 0);
    errno = saved;
    if (status == MPROXY_E_SYSTEM)
        return mpx_fail_errno(err, "%s", a->dir);
    return mpx_fail(err, status, "%s: no memory", a->dir);
}

static bool is_replaced(const struct store *s, const struct mpx_archive_entry *entry)
{
    for (size_t i = 0; i < s->replaced_count; i++)
        if (s->replaced[i] == entry)
            return true;
    return false;
}

static bool find_replaced(struct store *s)
{
    const struct mpx_archive_index *index = s->archive->index;
    s->replaced = calloc(index->count + 1, sizeof *s->replaced);
    for (size_t i = 0; i < index->count && s->replaced; i++)
        if (mpx_archive_is_within(index->entries[i]->body, s->body))
            s->replaced[s->replaced_count++] = index->entries[i];
    return s->replaced != NULL;
}

static bool is_newest(const struct store *s)
{
    const struct mpx_archive_index *index = s->archive->index;
    for (size_t i = 0; i < index->count; i++) {
        const struct mpx_archive_entry *e = index->entries[i];
        if (!is_replaced(s, e) && e->body->last_start_ms > s->body->last_start_ms &&
            strcmp(e->body->desc.jobid, s->body->desc.jobid) == 0)
            return false;
    }
    return true;
}

static bool is_damaged(const mproxy_archive *a, const char *file)
{
    for (size_t i = 0; i < a->damaged_count; i++)
        if (strcmp(a->damaged[i].file, file) == 0)
            return true;
    return false;
}

static struct mpx_archive_entry *find_file(const mproxy_archive *a, const char *file)
{
    for (size_t i = 0; i < a->index->count; i++)
        if (strcmp(a->index->entries[i]->file, file) == 0)
            return a->index->entries[i];
    return NULL;
}

// A name for a run that nothing else has. For the profile, what it replaces does not count,
// nor, when it is the newest, an older run of the same id: that one makes place. That older
// run may not have a replaced name: what is replaced is unlinked by its name at the end.
static char *choose_file(struct store *s, const struct mpx_archive_body *body,
                         bool newest)
{
    for (unsigned copy = 1; copy < 10000; copy++) {
        struct mpx_buf name = MPX_BUF_INIT;
        mpx_archive_file_name(&name, body->desc.jobid);
        if (!newest)
            mpx_buf_addf(&name, "@%" PRId64, body->desc.start_time);
        if (copy > 1)
            mpx_buf_addf(&name, ".%u", copy);
        mpx_buf_add_text(&name, MPX_ARCHIVE_SUFFIX);
        char *file = mpx_buf_take(&name);
        if (!file) {
            mpx_buf_free(&name);
            return NULL;
        }
        struct mpx_archive_entry *other = find_file(s->archive, file);
        bool makes_place =
            newest && other && strcmp(other->body->desc.jobid, body->desc.jobid) == 0;
        bool replaces = other && body == s->body && is_replaced(s, other);
        if (!is_damaged(s->archive, file) && (!other || replaces || makes_place)) {
            if (other && !replaces)
                s->occupant = other;
            return file;
        }
        free(file);
    }
    return NULL;
}

static bool move_occupant(struct store *s)
{
    if (!s->occupant)
        return true;
    char *file = choose_file(s, s->occupant->body, false);
    if (file)
        s->moved = mpx_archive_entry_new(s->occupant->body, file, &s->occupant->stamp);
    free(file);
    return s->moved != NULL;
}

// All that may fail for want of memory, before anything on disk is touched.
static bool derive(struct store *s, const struct mpx_stamp *stamp)
{
    char *file = choose_file(s, s->body, is_newest(s));
    if (file)
        s->fresh = mpx_archive_entry_new(s->body, file, stamp);
    free(file);
    if (!s->fresh || !move_occupant(s))
        return false;
    struct mpx_archive_entry *with[] = {s->fresh, s->moved};
    if (s->occupant)
        s->replaced[s->replaced_count] = s->occupant; // there is room for all
    s->index = mpx_archive_derive(s->archive, s->replaced,
                                  s->replaced_count + (s->occupant != NULL), with,
                                  s->moved ? 2 : 1);
    return s->index != NULL;
}

// To a name that is free as far as the index knows. Network file systems, old kernels and
// sandboxes (EPERM) refuse to look and rename at once; the directory is locked.
static bool rename_to_free(int dir, const char *from, const char *to)
{
    if (syscall(SYS_renameat2, dir, from, dir, to, WITHOUT_REPLACING) == 0)
        return true;
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP && errno != EPERM)
        return false;
    struct stat st;
    if (fstatat(dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
        errno = EEXIST;
    return errno == ENOENT && renameat(dir, from, dir, to) == 0;
}

static mproxy_status fail_rename(const struct store *s, const char *to, mproxy_error *err)
{
    if (errno == EEXIST)
        return mpx_fail(err, MPROXY_E_BUSY, "%s/%s: another process has just written it",
                        s->archive->dir, to);
    return mpx_fail_errno(err, "%s/%s", s->archive->dir, to);
}

static bool rename_fresh(const struct store *s)
{
    int dir = s->archive->dir_fd;
    const char *file = s->fresh->file;
    for (size_t i = 0; i < s->replaced_count; i++)
        if (strcmp(s->replaced[i]->file, file) == 0)
            return renameat(dir, s->aside, dir, file) == 0;
    return rename_to_free(dir, s->aside, file);
}

static mproxy_status rename_all(struct store *s, mproxy_error *err)
{
    int dir = s->archive->dir_fd;
    MPX_CRASH_POINT("profile.written");
    if (s->moved && !rename_to_free(dir, s->occupant->file, s->moved->file))
        return fail_rename(s, s->moved->file, err);
    MPX_CRASH_POINT("profile.moved");
    if (!rename_fresh(s)) {
        mproxy_status status = fail_rename(s, s->fresh->file, err);
        if (s->moved)
            rename_to_free(dir, s->moved->file, s->occupant->file);
        return status;
    }
    MPX_CRASH_POINT("profile.renamed");
    // Some file systems can't sync a directory and say EINVAL.
    if (fsync(dir) != 0 && errno != EINVAL)
        return mpx_fail_errno(err, "%s", s->archive->dir);
    MPX_CRASH_POINT("profile.synced");
    return MPROXY_OK;
}

static void unlink_replaced(const struct store *s)
{
    int dir = s->archive->dir_fd;
    for (size_t i = 0; i < s->replaced_count; i++) {
        if (strcmp(s->replaced[i]->file, s->fresh->file) == 0)
            continue;
        unlinkat(dir, s->replaced[i]->file, 0);
        MPX_CRASH_POINT("profile.unlinked");
    }
}

static mproxy_status check_known(const struct store *s, mproxy_error *err)
{
    const struct mpx_archive_index *index = s->archive->index;
    const char *jobid = s->profile->desc.jobid;
    size_t runs = 0;
    for (size_t i = 0; i < index->count; i++) {
        const struct mpx_archive_body *body = index->entries[i]->body;
        runs += body->uid == s->profile->uid && strcmp(body->desc.jobid, jobid) == 0;
    }
    if (s->known_runs == MPX_ARCHIVE_ANY || runs == s->known_runs)
        return MPROXY_OK;
    return mpx_fail(err, MPROXY_E_EXISTS, "profile '%s': another process has stored one",
                    jobid);
}

static mproxy_status store_locked(struct store *s, mproxy_error *err)
{
    mproxy_archive *a = s->archive;
    struct mpx_stamp stamp;
    mproxy_status status = mpx_archive_scan(a, false, true, err);
    if (status == MPROXY_OK)
        status = check_known(s, err);
    if (status != MPROXY_OK)
        return status;
    status = write_aside(s, &stamp, err);
    if (status != MPROXY_OK)
        return status;
    s->body = mpx_archive_body_new(s->profile);
    if (!s->body || !find_replaced(s) || !derive(s, &stamp))
        status = mpx_fail(err, MPROXY_E_NOMEM, "%s: no memory", a->dir);
    else
        status = rename_all(s, err);
    if (status != MPROXY_OK) {
        unlinkat(a->dir_fd, s->aside, 0);
        a->seen = (struct mpx_stamp){0}; // look again before the next store
        return status;
    }
    struct mpx_archive_index *before = mpx_archive_take_index(a); // owns `replaced`
    mpx_archive_replace(a, s->index);
    s->index = NULL;
    unlink_replaced(s);
    mpx_archive_index_unref(before);
    return MPROXY_OK;
}

static mproxy_status lock_dir(mproxy_archive *a, int *lock, mproxy_error *err)
{
    mproxy_status status = mpx_archive_open_dir(a, true, err);
    if (status != MPROXY_OK)
        return status;
    *lock = mpx_archive_lock(a, LOCK_WAIT_MS);
    if (*lock >= 0)
        return MPROXY_OK;
    if (errno == EAGAIN)
        return mpx_fail(err, MPROXY_E_BUSY, "%s: another process is writing there",
                        a->dir);
    return mpx_fail_errno(err, "%s/" MPX_ARCHIVE_LOCK, a->dir);
}

mproxy_status mproxy_archive_store(mproxy_archive *a, const mproxy_profile *profile,
                                   mproxy_error *err)
{
    MPX_REQUIRE(a && profile, err);
    return mpx_archive_store(a, profile, MPX_ARCHIVE_ANY, err);
}

// After a write of ours, under the lock: raise the number, and take the directory as seen.
static void mark_written(mproxy_archive *a, int lock)
{
    struct stat st;
    uint64_t generation = mpx_archive_generation(a) + 1;
    if (pwrite(lock, &generation, sizeof generation, 0) != sizeof generation)
        generation = UINT64_MAX; // unknown: scan before the next write
    a->generation = generation;
    a->seen = fstat(a->dir_fd, &st) == 0 ? mpx_stamp_of(&st) : (struct mpx_stamp){0};
}

mproxy_status mpx_archive_store(mproxy_archive *a, const mproxy_profile *profile,
                                size_t known_runs, mproxy_error *err)
{
    int lock = -1;
    mproxy_status status = mproxy_job_check_id(profile->desc.jobid, err);
    if (status == MPROXY_OK)
        status = lock_dir(a, &lock, err);
    if (status != MPROXY_OK)
        return status;
    struct store s = {.archive = a, .profile = profile, .known_runs = known_runs};
    status = store_locked(&s, err);
    if (status == MPROXY_OK)
        mark_written(a, lock);
    close(lock);
    mpx_archive_body_unref(s.body);
    mpx_archive_entry_unref(s.fresh);
    mpx_archive_entry_unref(s.moved);
    mpx_archive_index_unref(s.index);
    free(s.replaced);
    return status;
}

static mproxy_status remove_locked(mproxy_archive *a, const char *key, mproxy_error *err)
{
    mproxy_status status = mpx_archive_scan(a, false, true, err);
    if (status != MPROXY_OK)
        return status;
    struct mpx_archive_entry *e = mpx_archive_index_find(a->index, key);
    if (!e)
        return mpx_fail(err, MPROXY_E_NOTFOUND, "profile '%s': not found", key);
    struct mpx_archive_index *index = mpx_archive_derive(a, &e, 1, NULL, 0);
    if (!index)
        return mpx_fail(err, MPROXY_E_NOMEM, "profile '%s': no memory", key);
    if (unlinkat(a->dir_fd, e->file, 0) != 0 && errno != ENOENT) {
        mpx_archive_index_unref(index);
        return mpx_fail_errno(err, "%s/%s", a->dir, e->file);
    }
    fsync(a->dir_fd);
    mpx_archive_replace(a, index);
    return MPROXY_OK;
}

mproxy_status mproxy_archive_remove(mproxy_archive *a, const char *key, mproxy_error *err)
{
    MPX_REQUIRE(a && key, err);
    int lock;
    mproxy_status status = lock_dir(a, &lock, err);
    if (status != MPROXY_OK)
        return status;
    status = remove_locked(a, key, err);
    if (status == MPROXY_OK)
        mark_written(a, lock);
    close(lock);
    return status;
}
