// Segments made by hand, so that tests can make bad ones.
#ifndef SEGMENT_IMAGE_H
#define SEGMENT_IMAGE_H

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "segment/layout.h"

enum { IMAGE_ROOM = 4 << 20 };

struct image {
    unsigned char *bytes;
    size_t size;
    size_t at, end; // of the log
};

static inline struct mpx_seg_header *image_header(struct image *m)
{
    return (struct mpx_seg_header *)(void *)m->bytes;
}

// Whole pages at the end of the file; their offset.
static inline size_t image_grow(struct image *m, size_t bytes)
{
    size_t offset = m->size;
    m->size += (bytes + MPX_SEG_PAGE - 1) / MPX_SEG_PAGE * MPX_SEG_PAGE;
    return offset;
}

static inline void *image_record(struct image *m, uint32_t type, size_t size)
{
    size = (size + 7) / 8 * 8;
    size_t next = sizeof(struct mpx_rec_next);
    if (type != MPX_REC_NEXT && m->at + size + next > m->end) {
        size_t length = 8 << 10;
        size_t offset = image_grow(m, length);
        struct mpx_rec_next *n = image_record(m, MPX_REC_NEXT, next);
        n->offset = offset;
        n->length = length;
        m->at = offset;
        m->end = offset + length;
    }
    struct mpx_rec_head *head = (void *)(m->bytes + m->at);
    head->type = type;
    head->size = (uint32_t)size;
    m->at += size;
    image_header(m)->log_count++;
    return head;
}

static inline void image_job(struct image *m, const char *jobid, const char *command)
{
    size_t id = strlen(jobid), cmd = strlen(command);
    struct mpx_rec_job *job =
        image_record(m, MPX_REC_JOB, sizeof *job + id + 1 + cmd + 1 + 4);
    job->length[0] = (uint32_t)id;
    job->length[1] = (uint32_t)cmd;
    memcpy(job + 1, jobid, id);
    memcpy((char *)(job + 1) + id + 1, command, cmd);
}

static inline struct mpx_rec_metric *image_metric(struct image *m, uint32_t kind,
                                                  uint32_t slot, const char *name,
                                                  const double *bounds,
                                                  uint32_t bound_count)
{
    size_t length = strlen(name);
    struct mpx_rec_metric *d =
        image_record(m, MPX_REC_METRIC, sizeof *d + bound_count * 8 + length + 2);
    d->kind = kind;
    d->slot = slot;
    d->slot_count = kind == MPX_DEF_HISTOGRAM ? bound_count + 2
                    : kind == MPX_DEF_GAUGE   ? 2
                                              : 1;
    d->bound_count = bound_count;
    d->scale = 1;
    d->name_length = (uint32_t)length;
    unsigned char *text = (unsigned char *)(d + 1);
    if (bound_count > 0)
        memcpy(text, bounds, bound_count * 8);
    memcpy(text + bound_count * 8, name, length);
    return d;
}

// A counter per slot, named prefix_0, prefix_1, ...
static inline void image_counters(struct image *m, const char *prefix, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char name[128];
        int n = 0;
        for (; prefix[n]; n++)
            name[n] = prefix[n];
        name[n++] = '_';
        for (uint32_t digit = 10000, rest = i; digit > 0; rest %= digit, digit /= 10)
            name[n++] = (char)('0' + rest / digit);
        name[n] = '\0';
        image_metric(m, MPX_DEF_COUNTER, i, name, NULL, 0);
    }
}

// Slots [first, first + count) of a row; where they lie.
static inline uint64_t *image_extent(struct image *m, uint32_t row, uint32_t first,
                                     uint32_t count)
{
    size_t offset = image_grow(m, count * 8);
    struct mpx_rec_extent *e = image_record(m, MPX_REC_EXTENT, sizeof *e);
    e->row = row;
    e->first = first;
    e->count = count;
    e->offset = offset;
    return (uint64_t *)(void *)(m->bytes + offset);
}

static inline uint64_t *image_row0(struct image *m)
{
    return (uint64_t *)(void *)(m->bytes + MPX_SEG_ROW0_OFFSET);
}

// A segment of this user with its job record.
static inline struct image image_new(uint32_t pid, const char *jobid)
{
    struct image m = {.bytes = calloc(1, IMAGE_ROOM), .size = MPX_SEG_PAGE};
    m.at = MPX_SEG_LOG_OFFSET;
    m.end = MPX_SEG_ROW0_OFFSET;
    struct mpx_seg_header *h = image_header(&m);
    h->magic = MPX_SEG_MAGIC;
    h->version = MPX_SEG_VERSION;
    h->page_size = MPX_SEG_PAGE;
    h->pid = pid;
    h->uid = getuid();
    h->start_ticks = 77;
    h->pid_ns = 1;
    image_job(&m, jobid, "command");
    return m;
}

static inline void image_free(struct image *m)
{
    free(m->bytes);
}

// Write the first `size` bytes of an image; the descriptor, open for writing.
static inline int image_write(const struct image *m, int dir_fd, const char *name,
                              size_t size)
{
    int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t put = 0;
    while (fd >= 0 && put < size) {
        ssize_t n = pwrite(fd, m->bytes + put, size - put, (off_t)put);
        if (n <= 0)
            break;
        put += (size_t)n;
    }
    return fd;
}

// Hold or release the lock that says "alive".
static inline int image_lock(int fd, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &lock);
}

#endif
