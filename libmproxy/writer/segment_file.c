// The file of a segment: its name, its birth under another one, and its growth page by
// page.
//
// Everything here runs inside other people's programs: no allocation, no descriptor
// kept, no growth past RLIMIT_FSIZE (that would be a deadly SIGXFSZ) and no mapping of a
// page that is not allocated (a deadly SIGBUS). That is why space is allocated by
// fallocate(), or by writing zeros, before it is mapped, and why limits are asked before
// and not learned from a signal.
//
// Names say who wrote the file: PID-START-NAMESPACE-IMAGE.seg. The image number is the
// first that is free, found without a lock by a rename that replaces nothing: each
// `exec` of a process makes one more. A process that execs in a loop would look through
// all of them, so beyond the first few the free number is found by bisection; numbers
// have no gaps.
//
// No descriptor is kept, because programs close what they do not know and count those
// they have. The mapping keeps the lock, and growth opens the path again: device, inode
// and size must be those of our file, or it was removed, and nothing grows any more.
//
// While no proxy attends, the bounds of the directory apply (segment/crowd.h): of entries
// at birth, of bytes when a segment passes a power of two in size, so that a growing
// program does not read the directory each time.

#include "writer/segment_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/sys.h"
#include "base/text.h"
#include "segment/crowd.h"
#include "segment/rendezvous.h"

enum {
    OPEN_FLAGS = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
    IMAGE_MAX = 1 << 20,
    COUNTED_GROWTH =
        64 << 10, // from this size on, growth looks at the directory's bounds
};

static unsigned reasons_of(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return MPX_OFF_SPACE;
    case EFBIG:
        return MPX_OFF_FSIZE;
    case EMFILE:
    case ENFILE:
        return MPX_OFF_DESCRIPTOR;
    case ENOMEM:
    case EAGAIN:
        return MPX_OFF_MEMORY;
    case ENOENT:
        return MPX_OFF_REMOVED;
    }
    return MPX_OFF_ACCESS;
}

static bool exceeds_file_limit(uint64_t size)
{
    struct rlimit limit;
    return mpx_getrlimit(RLIMIT_FSIZE, &limit) != 0 || size > limit.rlim_cur;
}

static unsigned check_directory(const char *dir_path, bool is_bounded, bool *missing)
{
    struct stat st;
    *missing = mpx_lstat(dir_path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR);
    if (*missing)
        return MPX_OFF_NONE;
    if (!mpx_rendezvous_is_trusted(dir_path, &st))
        return MPX_OFF_ACCESS;
    if (is_bounded && mpx_crowd_is_full(dir_path, st.st_size, 0))
        return MPX_OFF_CROWDED;
    return MPX_OFF_NONE;
}

// Append a name to the directory's path.
static void name_at(char *path, size_t dir_length, const char *prefix,
                    const struct mpx_seg_header *h, const char *infix, unsigned number,
                    const char *suffix)
{
    mpx_format(path + dir_length, MPX_SEGMENT_PATH_MAX - dir_length,
               "/%s%u-%llu-%llu-%s%u%s", prefix, h->pid,
               (unsigned long long)h->start_ticks, (unsigned long long)h->pid_ns, infix,
               number, suffix);
}

static void name_file(struct mpx_segment_file *f, const char *prefix,
                      const struct mpx_seg_header *h, const char *infix, unsigned number,
                      const char *suffix)
{
    name_at(f->path, f->dir_length, prefix, h, infix, number, suffix);
}

// In f->other.
static const char *directory_of(struct mpx_segment_file *f)
{
    memcpy(f->other, f->path, f->dir_length);
    f->other[f->dir_length] = '\0';
    return f->other;
}

// ---- descriptors that a fork in another thread may copy

static void begin_opening(struct mpx_segment_file *f)
{
    f->opening = true;
    atomic_signal_fence(memory_order_seq_cst);
}

static void end_opening(struct mpx_segment_file *f, int fd)
{
    f->fd = fd;
    atomic_signal_fence(memory_order_seq_cst);
    f->opening = false;
}

// The number stays: a child may have been given the descriptor before it was closed, and the
// rest of us after.
static void close_file(struct mpx_segment_file *f)
{
    mpx_close(f->fd);
}

static bool is_file(const struct mpx_segment_file *f, int fd)
{
    struct stat st;
    return fd >= 0 && mpx_fstat(fd, &st) == 0 && st.st_dev == f->device &&
           st.st_ino == f->inode;
}

static void close_if_in_directory(struct mpx_segment_file *f, int fd)
{
    char link[32];
    mpx_format(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = mpx_readlink(link, f->other, sizeof f->other - 1);
    if (length > (ssize_t)f->dir_length && f->other[f->dir_length] == '/' &&
        memcmp(f->other, f->path, f->dir_length) == 0)
        mpx_close(fd);
}

// Close what lies in our directory: nobody else in this process opens anything there. Where
// no descriptor is left to list them by, the lower ones are looked at.
static void close_in_directory(struct mpx_segment_file *f)
{
    enum { LOOKED_AT = 1024 };
    _Alignas(struct dirent64) char entries[512];
    int dir = mpx_open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    long got;
    for (int fd = 0; dir < 0 && fd < LOOKED_AT; fd++)
        close_if_in_directory(f, fd);
    while (dir >= 0 && (got = mpx_getdents(dir, entries, sizeof entries)) > 0)
        for (long at = 0; at < got;) {
            const struct dirent64 *entry = (const void *)(entries + at);
            int fd = (int)strtol(entry->d_name, NULL, 10);
            if (fd != dir && entry->d_name[0] != '.')
                close_if_in_directory(f, fd);
            at += entry->d_reclen;
        }
    if (dir >= 0)
        mpx_close(dir);
}

void mpx_segment_file_forget(struct mpx_segment_file *f)
{
    if (is_file(f, f->fd))
        mpx_close(f->fd);
    else if (f->opening)
        close_in_directory(f);
    f->fd = -1;
    f->opening = false;
}

// ---- birth

// A `.new-*` of ours can be there from an image that was exec'ed away while being born.
static int create_new(struct mpx_segment_file *f, const struct mpx_seg_header *image)
{
    int fd = -1;
    for (int tries = 0; tries < 16 && fd < 0; tries++) {
        name_file(f, ".new-", image, "", f->births++, "");
        fd = mpx_open(f->path, OPEN_FLAGS | O_CREAT | O_EXCL, 0600);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    return fd;
}

static unsigned lock_and_fill(struct mpx_segment_file *f, const struct stat *st,
                              const void *image, size_t size)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (mpx_lock_fd(f->fd, F_OFD_SETLK, &lock) != 0)
        return MPX_OFF_ACCESS;
    if (exceeds_file_limit(size))
        return MPX_OFF_FSIZE;
    ssize_t put = mpx_pwrite(f->fd, image, size, 0);
    if (put != (ssize_t)size)
        return put < 0 ? reasons_of(errno) : MPX_OFF_SPACE;
    // Growth opens the file again, whatever the umask took away.
    if ((st->st_mode & 0777) != 0600 && mpx_fchmod(f->fd, 0600) != 0)
        return MPX_OFF_ACCESS;
    f->size = size;
    return MPX_OFF_NONE;
}

static unsigned create_and_fill(struct mpx_segment_file *f,
                                const struct mpx_seg_header *image, size_t size)
{
    struct stat st = {0};
    begin_opening(f);
    int fd = create_new(f, image);
    unsigned reasons = fd < 0 ? reasons_of(errno) : MPX_OFF_NONE;
    if (fd >= 0 && mpx_fstat(fd, &st) != 0)
        reasons = MPX_OFF_ACCESS;
    f->device = st.st_dev;
    f->inode = st.st_ino;
    end_opening(f, fd);
    if (fd < 0)
        return reasons;
    if (!reasons)
        reasons = lock_and_fill(f, &st, image, size);
    if (reasons)
        mpx_segment_file_abandon(f);
    return reasons;
}

unsigned mpx_segment_file_begin(struct mpx_segment_file *f, const char *dir_path,
                                bool is_bounded, const struct mpx_seg_header *image,
                                size_t size)
{
    f->fd = -1;
    f->attached = false;
    f->bounded = is_bounded;
    if (dir_path) {
        f->dir_length = strlen(dir_path);
        if (f->dir_length + 100 > MPX_SEGMENT_PATH_MAX)
            return MPX_OFF_ACCESS;
        memcpy(f->path, dir_path, f->dir_length);
    }
    bool missing;
    unsigned reasons = check_directory(directory_of(f), is_bounded, &missing);
    return reasons || missing ? reasons : create_and_fill(f, image, size);
}

void mpx_segment_file_abandon(struct mpx_segment_file *f)
{
    mpx_unlink(f->path);
    close_file(f);
    f->fd = -1;
    f->attached = false;
}

// The file has number 0 from its image; what it is renamed to is in it before.
static bool rename_to(struct mpx_segment_file *f, struct mpx_seg_header *header,
                      unsigned number)
{
    bool own_name = header->kind == MPX_SEG_PROGRAM || header->kind == MPX_SEG_LAUNCH;
    if (own_name && number != header->image) {
        header->image = number;
        if (mpx_pwrite(f->fd, &header->image, sizeof header->image,
                       offsetof(struct mpx_seg_header, image)) != sizeof header->image)
            return false;
    }
    name_file(f, "", header, own_name ? "" : "g", number, ".seg");
    return mpx_rename_new(f->other, f->path) == 0;
}

static bool name_is_taken(struct mpx_segment_file *f, const struct mpx_seg_header *header,
                          unsigned number)
{
    struct stat st;
    name_file(f, "", header, "", number, ".seg");
    return mpx_lstat(f->path, &st) == 0;
}

// A process that execs in a loop has many images; their numbers have no gaps.
static unsigned guess_free_number(struct mpx_segment_file *f,
                                  const struct mpx_seg_header *header, unsigned taken)
{
    unsigned high = taken + 1;
    while (high < IMAGE_MAX && name_is_taken(f, header, high))
        high *= 2;
    while (high - taken > 1) {
        unsigned middle = taken + (high - taken) / 2;
        if (name_is_taken(f, header, middle))
            taken = middle;
        else
            high = middle;
    }
    return high;
}

static bool rename_to_free(struct mpx_segment_file *f, struct mpx_seg_header *header)
{
    static atomic_uint gateways;
    bool own_name = header->kind == MPX_SEG_PROGRAM || header->kind == MPX_SEG_LAUNCH;
    unsigned number = own_name ? 0 : atomic_fetch_add(&gateways, 1);
    while (number < IMAGE_MAX || !own_name) {
        if (rename_to(f, header, number))
            return true;
        if (errno != EEXIST)
            return false;
        if (!own_name)
            number = atomic_fetch_add(&gateways, 1);
        else
            number = number < 4 ? number + 1 : guess_free_number(f, header, number);
    }
    return false;
}

unsigned mpx_segment_file_rename(struct mpx_segment_file *f,
                                 struct mpx_seg_header *header)
{
    memcpy(f->other, f->path, strlen(f->path) + 1);
    if (rename_to_free(f, header))
        return MPX_OFF_NONE;
    unsigned reasons = reasons_of(errno);
    memcpy(f->path, f->other, strlen(f->other) + 1);
    mpx_segment_file_abandon(f);
    return reasons;
}

void mpx_segment_file_finish(struct mpx_segment_file *f)
{
    close_file(f);
    f->attached = true;
}

// ---- growth

static bool passes_power_of_two(uint64_t from, uint64_t to)
{
    return to > COUNTED_GROWTH && (from ^ to) > from;
}

static unsigned check_growth(struct mpx_segment_file *f, uint64_t end)
{
    if (!f->attached)
        return MPX_OFF_REMOVED;
    if (end > MPX_SEG_SIZE_MAX)
        return MPX_OFF_LIMIT;
    if (exceeds_file_limit(end))
        return MPX_OFF_FSIZE;
    if (!f->bounded || !passes_power_of_two(f->size, end))
        return MPX_OFF_NONE;
    return mpx_crowd_is_large(directory_of(f)) ? MPX_OFF_CROWDED : MPX_OFF_NONE;
}

// Into f->fd: 0, or reasons.
static unsigned open_again(struct mpx_segment_file *f)
{
    begin_opening(f);
    int fd = mpx_open(f->path, OPEN_FLAGS, 0);
    unsigned reasons = fd < 0 ? reasons_of(errno) : MPX_OFF_NONE;
    end_opening(f, fd);
    if (fd < 0)
        return reasons;
    struct stat st;
    if (is_file(f, fd) && mpx_fstat(fd, &st) == 0 && (uint64_t)st.st_size >= f->size)
        return MPX_OFF_NONE;
    mpx_close(fd);
    f->fd = -1;
    return MPX_OFF_REMOVED;
}

// Allocates, so that no later touch can fail. Without fallocate (some network file
// systems) zeroes are written.
static unsigned allocate(int fd, uint64_t offset, size_t length)
{
    int failed;
    do
        failed = mpx_fallocate(fd, (off_t)offset, length);
    while (failed && errno == EINTR);
    if (!failed)
        return MPX_OFF_NONE;
    if (errno != EOPNOTSUPP && errno != ENOSYS)
        return reasons_of(errno);
    static const char zeroes[MPX_SEG_PAGE];
    for (size_t at = 0; at < length; at += sizeof zeroes) {
        ssize_t put = mpx_pwrite(fd, zeroes, sizeof zeroes, (off_t)(offset + at));
        if (put != (ssize_t)sizeof zeroes)
            return put < 0 ? reasons_of(errno) : MPX_OFF_SPACE;
    }
    return MPX_OFF_NONE;
}

// Address space for a mapping that may lie anywhere, so that it is known before it is made.
static void *find_room(size_t length)
{
    void *at = mpx_mmap(NULL, length, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static unsigned map_end(struct mpx_segment_file *f, size_t length, void *at, void **out,
                        bool *hole)
{
    void *room = at ? at : find_room(length);
    if (!room)
        return MPX_OFF_MEMORY;
    f->mapped_at = room;
    f->mapped_length = length;
    atomic_signal_fence(memory_order_seq_cst);
    *out = mpx_mmap(room, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, f->fd,
                    (off_t)f->size);
    if (*out != MAP_FAILED)
        return MPX_OFF_NONE;
    mpx_segment_file_settle(f);
    *hole = at != NULL;
    if (!at)
        mpx_munmap(room, length);
    return MPX_OFF_MEMORY;
}

unsigned mpx_segment_file_grow(struct mpx_segment_file *f, size_t length, void *at,
                               void **out, uint64_t *offset, bool *hole)
{
    *hole = false;
    unsigned reasons = check_growth(f, f->size + length);
    if (!reasons)
        reasons = open_again(f);
    if (reasons)
        return reasons;
    reasons = allocate(f->fd, f->size, length);
    if (!reasons)
        reasons = map_end(f, length, at, out, hole);
    if (!reasons) {
        *offset = f->size;
        f->size += length;
    }
    close_file(f);
    return reasons;
}

void mpx_segment_file_settle(struct mpx_segment_file *f)
{
    f->mapped_length = 0;
}

// ---- earlier images

static bool image_started(const char *path, const struct mpx_seg_header *self)
{
    int fd = mpx_open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0)
        return false;
    struct mpx_seg_header h;
    bool started = mpx_pread(fd, &h, sizeof h, 0) == (ssize_t)sizeof h &&
                   h.magic == MPX_SEG_MAGIC && h.version == MPX_SEG_VERSION &&
                   h.pid == self->pid && h.start_ticks == self->start_ticks && h.started;
    mpx_close(fd);
    return started;
}

bool mpx_segment_file_started_before(struct mpx_segment_file *f,
                                     const struct mpx_seg_header *header)
{
    if (header->kind != MPX_SEG_PROGRAM && header->kind != MPX_SEG_LAUNCH)
        return false;
    // The first image that counted is among the first few: those before it only launched.
    for (uint32_t n = 0; n < header->image && n < 16; n++) {
        memcpy(f->other, f->path, f->dir_length);
        name_at(f->other, f->dir_length, "", header, "", n, ".seg");
        if (image_started(f->other, header))
            return true;
    }
    return false;
}
