// From what is known of a job id to its runs.
//
// What names the same share is one run, whatever the clocks say. Beyond that, shares that
// overlap in time are one run (the ranks of one launch may differ in command), and one that
// starts within the gap after a run goes on with it if the command is the same.
#include "profile/keeper_private.h"

#include <stdlib.h>
#include <string.h>

struct mpx_share_id mpx_source_id(const mproxy_source *source)
{
    static const char digits[] = "0123456789abcdef";
    struct mpx_share_id id = {.number = source->number};
    for (size_t i = 0; i < 16; i++) {
        id.directory[2 * i] = digits[source->directory[i] >> 4];
        id.directory[2 * i + 1] = digits[source->directory[i] & 15];
    }
    return id;
}

// Runs in the making: sets of what is known, as a forest.
struct forest {
    struct mpx_known *known;
    size_t count;
    size_t *parent;
};

static size_t root_of(struct forest *f, size_t i)
{
    while (f->parent[i] != i)
        i = f->parent[i] = f->parent[f->parent[i]];
    return i;
}

static int by_start(const void *a, const void *b)
{
    const struct mpx_known *x = a, *y = b;
    if (x->start_ms != y->start_ms)
        return x->start_ms < y->start_ms ? -1 : 1;
    return (x->end_ms > y->end_ms) - (x->end_ms < y->end_ms);
}

// Join two sets; the root is the one that starts first, and spans the time of both.
static void join(struct forest *f, size_t a, size_t b)
{
    a = root_of(f, a);
    b = root_of(f, b);
    if (a == b)
        return;
    size_t first = a < b ? a : b, second = a < b ? b : a;
    f->parent[second] = first;
    if (f->known[second].end_ms > f->known[first].end_ms)
        f->known[first].end_ms = f->known[second].end_ms;
}

static bool names_share(const struct mpx_archive_body *body, const struct mpx_known *k)
{
    if (k->source) {
        struct mpx_share_id id = mpx_source_id(k->source);
        return mpx_archive_find_share(body, id.directory, id.number) != NULL;
    }
    for (size_t i = 0; i < k->entry->body->share_count; i++) {
        const mproxy_archive_share *s = &k->entry->body->shares[i];
        if (mpx_archive_find_share(body, s->directory, s->number))
            return true;
    }
    return false;
}

static void join_by_identity(struct forest *f)
{
    for (size_t i = 0; i < f->count; i++) {
        if (!f->known[i].entry)
            continue;
        for (size_t k = 0; k < f->count; k++)
            if (k != i && (f->known[k].source || k > i) &&
                names_share(f->known[i].entry->body, &f->known[k]))
                join(f, i, k);
    }
}

static bool goes_on(const struct mpx_known *run, const struct mpx_known *next,
                    int64_t continue_ms)
{
    if (next->start_ms <= run->end_ms)
        return true;
    return next->start_ms - run->end_ms <= continue_ms &&
           strcmp(run->command, next->command) == 0;
}

// In order of their starts, each set joins the latest run before it that it goes on with.
static void join_by_time(struct forest *f, int64_t continue_ms)
{
    for (size_t i = 0; i < f->count; i++) {
        if (root_of(f, i) != i)
            continue;
        for (size_t k = i; k-- > 0;) {
            size_t run = root_of(f, k);
            if (run == k && goes_on(&f->known[run], &f->known[i], continue_ms)) {
                join(f, run, i);
                break;
            }
        }
    }
}

static int by_run(const void *a, const void *b)
{
    const struct mpx_known *x = a, *y = b;
    if (x->run != y->run)
        return x->run < y->run ? -1 : 1;
    return by_start(a, b);
}

bool mpx_runs_group(struct mpx_known *known, size_t count, int64_t continue_ms)
{
    struct forest f = {.known = known, .count = count};
    f.parent = calloc(count + 1, sizeof *f.parent);
    if (!f.parent)
        return false;
    qsort(known, count, sizeof *known, by_start);
    for (size_t i = 0; i < count; i++)
        f.parent[i] = i;
    join_by_identity(&f);
    join_by_time(&f, continue_ms);
    for (size_t i = 0; i < count; i++)
        known[i].run = root_of(&f, i);
    free(f.parent);
    qsort(known, count, sizeof *known, by_run);
    return true;
}
