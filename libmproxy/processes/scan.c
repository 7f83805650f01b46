// The names of the rendezvous directory.

#include "processes/private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"

enum {
    NEW_AGE_MAX_S = 60,
    LIMIT_RETRY_ROUNDS = 8,
    NOTE_MAX = 600, // bytes of a link's target
    TICK_MAX_NS = 50 * 1000 * 1000,
    SKIPS_MAX = 8,
};

static uint64_t hash_name(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 32;
}

static struct mpx_segment **bucket_of(struct mpx_segments *s, const char *name)
{
    return &s->names[hash_name(name) % MPX_SEGMENT_BUCKETS];
}

void mpx_segment_key(const char *name, uint64_t inode, char out[MPX_SEGMENT_KEY_MAX])
{
    snprintf(out, MPX_SEGMENT_KEY_MAX, "%s:%" PRIu64, name, inode);
}

bool mpx_segment_key_split(const char *key, char name[NAME_MAX + 1], uint64_t *inode)
{
    const char *colon = strrchr(key, ':');
    bool has_inode = colon && colon[1] && !colon[1 + strspn(colon + 1, "0123456789")];
    size_t length = has_inode ? (size_t)(colon - key) : strlen(key);
    *inode = has_inode ? strtoull(colon + 1, NULL, 10) : 0;
    if (length > NAME_MAX)
        return false;
    memcpy(name, key, length);
    name[length] = '\0';
    return true;
}

static bool give_key(struct mpx_segment *seg, uint64_t inode)
{
    char key[MPX_SEGMENT_KEY_MAX];
    mpx_segment_key(seg->name, inode, key);
    free(seg->key);
    seg->key = strdup(key);
    return seg->key != NULL;
}

static bool is_pending(const struct mpx_segments *s, const char *name, uint64_t inode)
{
    char key[MPX_SEGMENT_KEY_MAX];
    mpx_segment_key(name, inode, key);
    return mproxy_ledger_is_pending(s->ledger, key);
}

// What the directory shows under a name. One whose file was removed under us goes on under
// its name beside it: the next image of the process finds the name free.
static struct mpx_segment *find_shown(struct mpx_segments *s, const char *name,
                                      uint64_t inode)
{
    struct mpx_segment *seg = *bucket_of(s, name);
    while (seg && (strcmp(seg->name, name) != 0 ||
                   (seg->reader && mpx_reader_inode(seg->reader) != inode)))
        seg = seg->next;
    return seg;
}

struct mpx_segment *mpx_segments_find(struct mpx_segments *s, const char *name,
                                      const char *key)
{
    struct mpx_segment *seg = *bucket_of(s, name);
    while (seg && (!seg->key || strcmp(seg->key, key) != 0))
        seg = seg->next;
    return seg;
}

bool mpx_segments_has(const struct mpx_segments *s, const char *name)
{
    const struct mpx_segment *seg = s->names[hash_name(name) % MPX_SEGMENT_BUCKETS];
    while (seg && !(seg->reader && strcmp(seg->name, name) == 0))
        seg = seg->next;
    return seg != NULL;
}

// The account of a file's owner, if it may have one more. The others wait in the directory
// until there is room.
static struct mpx_user *admit(struct mpx_segments *s, const char *name, uint32_t uid)
{
    struct mpx_user *user = mpx_users_get(s->users, uid);
    if (user && user->files >= user->max_files) {
        s->stats.bad_crowd++;
        if (!user->told)
            mpx_segments_warn(s,
                              "segment '%s': user %u has %u of at most %u files here: "
                              "those that are more are not read",
                              name, uid, user->files, user->max_files);
        user->told = true;
        return NULL;
    }
    if (!user || s->name_count >= MPX_SEGMENT_NAMES_MAX) {
        s->missed = true;
        mpx_segments_warn(s, "segment '%s': too many names", name);
        return NULL;
    }
    user->told &= user->files + 1 >= user->max_files;
    return user;
}

static struct mpx_segment *add_name(struct mpx_segments *s, const char *name,
                                    uint32_t uid)
{
    struct mpx_user *user = admit(s, name, uid);
    struct mpx_segment *seg = user ? calloc(1, sizeof *seg) : NULL;
    if (seg)
        seg->name = strdup(name);
    if (!seg || !seg->name) {
        s->missed |= user != NULL;
        free(seg);
        return NULL;
    }
    seg->user = user;
    user->files++;
    struct mpx_segment **bucket = bucket_of(s, name);
    seg->next = *bucket;
    *bucket = seg;
    s->name_count++;
    return seg;
}

void mpx_segments_drop(struct mpx_segments *s, struct mpx_segment *seg)
{
    struct mpx_segment **link = bucket_of(s, seg->name);
    while (*link != seg)
        link = &(*link)->next;
    *link = seg->next;
    s->name_count--;
    seg->user->files--;
    if (seg->unit)
        mpx_unit_remove(s, seg);
    mpx_reader_close(seg->reader);
    mpx_layout_leave(seg->layout);
    free(seg->values);
    free(seg->key);
    free(seg->name);
    free(seg);
}

// ---- segments

static int64_t mtime_ns(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

// Whether to look at a refused file again: it is not what it was, or what was missing may be
// there.
static bool is_worth_retry(struct mpx_segments *s, struct mpx_segment *seg)
{
    struct stat st;
    if (seg->bad == MPROXY_E_SYSTEM || seg->bad == MPROXY_E_NOMEM)
        return true;
    if (seg->bad == MPROXY_E_LIMIT && s->round % LIMIT_RETRY_ROUNDS == 0)
        return true;
    if (fstatat(s->dir_fd, seg->name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        (st.st_ino == seg->inode && st.st_size == seg->size &&
         mtime_ns(&st) == seg->mtime_ns))
        return false;
    // As it is before it is read: what changes from now on is news.
    seg->inode = st.st_ino;
    seg->size = st.st_size;
    seg->mtime_ns = mtime_ns(&st);
    return true;
}

static void refuse(struct mpx_segments *s, struct mpx_segment *seg, mproxy_status status,
                   const mproxy_error *why)
{
    s->watch = true;
    if (seg->bad != status)
        mpx_segments_warn(s, "%s", why->text);
    seg->bad = status;
    if (status == MPROXY_E_SYSTEM || status == MPROXY_E_NOMEM)
        s->missed = true;
}

static void open_segment(struct mpx_segments *s, struct mpx_segment *seg)
{
    mproxy_error err;
    mproxy_status status =
        mpx_reader_open(s->readers, s->dir_fd, seg->name, &seg->reader, &err);
    if (status == MPROXY_OK &&
        (!give_key(seg, mpx_reader_inode(seg->reader)) || !mpx_unit_adopt(s, seg))) {
        mpx_reader_close(seg->reader);
        seg->reader = NULL;
        status = mpx_fail(&err, MPROXY_E_NOMEM, "segment '%s': no memory", seg->name);
    }
    if (status == MPROXY_OK)
        seg->bad = MPROXY_OK;
    else if (status == MPROXY_E_NOTFOUND)
        mpx_segments_drop(s, seg);
    else
        refuse(s, seg, status, &err);
}

static void see_segment(struct mpx_segments *s, const char *name, uint64_t inode)
{
    struct mpx_segment *seg = find_shown(s, name, inode);
    struct stat st;
    if (!seg && fstatat(s->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        s->missed |= errno != ENOENT;
        return;
    }
    // Some file systems list other numbers than their files have.
    if (!seg && st.st_ino != inode) {
        inode = st.st_ino;
        seg = find_shown(s, name, inode);
    }
    if (!seg) {
        if (is_pending(s, name, inode))
            return;
        seg = add_name(s, name, st.st_uid);
        if (!seg)
            return;
        seg->seen = s->round;
        open_segment(s, seg);
        return;
    }
    seg->seen = s->round;
    s->watch |= !seg->reader;
    if (!seg->reader && is_worth_retry(s, seg))
        open_segment(s, seg);
}

// ---- what else is in the directory

// A link `.off-PID-BOOTNS` -> "REASONS JOBID": a process says that it does not count.
static void see_note(struct mpx_segments *s, const char *name, uint64_t inode)
{
    struct mpx_segment *seg = find_shown(s, name, inode);
    if (seg) {
        seg->seen = s->round;
        return;
    }
    struct stat st;
    char target[NOTE_MAX];
    if (fstatat(s->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISLNK(st.st_mode) ||
        is_pending(s, name, st.st_ino))
        return;
    ssize_t length = readlinkat(s->dir_fd, name, target, sizeof target - 1);
    if (length < 0)
        return;
    target[length] = '\0';
    char *jobid;
    unsigned long reasons = strtoul(target, &jobid, 10);
    jobid += *jobid == ' ';
    const char *born = strrchr(name, '-');
    int64_t boot_ms = born ? strtoll(born + 1, NULL, 10) / 1000000 : 0;
    seg = add_name(s, name, st.st_uid);
    if (!seg)
        return;
    seg->seen = s->round;
    if (!give_key(seg, st.st_ino) ||
        !mpx_unit_adopt_note(s, seg, st.st_uid, (uint32_t)reasons, jobid, boot_ms)) {
        mpx_segments_drop(s, seg);
        return;
    }
    s->stats.uncounted++;
}

// A segment whose process died while it was being born.
static void see_new(struct mpx_segments *s, const char *name)
{
    struct stat st;
    s->watch = true;
    if (fstatat(s->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) ||
        st.st_mtim.tv_sec + NEW_AGE_MAX_S > (int64_t)(s->wall_us / 1000000))
        return;
    int fd = openat(s->dir_fd, name,
                    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK)
        unlinkat(s->dir_fd, name, 0);
    close(fd);
}

// One byte per process; the ledger knows how many of them it was told of.
static void see_refused(struct mpx_segments *s, const char *name)
{
    struct stat st;
    const int64_t most = INT64_C(1) << 40; // a file of holes is somebody's joke
    if (fstatat(s->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
        return;
    s->stats.refused = (uint64_t)(st.st_size < most ? st.st_size : most);
    mproxy_ledger_refused(s->ledger, s->stats.refused);
}

static bool starts_with(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static void see(struct mpx_segments *s, const struct dirent *entry)
{
    const char *name = entry->d_name;
    size_t length = strlen(name);
    if (starts_with(name, ".off-"))
        see_note(s, name, entry->d_ino);
    else if (starts_with(name, ".new-"))
        see_new(s, name);
    else if (strcmp(name, "refused") == 0)
        see_refused(s, name);
    else if (name[0] != '.' && length > 4 && strcmp(name + length - 4, ".seg") == 0)
        see_segment(s, name, entry->d_ino);
}

// Whether the directory has not changed since it was read. A change that came within the
// clock's tick of the one before bears the same time: trust only what was old then.
static bool is_unchanged(struct mpx_segments *s)
{
    struct stat st;
    int64_t now_ns = mpx_clock_ns(CLOCK_REALTIME);
    if (fstat(s->dir_fd, &st) != 0)
        return false;
    bool unchanged = mtime_ns(&st) == s->dir_mtime_ns && !s->watch && !s->missed &&
                     s->scanned_ns - s->dir_mtime_ns > TICK_MAX_NS &&
                     ++s->skipped < SKIPS_MAX;
    if (unchanged)
        return true;
    s->skipped = 0;
    s->scanned_ns = now_ns;
    s->dir_mtime_ns = mtime_ns(&st);
    return false;
}

mproxy_status mpx_segments_scan(struct mpx_segments *s, mproxy_error *err)
{
    if (is_unchanged(s))
        return MPROXY_OK;
    s->watch = false;
    s->missed = false;
    s->stats.bad_crowd = 0;
    s->read_round = s->round;
    rewinddir(s->dir);
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(s->dir);
        if (entry)
            see(s, entry);
        else if (errno == 0 || errno == ENOENT) // ENOENT: the directory was removed
            return MPROXY_OK;
        else
            return mpx_fail_errno(err, "%s", s->dir_path);
    }
}

void mpx_segments_forget_unseen(struct mpx_segments *s)
{
    if (s->read_round != s->round)
        return;
    for (size_t i = 0; i < MPX_SEGMENT_BUCKETS; i++) {
        for (struct mpx_segment *seg = s->names[i], *next; seg; seg = next) {
            next = seg->next;
            // A segment that was removed under us counts all the same.
            if (!seg->reader && seg->seen != s->round &&
                !(seg->unit && seg->unit->folded))
                mpx_segments_drop(s, seg);
        }
    }
}
