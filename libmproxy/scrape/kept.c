// The counters of a target in a mapped file that outlives the proxy.
//
//     head      magic, version, number of entries, bytes of names, checksum of the names
//     entries   which of two pairs (offset, raw) counts, and the pairs
//     names     length and bytes of each, in the order of the entries
//
// Without a restart of its exporter only the raw value of a counter changes, by one store of
// eight bytes, so that whoever kills the proxy leaves the old or the new one, and either is
// right: both were on a page, and the sum shown is never above the larger. When the exporter
// has restarted, offset and raw value change together. They are written to the pair that does
// not count, then one store makes it count. So a page costs no system call.
//
// Other counters than before make a whole new file, which takes the old one's place by a
// rename before any of them is shown. Its blocks are allocated before they are mapped: a full
// file system is an error here and no bus error later.
//
// The words of entries change under no checksum; each value is judged by itself when it is
// read. Names are checked as those of a page are.

#include "scrape/kept.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <mproxy/metric.h>

#include "base/crash.h"
#include "base/err.h"
#include "base/file.h"

#define MAGIC UINT64_C(0x3147524154585250) // "PRXTARG1"
#define FILE_MAX ((size_t)1 << 30)

enum { NAME_ROOM = 64 };

struct head {
    uint64_t magic, count, names_size, names_crc;
    uint64_t spare[4];
};
_Static_assert(sizeof(struct head) == 64, "entries are aligned");

struct entry {
    uint64_t counts; // which pair
    struct {
        double offset, raw;
    } pair[2];
};

static void name_file(char out[NAME_ROOM], const char *prefix, uint64_t number)
{
    snprintf(out, NAME_ROOM, "%starget-%" PRIu64, prefix, number);
}

static void store(void *word, const void *value)
{
    uint64_t bits;
    memcpy(&bits, value, sizeof bits);
    __atomic_store_n((uint64_t *)word, bits, __ATOMIC_RELEASE);
}

static struct entry *entries_of(const struct mpx_kept *kept)
{
    return (struct entry *)(void *)((char *)kept->map + sizeof(struct head));
}

// ---- writing

static size_t size_of_names(const struct mpx_kept_item *items, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += sizeof(uint32_t) + strlen(items[i].name);
    return size;
}

static void fill_in(const struct mpx_kept *kept, const struct mpx_kept_item *items,
                    size_t names_size)
{
    struct entry *entries = entries_of(kept);
    char *names = (char *)(entries + kept->count), *at = names;
    for (size_t i = 0; i < kept->count; i++) {
        uint32_t length = (uint32_t)strlen(items[i].name);
        entries[i].counts = 0;
        entries[i].pair[0].offset = items[i].offset;
        entries[i].pair[0].raw = items[i].raw;
        memcpy(at, &length, sizeof length);
        memcpy(at + sizeof length, items[i].name, length);
        at += sizeof length + length;
    }
    struct head *head = kept->map;
    head->count = kept->count;
    head->names_size = names_size;
    head->names_crc = crc32_z(0, (const unsigned char *)names, names_size);
    head->magic = MAGIC;
}

static mproxy_status map_new(int fd, size_t size, struct mpx_kept *out, mproxy_error *err)
{
    int failure = posix_fallocate(fd, 0, (off_t)size);
    if (failure) {
        errno = failure;
        return mpx_fail_errno(err, "the state of a target");
    }
    out->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (out->map == MAP_FAILED)
        return mpx_fail_errno(err, "the state of a target");
    out->size = size;
    return MPROXY_OK;
}

mproxy_status mpx_kept_write(int state_fd, uint64_t number,
                             const struct mpx_kept_item *items, size_t count,
                             struct mpx_kept *kept, mproxy_error *err)
{
    char name[NAME_ROOM], temporary[NAME_ROOM];
    size_t names_size = size_of_names(items, count);
    struct mpx_kept fresh = {.count = count};
    name_file(name, "", number);
    name_file(temporary, ".new-", number);
    unlinkat(state_fd, temporary, 0);
    int fd = openat(state_fd, temporary,
                    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return mpx_fail_errno(err, "the state of a target");
    mproxy_status status = map_new(
        fd, sizeof(struct head) + count * sizeof(struct entry) + names_size, &fresh, err);
    close(fd);
    if (status == MPROXY_OK) {
        fill_in(&fresh, items, names_size);
        MPX_CRASH_POINT("scrape.rename");
        if (renameat(state_fd, temporary, state_fd, name) != 0)
            status = mpx_fail_errno(err, "the state of a target");
        MPX_CRASH_POINT("scrape.renamed");
    }
    if (status != MPROXY_OK) {
        unlinkat(state_fd, temporary, 0);
        if (fresh.size)
            munmap(fresh.map, fresh.size);
        return status;
    }
    mpx_kept_close(kept);
    *kept = fresh;
    return MPROXY_OK;
}

void mpx_kept_set(struct mpx_kept *kept, size_t place, double offset, double raw)
{
    struct entry *e = &entries_of(kept)[place];
    uint64_t counts = e->counts, other = !counts;
    if (e->pair[counts].offset == offset) {
        store(&e->pair[counts].raw, &raw);
        return;
    }
    store(&e->pair[other].offset, &offset);
    store(&e->pair[other].raw, &raw);
    MPX_CRASH_POINT("scrape.pair");
    store(&e->counts, &other);
}

void mpx_kept_close(struct mpx_kept *kept)
{
    if (kept->size)
        munmap(kept->map, kept->size);
    *kept = (struct mpx_kept){0};
}

void mpx_kept_remove(int state_fd, uint64_t number)
{
    char name[NAME_ROOM];
    name_file(name, "", number);
    unlinkat(state_fd, name, 0);
}

void mpx_kept_set_aside(int state_fd, uint64_t number)
{
    char name[NAME_ROOM], aside[NAME_ROOM];
    name_file(name, "", number);
    name_file(aside, "damaged-", number);
    renameat(state_fd, name, state_fd, aside);
}

void mpx_kept_sweep(int state_fd, bool (*is_known)(void *arg, uint64_t number), void *arg)
{
    int fd = openat(state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir && fd >= 0)
        close(fd);
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        bool is_new = strncmp(e->d_name, ".new-target-", 12) == 0;
        char *end;
        if (!is_new && strncmp(e->d_name, "target-", 7) != 0)
            continue;
        uint64_t number = strtoull(e->d_name + 7, &end, 10);
        if (is_new || (!*end && !is_known(arg, number)))
            unlinkat(state_fd, e->d_name, 0);
    }
    if (dir)
        closedir(dir);
}

// ---- reading

static mproxy_status corrupt(mproxy_error *err, const char *what)
{
    return mpx_fail(err, MPROXY_E_CORRUPT, "the state of a target: %s", what);
}

static bool is_value(double value)
{
    return isfinite(value) && value >= 0;
}

// False: an entry whose numbers are none.
static bool read_entry(const char *at, struct mpx_kept_item *item)
{
    struct entry e;
    memcpy(&e, at, sizeof e);
    if (e.counts > 1)
        return false;
    item->offset = e.pair[e.counts].offset;
    item->raw = e.pair[e.counts].raw;
    return is_value(item->offset) && is_value(item->raw) &&
           isfinite(item->offset + item->raw);
}

static mproxy_status tell_items(const char *entries, size_t count, const char *names,
                                const char *end, mpx_kept_fn each, void *arg,
                                size_t *skipped, mproxy_error *err)
{
    char name[2048];
    for (size_t i = 0; i < count; i++) {
        uint32_t length;
        if ((size_t)(end - names) < sizeof length)
            return corrupt(err, "a name is missing");
        memcpy(&length, names, sizeof length);
        names += sizeof length;
        if (length > (size_t)(end - names) || length >= sizeof name)
            return corrupt(err, "a name is too long");
        memcpy(name, names, length);
        name[length] = '\0';
        names += length;
        struct mpx_kept_item item = {.name = name};
        if (!read_entry(entries + i * sizeof(struct entry), &item) ||
            mproxy_metric_check_name(name, length, NULL) != MPROXY_OK) {
            ++*skipped;
            continue;
        }
        mproxy_status status = each(arg, &item);
        if (status != MPROXY_OK)
            return status;
    }
    return names == end ? MPROXY_OK : corrupt(err, "bytes behind the last name");
}

mproxy_status mpx_kept_decode(const void *bytes, size_t size, mpx_kept_fn each, void *arg,
                              size_t *skipped, mproxy_error *err)
{
    struct head head;
    *skipped = 0;
    if (size < sizeof head)
        return corrupt(err, "too short");
    memcpy(&head, bytes, sizeof head);
    size_t rest = size - sizeof head;
    if (head.magic != MAGIC)
        return corrupt(err, "of another version, or damaged");
    if (head.count > rest / sizeof(struct entry) ||
        head.names_size != rest - head.count * sizeof(struct entry))
        return corrupt(err, "of another size than it says");
    const char *entries = (const char *)bytes + sizeof head;
    const char *names = entries + head.count * sizeof(struct entry);
    if (crc32_z(0, (const unsigned char *)names, head.names_size) != head.names_crc)
        return corrupt(err, "its names are damaged");
    return tell_items(entries, head.count, names, names + head.names_size, each, arg,
                      skipped, err);
}

mproxy_status mpx_kept_read(int state_fd, uint64_t number, mpx_kept_fn each, void *arg,
                            size_t *skipped, mproxy_error *err)
{
    char name[NAME_ROOM];
    struct mpx_buf bytes = MPX_BUF_INIT;
    name_file(name, "", number);
    mproxy_status status = mpx_file_read(state_fd, name, FILE_MAX, &bytes, err);
    if (status == MPROXY_E_LIMIT || status == MPROXY_E_INVALID)
        status = corrupt(err, "no regular file, or too large");
    if (status == MPROXY_OK)
        status = mpx_kept_decode(bytes.data, bytes.size, each, arg, skipped, err);
    mpx_buf_free(&bytes);
    return status;
}
