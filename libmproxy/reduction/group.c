// Which source counts in which view.

#include "reduction/reduction.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/runs.h"

void mpx_sums_fini(struct mpx_sums *sums)
{
    for (size_t i = 0; i < sums->count; i++)
        mpx_sum_fini(&sums->items[i]);
    free(sums->items);
    *sums = (struct mpx_sums){0};
}

static char *text(const char *prefix, const char *rest)
{
    size_t length = strlen(prefix) + strlen(rest) + 1;
    char *out = malloc(length);
    if (out)
        snprintf(out, length, "%s%s", prefix, rest);
    return out;
}

static struct mpx_sum *add_sum(struct mpx_sums *sums, enum mpx_sum_kind kind,
                               const mproxy_job *desc)
{
    if (sums->count == sums->room) {
        size_t room = sums->room ? sums->room * 2 : 16;
        struct mpx_sum *items = realloc(sums->items, room * sizeof *items);
        if (!items)
            return NULL;
        sums->items = items;
        sums->room = room;
    }
    struct mpx_sum *sum = &sums->items[sums->count];
    *sum = (struct mpx_sum){.kind = kind};
    if (mproxy_job_copy(desc, &sum->desc) != MPROXY_OK)
        return NULL;
    sums->count++;
    return sum;
}

static bool add_main(struct mpx_sums *sums)
{
    const mproxy_job desc = {.jobid = "main", .command = "Sum of all Jobs"};
    struct mpx_sum *main_sum = add_sum(sums, MPX_SUM_MAIN, &desc);
    if (main_sum)
        main_sum->key = strdup("main");
    return main_sum && main_sum->key;
}

static bool add_host(struct mpx_sums *sums, const char *host)
{
    char *command = text("Sum of all Jobs running on ", host);
    char *key = text("Node: ", host);
    const mproxy_job desc = {.jobid = key, .command = command, .nodelist = (char *)host};
    struct mpx_sum *sum = key && command ? add_sum(sums, MPX_SUM_NODE, &desc) : NULL;
    free(command);
    if (!sum) {
        free(key);
        return false;
    }
    sum->key = key;
    return true;
}

static const char *host_of(const struct mpx_sum *sum)
{
    return sum->desc.nodelist;
}

static struct mpx_sum *find_host(const struct mpx_sums *sums,
                                 const struct mpx_index *hosts, const char *host)
{
    uint32_t hash = mpx_hash_bytes(host, strlen(host));
    for (uint32_t at = mpx_index_start(hosts, hash), i;
         mpx_index_next(hosts, hash, &at, &i);)
        if (strcmp(host_of(&sums->items[i]), host) == 0)
            return &sums->items[i];
    return NULL;
}

static int compare_hosts(const void *a, const void *b)
{
    const struct mpx_sum *x = a, *y = b;
    return strcmp(host_of(x), host_of(y));
}

static bool list_host(struct mpx_sums *sums, struct mpx_index *hosts, const char *host)
{
    if (find_host(sums, hosts, host))
        return true;
    if (!add_host(sums, host) || !mpx_index_reserve(hosts, (uint32_t)sums->count))
        return false;
    mpx_index_put(hosts, mpx_hash_bytes(host, strlen(host)), (uint32_t)sums->count - 1);
    return true;
}

// A sum per host, ordered by name, behind main.
static bool list_hosts(const struct mproxy_reduction *r, struct mpx_sums *sums,
                       struct mpx_index *hosts)
{
    for (size_t i = 0; i < r->held_count; i++)
        if (!r->held[i]->dropped && !list_host(sums, hosts, r->held[i]->host))
            return false;
    qsort(sums->items + 1, sums->count - 1, sizeof *sums->items, compare_hosts);
    mpx_index_clear(hosts);
    for (size_t i = 1; i < sums->count; i++)
        mpx_index_put(
            hosts,
            mpx_hash_bytes(host_of(&sums->items[i]), strlen(host_of(&sums->items[i]))),
            (uint32_t)i);
    return true;
}

// Of several directories on one host the node's metrics are taken once: from the one that
// they were taken from before, unless it has fallen silent while another speaks.
static void choose_node(struct mproxy_reduction *r, struct mpx_sum *host,
                        struct mpx_held *candidate, const struct mpx_sums *before)
{
    if (!host->node) {
        host->node = candidate;
        return;
    }
    r->rivals = true;
    struct mpx_held *past = NULL;
    for (size_t i = 1; i < before->count && before->items[i].kind == MPX_SUM_NODE; i++)
        if (strcmp(host_of(&before->items[i]), host_of(host)) == 0)
            past = before->items[i].node;
    struct mpx_held *now = host->node;
    if (candidate->heard > now->heard + MPX_NODE_SILENT_MAX ||
        (candidate == past && candidate->heard + MPX_NODE_SILENT_MAX >= now->heard))
        host->node = candidate;
}

static bool fill_main_and_hosts(struct mproxy_reduction *r, struct mpx_sums *sums,
                                const struct mpx_index *hosts)
{
    r->rivals = false;
    for (size_t i = 0; i < r->held_count; i++)
        if (!r->held[i]->dropped && r->held[i]->source.kind == MPROXY_SOURCE_NODE)
            choose_node(r, find_host(sums, hosts, r->held[i]->host), r->held[i],
                        &r->sums);
    for (size_t i = 0; i < r->held_count; i++) {
        struct mpx_held *h = r->held[i];
        if (h->dropped)
            continue;
        struct mpx_sum *host = find_host(sums, hosts, h->host);
        if (h->source.kind == MPROXY_SOURCE_NODE && host->node != h)
            continue;
        if (!mpx_sum_add_term(&sums->items[0], h, false) ||
            !mpx_sum_add_term(host, h, false))
            return false;
    }
    return true;
}

// By job, then by start, then by identity (the order in which they are held).
static int compare_shares(const void *a, const void *b)
{
    const struct mpx_held *x = *(struct mpx_held *const *)a;
    const struct mpx_held *y = *(struct mpx_held *const *)b;
    int order = strcmp(x->job.jobid, y->job.jobid);
    if (order)
        return order;
    if (x->source.uid != y->source.uid)
        return x->source.uid < y->source.uid ? -1 : 1;
    if (x->source.start_ms != y->source.start_ms)
        return x->source.start_ms < y->source.start_ms ? -1 : 1;
    order = memcmp(x->source.directory, y->source.directory, sizeof x->source.directory);
    if (order)
        return order;
    return x->source.number < y->source.number ? -1 : x->source.number > y->source.number;
}

static bool same_job(const struct mpx_held *a, const struct mpx_held *b)
{
    return a->source.uid == b->source.uid && strcmp(a->job.jobid, b->job.jobid) == 0;
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

static void describe(struct mpx_sum *sum, struct mpx_held *const *shares, size_t count)
{
    bool running = false;
    int64_t end_ms = 0, start = 0;
    for (size_t i = 0; i < count; i++) {
        const mproxy_source *s = &shares[i]->source;
        int64_t started = s->job->start_time ? s->job->start_time : s->start_ms / 1000;
        if (s->job->size > sum->desc.size)
            sum->desc.size = s->job->size;
        if (started > 0 && (start == 0 || started < start))
            start = started;
        if (s->end_ms > end_ms)
            end_ms = s->end_ms;
        running |= !s->sealed;
    }
    sum->desc.start_time = start;
    sum->desc.end_time = running ? 0 : end_ms / 1000;
    sum->start_ms = shares[0]->source.start_ms;
    sum->uid = shares[0]->source.uid;
}

static bool fill_job(struct mpx_sum *sum, struct mpx_held *const *shares, size_t count)
{
    describe(sum, shares, count);
    sum->jobid = strdup(shares[0]->job.jobid);
    if (!sum->jobid)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!mpx_sum_add_term(sum, shares[i], false) ||
            !mpx_sum_add_term(sum, shares[i], true))
            return false;
    return true;
}

static bool is_listed(const struct mpx_held *h)
{
    return !h->dropped && !h->retired && mpx_held_is_share(h);
}

static bool fill_jobs(struct mproxy_reduction *r, struct mpx_sums *sums)
{
    struct mpx_held **shares = malloc((r->held_count + 1) * sizeof *shares);
    size_t count = 0;
    if (!shares)
        return false;
    for (size_t i = 0; i < r->held_count; i++)
        if (is_listed(r->held[i]))
            shares[count++] = r->held[i];
    qsort(shares, count, sizeof *shares, compare_shares);
    bool ok = true;
    for (size_t from = 0, to; ok && from < count; from = to) {
        for (to = from + 1; to < count && same_job(shares[from], shares[to]);)
            to++;
        size_t first;
        ok = find_newest_run(r, shares + from, to - from, &first);
        first += from;
        struct mpx_sum *sum = ok ? add_sum(sums, MPX_SUM_JOB, &shares[first]->job) : NULL;
        ok = sum && fill_job(sum, shares + first, to - first);
    }
    free(shares);
    return ok;
}

static int compare_jobs(const void *a, const void *b)
{
    const struct mpx_sum *x = a, *y = b;
    if (x->start_ms != y->start_ms)
        return x->start_ms < y->start_ms ? -1 : 1;
    int order = strcmp(x->jobid, y->jobid);
    return order ? order : x->uid < y->uid ? -1 : x->uid > y->uid;
}

static bool is_same_view(const struct mpx_sum *a, const struct mpx_sum *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == MPX_SUM_JOB)
        return a->uid == b->uid && strcmp(a->jobid, b->jobid) == 0;
    return strcmp(a->key, b->key) == 0;
}

static uint32_t hash_of(const struct mpx_sum *sum)
{
    const char *name = sum->kind == MPX_SUM_JOB ? sum->jobid : sum->key;
    return mpx_hash_bytes(name, strlen(name)) ^ mpx_hash_u64(sum->uid + UINT64_C(1));
}

static struct mpx_sum *find_sum(struct mpx_sums *sums, const struct mpx_index *index,
                                const struct mpx_sum *like)
{
    uint32_t hash = hash_of(like);
    for (uint32_t at = mpx_index_start(index, hash), i;
         mpx_index_next(index, hash, &at, &i);)
        if (is_same_view(&sums->items[i], like))
            return &sums->items[i];
    return NULL;
}

struct naming {
    struct mpx_sums *sums;
    size_t jobs; // position of the first job
    struct mpx_index keys;
};

static bool is_taken(const struct naming *n, const char *key)
{
    uint32_t hash = mpx_hash_bytes(key, strlen(key));
    for (uint32_t at = mpx_index_start(&n->keys, hash), i;
         mpx_index_next(&n->keys, hash, &at, &i);)
        if (strcmp(n->sums->items[i].key, key) == 0)
            return true;
    return false;
}

// Takes `key`; replies show the job under the name that finds it.
static bool give_key(struct naming *n, size_t job, char *key)
{
    struct mpx_sum *sum = &n->sums->items[job];
    char *shown = key ? strdup(key) : NULL;
    if (!shown) {
        free(key);
        return false;
    }
    free(sum->desc.jobid);
    sum->desc.jobid = shown;
    sum->key = key;
    mpx_index_put(&n->keys, mpx_hash_bytes(key, strlen(key)), (uint32_t)job);
    return true;
}

// The job id, or with the user behind it if another user's job goes by it already.
static bool name_job(struct naming *n, size_t job)
{
    const struct mpx_sum *sum = &n->sums->items[job];
    char suffix[32] = "";
    for (unsigned i = 1;; i++) {
        char *key = text(sum->jobid, suffix);
        if (!key || !is_taken(n, key))
            return give_key(n, job, key);
        free(key);
        snprintf(suffix, sizeof suffix, i == 1 ? "@%u" : "@%u-%u", sum->uid, i);
    }
}

// Keys of jobs that are shown already stay theirs.
static bool name_jobs(struct naming *n, struct mpx_sums *before,
                      const struct mpx_index *index)
{
    size_t count = n->sums->count;
    if (!mpx_index_reserve(&n->keys, (uint32_t)count))
        return false;
    for (size_t i = n->jobs; i < count; i++) {
        const struct mpx_sum *past = find_sum(before, index, &n->sums->items[i]);
        if (past && !give_key(n, i, strdup(past->key)))
            return false;
    }
    for (size_t i = n->jobs; i < count; i++)
        if (!n->sums->items[i].key && !name_job(n, i))
            return false;
    return true;
}

static bool has_part(const struct mpx_sum *sum, const struct mpx_term *part)
{
    for (uint32_t i = 0; i < sum->part_count; i++)
        if (sum->parts[i].held == part->held && sum->parts[i].node == part->node)
            return true;
    return false;
}

// Whether counters may be lower than what was shown: a job's sum that lost a share is that
// of another run, a host's of another directory.
static bool lost_a_part(const struct mpx_sum *sum, const struct mpx_sum *past)
{
    if (sum->kind == MPX_SUM_MAIN)
        return false;
    if (sum->kind == MPX_SUM_NODE)
        return past->node != sum->node;
    for (uint32_t i = 0; i < past->part_count; i++)
        if (!has_part(sum, &past->parts[i]))
            return true;
    return false;
}

static void inherit(struct mpx_sum *sum, struct mpx_sum *past)
{
    sum->stale = past->stale || !mpx_same_job(&sum->desc, &past->desc);
    sum->other = past->other;
    sum->view = past->view;
    past->view = NULL;
    if (!mpx_sum_same_terms(sum, past)) {
        sum->stale = true;
        sum->other |= lost_a_part(sum, past);
        return;
    }
    struct mpx_term *parts = sum->parts;
    sum->parts = past->parts;
    past->parts = parts;
    for (uint32_t i = 0; i < past->part_count; i++)
        parts[i].slots = NULL;
    sum->metrics = past->metrics;
    sum->count = past->count;
    sum->planned = past->planned;
    past->metrics = NULL;
    past->planned = false;
}

static bool is_in_profile(const struct mpx_held *h)
{
    return h->source.sealed && h->stored;
}

// A job one of whose shares is absorbed leaves the list: the rest of that run is in a profile.
// What is not, because it is not sealed or not stored yet, goes on as a run of its own.
static void retire(struct mpx_sums *sums)
{
    for (size_t i = 0; i < sums->count; i++) {
        struct mpx_sum *sum = &sums->items[i];
        bool left = false;
        for (uint32_t p = 0; sum->kind == MPX_SUM_JOB && p < sum->part_count; p++)
            left |= sum->parts[p].held->dropped;
        for (uint32_t p = 0; left && p < sum->part_count; p++)
            sum->parts[p].held->retired |= is_in_profile(sum->parts[p].held);
    }
}

static bool make_sums(struct mproxy_reduction *r, struct mpx_sums *sums,
                      const struct mpx_index *past)
{
    struct mpx_index hosts = {0};
    bool ok = add_main(sums) && list_hosts(r, sums, &hosts) &&
              fill_main_and_hosts(r, sums, &hosts);
    mpx_index_fini(&hosts);
    size_t jobs = sums->count;
    if (!ok || !fill_jobs(r, sums))
        return false;
    qsort(sums->items + jobs, sums->count - jobs, sizeof *sums->items, compare_jobs);
    struct naming naming = {.sums = sums, .jobs = jobs};
    ok = name_jobs(&naming, &r->sums, past);
    mpx_index_fini(&naming.keys);
    return ok;
}

static bool index_sums(const struct mpx_sums *sums, struct mpx_index *index)
{
    if (!mpx_index_reserve(index, (uint32_t)sums->count + 1))
        return false;
    for (size_t i = 0; i < sums->count; i++)
        mpx_index_put(index, hash_of(&sums->items[i]), (uint32_t)i);
    return true;
}

bool mpx_regroup(struct mproxy_reduction *r)
{
    struct mpx_sums sums = {0};
    struct mpx_index index = {0};
    retire(&r->sums);
    bool ok = index_sums(&r->sums, &index) && make_sums(r, &sums, &index);
    for (size_t i = 0; ok && i < sums.count; i++) {
        struct mpx_sum *past = find_sum(&r->sums, &index, &sums.items[i]);
        if (past)
            inherit(&sums.items[i], past);
    }
    mpx_index_fini(&index);
    if (!ok) {
        mpx_sums_fini(&sums);
        return false;
    }
    mpx_sums_fini(&r->sums);
    r->sums = sums;
    return true;
}
