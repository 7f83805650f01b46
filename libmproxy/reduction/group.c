// Which source counts in which view.
//
// Sums are grouped anew only where something was told that may change who is in them: a
// source came or went, a share's description is another, a host's node metrics changed their
// source. Each host and each job has a mark for that; `main` has all sources and is made anew
// whenever anything is.
//
// A job's view has the shares of its newest run. It leaves the list when one of them was
// absorbed, for the rest of that run is in a profile; what no profile has is shown on as a
// run of its own. A key is a job's as long as it is listed, whoever comes with the same id.
//
// Terms are made aside and taken whole, so memory that runs out leaves each sum as it was or
// done, and what is marked is done next time.

#include "reduction/reduction.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "source/runs.h"

static char *text(const char *prefix, const char *rest)
{
    size_t length = strlen(prefix) + strlen(rest) + 1;
    char *out = malloc(length);
    if (out)
        snprintf(out, length, "%s%s", prefix, rest);
    return out;
}

// Hosts.

static int compare_ids(const void *a, const void *b)
{
    const struct mpx_directory *x = *(struct mpx_directory *const *)a;
    const struct mpx_directory *y = *(struct mpx_directory *const *)b;
    return memcmp(x->id, y->id, sizeof x->id);
}

static void sort_directories(struct mpx_host *host)
{
    if (host->count > 1)
        qsort(host->directories, host->count, sizeof *host->directories, compare_ids);
    for (size_t i = 0; i < host->count; i++)
        host->directories[i]->host_place = i;
}

// Whether a node's metrics are taken from `h` rather than from `now`: what its own proxy reads
// before what somebody tells of it.
static bool is_better(const struct mpx_held *h, const struct mpx_held *now,
                      const struct mpx_held *past)
{
    if (h->source.scope != now->source.scope)
        return h->source.scope == MPROXY_SCOPE_ALL;
    return h->heard > now->heard + MPX_NODE_SILENT_MAX ||
           (h == past && h->heard + MPX_NODE_SILENT_MAX >= now->heard);
}

// Of several directories on one host the node's metrics are taken once: from the one that
// they were taken from before, unless it has fallen silent while another speaks. Sources of
// any other kind are no rivals, whatever their metrics are called.
static void choose_node(struct mpx_host *host)
{
    struct mpx_held *past = host->sum.node, *now = NULL;
    host->has_rivals = false;
    for (size_t i = 0; i < host->count; i++) {
        struct mpx_held *h =
            mpx_directory_source(host->directories[i], MPROXY_SOURCE_NODE, 0);
        if (!h || !now) {
            now = h ? h : now;
            continue;
        }
        host->has_rivals = true;
        if (is_better(h, now, past))
            now = h;
    }
    host->sum.other |= past && past != now;
    host->sum.node = now;
}

static size_t count_sources(const struct mpx_host *host)
{
    size_t count = 0;
    for (size_t i = 0; i < host->count; i++)
        count += host->directories[i]->count;
    return count;
}

// The sources of a directory that count in main or on its node, in their order.
static void add_terms(const struct mpx_directory *d, enum mpx_sum_kind kind,
                      struct mpx_term *terms, uint32_t *count)
{
    for (size_t i = 0; i < d->count; i++) {
        struct mpx_held *h = d->items[i];
        if (!h->dropped && mpx_sum_is_of(kind, h) &&
            (h->source.kind != MPROXY_SOURCE_NODE || h == d->host->sum.node))
            terms[(*count)++] = (struct mpx_term){.held = h};
    }
}

static bool name_host(struct mpx_host *host)
{
    if (host->sum.title)
        return true;
    char *command = text("Sum of all Jobs running on ", host->name);
    char *key = text("Node: ", host->name);
    const mproxy_job desc = {.jobid = key, .command = command, .nodelist = host->name};
    bool ok = key && command && mpx_sum_describe(&host->sum, key, &desc);
    free(command);
    free(key);
    return ok;
}

static bool group_host(struct mproxy_reduction *r, struct mpx_host *host)
{
    sort_directories(host);
    struct mpx_term *terms = malloc((count_sources(host) + 1) * sizeof *terms);
    uint32_t count = 0;
    if (!terms || !name_host(host)) {
        free(terms);
        return false;
    }
    choose_node(host);
    for (size_t i = 0; i < host->count; i++)
        add_terms(host->directories[i], MPX_SUM_NODE, terms, &count);
    mpx_sum_take_terms(&host->sum, &r->bench, terms, count, ++r->stamp);
    host->regroup = false;
    return true;
}

static int compare_hosts(const void *a, const void *b)
{
    const struct mpx_host *x = *(struct mpx_host *const *)a;
    const struct mpx_host *y = *(struct mpx_host *const *)b;
    return strcmp(x->name, y->name);
}

static bool group_hosts(struct mproxy_reduction *r)
{
    for (size_t i = 0; i < r->host_count; i++)
        if (r->hosts[i]->regroup && !group_host(r, r->hosts[i]))
            return false;
    if (!MPX_RESERVE(r->host_order, r->host_order_room, r->host_count))
        return false;
    r->host_order_count = 0;
    for (size_t i = 0; i < r->host_count; i++)
        if (r->hosts[i]->sum.term_count > 0)
            r->host_order[r->host_order_count++] = r->hosts[i];
    if (r->host_order_count > 1)
        qsort(r->host_order, r->host_order_count, sizeof *r->host_order, compare_hosts);
    return true;
}

static bool group_main(struct mproxy_reduction *r)
{
    const mproxy_job desc = {.jobid = "main", .command = "Sum of all Jobs"};
    size_t room = 0;
    for (size_t i = 0; i < r->directory_count; i++)
        room += r->directories[i]->count;
    struct mpx_term *terms = malloc((room + 1) * sizeof *terms);
    if (!terms || !mpx_sum_describe(&r->main, "main", &desc)) {
        free(terms);
        return false;
    }
    uint32_t count = 0;
    for (size_t i = 0; i < r->directory_count; i++)
        add_terms(r->directories[i], MPX_SUM_MAIN, terms, &count);
    mpx_sum_take_terms(&r->main, &r->bench, terms, count, ++r->stamp);
    return true;
}

// Jobs.

// By start, then by identity.
static int compare_shares(const void *a, const void *b)
{
    const mproxy_source *x = &(*(struct mpx_held *const *)a)->source;
    const mproxy_source *y = &(*(struct mpx_held *const *)b)->source;
    if (x->start_ms != y->start_ms)
        return x->start_ms < y->start_ms ? -1 : 1;
    int order = memcmp(x->directory, y->directory, sizeof x->directory);
    if (order)
        return order;
    return x->number < y->number ? -1 : x->number > y->number;
}

// Of `count` shares of one job, brings those of its newest run to the end, in their order;
// `first` of them. False: no memory.
static bool find_newest_run(const struct mproxy_reduction *r, struct mpx_held **shares,
                            size_t count, size_t *first)
{
    struct mpx_run_share *looks = malloc(count * sizeof *looks);
    struct mpx_runs runs = {0};
    bool ok = looks && mpx_runs_init(&runs, (uint32_t)count);
    for (size_t i = 0; ok && i < count; i++)
        looks[i] = (struct mpx_run_share){
            shares[i]->source.start_ms, shares[i]->source.end_ms, shares[i]->job.command};
    ok = ok && mpx_runs_link(&runs, looks, r->continue_ms);
    uint32_t newest = ok ? mpx_runs_newest(&runs, looks) : 0;
    *first = count;
    for (size_t i = count; ok && i-- > 0;)
        if (mpx_runs_of(&runs, (uint32_t)i) == newest)
            shares[--*first] = shares[i];
    mpx_runs_fini(&runs);
    free(looks);
    return ok;
}

static bool is_in_profile(const struct mpx_held *h)
{
    return h->source.sealed && h->stored;
}

// A job one of whose shares is absorbed leaves the list: the rest of that run is in a profile.
// What is not, because it is not sealed or not stored yet, goes on as a run of its own.
static void retire(struct mpx_sum *sum)
{
    bool left = false;
    for (uint32_t i = 0; i < sum->term_count; i++)
        left |= sum->terms[i].held->dropped;
    for (uint32_t i = 0; left && i < sum->term_count; i++)
        sum->terms[i].held->retired |= is_in_profile(sum->terms[i].held);
}

static bool run_terms(struct mpx_held *const *shares, size_t count, struct mpx_term **out)
{
    struct mpx_term *terms = malloc((2 * count + 1) * sizeof *terms);
    for (size_t i = 0; terms && i < count; i++) {
        terms[2 * i] = (struct mpx_term){.held = shares[i]};
        terms[2 * i + 1] = (struct mpx_term){.held = shares[i], .node = true};
    }
    *out = terms;
    return terms != NULL;
}

static void unlist(struct mproxy_reduction *r, struct mpx_job *job, size_t place)
{
    mpx_sum_fini(&job->sum, &r->bench);
    if (job->key)
        mpx_index_remove(&r->key_index, mpx_hash_text(job->key), (uint32_t)place);
    free(job->key);
    job->key = NULL;
    job->regroup = false;
}

// The terms of its newest run; its title waits until it has a key.
static bool choose_run(struct mproxy_reduction *r, struct mpx_job *job, size_t place)
{
    struct mpx_held **shares = malloc((job->count + 1) * sizeof *shares);
    struct mpx_term *terms = NULL;
    size_t count = 0, first = 0;
    if (!shares)
        return false;
    retire(&job->sum);
    for (size_t i = 0; i < job->count; i++)
        if (!job->shares[i]->retired)
            shares[count++] = job->shares[i];
    qsort(shares, count, sizeof *shares, compare_shares);
    bool ok = count == 0 || (find_newest_run(r, shares, count, &first) &&
                             run_terms(shares + first, count - first, &terms));
    if (ok && count > 0) {
        job->start_ms = shares[first]->source.start_ms;
        mpx_sum_take_terms(&job->sum, &r->bench, terms, (uint32_t)(2 * (count - first)),
                           ++r->stamp);
    } else if (ok)
        unlist(r, job, place);
    free(shares);
    return ok;
}

static int compare_jobs(const void *a, const void *b)
{
    const struct mpx_job *x = *(struct mpx_job *const *)a;
    const struct mpx_job *y = *(struct mpx_job *const *)b;
    if (x->start_ms != y->start_ms)
        return x->start_ms < y->start_ms ? -1 : 1;
    int order = strcmp(x->jobid, y->jobid);
    return order ? order : x->uid < y->uid ? -1 : x->uid > y->uid;
}

const struct mpx_job *mpx_job_of_key(const struct mproxy_reduction *r, const char *key)
{
    uint32_t hash = mpx_hash_text(key);
    for (uint32_t at = mpx_index_start(&r->key_index, hash), i;
         mpx_index_next(&r->key_index, hash, &at, &i);)
        if (strcmp(r->jobs[i]->key, key) == 0)
            return r->jobs[i];
    return NULL;
}

// The job id, or with the user behind it if another user's job goes by it already.
static char *find_key(const struct mproxy_reduction *r, const struct mpx_job *job)
{
    char suffix[32] = "";
    for (unsigned i = 1;; i++) {
        char *key = text(job->jobid, suffix);
        if (!key || !mpx_job_of_key(r, key))
            return key;
        free(key);
        snprintf(suffix, sizeof suffix, i == 1 ? "@%u" : "@%u-%u", job->uid, i);
    }
}

// Replies show the job under the name that finds it.
static bool describe(struct mpx_job *job)
{
    const struct mpx_sum *sum = &job->sum;
    mproxy_job desc = sum->terms[0].held->job;
    bool running = false;
    int64_t end_ms = 0;
    desc.start_time = 0;
    for (uint32_t i = 0; i < sum->term_count; i += 2) {
        const mproxy_source *s = &sum->terms[i].held->source;
        int64_t started = s->job->start_time ? s->job->start_time : s->start_ms / 1000;
        if (s->job->size > desc.size)
            desc.size = s->job->size;
        if (started > 0 && (desc.start_time == 0 || started < desc.start_time))
            desc.start_time = started;
        if (s->end_ms > end_ms)
            end_ms = s->end_ms;
        running |= !s->sealed;
    }
    desc.jobid = job->key;
    desc.end_time = running ? 0 : end_ms / 1000;
    return mpx_sum_describe(&job->sum, job->key, &desc);
}

static bool name_job(struct mproxy_reduction *r, struct mpx_job *job)
{
    if (!job->key) {
        if (!mpx_index_reserve(&r->key_index, (uint32_t)r->job_count + 1) ||
            !(job->key = find_key(r, job)))
            return false;
        mpx_index_put(&r->key_index, mpx_hash_text(job->key), (uint32_t)job->place);
    }
    if (!describe(job))
        return false;
    job->regroup = false;
    return true;
}

static bool order_jobs(struct mproxy_reduction *r)
{
    if (!MPX_RESERVE(r->job_order, r->job_order_room, r->job_count))
        return false;
    r->job_order_count = 0;
    for (size_t i = 0; i < r->job_count; i++) {
        r->jobs[i]->place = i;
        if (r->jobs[i]->sum.term_count > 0)
            r->job_order[r->job_order_count++] = r->jobs[i];
    }
    if (r->job_order_count > 1)
        qsort(r->job_order, r->job_order_count, sizeof *r->job_order, compare_jobs);
    return true;
}

static bool group_jobs(struct mproxy_reduction *r)
{
    for (size_t i = 0; i < r->job_count; i++)
        if (r->jobs[i]->regroup && !choose_run(r, r->jobs[i], i))
            return false;
    if (!order_jobs(r))
        return false;
    for (size_t i = 0; i < r->job_order_count; i++)
        if (r->job_order[i]->regroup && !name_job(r, r->job_order[i]))
            return false;
    return true;
}

bool mpx_regroup(struct mproxy_reduction *r)
{
    mpx_directories_sort(r);
    return group_hosts(r) && group_main(r) && group_jobs(r);
}
