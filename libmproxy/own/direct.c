#include "own/direct.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "own/scribe.h"

enum { JOBS_MAX = 4096 };

struct page {
    struct page *next;
    char *jobid; // "" for main
    uint32_t uid;
    struct mpx_scribe *scribe;
};

struct mpx_direct {
    struct mpx_direct_options options;
    char dir_path[PATH_MAX];
    struct page *pages;
    size_t count;
    mproxy_input input;
};

static void free_page(struct page *page)
{
    mpx_scribe_free(page->scribe);
    free(page->jobid);
    free(page);
}

static mproxy_status add_page(struct mpx_direct *d, const struct mpx_direct_key *key,
                              const char *jobid, struct page **out, mproxy_error *err)
{
    if (d->count == JOBS_MAX)
        return mpx_fail(err, MPROXY_E_LIMIT, "%d jobs have direct counters already",
                        JOBS_MAX);
    struct page *page = calloc(1, sizeof *page);
    if (!page || !(page->jobid = strdup(jobid))) {
        free(page);
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for direct counters");
    }
    page->uid = key->uid;
    mproxy_status status =
        mpx_scribe_new(d->dir_path, MPX_SEG_PASSIVE, &page->scribe, err);
    if (status == MPROXY_OK)
        status = mpx_scribe_begin(page->scribe, key->job, key->uid, err);
    if (status != MPROXY_OK) {
        free_page(page);
        return status;
    }
    page->next = d->pages;
    d->pages = page;
    d->count++;
    *out = page;
    return MPROXY_OK;
}

static mproxy_status find_page(struct mpx_direct *d, const struct mpx_direct_key *key,
                               struct page **out, mproxy_error *err)
{
    const char *jobid = key->job ? key->job->jobid : "";
    for (struct page *page = d->pages; page; page = page->next)
        if (page->uid == key->uid && strcmp(page->jobid, jobid) == 0) {
            *out = page;
            return MPROXY_OK;
        }
    return add_page(d, key, jobid, out, err);
}

void mpx_direct_close(struct mpx_direct *d)
{
    if (!d)
        return;
    while (d->pages) {
        struct page *page = d->pages;
        d->pages = page->next;
        free_page(page);
    }
    free(d);
}

mproxy_status mpx_direct_declare(struct mpx_direct *d, const struct mpx_direct_key *key,
                                 const char *name, const char *doc, mproxy_error *err)
{
    struct page *page;
    mproxy_status status = find_page(d, key, &page, err);
    if (status == MPROXY_OK)
        status = mpx_scribe_declare(page->scribe, name, MPROXY_COUNTER, doc, err);
    return status;
}

mproxy_status mpx_direct_add(struct mpx_direct *d, const struct mpx_direct_key *key,
                             const char *name, const char *doc, double value,
                             mproxy_error *err)
{
    struct page *page;
    mproxy_status status = find_page(d, key, &page, err);
    if (status == MPROXY_OK)
        status = mpx_scribe_write(page->scribe, name, MPROXY_COUNTER, doc, value, err);
    return status;
}

mproxy_status mpx_direct_set(struct mpx_direct *d, const struct mpx_direct_key *key,
                             const char *name, const char *doc, double value,
                             double shown, mproxy_error *err)
{
    struct page *page;
    mproxy_status status = find_page(d, key, &page, err);
    if (status == MPROXY_OK)
        status = mpx_scribe_adjust(page->scribe, name, doc, value, shown, err);
    return status;
}

static void end_pages(struct mpx_direct *d)
{
    for (struct page **link = &d->pages; *link;) {
        struct page *page = *link;
        if (page->jobid[0] == '\0' ||
            !d->options.is_over(d->options.arg, page->jobid, page->uid)) {
            link = &page->next;
            continue;
        }
        *link = page->next;
        free_page(page);
        d->count--;
    }
}

static mproxy_status after_round(void *self, const mproxy_round *round, mproxy_error *err)
{
    struct mpx_direct *d = self;
    (void)err;
    for (struct page *page = d->pages; page; page = page->next) {
        mpx_scribe_retry(page->scribe);
        if (round->shown)
            mpx_scribe_mark(page->scribe, d->options.segments);
        mpx_scribe_keep(page->scribe);
    }
    end_pages(d);
    return MPROXY_OK;
}

const mproxy_input *mpx_direct_input(const struct mpx_direct *d)
{
    return &d->input;
}

mproxy_status mpx_direct_open(const struct mpx_direct_options *options,
                              struct mpx_direct **out, mproxy_error *err)
{
    struct mpx_direct *d = calloc(1, sizeof *d);
    if (!d)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for direct counters");
    d->options = *options;
    snprintf(d->dir_path, sizeof d->dir_path, "%s", options->dir_path);
    d->input = (mproxy_input){.struct_size = sizeof d->input,
                              .name = "direct counters",
                              .self = d,
                              .after_round = after_round};
    *out = d;
    return MPROXY_OK;
}
