// A tiny reader of segments for the tests of the writing side: it trusts the file, so that
// it shares no code and no mistake with libmproxy/reader/.
#ifndef TESTS_SUPPORT_SEGMENT_PROBE_H
#define TESTS_SUPPORT_SEGMENT_PROBE_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "segment/layout.h"

struct probe {
    char *bytes;
    size_t size;
    bool locked;
    char name[256];
};

static inline struct mpx_seg_header *probe_header(const struct probe *p)
{
    return (struct mpx_seg_header *)(void *)p->bytes;
}

static inline bool probe_open(struct probe *p, const char *dir, const char *name)
{
    char path[1024];
    struct stat st;
    struct flock lock = {.l_type = F_WRLCK};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(p->name, sizeof p->name, "%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    fcntl(fd, F_OFD_GETLK, &lock);
    p->locked = lock.l_type != F_UNLCK;
    fstat(fd, &st);
    p->size = (size_t)st.st_size;
    p->bytes = malloc(p->size);
    bool ok = read(fd, p->bytes, p->size) == (ssize_t)p->size;
    close(fd);
    return ok;
}

static inline void probe_close(struct probe *p)
{
    free(p->bytes);
    p->bytes = NULL;
}

// Calls `visit` for each record published; stops when it returns false.
static inline void probe_records(const struct probe *p,
                                 bool (*visit)(const struct mpx_rec_head *, void *),
                                 void *user)
{
    const char *at = p->bytes + MPX_SEG_LOG_OFFSET;
    for (uint32_t i = 0; i < probe_header(p)->log_count; i++) {
        const struct mpx_rec_head *head = (const void *)at;
        if (!visit(head, user))
            return;
        at += head->size;
        if (head->type == MPX_REC_NEXT)
            at = p->bytes + ((const struct mpx_rec_next *)(const void *)head)->offset;
    }
}

struct probe_search {
    const struct probe *probe;
    const char *name;
    const struct mpx_rec_metric *metric;
    const struct mpx_rec_job *job;
    uint32_t slot, rows, metrics;
    uint64_t sum;
    double fsum;
};

static inline const char *probe_metric_name(const struct mpx_rec_metric *m)
{
    return (const char *)(m + 1) + m->bound_count * sizeof(double);
}

static inline bool probe_find_record(const struct mpx_rec_head *head, void *user)
{
    struct probe_search *s = user;
    if (head->type == MPX_REC_JOB)
        s->job = (const void *)head;
    if (head->type == MPX_REC_EXTENT) {
        const struct mpx_rec_extent *e = (const void *)head;
        s->rows += e->row > 0 && e->first == 0;
    }
    if (head->type == MPX_REC_METRIC) {
        const struct mpx_rec_metric *m = (const void *)head;
        s->metrics++;
        if (s->name && strcmp(probe_metric_name(m), s->name) == 0)
            s->metric = m;
    }
    return true;
}

static inline bool probe_add_extent(const struct mpx_rec_head *head, void *user)
{
    struct probe_search *s = user;
    const struct mpx_rec_extent *e = (const void *)head;
    if (head->type != MPX_REC_EXTENT)
        return true;
    if (s->slot < e->first || s->slot >= e->first + e->count)
        return true;
    const char *at = s->probe->bytes + e->offset + (s->slot - e->first) * 8;
    s->sum += *(const uint64_t *)(const void *)at;
    s->fsum += *(const double *)(const void *)at;
    return true;
}

// Sum of a slot over rows, as an integer (s->sum) and as doubles (s->fsum).
static inline struct probe_search probe_slot(const struct probe *p, uint32_t slot)
{
    struct probe_search s = {.probe = p, .slot = slot};
    if (slot < mpx_seg_row0_first(probe_header(p)->page_size)) {
        const char *at = p->bytes + MPX_SEG_ROW0_OFFSET + slot * 8;
        s.sum = *(const uint64_t *)(const void *)at;
        s.fsum = *(const double *)(const void *)at;
    }
    probe_records(p, probe_add_extent, &s);
    return s;
}

static inline struct probe_search probe_find(const struct probe *p, const char *name)
{
    struct probe_search s = {.probe = p, .name = name};
    probe_records(p, probe_find_record, &s);
    return s;
}

// Value of a counter; -1 when it is not defined.
static inline long long probe_counter(const struct probe *p, const char *name)
{
    struct probe_search found = probe_find(p, name);
    return found.metric ? (long long)probe_slot(p, found.metric->slot).sum : -1;
}

static inline double probe_double(const struct probe *p, const char *name)
{
    struct probe_search found = probe_find(p, name);
    return found.metric ? probe_slot(p, found.metric->slot).fsum : -1;
}

// What all segments of a directory, or those of one pid, say.
struct probe_total {
    long long value;
    int segments, started, finished, locked, with_metric;
    unsigned flags;
};

static inline struct probe_total probe_directory(const char *dir, long pid,
                                                 const char *name)
{
    struct probe_total t = {0};
    DIR *d = opendir(dir);
    struct dirent *entry;
    while (d && (entry = readdir(d))) {
        size_t length = strlen(entry->d_name);
        if (length < 4 || strcmp(entry->d_name + length - 4, ".seg") != 0)
            continue;
        struct probe p = {0};
        if (!probe_open(&p, dir, entry->d_name) ||
            (pid && probe_header(&p)->pid != (uint32_t)pid)) {
            probe_close(&p);
            continue;
        }
        t.segments++;
        t.started += (int)probe_header(&p)->started;
        t.finished += (int)probe_header(&p)->finished;
        t.flags |= probe_header(&p)->flags;
        t.locked += p.locked;
        long long value = name ? probe_counter(&p, name) : -1;
        if (value >= 0) {
            t.value += value;
            t.with_metric++;
        }
        probe_close(&p);
    }
    if (d)
        closedir(d);
    return t;
}

// The only segment of a directory, or one of them.
static inline bool probe_any(struct probe *p, const char *dir)
{
    bool found = false;
    DIR *d = opendir(dir);
    struct dirent *entry;
    while (d && !found && (entry = readdir(d)))
        found = strstr(entry->d_name, ".seg") && probe_open(p, dir, entry->d_name);
    if (d)
        closedir(d);
    return found;
}

// Entries whose name starts with a prefix.
static inline int probe_entries(const char *dir, const char *prefix)
{
    int count = 0;
    DIR *d = opendir(dir);
    struct dirent *entry;
    while (d && (entry = readdir(d)))
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    if (d)
        closedir(d);
    return count;
}

static inline int probe_remove_one(const char *path, const struct stat *st, int type,
                                   struct FTW *where)
{
    (void)st, (void)type, (void)where;
    remove(path);
    return 0;
}

static inline void probe_remove(const char *dir)
{
    nftw(dir, probe_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
