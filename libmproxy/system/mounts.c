// File systems on local block devices, from /proc/self/mountinfo and statvfs().
//
// statvfs() waits for ever on a dead file server, so only local devices are asked, and
// none that is reached through a mount of a network or user-space file system. Nor is
// one that another mount covers: its mount point then leads to that one's sizes. A mount
// is covered by one on top of it, whose parent it is, by one on a folder above it with
// the same parent, and wherever its parent is.
//
// Of a device that is mounted several times one place is shown, its root if that is
// mounted. A file system is remembered with the id of its mount, because what is mounted
// anew at the same place may be another device.
//
// All lists have bounds, beyond which mounts are left out: a host of containers has
// thousands.

#include "system/sampler.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

enum { MOUNTS_MAX = 256, TRAPS_MAX = 1024, PLACES_MAX = 8192, DEPTH_MAX = 64 };

struct mount {
    char *id, *parent, *number, *root, *point, *type, *source;
};

struct place {
    const char *id, *parent, *point;
};

struct mounts {
    size_t count, traps;
    struct mount list[MOUNTS_MAX]; // one per device
    const char *trap[TRAPS_MAX];   // mount points that may hang
    size_t place_count;
    struct place places[PLACES_MAX]; // all mounts
};

struct filesystem {
    struct mpx_system_device device;
    bool resolved;
    uint64_t mount; // id: what is mounted anew may be another device
    const mproxy_metric *size, *available, *used, *usage;
};

struct mounts_state {
    struct mpx_system_file mountinfo;
    struct mpx_system_devices filesystems;
};

static bool starts_with_one_of(const char *text, const char *const *list)
{
    for (; *list; list++)
        if (strncmp(text, *list, strlen(*list)) == 0)
            return true;
    return false;
}

static bool is_real_device(const struct mount *m)
{
    static const char *const unreal[] = {
        "/dev/loop", "/dev/ram", "/dev/zram", "/dev/nbd", "/dev/rbd", "/dev/fuse", NULL};
    return strncmp(m->source, "/dev/", 5) == 0 && strncmp(m->type, "fuse", 4) != 0 &&
           !starts_with_one_of(m->source, unreal);
}

static bool may_hang(const struct mount *m)
{
    static const char *const types[] = {
        "nfs",      "cifs",    "smb",  "lustre",   "gpfs",   "beegfs",
        "ceph",     "gluster", "fuse", "9p",       "afs",    "pvfs",
        "orangefs", "panfs",   "coda", "virtiofs", "autofs", NULL};
    return starts_with_one_of(m->type, types);
}

// The kernel writes blanks, tabs, newlines and backslashes as three octal digits.
static void unescape(char *text)
{
    char *out = text;
    for (const char *c = text; *c; c++) {
        if (c[0] == '\\' && c[1] >= '0' && c[1] <= '3' && c[2] >= '0' && c[2] <= '7' &&
            c[3] >= '0' && c[3] <= '7') {
            *out++ = (char)((c[1] - '0') * 64 + (c[2] - '0') * 8 + (c[3] - '0'));
            c += 3;
        } else {
            *out++ = *c;
        }
    }
    *out = '\0';
}

// "27 1 254:0 / /home rw,relatime shared:1 - ext4 /dev/vda rw"
static bool parse(char *line, struct mount *m)
{
    char *save, *word[5], *rest = strstr(line, " - ");
    if (!rest)
        return false;
    *rest = '\0';
    word[0] = strtok_r(line, " ", &save);
    for (size_t i = 1; i < 5; i++)
        word[i] = word[i - 1] ? strtok_r(NULL, " ", &save) : NULL;
    m->id = word[0];
    m->parent = word[1];
    m->number = word[2];
    m->root = word[3];
    m->point = word[4];
    m->type = strtok_r(rest + 3, " ", &save);
    m->source = m->type ? strtok_r(NULL, " ", &save) : NULL;
    if (!m->point || !m->source)
        return false;
    unescape(m->point);
    unescape(m->source);
    return true;
}

static bool is_same_device(const struct mount *a, const struct mount *b)
{
    return strcmp(a->source, b->source) == 0 ||
           (strcmp(a->number, b->number) == 0 && strncmp(a->number, "0:", 2) != 0);
}

// A device is shown where its root is mounted, rather than where some folder of it is.
static void add_once(struct mounts *all, const struct mount *m)
{
    for (size_t i = 0; i < all->count; i++) {
        if (!is_same_device(&all->list[i], m))
            continue;
        if (strcmp(all->list[i].root, "/") != 0 && strcmp(m->root, "/") == 0)
            all->list[i] = *m;
        return;
    }
    if (all->count < MOUNTS_MAX)
        all->list[all->count++] = *m;
}

static void read_mounts(char *text, struct mounts *all)
{
    char *line;
    struct mount m;
    while ((line = mpx_system_line(&text))) {
        if (!parse(line, &m))
            continue;
        if (all->place_count < PLACES_MAX)
            all->places[all->place_count++] = (struct place){m.id, m.parent, m.point};
        if (may_hang(&m) && strcmp(m.point, "/") != 0 && all->traps < TRAPS_MAX)
            all->trap[all->traps++] = m.point;
        else if (is_real_device(&m))
            add_once(all, &m);
    }
}

static bool is_behind_trap(const struct mounts *all, const char *point)
{
    for (size_t i = 0; i < all->traps; i++) {
        size_t length = strlen(all->trap[i]);
        if (strncmp(point, all->trap[i], length) == 0 &&
            (point[length] == '/' || point[length] == '\0'))
            return true;
    }
    return all->traps == TRAPS_MAX;
}

static bool is_above(const char *folder, const char *point)
{
    size_t length = strlen(folder);
    return strcmp(folder, "/") != 0 && strncmp(folder, point, length) == 0 &&
           point[length] == '/';
}

static bool covers(const struct place *other, const struct place *p)
{
    if (other == p)
        return false;
    if (strcmp(other->parent, p->id) == 0 && strcmp(other->point, p->point) == 0)
        return true;
    return strcmp(other->parent, p->parent) == 0 && is_above(other->point, p->point);
}

static const struct place *find_place(const struct mounts *all, const char *id)
{
    for (size_t i = 0; i < all->place_count; i++)
        if (strcmp(all->places[i].id, id) == 0)
            return &all->places[i];
    return NULL;
}

static bool is_covered(const struct mounts *all, const struct mount *m)
{
    const struct place *p = find_place(all, m->id), *child = NULL;
    for (int depth = 0; p && depth < DEPTH_MAX; depth++) {
        for (size_t i = 0; i < all->place_count; i++)
            if (&all->places[i] != child && covers(&all->places[i], p))
                return true;
        child = p;
        p = strcmp(p->id, p->parent) == 0 ? NULL : find_place(all, p->parent);
    }
    return false;
}

static const char *kind_of(struct mproxy_system *s, const struct mount *m)
{
    char path[320];
    double rotational;
    const char *name = strrchr(m->source, '/') + 1;
    snprintf(path, sizeof path, "dev/block/%.32s/queue/rotational", m->number);
    bool known = mpx_system_read_number(s, mpx_system_sys(s), path, &rotational);
    if (!known) { // a partition's queue is that of its disk
        snprintf(path, sizeof path, "dev/block/%.32s/../queue/rotational", m->number);
        known = mpx_system_read_number(s, mpx_system_sys(s), path, &rotational);
    }
    if (!known) {
        snprintf(path, sizeof path, "class/block/%.64s/queue/rotational", name);
        known = mpx_system_read_number(s, mpx_system_sys(s), path, &rotational);
    }
    if (!known) {
        snprintf(path, sizeof path, "class/block/%.64s/../queue/rotational", name);
        known = mpx_system_read_number(s, mpx_system_sys(s), path, &rotational);
    }
    if (!known)
        return "Unknown";
    return rotational > 0 ? "HDD" : "SSD";
}

static void resolve(struct mproxy_system *s, struct filesystem *f, const struct mount *m)
{
    struct mpx_buf labels = MPX_BUF_INIT;
    mpx_system_label(&labels, "kind", kind_of(s, m));
    mpx_system_label(&labels, "device", m->source);
    mpx_system_label(&labels, "fs", m->type);
    mpx_system_label(&labels, "mountpoint", m->point);
    const char *text = mpx_buf_text(&labels);
    if (text) {
        f->size = mpx_system_metric(s, &f->device, MPX_NODE_DISK_SIZE, text);
        f->available = mpx_system_metric(s, &f->device, MPX_NODE_DISK_FREE, text);
        f->used = mpx_system_metric(s, &f->device, MPX_NODE_DISK_USED, text);
        f->usage = mpx_system_metric(s, &f->device, MPX_NODE_DISK_USAGE, text);
    }
    f->resolved = true;
    mpx_buf_free(&labels);
}

static void put(struct mproxy_system *s, const struct filesystem *f, const char *point)
{
    struct statvfs st;
    if (statvfs(point, &st) != 0 || st.f_blocks == 0)
        return;
    double size = (double)st.f_blocks * (double)st.f_frsize;
    double available = (double)st.f_bavail * (double)st.f_frsize;
    mpx_system_put(s, f->size, size);
    mpx_system_put(s, f->available, available);
    mpx_system_put(s, f->used, size - available);
    mpx_system_put(s, f->usage, 100 * (size - available) / size);
}

static void sample_mount(struct mproxy_system *s, struct mounts_state *state,
                         const struct mount *m)
{
    struct mpx_buf key = MPX_BUF_INIT;
    mpx_buf_addf(&key, "%s %s %s", m->source, m->type, m->point);
    const char *text = mpx_buf_text(&key);
    struct filesystem *f =
        text ? mpx_system_device(&state->filesystems, text, sizeof *f) : NULL;
    mpx_buf_free(&key);
    if (!f)
        return;
    uint64_t id = strtoull(m->id, NULL, 10);
    if (!f->resolved || f->mount != id)
        resolve(s, f, m);
    f->mount = id;
    put(s, f, m->point);
}

static void sample(struct mproxy_system *s, void *arg)
{
    struct mounts_state *state = arg;
    const char *text =
        mpx_system_read(s, &state->mountinfo, mpx_system_proc(s), "self/mountinfo");
    char *copy = text ? strdup(text) : NULL;
    struct mounts *all = calloc(1, sizeof *all);
    if (copy && all) {
        mpx_system_devices_begin(&state->filesystems, NULL);
        read_mounts(copy, all);
        for (size_t i = 0; i < all->count; i++)
            if (!is_behind_trap(all, all->list[i].point) &&
                !is_covered(all, &all->list[i]))
                sample_mount(s, state, &all->list[i]);
    }
    free(all);
    free(copy);
}

static void fini(void *arg)
{
    struct mounts_state *state = arg;
    mpx_system_file_fini(&state->mountinfo);
    mpx_system_devices_fini(&state->filesystems);
}

const struct mpx_sampler mpx_sampler_mounts = {sizeof(struct mounts_state), sample, fini};
