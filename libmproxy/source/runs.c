// Runs as a forest of shares, linked in one pass over them in order of their starts.
//
// One pass is enough. Of the shares before the one that is looked at, let L be that with the
// latest end. If any of them overlaps the one looked at, L does; and all that do overlap each
// other, since all of them span its start, so they are linked already. The same holds among
// the shares of one command with the gap allowed: what ended earlier, but not earlier than the
// gap, is within the gap of L.
#include "source/runs.h"

#include <stdlib.h>
#include <string.h>

#include "base/index.h"

bool mpx_runs_init(struct mpx_runs *runs, uint32_t count)
{
    *runs = (struct mpx_runs){.parent = malloc((count + 1) * sizeof *runs->parent),
                              .count = count};
    for (uint32_t i = 0; i < count && runs->parent; i++)
        runs->parent[i] = i;
    return runs->parent != NULL;
}

void mpx_runs_fini(struct mpx_runs *runs)
{
    free(runs->parent);
    *runs = (struct mpx_runs){0};
}

uint32_t mpx_runs_of(struct mpx_runs *runs, uint32_t i)
{
    while (runs->parent[i] != i)
        i = runs->parent[i] = runs->parent[runs->parent[i]];
    return i;
}

void mpx_runs_join(struct mpx_runs *runs, uint32_t a, uint32_t b)
{
    a = mpx_runs_of(runs, a);
    b = mpx_runs_of(runs, b);
    if (a < b)
        runs->parent[b] = a;
    else
        runs->parent[a] = b;
}

uint32_t mpx_runs_newest(struct mpx_runs *runs, const struct mpx_run_share *shares)
{
    uint32_t newest = 0;
    for (uint32_t i = 1; i < runs->count; i++)
        if (shares[i].start_ms >= shares[newest].start_ms)
            newest = i;
    return mpx_runs_of(runs, newest);
}

struct start {
    int64_t ms;
    uint32_t share;
};

static int by_start(const void *a, const void *b)
{
    const struct start *x = a, *y = b;
    if (x->ms != y->ms)
        return x->ms < y->ms ? -1 : 1;
    return x->share < y->share ? -1 : x->share > y->share;
}

// Of the shares looked at so far the one that ends last; of all, or of one command.
struct latest {
    uint32_t share;
    int64_t end_ms;
};

struct pass {
    struct mpx_runs *runs;
    const struct mpx_run_share *shares;
    int64_t continue_ms;
    struct latest all;
    struct latest *commands;
    uint32_t command_count;
    struct mpx_index index; // of commands
};

static int64_t end_of(const struct mpx_run_share *share)
{
    return share->end_ms > share->start_ms ? share->end_ms : share->start_ms;
}

// Whoever starts comes no earlier than the others did, so only their end counts.
static void look_at(struct pass *p, struct latest *latest, uint32_t share, int64_t gap_ms)
{
    const struct mpx_run_share *s = &p->shares[share];
    uint64_t gap = (uint64_t)s->start_ms - (uint64_t)latest->end_ms;
    if (s->start_ms <= latest->end_ms || (gap_ms > 0 && gap <= (uint64_t)gap_ms))
        mpx_runs_join(p->runs, latest->share, share);
    if (end_of(s) > latest->end_ms)
        *latest = (struct latest){share, end_of(s)};
}

static void look_at_command(struct pass *p, uint32_t share)
{
    const char *command = p->shares[share].command;
    uint32_t hash = mpx_hash_text(command);
    for (uint32_t at = mpx_index_start(&p->index, hash), i;
         mpx_index_next(&p->index, hash, &at, &i);) {
        const char *other = p->shares[p->commands[i].share].command;
        if (other == command || strcmp(other, command) == 0) {
            look_at(p, &p->commands[i], share, p->continue_ms);
            return;
        }
    }
    p->commands[p->command_count] = (struct latest){share, end_of(&p->shares[share])};
    mpx_index_put(&p->index, hash, p->command_count++);
}

bool mpx_runs_link(struct mpx_runs *runs, const struct mpx_run_share *shares,
                   int64_t continue_ms)
{
    if (runs->count < 2)
        return true;
    struct pass p = {.runs = runs, .shares = shares, .continue_ms = continue_ms};
    struct start *starts = malloc(runs->count * sizeof *starts);
    p.commands = malloc(runs->count * sizeof *p.commands);
    bool ok = starts && p.commands && mpx_index_reserve(&p.index, runs->count);
    for (uint32_t i = 0; ok && i < runs->count; i++)
        starts[i] = (struct start){shares[i].start_ms, i};
    if (ok) {
        qsort(starts, runs->count, sizeof *starts, by_start);
        p.all = (struct latest){starts[0].share, end_of(&shares[starts[0].share])};
    }
    for (uint32_t i = 0; ok && i < runs->count; i++) {
        look_at(&p, &p.all, starts[i].share, 0);
        look_at_command(&p, starts[i].share);
    }
    mpx_index_fini(&p.index);
    free(p.commands);
    free(starts);
    return ok;
}
