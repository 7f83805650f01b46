// The file of a segment: its name, its birth and its growth page by page.
//
// Everything here runs inside other people's programs: no allocation, no descriptor
// kept, no growth past RLIMIT_FSIZE (that would be a deadly SIGXFSZ) and no mapping of a
// page that is not allocated (a deadly SIGBUS). That is why space is allocated by
// a system call that writes there, which fails where a touch would kill, and why limits are
// asked before and not learned from a signal.
//
// Names say who wrote the file: PID-START-NAMESPACE-IMAGE.seg. The image number is the
// first that is free, found without a lock by a creation that replaces nothing: each
// `exec` of a process makes one more. A process that execs in a loop would look through
// all of them, so beyond the first few the free number is found by bisection; numbers
// have no gaps.
//
// A file is seen before it is whole. Its magic is 0 until it is, and locked and mapped; a
// proxy passes it over. One that stays so and is not locked is swept away, by a proxy that
// holds the lock itself meanwhile: whoever gets the lock after that, or not at all, begins
// with another file.
//
// No descriptor is kept, because programs close what they do not know and count those
// they have. The mapping keeps the lock. While we hold one, another thread may close its
// number and be given it for a file of its own, so none is trusted: growth needs none. The
// path's device, inode and size must be those of our file, or it was removed, and nothing
// grows any more; the path is made longer, and the new end is mapped from the mapping of
// the first page, which mremap() maps a second time as a whole. Where that can't be done
// (limits of memory, old tools) a descriptor is opened to map by, and what was mapped is
// believed when the descriptor still is our file's after it. A birth does write by its
// descriptor: mostly no other thread runs, and each step looks at it first.
//
// While no proxy attends, the bounds of the directory apply (segment/crowd.h): of entries
// at birth, of bytes when a segment passes a power of two in size, so that a growing
// program does not read the directory each time.
//
// A forked child may do nothing but this, and for each page that it is the first to touch it
// pays some 3 us: so a birth calls no function of the C library.
//
// Birth and growth stay in one file although it is long: both stand on the same few steps with
// names, descriptors and rooms, which nobody else may take, and in two files those would be
// open to all of the folder.

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
    SWEPT_MAX = 3, // files taken for left behind that a birth begins with
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

// Appended to a path as far as there is room.
struct name {
    char *at, *end;
};

static void put(struct name *n, char c)
{
    if (n->at < n->end)
        *n->at++ = c;
}

static void put_number(struct name *n, uint64_t number)
{
    char digits[20];
    int count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    while (count > 0)
        put(n, digits[--count]);
}

static bool has_own_name(const struct mpx_seg_header *h)
{
    return h->kind == MPX_SEG_PROGRAM || h->kind == MPX_SEG_LAUNCH;
}

// Put the name of image `number` after the directory's path.
static void name_at(char *path, size_t dir_length, const struct mpx_seg_header *h,
                    unsigned number)
{
    struct name n = {path + dir_length, path + MPX_SEGMENT_PATH_MAX - 1};
    put(&n, '/');
    put_number(&n, h->pid);
    put(&n, '-');
    put_number(&n, h->start_ticks);
    put(&n, '-');
    put_number(&n, h->pid_ns);
    put(&n, '-');
    if (!has_own_name(h))
        put(&n, 'g');
    put_number(&n, number);
    // One by one: a text would lie on a page of its own.
    put(&n, '.');
    put(&n, 's');
    put(&n, 'e');
    put(&n, 'g');
    *n.at = '\0';
}

static void name_file(struct mpx_segment_file *f, const struct mpx_seg_header *h,
                      unsigned number)
{
    name_at(f->path, f->dir_length, h, number);
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

static bool is_file(const struct mpx_segment_file *f, int fd)
{
    struct stat st;
    return fd >= 0 && mpx_fstat_raw(fd, &st) == 0 && st.st_dev == f->device &&
           st.st_ino == f->inode;
}

// The number stays: a child may have been given the descriptor before it was closed, and the
// rest of us after.
static void close_file(struct mpx_segment_file *f)
{
    if (is_file(f, f->fd))
        mpx_close(f->fd);
}

static void let_go(struct mpx_segment_file *f)
{
    close_file(f);
    f->fd = -1;
    f->attached = false;
}

static void close_if_in_directory(struct mpx_segment_file *f, int fd)
{
    char link[32];
    mpx_format(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = mpx_readlink(link, f->other, MPX_SEGMENT_PATH_MAX - 1);
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

// Address space for a mapping that may lie anywhere, so that it is known before it is made.
static void *find_room(size_t length)
{
    void *at = mpx_mmap(NULL, length, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

// What is mapped there is ours to the end: whoever is stopped on the way leaves no mapping of
// the file, and nobody unmaps what another thread has mapped there since.
static void give_room(void *at, size_t *length)
{
    size_t had = *length;
    if (had == 0)
        return;
    mpx_mmap(at, had, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
             -1, 0);
    atomic_signal_fence(memory_order_seq_cst);
    *length = 0;
    atomic_signal_fence(memory_order_seq_cst);
    mpx_munmap(at, had);
}

void mpx_segment_file_forget(struct mpx_segment_file *f)
{
    give_room(f->room_at, &f->room_length);
    if (is_file(f, f->fd))
        mpx_close(f->fd);
    else if (f->opening)
        close_in_directory(f);
    f->fd = -1;
    f->opening = false;
}

// ---- birth

static bool name_is_taken(struct mpx_segment_file *f, const struct mpx_seg_header *header,
                          unsigned number)
{
    struct stat st;
    name_file(f, header, number);
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

// Under the first name that is free; whose number it is goes to the header.
static int create_new(struct mpx_segment_file *f, struct mpx_seg_header *header)
{
    static atomic_uint gateways;
    bool own_name = has_own_name(header);
    unsigned number = own_name ? 0 : atomic_fetch_add(&gateways, 1);
    while (number < IMAGE_MAX || !own_name) {
        name_file(f, header, number);
        int fd = mpx_open(f->path, OPEN_FLAGS | O_CREAT | O_EXCL, 0600);
        if (own_name)
            header->image = number;
        if (fd >= 0 || errno != EEXIST)
            return fd;
        if (!own_name)
            number = atomic_fetch_add(&gateways, 1);
        else
            number = number < 4 ? number + 1 : guess_free_number(f, header, number);
    }
    return -1;
}

// Whether a proxy has taken the file for one that was left behind. To be asked with the lock
// held: after that none does.
static bool is_swept(int fd)
{
    struct stat st;
    return mpx_fstat_raw(fd, &st) == 0 && st.st_nlink == 0;
}

static unsigned write_parts(struct mpx_segment_file *f,
                            const struct mpx_segment_start *start)
{
    size_t total = start->parts[0].iov_len + start->parts[1].iov_len;
    if (total < start->size && mpx_ftruncate(f->fd, start->size) != 0)
        return reasons_of(errno);
    ssize_t put = mpx_pwritev(f->fd, start->parts, 2, 0);
    if (put != (ssize_t)total)
        return put < 0 ? reasons_of(errno) : MPX_OFF_SPACE;
    f->size = start->size;
    return MPX_OFF_NONE;
}

static unsigned lock_file(struct mpx_segment_file *f, bool *swept)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (!is_file(f, f->fd))
        return MPX_OFF_DESCRIPTOR;
    bool has_lock = mpx_lock_fd(f->fd, F_OFD_SETLK, &lock) == 0;
    *swept = has_lock ? is_swept(f->fd) : errno == EAGAIN || errno == EACCES;
    return has_lock && !*swept ? MPX_OFF_NONE : MPX_OFF_ACCESS;
}

static unsigned fill_file(struct mpx_segment_file *f, const struct stat *st,
                          const struct mpx_segment_start *start)
{
    // Readers and growth open the file again, whatever the umask took away; a reader leaves it
    // alone while it is empty.
    if ((st->st_mode & 0777) != 0600 && mpx_chmod(f->path, 0600) != 0)
        return MPX_OFF_ACCESS;
    if (exceeds_file_limit(start->size))
        return MPX_OFF_FSIZE;
    if (!is_file(f, f->fd))
        return MPX_OFF_DESCRIPTOR;
    return write_parts(f, start);
}

static unsigned create_and_fill(struct mpx_segment_file *f,
                                const struct mpx_segment_start *start, bool *swept)
{
    struct stat st = {0};
    begin_opening(f);
    int fd = create_new(f, start->header);
    unsigned reasons = fd < 0 ? reasons_of(errno) : MPX_OFF_NONE;
    bool is_named = fd >= 0 && mpx_lstat(f->path, &st) == 0;
    f->device = st.st_dev;
    f->inode = st.st_ino;
    end_opening(f, fd);
    if (fd < 0)
        return reasons;
    if (!is_named) {
        *swept = errno == ENOENT;
        close_if_in_directory(f, fd);
        f->fd = -1;
        return MPX_OFF_ACCESS;
    }
    reasons = lock_file(f, swept);
    if (reasons) {
        // The name is not ours without the lock: a proxy may be about to take it away.
        let_go(f);
        return reasons;
    }
    reasons = fill_file(f, &st, start);
    if (reasons)
        mpx_segment_file_abandon(f);
    return reasons;
}

static bool set_directory(struct mpx_segment_file *f, const char *dir_path)
{
    f->dir_length = strlen(dir_path);
    if (f->dir_length + 100 > MPX_SEGMENT_PATH_MAX)
        return false;
    memcpy(f->path, dir_path, f->dir_length);
    return true;
}

unsigned mpx_segment_file_begin(struct mpx_segment_file *f, const char *dir_path,
                                bool is_bounded, const struct mpx_segment_start *start)
{
    f->fd = -1;
    f->attached = false;
    f->let_go_for = 0;
    f->bounded = is_bounded;
    if (dir_path && !set_directory(f, dir_path))
        return MPX_OFF_ACCESS;
    bool missing, swept;
    int tries = 0;
    f->path[f->dir_length] = '\0';
    unsigned reasons = check_directory(f->path, is_bounded, &missing);
    if (reasons || missing)
        return reasons;
    do {
        swept = false;
        reasons = create_and_fill(f, start, &swept);
    } while (swept && ++tries < SWEPT_MAX);
    return reasons;
}

void mpx_segment_file_abandon(struct mpx_segment_file *f)
{
    mpx_unlink(f->path);
    let_go(f);
}

bool mpx_segment_file_finish(struct mpx_segment_file *f, void *first)
{
    f->attached = is_file(f, f->fd);
    f->first = first;
    if (f->attached)
        mpx_close(f->fd);
    return f->attached;
}

// ---- growth

static bool passes_power_of_two(uint64_t from, uint64_t to)
{
    return to > COUNTED_GROWTH && (from ^ to) > from;
}

static unsigned check_growth(struct mpx_segment_file *f, uint64_t end)
{
    if (!f->attached)
        return f->let_go_for ? f->let_go_for : MPX_OFF_REMOVED;
    if (end > MPX_SEG_SIZE_MAX)
        return MPX_OFF_LIMIT;
    if (exceeds_file_limit(end))
        return MPX_OFF_FSIZE;
    if (!f->bounded || !passes_power_of_two(f->size, end))
        return MPX_OFF_NONE;
    return mpx_crowd_is_large(directory_of(f)) ? MPX_OFF_CROWDED : MPX_OFF_NONE;
}

// Nobody else gives names in our directory, so the path leads to what was looked at.
static unsigned check_path(const struct mpx_segment_file *f)
{
    struct stat st;
    if (mpx_lstat(f->path, &st) != 0)
        return reasons_of(errno);
    bool is_ours = st.st_dev == f->device && st.st_ino == f->inode;
    return is_ours && (uint64_t)st.st_size >= f->size ? MPX_OFF_NONE : MPX_OFF_REMOVED;
}

bool mpx_segment_file_is_gone(const struct mpx_segment_file *f)
{
    struct stat st;
    if (!f->attached)
        return false;
    return mpx_lstat(f->path, &st) != 0 ? errno == ENOENT || errno == ENOTDIR
                                        : st.st_dev != f->device || st.st_ino != f->inode;
}

static unsigned set_size(const struct mpx_segment_file *f, uint64_t size)
{
    int failed;
    do
        failed = mpx_truncate(f->path, size);
    while (failed && errno == EINTR);
    return failed ? reasons_of(errno) : MPX_OFF_NONE;
}

// No later touch can fail: the kernel has written to each page, which it could not where a touch
// would kill.
static unsigned allocate(char *at, size_t length)
{
    for (size_t done = 0; done < length; done += MPX_SEG_PAGE) {
        struct timespec *page = (void *)(at + done);
        if (mpx_clock_gettime(CLOCK_MONOTONIC, page) != 0)
            return MPX_OFF_SPACE;
        *page = (struct timespec){0};
    }
    return MPX_OFF_NONE;
}

static bool take_room(struct mpx_segment_file *f, size_t length)
{
    f->room_at = find_room(length);
    atomic_signal_fence(memory_order_seq_cst);
    f->room_length = f->room_at ? length : 0;
    atomic_signal_fence(memory_order_seq_cst);
    return f->room_at != NULL;
}

// Into the room, by a descriptor that was ours after the mapping, and so while it was made:
// nothing of another file is ever touched.
static unsigned map_by_descriptor(struct mpx_segment_file *f)
{
    for (int tries = 0; tries < 8; tries++) {
        begin_opening(f);
        int fd = mpx_open(f->path, OPEN_FLAGS, 0);
        unsigned reasons = fd < 0 ? reasons_of(errno) : MPX_OFF_NONE;
        end_opening(f, fd);
        if (reasons)
            return reasons;
        void *mapped = mpx_mmap(f->room_at, f->room_length, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_FIXED, fd, (off_t)f->size);
        bool is_ours = is_file(f, fd);
        if (is_ours)
            mpx_close(fd);
        if (is_ours && mapped != MAP_FAILED)
            return MPX_OFF_NONE;
        if (is_ours)
            return MPX_OFF_MEMORY;
    }
    return MPX_OFF_DESCRIPTOR;
}

// The file's new end in a room of its own: at the end of the whole file, or alone.
static unsigned map_in_room(struct mpx_segment_file *f, size_t length, char **end_at)
{
    if (f->first && take_room(f, f->size + length)) {
        *end_at = (char *)f->room_at + f->size;
        if (mpx_mremap(f->first, 0, f->room_length, f->room_at) != MAP_FAILED)
            return MPX_OFF_NONE;
        // Somebody else may live there now. Not tried again.
        f->room_length = 0;
        f->first = NULL;
    }
    if (!take_room(f, length))
        return MPX_OFF_MEMORY;
    *end_at = f->room_at;
    return map_by_descriptor(f);
}

static bool put_in_place(struct mpx_segment_file *f, char *end_at, size_t length,
                         void *at)
{
    bool is_whole = end_at != f->room_at;
    if (mpx_mremap(end_at, is_whole ? 0 : length, length, at) == MAP_FAILED)
        return false;
    if (!is_whole)
        f->room_length = 0;
    return true;
}

// What is at `at` stays until all can be had.
static unsigned map_end(struct mpx_segment_file *f, size_t length, void *at, void **out,
                        bool *hole)
{
    char *end_at;
    unsigned reasons = map_in_room(f, length, &end_at);
    if (!reasons)
        reasons = allocate(end_at, length);
    void *place = at || reasons ? at : find_room(length);
    if (!reasons && !place)
        reasons = MPX_OFF_MEMORY;
    if (!reasons) {
        f->mapped_at = *out = place;
        f->mapped_length = length;
        atomic_signal_fence(memory_order_seq_cst);
        if (!put_in_place(f, end_at, length, place)) {
            reasons = MPX_OFF_MEMORY;
            mpx_segment_file_settle(f);
            *hole = at != NULL;
        }
    }
    give_room(f->room_at, &f->room_length);
    return reasons;
}

unsigned mpx_segment_file_grow(struct mpx_segment_file *f, size_t length, void *at,
                               void **out, uint64_t *offset, bool *hole)
{
    *hole = false;
    uint64_t end = f->size + length;
    unsigned reasons = check_growth(f, end);
    if (!reasons)
        reasons = check_path(f);
    if (!reasons)
        reasons = set_size(f, end);
    if (reasons)
        return reasons;
    reasons = map_end(f, length, at, out, hole);
    if (reasons) {
        set_size(f, f->size); // gives back what it got
        return reasons;
    }
    *offset = f->size;
    f->size = end;
    return MPX_OFF_NONE;
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
    if (!has_own_name(header))
        return false;
    // The first image that counted is among the first few: those before it only launched.
    for (uint32_t n = 0; n < header->image && n < 16; n++) {
        memcpy(f->other, f->path, f->dir_length);
        name_at(f->other, f->dir_length, header, n);
        if (image_started(f->other, header))
            return true;
    }
    return false;
}
