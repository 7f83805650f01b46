// What outlives the proxy in the BPF file system: one directory per rendezvous
// directory, named by its device and inode, with pinned maps and links.
//
// The proxy that uses such a directory holds its lock (flock(2) on the directory), so
// one that is not locked belongs to a proxy that is dead, in whatever mount namespace
// that lived. After locking it is asked whether the name still leads to what was locked:
// a sweep may have removed the directory between the open and the lock.
//
// Only directories that are ours and closed to others are used; the file system is
// shared by all users.
//
// mpx_pinned_sweep() is why a proxy that never comes back does not cost the node for
// good: every proxy with --ebpf looks at what dead ones of its user left. Programs that
// count no living process are ended, sums stay for the proxy that may still come, and
// where no rendezvous directory tells of the sums any more, everything goes.

#include "syscalls/pinned.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define ROOT "/sys/fs/bpf"
#define PREFIX "mproxy-"

enum { LOCK_TRIES = 100 }; // 10 ms each: a sweep holds a lock for less

static const char *const links[] = {"on_enter", "on_exit",   "on_fork", "on_exec",
                                    "on_end",   "show_live", NULL};
static const char *const maps[] = {"groups", "sums", "state", NULL};

static void name_it(char path[MPX_PINNED_PATH], uint64_t device, uint64_t inode)
{
    snprintf(path, MPX_PINNED_PATH, ROOT "/" PREFIX "%llx-%llx",
             (unsigned long long)device, (unsigned long long)inode);
}

void mpx_pinned_path(const struct mpx_pinned *k, const char *name,
                     char out[2 * MPX_PINNED_PATH])
{
    snprintf(out, 2 * MPX_PINNED_PATH, "%s/%s", k->path, name);
}

// ---- the directory and its lock

static bool is_private(const struct stat *st)
{
    return S_ISDIR(st->st_mode) && st->st_uid == geteuid() && !(st->st_mode & 077);
}

// Whether the name still leads to what is open: a sweep may have removed it before it was
// locked. False with errno set.
static bool is_at(const char *path, int fd)
{
    struct stat named, open;
    if (lstat(path, &named) != 0 || fstat(fd, &open) != 0)
        return false;
    errno = is_private(&open) ? ENOENT : EACCES;
    return errno == ENOENT && named.st_dev == open.st_dev && named.st_ino == open.st_ino;
}

// Locks directories that are there and ours. False with errno set.
static bool lock(struct mpx_pinned *k)
{
    k->lock_fd = open(k->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (k->lock_fd < 0)
        return false;
    if (flock(k->lock_fd, LOCK_EX | LOCK_NB) == 0 && is_at(k->path, k->lock_fd))
        return true;
    int saved = errno;
    close(k->lock_fd);
    k->lock_fd = -1;
    errno = saved;
    return false;
}

static bool make_and_lock(struct mpx_pinned *k)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (mkdir(k->path, 0700) != 0 && errno != EEXIST)
            return false;
        if (lock(k))
            return true;
        if (errno != EWOULDBLOCK && errno != ENOENT)
            return false;
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    return false;
}

bool mpx_pinned_take(struct mpx_pinned *k, const struct mpx_ebpf_owner *owner, char *why,
                     size_t room)
{
    struct statfs fs;
    k->lock_fd = -1;
    name_it(k->path, owner->dir_device, owner->dir_inode);
    if (statfs(ROOT, &fs) != 0 || (unsigned long)fs.f_type != BPF_FS_MAGIC)
        snprintf(why, room, "no BPF file system is mounted at " ROOT);
    else if (!make_and_lock(k))
        snprintf(why, room, "%s: %s", k->path, strerror(errno));
    return k->lock_fd >= 0;
}

bool mpx_pinned_move(struct mpx_pinned *k, uint64_t dir_device, uint64_t dir_inode)
{
    char path[MPX_PINNED_PATH];
    name_it(path, dir_device, dir_inode);
    if (rename(k->path, path) != 0)
        return false;
    memcpy(k->path, path, sizeof path);
    return true;
}

// ---- what is in it

bool mpx_pinned_state(const struct mpx_pinned *k, struct mpx_ebpf_state *out)
{
    static const uint32_t zero;
    struct bpf_map_info info = {0};
    uint32_t length = sizeof info;
    char path[2 * MPX_PINNED_PATH];
    mpx_pinned_path(k, "state", path);
    int fd = bpf_obj_get(path);
    bool is_known = fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &length) == 0 &&
                    info.value_size == sizeof *out &&
                    bpf_map_lookup_elem(fd, &zero, out) == 0 &&
                    out->version == MPX_EBPF_VERSION;
    if (fd >= 0)
        close(fd);
    return is_known;
}

bool mpx_pinned_has_links(const struct mpx_pinned *k)
{
    for (const char *const *name = links; *name; name++)
        if (faccessat(k->lock_fd, *name, F_OK, 0) != 0)
            return false;
    return true;
}

void mpx_pinned_drop_links(const struct mpx_pinned *k)
{
    for (const char *const *name = links; *name; name++)
        unlinkat(k->lock_fd, *name, 0);
}

void mpx_pinned_clear(const struct mpx_pinned *k)
{
    mpx_pinned_drop_links(k);
    for (const char *const *name = maps; *name; name++)
        unlinkat(k->lock_fd, *name, 0);
}

void mpx_pinned_remove(struct mpx_pinned *k)
{
    mpx_pinned_clear(k);
    rmdir(k->path);
    close(k->lock_fd);
    k->lock_fd = -1;
}

// ---- what others left

static bool counts_somebody(const struct mpx_pinned *k)
{
    struct mpx_ebpf_group group;
    uint32_t number = 0, next;
    char path[2 * MPX_PINNED_PATH];
    mpx_pinned_path(k, "groups", path);
    int fd = bpf_obj_get(path);
    bool found = false;
    for (const uint32_t *after = NULL;
         fd >= 0 && !found && bpf_map_get_next_key(fd, after, &next) == 0;
         after = &number) {
        number = next;
        found = bpf_map_lookup_elem(fd, &number, &group) == 0 && group.alive > 0;
    }
    if (fd >= 0)
        close(fd);
    return found;
}

// Whether the rendezvous directory is there and tells of these sums.
static bool is_awaited(const struct mpx_ebpf_owner *owner, struct mpx_ebpf_state *state)
{
    struct stat st;
    state->dir_path[sizeof state->dir_path - 1] = '\0';
    int fd = open(state->dir_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool is_there = fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == state->dir_device &&
                    st.st_ino == state->dir_inode && owner->id_in(fd) == state->id;
    if (fd >= 0)
        close(fd);
    return is_there;
}

static void look_at(const struct mpx_ebpf_owner *owner, const char *name)
{
    struct mpx_pinned k;
    struct mpx_ebpf_state state;
    if ((size_t)snprintf(k.path, sizeof k.path, ROOT "/%s", name) >= sizeof k.path ||
        !lock(&k))
        return;
    if (!mpx_pinned_state(&k, &state) || !is_awaited(owner, &state)) {
        mpx_pinned_remove(&k);
        return;
    }
    if (!counts_somebody(&k))
        mpx_pinned_drop_links(&k);
    close(k.lock_fd);
}

void mpx_pinned_sweep(const struct mpx_ebpf_owner *owner)
{
    DIR *dir = opendir(ROOT);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0)
            look_at(owner, entry->d_name);
    if (dir)
        closedir(dir);
}
