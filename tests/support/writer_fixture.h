// Writers of segments in the test's own directory.
#ifndef TESTS_SUPPORT_WRITER_FIXTURE_H
#define TESTS_SUPPORT_WRITER_FIXTURE_H

#include "program.h"
#include "writer/writer.h"

static const mproxy_job job = {.jobid = "job 7", .command = "./a", .size = 4};

// Larger pages of other systems can be had: what is mapped lies on a page here too.
static const uint32_t page_sizes[] = {4096, 16384, 65536};
enum { PAGE_SIZES = sizeof page_sizes / sizeof *page_sizes };

static inline uint32_t page_size_of(int number)
{
    uint32_t least = (uint32_t)sysconf(_SC_PAGESIZE);
    return page_sizes[number] > least ? page_sizes[number] : least;
}

static inline struct mpx_writer *open_paged(enum mpx_seg_kind kind, uint32_t page_size)
{
    struct mpx_writer *w = NULL;
    unsigned reasons = 0;
    mproxy_error err = {0};
    struct mpx_writer_birth birth = {.dir_path = program_dir,
                                     .job = &job,
                                     .rank = 3,
                                     .kind = kind,
                                     .page_size = page_size};
    ck_assert_msg(mpx_writer_open(&birth, &w, &reasons, &err) == MPROXY_OK, "%s",
                  err.text);
    return w;
}

static inline struct mpx_writer *open_kind(enum mpx_seg_kind kind)
{
    return open_paged(kind, 0);
}

static inline struct probe read_back(struct mpx_writer *w)
{
    struct probe p = {0};
    ck_assert(probe_open(&p, program_dir, mpx_writer_path(w) + strlen(program_dir) + 1));
    return p;
}

static inline uint32_t define(struct mpx_writer *w, const char *name)
{
    uint32_t slot = 0;
    mproxy_error err = {0};
    ck_assert_msg(mpx_writer_define(w, MPX_DEF_COUNTER, name, "Doc.", 1, NULL, 0, &slot,
                                    &err) == MPROXY_OK,
                  "%s", err.text);
    return slot;
}

#endif
