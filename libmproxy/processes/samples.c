// Samples of /proc/PID in a mapped file that outlives the proxy.
//
// A process that is killed says nothing of what it used, and while no proxy lives nobody
// looks at /proc. What the last proxy saw of it is in this file, and the next one goes
// on from it.
//
// Entry 0 is the file's head. The words of an entry are written one by one with atomic
// stores; `used` is set last and cleared first, so that whoever kills the proxy between
// two of them leaves an entry that is whole or none. All values of an entry are of one
// process, so that one of which half the values are older is still true.
//
// The file is allocated before it is mapped: a full file system must not be a bus error
// here. If there is no room, an entry is not made, and its process's samples live in
// memory only. It grows by doubling and is never cut; its entries are few and small.
//
// Entries that an earlier proxy left are `left` until a process claims one by its
// identity, or until the directory was seen whole and nobody did.

#include "processes/samples.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/err.h"

#define MAGIC UINT64_C(0x31504d4153585250) // "PRXSAMP1"

enum { ENTRIES_BY = 256, ENTRIES_MAX = 1 << 20 };

struct entry {
    uint64_t used; // MAGIC, in entry 0 too
    uint64_t pid_ns, pid, start_ticks;
    uint64_t set;
    uint64_t value[MPX_SEG_FINAL_MAX];
    uint64_t owner; // user id + 1; 0: written by a proxy that did not keep it
    uint64_t spare[2];
};
_Static_assert(sizeof(struct entry) == 256, "entries fill pages");

struct mpx_samples {
    int fd;
    struct entry *entries;
    uint32_t room;
    uint32_t *free; // numbers of entries, a stack
    uint32_t free_count;
    uint32_t *left; // of an earlier proxy and not claimed
    uint32_t left_count;
};

static void store(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static void clear(struct mpx_samples *s, uint32_t number)
{
    store(&s->entries[number].used, 0);
    s->free[s->free_count++] = number;
}

// Make a file cover `room` entries and map it. False with errno set.
static bool map_entries(int fd, uint32_t room, struct entry **out)
{
    size_t size = room * sizeof(struct entry);
    int failure = posix_fallocate(fd, 0, (off_t)size);
    if (failure) {
        errno = failure;
        return false;
    }
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return false;
    *out = map;
    return true;
}

static mproxy_status grow(struct mpx_samples *s, uint32_t room, mproxy_error *err)
{
    struct entry *entries;
    if (!MPX_RESERVE_TO(s->free, room))
        return mpx_fail(err, MPROXY_E_NOMEM, "samples: no memory for %u entries", room);
    if (!map_entries(s->fd, room, &entries))
        return mpx_fail_errno(err, "samples");
    if (s->entries)
        munmap(s->entries, s->room * sizeof *s->entries);
    s->entries = entries;
    for (uint32_t i = room; i-- > (s->room ? s->room : 1);)
        s->free[s->free_count++] = i;
    s->room = room;
    return MPROXY_OK;
}

// How many entries an existing file holds; 0: none, or damaged.
static uint32_t existing_entries(int fd)
{
    struct stat st;
    uint64_t magic = 0;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        pread(fd, &magic, sizeof magic, 0) != sizeof magic || magic != MAGIC)
        return 0;
    uint64_t bytes = ENTRIES_BY * sizeof(struct entry);
    if ((uint64_t)st.st_size % bytes != 0 ||
        (uint64_t)st.st_size / sizeof(struct entry) > ENTRIES_MAX)
        return 0;
    return (uint32_t)((uint64_t)st.st_size / sizeof(struct entry));
}

static mproxy_status load(struct mpx_samples *s, uint32_t room, mproxy_error *err)
{
    mproxy_status status = grow(s, room, err);
    s->left = status == MPROXY_OK ? calloc(room, sizeof *s->left) : NULL;
    if (!s->left)
        return status != MPROXY_OK ? status
                                   : mpx_fail(err, MPROXY_E_NOMEM, "samples: no memory");
    s->free_count = 0;
    for (uint32_t i = room; i-- > 1;) {
        if (s->entries[i].used == MAGIC)
            s->left[s->left_count++] = i;
        else
            clear(s, i);
    }
    store(&s->entries[0].used, MAGIC);
    return MPROXY_OK;
}

static int open_file(int state_fd, mproxy_error *err)
{
    int fd = openat(state_fd, "samples",
                    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        mpx_fail_errno(err, "samples");
    return fd;
}

mproxy_status mpx_samples_open(int state_fd, struct mpx_samples **out, mproxy_error *err)
{
    struct mpx_samples *s = calloc(1, sizeof *s);
    if (!s)
        return mpx_fail(err, MPROXY_E_NOMEM, "samples: no memory");
    mproxy_status status = MPROXY_E_SYSTEM;
    s->fd = open_file(state_fd, err);
    if (s->fd < 0)
        goto fail;
    uint32_t room = existing_entries(s->fd);
    if (room == 0 && ftruncate(s->fd, 0) != 0) {
        mpx_fail_errno(err, "samples");
        goto fail;
    }
    status = load(s, room ? room : ENTRIES_BY, err);
    if (status != MPROXY_OK)
        goto fail;
    *out = s;
    return MPROXY_OK;

fail:
    mpx_samples_close(s);
    return status;
}

void mpx_samples_close(struct mpx_samples *s)
{
    if (!s)
        return;
    if (s->entries)
        munmap(s->entries, s->room * sizeof *s->entries);
    if (s->fd >= 0)
        close(s->fd);
    free(s->free);
    free(s->left);
    free(s);
}

static uint64_t owner_of(const struct mpx_sample_key *key)
{
    return key->uid + UINT64_C(1);
}

uint32_t mpx_samples_claim(struct mpx_samples *s, const struct mpx_sample_key *key)
{
    for (uint32_t i = 0; i < s->left_count; i++) {
        uint32_t number = s->left[i];
        const struct entry *e = &s->entries[number];
        if (e->pid != key->pid || e->start_ticks != key->start_ticks ||
            e->pid_ns != key->pid_ns || (e->owner != 0 && e->owner != owner_of(key)))
            continue;
        s->left[i] = s->left[--s->left_count];
        return number;
    }
    return MPX_SAMPLE_NONE;
}

void mpx_samples_sweep(struct mpx_samples *s)
{
    while (s->left_count > 0)
        clear(s, s->left[--s->left_count]);
}

uint32_t mpx_samples_add(struct mpx_samples *s, const struct mpx_sample_key *key)
{
    if (s->free_count == 0 &&
        (s->room >= ENTRIES_MAX || grow(s, s->room * 2, NULL) != MPROXY_OK))
        return MPX_SAMPLE_NONE;
    uint32_t number = s->free[--s->free_count];
    struct entry *e = &s->entries[number];
    store(&e->set, 0);
    store(&e->pid_ns, key->pid_ns);
    store(&e->pid, key->pid);
    store(&e->start_ticks, key->start_ticks);
    store(&e->owner, owner_of(key));
    store(&e->used, MAGIC);
    return number;
}

void mpx_samples_drop(struct mpx_samples *s, uint32_t number)
{
    if (number != MPX_SAMPLE_NONE)
        clear(s, number);
}

void mpx_samples_get(const struct mpx_samples *s, uint32_t number,
                     struct mpx_process_values *out)
{
    const struct entry *e = &s->entries[number];
    out->set = e->set;
    memcpy(out->value, e->value, sizeof out->value);
}

void mpx_samples_put(struct mpx_samples *s, uint32_t number,
                     const struct mpx_process_values *values)
{
    struct entry *e = &s->entries[number];
    for (unsigned i = 0; i < MPX_SEG_FINAL_MAX; i++)
        if (values->set & (UINT64_C(1) << i))
            store(&e->value[i], values->value[i]);
    store(&e->set, values->set);
}

mproxy_status mpx_samples_move(struct mpx_samples *s, int state_fd, mproxy_error *err)
{
    struct entry *entries;
    struct stat ours, there;
    int fd = open_file(state_fd, err);
    if (fd < 0)
        return MPROXY_E_SYSTEM;
    bool is_same = fstat(s->fd, &ours) == 0 && fstat(fd, &there) == 0 &&
                   ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
    if (is_same) {
        close(fd);
        return MPROXY_OK;
    }
    if (ftruncate(fd, 0) != 0 || !map_entries(fd, s->room, &entries)) {
        mproxy_status status = mpx_fail_errno(err, "samples");
        close(fd);
        return status;
    }
    memcpy(entries, s->entries, s->room * sizeof *entries);
    munmap(s->entries, s->room * sizeof *s->entries);
    close(s->fd);
    s->entries = entries;
    s->fd = fd;
    return MPROXY_OK;
}
