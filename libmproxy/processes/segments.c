// The processes of this node: opening and closing, the round, and removing what was
// folded.
//
// A round looks at the directory (scan.c), tests each segment's lock and then reads it
// (read.c), and hands every process to the ledger (submit.c). The order matters twice:
// * A lock is tested before the values are read. What is read after the lock was found
//   free is final, whatever ended the process.
// * A process that was found gone may have made another segment, by exec, after the
//   directory was read. So the directory is looked at once more when anybody has ended,
//   and only then is the process handed over as final.
//
// Segments stay mapped once they are adopted: one whose file is removed under us counts
// all the same. A file is unlinked by mpx_segments_unlink() alone, after the ledger's
// state says that it is folded, and only if it is the file that was folded and no other
// under its name.
//
// What an earlier proxy sampled of /proc is claimed by the processes that are still
// there; it is dropped after the first scan that saw everything, and not before.
//
// Whatever is wrong with one file is told (warn.c), counted in the statistics, and keeps
// no other file from being read.

#include "processes/segments.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/err.h"
#include "processes/private.h"

enum {
    // Of a user, where there are others: far more than programs need, and a fraction of what
    // all may have.
    FILES_MAX = 1 << 16,
    NAMES_MAX = 1 << 18,
    OWN_NAMES_MAX = 2000000,
};

// Both or none.
static mproxy_status open_directory(int dir_fd, int *fd, DIR **dir, mproxy_error *err)
{
    int own = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
    int listed = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = listed >= 0 ? fdopendir(listed) : NULL;
    if (own >= 0 && stream) {
        *fd = own;
        *dir = stream;
        return MPROXY_OK;
    }
    mproxy_status status = mpx_fail_errno(err, "rendezvous directory");
    if (stream)
        closedir(stream);
    else if (listed >= 0)
        close(listed);
    if (own >= 0)
        close(own);
    return status;
}

static mproxy_status open_parts(struct mpx_segments *s,
                                const struct mpx_segments_options *o, mproxy_error *err)
{
    struct mpx_readers_options readers = {.max_bytes_per_uid = o->max_bytes_per_uid,
                                          .max_descriptors = o->max_descriptors,
                                          .free_user = mpx_vector_map_free};
    mproxy_status status = open_directory(o->dir_fd, &s->dir_fd, &s->dir, err);
    if (status == MPROXY_OK)
        status = mpx_procfs_open(o->proc_root ? o->proc_root : "/proc", &s->procfs, err);
    if (status == MPROXY_OK)
        status = mpx_readers_open(&readers, &s->readers, err);
    if (status == MPROXY_OK)
        status = mpx_vectors_process(s->vectors, &s->process_layout, err);
    mproxy_error why;
    if (status == MPROXY_OK && mpx_samples_open(o->state_fd, &s->samples, &why))
        mpx_segments_warn(s, "%s; what /proc says of processes is kept in memory only",
                          why.text);
    return status;
}

static struct mpx_users *open_users(const struct mpx_segments_options *o)
{
    struct mpx_users_bounds bounds = {
        .files = o->max_files_per_uid ? o->max_files_per_uid : FILES_MAX,
        .names = o->max_names_per_uid ? o->max_names_per_uid : NAMES_MAX,
        .entries = MPX_LAYOUT_ENTRIES_MAX / 4,
        .own_names = OWN_NAMES_MAX,
    };
    return mpx_users_new(o->store, &bounds);
}

mproxy_status mpx_segments_open(const struct mpx_segments_options *o,
                                struct mpx_segments **out, mproxy_error *err)
{
    struct mpx_segments *s = calloc(1, sizeof *s);
    if (!s)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for segments");
    s->store = o->store;
    s->ledger = o->ledger;
    s->dir_fd = -1;
    s->logger = (struct mpx_logger){o->log, o->log_arg};
    s->dir_path = strdup(o->dir_path);
    s->vectors = mpx_vectors_new(o->store);
    s->users = open_users(o);
    mproxy_status status = MPROXY_E_NOMEM;
    if (s->dir_path && s->vectors && s->users)
        status = open_parts(s, o, err);
    else
        mpx_fail(err, status, "no memory for segments");
    if (status != MPROXY_OK)
        mpx_segments_close(s);
    else
        *out = s;
    return status;
}

static void forget_all(struct mpx_segments *s)
{
    // What /proc said must be there for the next proxy.
    mpx_samples_close(s->samples);
    s->samples = NULL;
    while (s->segment_count > 0)
        mpx_segments_drop(s, s->segments[s->segment_count - 1]);
}

void mpx_segments_close(struct mpx_segments *s)
{
    if (!s)
        return;
    forget_all(s);
    mpx_readers_close(s->readers);
    mpx_vectors_free(s->vectors);
    mpx_users_free(s->users);
    mpx_procfs_close(s->procfs);
    if (s->dir)
        closedir(s->dir);
    if (s->dir_fd >= 0)
        close(s->dir_fd);
    free(s->dir_path);
    mpx_index_fini(&s->by_name);
    mpx_index_fini(&s->by_identity);
    free(s->segments);
    free(s->units);
    free(s->gauge_marks);
    free(s);
}

// Units are walked from behind: tmpfs lists the newest file first, so that older ones have
// the first say where there is not room for all; and what is split off comes behind.

// Read everything, and see who has ended. True when somebody has since the last look.
static bool read_units(struct mpx_segments *s)
{
    bool news = false;
    for (size_t i = s->unit_count; i-- > 0;) {
        struct mpx_unit *u = s->units[i];
        if (u->folded)
            continue;
        mpx_unit_read(s, u);
        mpx_unit_split(s, u);
        news |= mpx_unit_check_life(s, u);
    }
    return news;
}

// A process may have made another segment, by exec, after the directory was read and before
// it was found gone; it has to be counted with it. Units that this look finds first are not
// asked whether they live: they would need yet another.
static mproxy_status look_again(struct mpx_segments *s, mproxy_error *err)
{
    mproxy_status status = mpx_segments_scan(s, err);
    for (size_t i = s->unit_count; i-- > 0;)
        if (!s->units[i]->folded)
            mpx_unit_read(s, s->units[i]);
    return status;
}

static mproxy_status submit_units(struct mpx_segments *s, mproxy_error *err)
{
    mproxy_status status = MPROXY_OK;
    for (size_t i = s->unit_count; i-- > 0;) {
        struct mpx_unit *u = s->units[i];
        if (u->folded)
            continue;
        mpx_unit_sample(s, u);
        mproxy_status one = mpx_unit_submit(s, u, status == MPROXY_OK ? err : NULL);
        status = status == MPROXY_OK ? one : status;
    }
    return status;
}

mproxy_status mpx_segments_round(struct mpx_segments *s, int64_t boot_ms,
                                 uint64_t wall_us, mproxy_error *err)
{
    s->round++;
    s->boot_ms = boot_ms;
    s->wall_us = wall_us;
    s->warned = 0;
    mpx_readers_begin(s->readers);
    mpx_vectors_sweep(s->vectors, s->ledger);
    mproxy_status status = mpx_segments_scan(s, err);
    mpx_segments_forget_unseen(s);
    if (read_units(s) && status == MPROXY_OK)
        status = look_again(s, err);
    // What an earlier proxy sampled of processes that are not there any more.
    bool whole = status == MPROXY_OK && !s->missed;
    if (s->samples && whole)
        mpx_samples_sweep(s->samples);
    mproxy_status submitted = submit_units(s, status == MPROXY_OK ? err : NULL);
    if (whole && submitted == MPROXY_OK)
        mproxy_ledger_whole(s->ledger);
    mpx_segments_warn_of_more(s);
    MPX_CRASH_POINT("processes.read");
    return status == MPROXY_OK ? submitted : status;
}

// Whether the file that was folded is not there any more. Another one under its name is not
// ours to remove.
static bool unlink_file(const struct mpx_segments *s, const char *name, uint64_t inode)
{
    struct stat st;
    if (fstatat(s->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT;
    if (inode != 0 && st.st_ino != inode)
        return true;
    return unlinkat(s->dir_fd, name, 0) == 0 || errno == ENOENT;
}

// Take a key apart; inode 0: it is a name alone. False: it is none.
static bool split_key(const char *key, char name[NAME_MAX + 1], uint64_t *inode)
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

static int unlink_one(void *arg, const char *key)
{
    struct mpx_segments *s = arg;
    char name[NAME_MAX + 1];
    uint64_t inode;
    if (!split_key(key, name, &inode))
        return 1; // no file has such a name
    if (!unlink_file(s, name, inode))
        return 0;
    MPX_CRASH_POINT("processes.unlinked");
    struct mpx_segment *seg = mpx_segments_find(s, name, key);
    if (seg)
        seg->unlinked = true;
    return 1;
}

void mpx_segments_unlink(struct mpx_segments *s)
{
    mproxy_ledger_unlink_pending(s->ledger, unlink_one, s);
    // From behind, for the last takes the place of one that is dropped.
    for (size_t i = s->segment_count; i-- > 0;)
        if (s->segments[i]->unlinked)
            mpx_segments_drop(s, s->segments[i]);
}

uint64_t mpx_segments_bytes(const struct mpx_segments *s)
{
    return mpx_readers_bytes(s->readers);
}

bool mpx_segments_lost(const struct mpx_segments *s)
{
    struct stat path, open;
    return fstat(s->dir_fd, &open) != 0 || lstat(s->dir_path, &path) != 0 ||
           path.st_dev != open.st_dev || path.st_ino != open.st_ino;
}

mproxy_status mpx_segments_move(struct mpx_segments *s, int dir_fd, int state_fd,
                                mproxy_error *err)
{
    int fd = -1;
    DIR *dir = NULL;
    mproxy_status status = open_directory(dir_fd, &fd, &dir, err);
    if (status != MPROXY_OK)
        return status;
    mproxy_error why;
    if (s->samples && mpx_samples_move(s->samples, state_fd, &why) != MPROXY_OK)
        mpx_segments_warn(s, "%s; a proxy after this one will not know them", why.text);
    closedir(s->dir);
    close(s->dir_fd);
    s->dir = dir;
    s->dir_fd = fd;
    s->scanned_ns = 0;
    mpx_readers_set_directory(s->readers, fd);
    return MPROXY_OK;
}

static void count_refused(const struct mpx_segment *seg, struct mpx_segments_stats *out)
{
    switch (seg->bad) {
    case MPROXY_OK:
    case MPROXY_E_BUSY: // read in the next round
        break;
    case MPROXY_E_VERSION:
        out->bad_version++;
        break;
    case MPROXY_E_LIMIT:
        out->bad_limit++;
        break;
    case MPROXY_E_SYSTEM:
    case MPROXY_E_NOMEM:
        out->bad_system++;
        break;
    default:
        out->bad_corrupt++;
    }
}

void mpx_segments_stats(const struct mpx_segments *s, struct mpx_segments_stats *out)
{
    const struct mpx_vectors_stats *vectors = mpx_vectors_get_stats(s->vectors);
    *out = s->stats;
    out->bytes = mpx_readers_bytes(s->readers);
    out->layouts = vectors->layouts;
    out->refused_names = vectors->refused_names;
    out->refused_types = vectors->refused_types;
    out->refused_values = vectors->refused_values;
    out->refused_limits = vectors->refused_limits;
    for (size_t i = 0; i < s->segment_count; i++) {
        out->segments += s->segments[i]->reader != NULL;
        count_refused(s->segments[i], out);
    }
    for (size_t i = 0; i < s->unit_count; i++) {
        const struct mpx_unit *u = s->units[i];
        if (!u->segments[0]->reader)
            continue;
        out->processes++;
        out->alive += !u->process.final;
    }
}
