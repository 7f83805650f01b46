// What is held: directories own their sources, hosts and jobs know which of them are theirs.
//
// Every call here is about one directory and costs what that directory holds, or less. A
// directory has its sources in one array, by kind and number, which is the order in which
// they are added up; shares come in rising order, so a new one goes to the end. A source
// that is forgotten stays in the array, marked, until the sums that point to it have been
// made anew: sums are the reduction's slow side and run once a publication, sources come and
// go all the time. With it go its directory and its host when they hold nothing else.
//
// Each source knows its directory and each share its job, so that a change of one marks the
// sums it counts in (main, its host's, its job's) without looking for them.

#include "reduction/reduction.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "source/spans.h"

struct mpx_directory *mpx_directory_find(const struct mproxy_reduction *r,
                                         const uint8_t id[16])
{
    uint32_t hash = mpx_hash_bytes(id, 16);
    for (uint32_t at = mpx_index_start(&r->directory_index, hash), i;
         mpx_index_next(&r->directory_index, hash, &at, &i);)
        if (memcmp(r->directories[i]->id, id, 16) == 0)
            return r->directories[i];
    return NULL;
}

static int compare_identity(const struct mpx_held *h, mproxy_source_kind kind,
                            uint64_t number)
{
    if (h->source.kind != kind)
        return h->source.kind < kind ? -1 : 1;
    return h->source.number < number ? -1 : h->source.number > number;
}

// The place of the first source that is not before this identity.
static size_t place_of(const struct mpx_directory *d, mproxy_source_kind kind,
                       uint64_t number)
{
    size_t low = 0, high = d->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_identity(d->items[middle], kind, number) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct mpx_held *mpx_directory_source(const struct mpx_directory *d,
                                      mproxy_source_kind kind, uint64_t number)
{
    for (size_t i = place_of(d, kind, number);
         i < d->count && compare_identity(d->items[i], kind, number) == 0; i++)
        if (!d->items[i]->dropped)
            return d->items[i];
    return NULL;
}

static struct mpx_host *join_host(struct mproxy_reduction *r, const char *name)
{
    uint32_t hash = mpx_hash_text(name);
    for (uint32_t at = mpx_index_start(&r->host_index, hash), i;
         mpx_index_next(&r->host_index, hash, &at, &i);)
        if (strcmp(r->hosts[i]->name, name) == 0)
            return r->hosts[i];
    if (!MPX_RESERVE(r->hosts, r->host_room, r->host_count + 1) ||
        !mpx_index_reserve(&r->host_index, (uint32_t)r->host_count + 1))
        return NULL;
    struct mpx_host *host = calloc(1, sizeof *host);
    if (!host || !(host->name = strdup(name))) {
        free(host);
        return NULL;
    }
    host->sum.kind = MPX_SUM_NODE;
    mpx_index_put(&r->host_index, hash, (uint32_t)r->host_count);
    r->hosts[r->host_count++] = host;
    return host;
}

static void leave_host(struct mpx_directory *d)
{
    struct mpx_host *host = d->host;
    if (!host)
        return;
    struct mpx_directory *last = host->directories[--host->count];
    host->directories[d->host_place] = last;
    last->host_place = d->host_place;
    host->regroup = true;
}

static bool move_to_host(struct mproxy_reduction *r, struct mpx_directory *d,
                         const char *name)
{
    if (d->host && strcmp(d->host->name, name) == 0)
        return true;
    struct mpx_host *host = join_host(r, name);
    if (!host || !MPX_RESERVE(host->directories, host->room, host->count + 1))
        return false;
    leave_host(d);
    d->host = host;
    d->host_place = host->count;
    host->directories[host->count++] = d;
    host->regroup = r->regroup = true;
    for (size_t i = 0; i < d->count; i++) {
        d->items[i]->source.host = host->name;
        d->items[i]->moved = true;
    }
    return true;
}

static struct mpx_directory *join_directory(struct mproxy_reduction *r,
                                            const uint8_t id[16])
{
    struct mpx_directory *d = mpx_directory_find(r, id);
    if (d)
        return d;
    if (!MPX_RESERVE(r->directories, r->directory_room, r->directory_count + 1) ||
        !mpx_index_reserve(&r->directory_index, (uint32_t)r->directory_count + 1) ||
        !(d = calloc(1, sizeof *d)))
        return NULL;
    memcpy(d->id, id, sizeof d->id);
    mpx_index_put(&r->directory_index, mpx_hash_bytes(id, 16),
                  (uint32_t)r->directory_count);
    r->directories[r->directory_count++] = d;
    r->unsorted = true;
    return d;
}

static uint32_t hash_job(const char *jobid, uint32_t uid)
{
    return mpx_hash_text(jobid) ^ mpx_hash_u64(uid + UINT64_C(1));
}

static struct mpx_job *join_job(struct mproxy_reduction *r, const char *jobid,
                                uint32_t uid)
{
    uint32_t hash = hash_job(jobid, uid);
    for (uint32_t at = mpx_index_start(&r->job_index, hash), i;
         mpx_index_next(&r->job_index, hash, &at, &i);)
        if (r->jobs[i]->uid == uid && strcmp(r->jobs[i]->jobid, jobid) == 0)
            return r->jobs[i];
    if (!MPX_RESERVE(r->jobs, r->job_room, r->job_count + 1) ||
        !mpx_index_reserve(&r->job_index, (uint32_t)r->job_count + 1) ||
        !mpx_index_reserve(&r->key_index, (uint32_t)r->job_count + 1))
        return NULL;
    struct mpx_job *job = calloc(1, sizeof *job);
    if (!job || !(job->jobid = strdup(jobid))) {
        free(job);
        return NULL;
    }
    job->uid = uid;
    job->sum.kind = MPX_SUM_JOB;
    mpx_index_put(&r->job_index, hash, (uint32_t)r->job_count);
    r->jobs[r->job_count++] = job;
    return job;
}

static void leave_job(struct mpx_held *h)
{
    struct mpx_job *job = h->of;
    if (!job)
        return;
    struct mpx_held *last = job->shares[--job->count];
    job->shares[h->job_place] = last;
    last->job_place = h->job_place;
    job->regroup = true;
    h->of = NULL;
}

// A share whose job id or user is told otherwise is of another job from then on.
static bool move_to_job(struct mproxy_reduction *r, struct mpx_held *h,
                        const mproxy_source *s)
{
    if (!mpx_held_is_share(h) ||
        (h->of && h->of->uid == s->uid && strcmp(h->of->jobid, s->job->jobid) == 0))
        return true;
    struct mpx_job *job = join_job(r, s->job->jobid, s->uid);
    if (!job || !MPX_RESERVE(job->shares, job->room, job->count + 1))
        return false;
    leave_job(h);
    h->of = job;
    h->job_place = job->count;
    job->shares[job->count++] = h;
    job->regroup = true;
    return true;
}

static struct mpx_held *insert(struct mproxy_reduction *r, struct mpx_directory *d,
                               const mproxy_source *s)
{
    struct mpx_held *h =
        MPX_RESERVE(d->items, d->room, d->count + 1) ? mpx_held_new(s) : NULL;
    if (!h)
        return NULL;
    h->directory = d;
    h->source.host = d->host->name;
    if (!move_to_job(r, h, s)) {
        mpx_held_free(h);
        return NULL;
    }
    size_t at = place_of(d, s->kind, s->number);
    while (at < d->count && compare_identity(d->items[at], s->kind, s->number) == 0)
        at++;
    memmove(d->items + at + 1, d->items + at, (d->count - at) * sizeof *d->items);
    d->items[at] = h;
    d->count++;
    r->source_count++;
    d->host->regroup = r->regroup = true;
    return h;
}

struct mpx_held *mpx_directory_join(struct mproxy_reduction *r, const mproxy_source *s,
                                    bool *is_new)
{
    struct mpx_directory *d = join_directory(r, s->directory);
    if (!d || !move_to_host(r, d, s->host ? s->host : ""))
        return NULL;
    struct mpx_held *h = mpx_directory_source(d, s->kind, s->number);
    *is_new = !h;
    if (!h)
        return insert(r, d, s);
    return move_to_job(r, h, s) ? h : NULL;
}

void mpx_directory_drop(struct mproxy_reduction *r, struct mpx_held *h)
{
    h->dropped = true;
    h->directory->has_dropped = true;
    h->directory->host->regroup = r->regroup = true;
    leave_job(h);
    r->source_count--;
    if (h->source.kind == MPROXY_SOURCE_BASE)
        h->directory->absorbed_here = false; // what was absorbed goes with it
}

void mpx_directory_forget(struct mproxy_reduction *r, struct mpx_held *h)
{
    mpx_gone_note(r, h);
    mpx_directory_drop(r, h);
}

bool mpx_directory_has_absorbed(const struct mpx_directory *d, uint64_t number)
{
    const struct mpx_held *base = mpx_directory_source(d, MPROXY_SOURCE_BASE, 0);
    return base &&
           mpx_spans_have(base->source.absorbed, base->source.absorbed_count, number);
}

void mpx_directory_drop_absorbed(struct mproxy_reduction *r, struct mpx_directory *d)
{
    const struct mpx_held *base = mpx_directory_source(d, MPROXY_SOURCE_BASE, 0);
    for (size_t i = 0; base && i < d->count; i++) {
        struct mpx_held *h = d->items[i];
        if (!h->dropped && mpx_held_is_share(h) &&
            mpx_spans_have(base->source.absorbed, base->source.absorbed_count,
                           h->source.number))
            mpx_directory_drop(r, h);
    }
}

static void touch_sum(struct mpx_sum *sum, const struct mpx_taken *taken)
{
    sum->dirty |= taken->changed;
    sum->lowered |= taken->lowered;
    sum->stale |= taken->reshaped;
    sum->reshaped |= taken->reshaped;
}

void mpx_directory_touch(struct mproxy_reduction *r, struct mpx_held *h,
                         const struct mpx_taken *taken)
{
    if (mpx_sum_is_of(MPX_SUM_MAIN, h))
        touch_sum(&r->main, taken);
    if (mpx_sum_is_of(MPX_SUM_NODE, h))
        touch_sum(&h->directory->host->sum, taken);
    if (!h->of)
        return;
    touch_sum(&h->of->sum, taken);
    if (taken->described)
        h->of->regroup = r->regroup = true;
}

static void index_directories(struct mproxy_reduction *r)
{
    mpx_index_clear(&r->directory_index);
    for (size_t i = 0; i < r->directory_count; i++)
        mpx_index_put(&r->directory_index, mpx_hash_bytes(r->directories[i]->id, 16),
                      (uint32_t)i);
}

static int compare_directories(const void *a, const void *b)
{
    const struct mpx_directory *x = *(struct mpx_directory *const *)a;
    const struct mpx_directory *y = *(struct mpx_directory *const *)b;
    return memcmp(x->id, y->id, sizeof x->id);
}

void mpx_directories_sort(struct mproxy_reduction *r)
{
    if (!r->unsorted)
        return;
    qsort(r->directories, r->directory_count, sizeof *r->directories,
          compare_directories);
    index_directories(r);
    r->unsorted = false;
}

static void sweep_directory(struct mpx_directory *d)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->count; i++) {
        if (d->items[i]->dropped)
            mpx_held_free(d->items[i]);
        else
            d->items[kept++] = d->items[i];
    }
    d->count = kept;
    d->has_dropped = false;
}

static void free_job(struct mproxy_reduction *r, size_t place)
{
    struct mpx_job *job = r->jobs[place], *last = r->jobs[--r->job_count];
    mpx_index_remove(&r->job_index, hash_job(job->jobid, job->uid), (uint32_t)place);
    if (job != last) {
        r->jobs[place] = last;
        mpx_index_move(&r->job_index, hash_job(last->jobid, last->uid),
                       (uint32_t)r->job_count, (uint32_t)place);
        if (last->key)
            mpx_index_move(&r->key_index, mpx_hash_text(last->key),
                           (uint32_t)r->job_count, (uint32_t)place);
    }
    mpx_sum_fini(&job->sum, &r->bench);
    free(job->shares);
    free(job->jobid);
    free(job);
}

static void free_host(struct mproxy_reduction *r, struct mpx_host *host)
{
    mpx_sum_fini(&host->sum, &r->bench);
    free(host->directories);
    free(host->name);
    free(host);
}

static void free_directory(struct mpx_directory *d)
{
    for (size_t i = 0; i < d->count; i++)
        mpx_held_free(d->items[i]);
    free(d->items);
    free(d);
}

static void sweep_empty_directories(struct mproxy_reduction *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->directory_count; i++) {
        struct mpx_directory *d = r->directories[i];
        if (d->count > 0) {
            r->directories[kept++] = d;
            continue;
        }
        leave_host(d);
        free_directory(d);
    }
    if (kept == r->directory_count)
        return;
    r->directory_count = kept;
    index_directories(r);
}

// Their sums have no terms any more and are not shown.
static void sweep_empty_hosts(struct mproxy_reduction *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->host_count; i++) {
        if (r->hosts[i]->count > 0)
            r->hosts[kept++] = r->hosts[i];
        else
            free_host(r, r->hosts[i]);
    }
    if (kept == r->host_count)
        return;
    r->host_count = kept;
    mpx_index_clear(&r->host_index);
    for (size_t i = 0; i < kept; i++)
        mpx_index_put(&r->host_index, mpx_hash_text(r->hosts[i]->name), (uint32_t)i);
}

void mpx_directories_sweep(struct mproxy_reduction *r)
{
    for (size_t i = 0; i < r->directory_count; i++)
        if (r->directories[i]->has_dropped)
            sweep_directory(r->directories[i]);
    sweep_empty_directories(r);
    sweep_empty_hosts(r);
    for (size_t i = r->job_count; i-- > 0;)
        if (r->jobs[i]->count == 0 && !r->jobs[i]->key)
            free_job(r, i);
    mpx_shapes_sweep(&r->bench.shapes);
}

void mpx_directories_fini(struct mproxy_reduction *r)
{
    for (size_t i = 0; i < r->host_count; i++)
        free_host(r, r->hosts[i]);
    while (r->job_count > 0) {
        free(r->jobs[r->job_count - 1]->key);
        r->jobs[r->job_count - 1]->key = NULL;
        free_job(r, r->job_count - 1);
    }
    for (size_t i = 0; i < r->directory_count; i++)
        free_directory(r->directories[i]);
    free(r->directories);
    free(r->hosts);
    free(r->jobs);
    mpx_index_fini(&r->directory_index);
    mpx_index_fini(&r->host_index);
    mpx_index_fini(&r->job_index);
    mpx_index_fini(&r->key_index);
}
