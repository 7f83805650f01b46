// From the files of the archive's directory to its index.
//
// A file that looks as it did (inode, size, time of its last change) is not read again, and a
// directory that looks as it did is not listed: a look that finds nothing new costs next to
// nothing.
//
// A name that the index has not is taken by the next store. So an index that is short of a
// file loses it: whatever can't be told of a file or of the list of them fails the scan, and
// the index stays as it was until another one succeeds.
//
// There is one end to that: a file of which the disk will not give the content (EIO), time and
// again, is left alone like a damaged one, because no other run could ever be stored beside
// it. Its name stays its own, and each later scan tries it once more.
#include "profile/archive_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/err.h"
#include "base/file.h"

enum { TRIES_MAX = 5 }; // scans that one such file fails

struct scan {
    mproxy_archive *archive;
    struct mpx_archive_index *before;
    struct mpx_archive_entry **entries; // references
    size_t count, room;
    struct mpx_damaged *damaged;
    size_t damaged_count, damaged_room;
    bool has_leftovers, has_unread;
};

static bool add_entry(struct scan *s, struct mpx_archive_entry *entry)
{
    if (!MPX_RESERVE(s->entries, s->room, s->count + 1))
        return false;
    s->entries[s->count++] = entry;
    return true;
}

static bool add_damaged(struct scan *s, const char *file, const struct mpx_stamp *stamp)
{
    if (!MPX_RESERVE(s->damaged, s->damaged_room, s->damaged_count + 1))
        return false;
    struct mpx_damaged *more = &s->damaged[s->damaged_count];
    *more = (struct mpx_damaged){.file = strdup(file), .stamp = *stamp};
    if (!more->file)
        return false;
    s->damaged_count++;
    return true;
}

static bool is_same(const struct mpx_stamp *a, const struct mpx_stamp *b)
{
    return a->inode == b->inode && a->size == b->size && a->mtime_ns == b->mtime_ns;
}

static bool is_known_damaged(const mproxy_archive *a, const char *file,
                             const struct mpx_stamp *stamp)
{
    for (size_t i = 0; i < a->damaged_count; i++)
        if (strcmp(a->damaged[i].file, file) == 0)
            return is_same(&a->damaged[i].stamp, stamp);
    return false;
}

static int by_file(const void *a, const void *b)
{
    return strcmp((*(struct mpx_archive_entry *const *)a)->file,
                  (*(struct mpx_archive_entry *const *)b)->file);
}

// The head is enough where the rest is whole, which its checksum says.
static mproxy_status parse_file(const struct mpx_buf *text, mproxy_profile **out,
                                mproxy_error *err)
{
    int sum = mpx_profile_check_sum(text->data, text->size);
    if (sum < 0)
        return mpx_fail(err, MPROXY_E_CORRUPT, "profile: the checksum does not fit");
    mproxy_status status = sum > 0
                               ? mpx_profile_parse_head(text->data, text->size, out, err)
                               : MPROXY_E_UNSUPPORTED;
    if (status == MPROXY_E_UNSUPPORTED)
        status = mproxy_profile_parse(text->data, text->size, out, err);
    return status;
}

static void report(const mproxy_archive *a, const char *file, const mproxy_error *why)
{
    mpx_say(&a->logger, MPROXY_LOG_WARNING, "profile %s/%s is damaged and left alone: %s",
            a->dir, file, why->text);
}

// Whether it says of the file itself that it is none of ours: a link, a socket, a file of
// another user. Anything else (descriptors used up, a file server that is away) passes.
static bool is_of_the_file(int error)
{
    return error == ELOOP || error == ENXIO || error == EACCES || error == EPERM;
}

static struct mpx_damaged *find_unread(mproxy_archive *a, const char *file)
{
    for (size_t i = 0; i < a->unread_count; i++)
        if (strcmp(a->unread[i].file, file) == 0)
            return &a->unread[i];
    return NULL;
}

// How often this content of a file could not be read, this time included; 0: no memory.
static unsigned count_unread(mproxy_archive *a, const char *file,
                             const struct mpx_stamp *stamp)
{
    struct mpx_damaged *unread = find_unread(a, file);
    if (!unread && MPX_RESERVE(a->unread, a->unread_room, a->unread_count + 1)) {
        unread = &a->unread[a->unread_count];
        *unread = (struct mpx_damaged){.file = strdup(file)};
        a->unread_count += unread->file != NULL;
        unread = unread->file ? unread : NULL;
    }
    if (!unread)
        return 0;
    if (!is_same(&unread->stamp, stamp))
        unread->tries = 0;
    unread->stamp = *stamp;
    return ++unread->tries;
}

// The disk does not give it: the scan fails, or, once that lasts, goes on without it.
static mproxy_status pass_unread(struct scan *s, const char *file,
                                 const struct mpx_stamp *stamp, const mproxy_error *why,
                                 mproxy_error *err)
{
    const struct mpx_stamp any = {0}; // it is read again by the next scan
    unsigned tries = count_unread(s->archive, file, stamp);
    if (tries < TRIES_MAX)
        return mpx_fail(err, MPROXY_E_SYSTEM, "%s/%s", s->archive->dir, why->text);
    if (tries == TRIES_MAX)
        report(s->archive, file, why);
    s->has_unread = true;
    return add_damaged(s, file, &any) ? MPROXY_OK : MPROXY_E_NOMEM;
}

static mproxy_status read_file(struct scan *s, const char *file,
                               const struct mpx_stamp *stamp, mproxy_error *err)
{
    mproxy_error why;
    struct mpx_buf text = MPX_BUF_INIT;
    mproxy_profile *p = NULL;
    mproxy_status status =
        mpx_file_read(s->archive->dir_fd, file, MPX_PROFILE_BYTES_MAX, &text, &why);
    bool is_unread = status == MPROXY_E_SYSTEM && errno == EIO;
    bool may_pass = status == MPROXY_E_SYSTEM && !is_of_the_file(errno);
    if (status == MPROXY_OK)
        status = parse_file(&text, &p, &why);
    mpx_buf_free(&text);
    if (status == MPROXY_E_NOTFOUND)
        return MPROXY_OK; // removed since it was listed
    if (is_unread)
        return pass_unread(s, file, stamp, &why, err);
    if (status == MPROXY_E_NOMEM || may_pass)
        return mpx_fail(err, status, "%s/%s", s->archive->dir, why.text);
    if (status != MPROXY_OK) {
        report(s->archive, file, &why);
        return add_damaged(s, file, stamp) ? MPROXY_OK : MPROXY_E_NOMEM;
    }
    struct mpx_damaged *unread = find_unread(s->archive, file);
    if (unread)
        unread->tries = 0;
    struct mpx_archive_body *body = mpx_archive_body_new(p);
    struct mpx_archive_entry *entry =
        body ? mpx_archive_entry_new(body, file, stamp) : NULL;
    mpx_archive_body_unref(body);
    mproxy_profile_free(p);
    if (entry && add_entry(s, entry))
        return MPROXY_OK;
    mpx_archive_entry_unref(entry);
    return MPROXY_E_NOMEM;
}

static mproxy_status look_at(struct scan *s, struct mpx_archive_entry *const *known,
                             const char *file, mproxy_error *err)
{
    struct stat st;
    if (fstatat(s->archive->dir_fd, file, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? MPROXY_OK // removed since it was listed
                               : mpx_fail_errno(err, "%s/%s", s->archive->dir, file);
    struct mpx_stamp stamp = mpx_stamp_of(&st);
    struct mpx_archive_entry wanted = {.file = (char *)file};
    const struct mpx_archive_entry *wanted_at = &wanted;
    struct mpx_archive_entry *const *found =
        bsearch(&wanted_at, known, s->before->count, sizeof *known, by_file);
    if (found && is_same(&(*found)->stamp, &stamp)) {
        struct mpx_archive_entry *same = mpx_archive_entry_ref(*found);
        if (add_entry(s, same))
            return MPROXY_OK;
        mpx_archive_entry_unref(same);
        return MPROXY_E_NOMEM;
    }
    if (is_known_damaged(s->archive, file, &stamp))
        return add_damaged(s, file, &stamp) ? MPROXY_OK : MPROXY_E_NOMEM;
    return read_file(s, file, &stamp, err);
}

static bool is_profile_name(const char *name)
{
    size_t length = strlen(name), suffix = strlen(MPX_ARCHIVE_SUFFIX);
    return name[0] != '.' && length > suffix &&
           strcmp(name + length - suffix, MPX_ARCHIVE_SUFFIX) == 0;
}

static DIR *open_list(const mproxy_archive *a)
{
    int fd = openat(a->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir && fd >= 0)
        close(fd);
    return dir;
}

static mproxy_status list_files(struct scan *s, mproxy_error *err)
{
    DIR *dir = open_list(s->archive);
    if (!dir)
        return mpx_fail_errno(err, "%s", s->archive->dir);
    size_t count = s->before->count;
    struct mpx_archive_entry **known = calloc(count + 1, sizeof *known);
    mproxy_status status = known ? MPROXY_OK : MPROXY_E_NOMEM;
    if (known) {
        memcpy(known, s->before->entries, count * sizeof *known);
        qsort(known, count, sizeof *known, by_file);
    }
    while (status == MPROXY_OK) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry && errno != 0)
            status = mpx_fail_errno(err, "%s", s->archive->dir);
        if (!entry)
            break;
        if (is_profile_name(entry->d_name))
            status = look_at(s, known, entry->d_name, err);
    }
    free(known);
    closedir(dir);
    return status == MPROXY_E_NOMEM
               ? mpx_fail(err, status, "%s: no memory", s->archive->dir)
               : status;
}

static int by_job(const void *a, const void *b)
{
    const struct mpx_archive_entry *x = *(struct mpx_archive_entry *const *)a;
    const struct mpx_archive_entry *y = *(struct mpx_archive_entry *const *)b;
    int order = strcmp(x->body->desc.jobid, y->body->desc.jobid);
    return order ? order : strcmp(x->file, y->file);
}

// Whether all of a's shares are in b, none of them in a later state.
static bool is_superseded(const struct mpx_archive_body *a,
                          const struct mpx_archive_body *b)
{
    if (a->share_count == 0 || !mpx_archive_is_within(a, b))
        return false;
    for (size_t i = 0; i < a->share_count; i++) {
        const struct mpx_archive_share *x = &a->shares[i];
        const struct mpx_archive_share *y =
            mpx_archive_find_share(b, x->directory, x->number);
        if (x->epoch > y->epoch || (x->epoch == y->epoch && x->sequence > y->sequence))
            return false;
    }
    return true;
}

static bool is_leftover(const struct scan *s, size_t i, size_t from, size_t to)
{
    for (size_t k = from; k < to; k++)
        if (k != i && s->entries[k] &&
            is_superseded(s->entries[i]->body, s->entries[k]->body))
            return true;
    return false;
}

// A run was rewritten under another name or together with another one, and the writer died
// before the older file was removed.
static void drop_superseded(struct scan *s, bool is_locked)
{
    if (s->count > 0)
        qsort(s->entries, s->count, sizeof *s->entries, by_job);
    for (size_t from = 0, to; from < s->count; from = to) {
        const char *jobid = s->entries[from]->body->desc.jobid;
        for (to = from + 1; to < s->count; to++)
            if (strcmp(s->entries[to]->body->desc.jobid, jobid) != 0)
                break;
        for (size_t i = to; i-- > from;) {
            if (!is_leftover(s, i, from, to))
                continue;
            if (!is_locked ||
                (unlinkat(s->archive->dir_fd, s->entries[i]->file, 0) != 0 &&
                 errno != ENOENT))
                s->has_leftovers = true;
            mpx_archive_entry_unref(s->entries[i]);
            s->entries[i] = NULL;
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++)
        if (s->entries[i])
            s->entries[kept++] = s->entries[i];
    s->count = kept;
}

static void free_damaged(struct mpx_damaged *damaged, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(damaged[i].file);
    free(damaged);
}

static void take_over(struct scan *s, struct mpx_archive_index *index)
{
    mproxy_archive *a = s->archive;
    mpx_archive_replace(a, index);
    free_damaged(a->damaged, a->damaged_count);
    a->damaged = s->damaged;
    a->damaged_count = s->damaged_count;
    s->damaged = NULL;
    s->damaged_count = 0;
}

mproxy_status mpx_archive_scan(mproxy_archive *a, bool force, bool is_locked,
                               mproxy_error *err)
{
    struct stat st;
    if (fstat(a->dir_fd, &st) != 0)
        return mpx_fail_errno(err, "%s", a->dir);
    struct mpx_stamp stamp = mpx_stamp_of(&st);
    uint64_t generation = mpx_archive_generation(a);
    force = force || a->has_unread || (is_locked && a->has_leftovers);
    if (!force && is_same(&stamp, &a->seen) && generation == a->generation)
        return MPROXY_OK;
    struct scan s = {.archive = a, .before = mpx_archive_take_index(a)};
    mproxy_status status = list_files(&s, err);
    struct mpx_archive_index *index = NULL;
    if (status == MPROXY_OK) {
        drop_superseded(&s, is_locked);
        index = mpx_archive_index_new(s.entries, s.count);
        if (!index)
            status = mpx_fail(err, MPROXY_E_NOMEM, "%s: no memory", a->dir);
    }
    a->seen = (struct mpx_stamp){0};
    if (index) {
        take_over(&s, index);
        a->has_leftovers = s.has_leftovers;
        a->has_unread = s.has_unread;
        a->seen = stamp;
        a->generation = generation;
    }
    for (size_t i = 0; i < s.count; i++)
        mpx_archive_entry_unref(s.entries[i]);
    free(s.entries);
    free_damaged(s.damaged, s.damaged_count);
    mpx_archive_index_unref(s.before);
    return status;
}

static bool is_among(struct mpx_archive_entry *const *list, size_t count,
                     const struct mpx_archive_entry *entry)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == entry)
            return true;
    return false;
}

struct mpx_archive_index *mpx_archive_derive(mproxy_archive *a,
                                             struct mpx_archive_entry *const *without,
                                             size_t without_count,
                                             struct mpx_archive_entry *const *with,
                                             size_t with_count)
{
    struct mpx_archive_entry **list =
        calloc(a->index->count + with_count + 1, sizeof *list);
    size_t count = 0;
    if (!list)
        return NULL;
    for (size_t i = 0; i < a->index->count; i++)
        if (!is_among(without, without_count, a->index->entries[i]))
            list[count++] = a->index->entries[i];
    for (size_t i = 0; i < with_count; i++)
        list[count++] = with[i];
    struct mpx_archive_index *index = mpx_archive_index_new(list, count);
    free(list);
    return index;
}

void mpx_archive_sweep(mproxy_archive *a)
{
    DIR *dir = open_list(a);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        if (strncmp(entry->d_name, MPX_ARCHIVE_ASIDE, strlen(MPX_ARCHIVE_ASIDE)) == 0)
            unlinkat(a->dir_fd, entry->d_name, 0);
    if (dir)
        closedir(dir);
}
