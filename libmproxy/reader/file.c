// A segment's file: its descriptor, its mapping and its lock.

#include "reader/private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/array.h"
#include "base/err.h"

static struct mpx_owner *find_owner(struct mpx_readers *rs, uint32_t uid)
{
    for (size_t i = 0; i < rs->owner_count; i++)
        if (rs->owners[i].uid == uid)
            return &rs->owners[i];
    if (!MPX_RESERVE(rs->owners, rs->owner_room, rs->owner_count + 1))
        return NULL;
    rs->owners[rs->owner_count] = (struct mpx_owner){.uid = uid};
    return &rs->owners[rs->owner_count++];
}

int mpx_reader_borrow(const struct mpx_reader *r)
{
    if (r->fd >= 0)
        return r->fd;
    int fd = openat(r->rs->dir_fd, r->name,
                    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0 ||
        (fstat(fd, &st) == 0 && st.st_dev == r->device && st.st_ino == r->inode))
        return fd;
    close(fd);
    errno = ENOENT;
    return -1;
}

void mpx_reader_return(const struct mpx_reader *r, int fd)
{
    if (fd >= 0 && fd != r->fd)
        close(fd);
}

void mpx_reader_drop_descriptor(struct mpx_reader *r)
{
    if (r->fd < 0)
        return;
    close(r->fd);
    r->fd = -1;
    r->rs->descriptors--;
}

void mpx_reader_drop_mapping(struct mpx_reader *r)
{
    if (r->map_size == 0)
        return;
    munmap(r->map, r->map_size);
    struct mpx_owner *owner = find_owner(r->rs, r->owner);
    if (owner)
        owner->bytes -= r->map_size;
    r->rs->bytes -= r->map_size;
    r->map_size = 0;
}

// A final segment is mapped for a moment only, so it waits for no room that others give back:
// budgets are for the living. But what it leaves in memory stays to the end of the round, so
// all of a round have a bound as well.
static mproxy_status take_spare(struct mpx_reader *r, uint64_t more, mproxy_error *err)
{
    struct mpx_readers *rs = r->rs;
    if (rs->spare_used > 0 && more > rs->max_bytes - rs->spare_used)
        return mpx_fail(err, MPROXY_E_BUSY,
                        "segment '%s': waits for the next round, %" PRIu64
                        " bytes are read in this one",
                        r->name, rs->spare_used);
    uint64_t left = rs->max_bytes - rs->spare_used;
    rs->spare_used += more < left ? more : left;
    return MPROXY_OK;
}

static mproxy_status take_bytes(struct mpx_reader *r, const struct mpx_owner *owner,
                                uint64_t size, mproxy_error *err)
{
    uint64_t most = r->rs->max_bytes, more = size - r->map_size;
    if (more <= most && owner->bytes <= most - more)
        return MPROXY_OK;
    if (r->final)
        return take_spare(r, more, err);
    return mpx_fail(err, MPROXY_E_LIMIT,
                    "segment '%s': %" PRIu64 " bytes, user %u has %" PRIu64
                    " of at most %" PRIu64,
                    r->name, size, r->owner, owner->bytes, most);
}

mproxy_status mpx_reader_map(struct mpx_reader *r, int fd, uint64_t size,
                             mproxy_error *err)
{
    struct mpx_readers *rs = r->rs;
    struct mpx_owner *owner = find_owner(rs, r->owner);
    if (!owner)
        return mpx_fail(err, MPROXY_E_NOMEM, "segment '%s': no memory", r->name);
    mproxy_status status = take_bytes(r, owner, size, err);
    if (status != MPROXY_OK)
        return status;
    void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return mpx_fail_errno(err, "segment '%s'", r->name);
    uint64_t before = r->map_size;
    if (before > 0)
        munmap(r->map, before);
    r->map = map;
    r->map_size = size;
    owner->bytes += size - before;
    rs->bytes += size - before;
    return MPROXY_OK;
}

mproxy_status mpx_reader_fail(const struct mpx_reader *r, const mproxy_error *why,
                              mproxy_error *err)
{
    return mpx_fail(err, why->status, "segment '%s': %s", r->name, why->text);
}

mproxy_status mpx_reader_check_size(uint64_t size, mproxy_error *err)
{
    if (size < MPX_SEG_PAGE || size % MPX_SEG_PAGE != 0 || size > MPX_SEG_SIZE_MAX)
        return mpx_fail(err, MPROXY_E_CORRUPT,
                        "%" PRIu64 " bytes, not 1 to %d pages of %d", size,
                        MPX_SEG_SIZE_MAX / MPX_SEG_PAGE, MPX_SEG_PAGE);
    return MPROXY_OK;
}

// Whether the kernel's list shows a lock on a file that can no longer be opened. When the
// list cannot be read the lock counts as held.
static bool is_listed(const struct mpx_reader *r)
{
    FILE *locks = fopen("/proc/locks", "re");
    if (!locks)
        return true;
    char line[256], want[64];
    snprintf(want, sizeof want, " %02x:%02x:%ju ", major(r->device), minor(r->device),
             (uintmax_t)r->inode);
    bool found = false;
    while (!found && fgets(line, sizeof line, locks))
        found = strstr(line, want) != NULL;
    fclose(locks);
    return found;
}

bool mpx_reader_is_final(struct mpx_reader *r)
{
    if (r->final)
        return true;
    int fd = mpx_reader_borrow(r);
    if (fd < 0) {
        r->final = errno == ENOENT && !is_listed(r);
        return r->final;
    }
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    r->final = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
    mpx_reader_return(r, fd);
    if (r->final && r->bad)
        mpx_reader_drop_descriptor(r);
    return r->final;
}
