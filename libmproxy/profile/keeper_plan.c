// Plans: which runs are due, what is copied of them, and their execution.
//
// A round of the loop's thread makes plans of the runs that are due (mpx_plan_new()); a plan has
// copies of all it takes, so that the keeper's worker, which alone changes the archive, can carry
// it out while rounds go on.
//
// There it meets what is stored. All profiles of the run are loaded, their shares and the plan's
// come together, and of several states of one share the latest stays. So a run that goes on, a share that was late, and two profiles that
// turned out to be one run all come to the same: one profile with all that was ever known.
//
// What is taken changes hands: shares move out of the plan and of what was loaded, and no value
// is copied. A stored profile that proves damaged is no reason not to store the rest: the new
// shares are stored beside it.
//
// Another process may have stored a run of the job since the round looked. Then the number of
// profiles is not the one planned with, the archive refuses (MPROXY_E_EXISTS), and the next round
// plans anew. A plan for a reader (a provisional profile) goes the same way but for the writing.
#include "profile/keeper_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "store/metric.h"

#define SIZE_SANE_MAX (UINT64_C(1) << 53) // what JSON readers take as a whole number

// ---- which runs are due

static bool source_is_later(const mproxy_source *source,
                            const struct mpx_archive_share *stored)
{
    return source->epoch > stored->epoch ||
           (source->epoch == stored->epoch && source->sequence > stored->sequence);
}

// A sealed share never changes again. One that was given up on is worth another write only
// when its processes have gone on: its node's own metrics change all the time.
static bool is_news(const mproxy_source *source, const struct mpx_archive_share *stored)
{
    if (!stored)
        return true;
    if (stored->sealed)
        return false;
    return source->sealed ||
           (source_is_later(source, stored) && source->end_ms > stored->end_ms);
}

bool mpx_run_has_news(const struct mpx_known *run, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (run[i].source && is_news(run[i].source, run[i].stored))
            return true;
    return false;
}

// A share that is not sealed is waited for, unless it has been silent for too long.
static bool is_waited_for(const struct mpx_round *round, const struct mpx_known *known)
{
    if (known->source)
        return !known->source->sealed && known->source->silent_ms <= round->wait_ms;
    return !known->stored->sealed && !round->stored_are_lost;
}

bool mpx_run_is_due(const struct mpx_round *round, const struct mpx_known *run,
                    size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_waited_for(round, &run[i]))
            return false;
    return mpx_run_has_news(run, count);
}

bool mpx_run_is_over(const struct mpx_known *run, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (run[i].source && !run[i].source->sealed && !run[i].source->idle)
            return false;
    return true;
}

static bool copy_metric(const mproxy_metric *metric, const mproxy_value *value,
                        const mproxy_ranks *ranks, struct mpx_profile_entry *out)
{
    struct mpx_profile_entry e = {
        .name = (char *)metric->name,
        .doc = (char *)mproxy_metric_doc(metric),
        .type = metric->type,
        .value = *value,
    };
    if (ranks && metric->type == MPROXY_COUNTER)
        e.ranks = *ranks;
    return mpx_profile_copy_entry(&e, out);
}

// A gauge without contributors was never set. `first` is the slot of the first metric.
static bool copy_values(struct mpx_profile_share *share, const mproxy_source *source,
                        const mproxy_metric *const *metrics, const mproxy_ranks *ranks,
                        size_t first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mproxy_value value = mproxy_source_value(source, first + i);
        if (metrics[i]->type == MPROXY_GAUGE && value.hits <= 0)
            continue;
        if (!copy_metric(metrics[i], &value, ranks ? &ranks[i] : NULL,
                         &share->entries[share->count]))
            return false;
        share->count++;
    }
    return true;
}

static bool copy_source(const mproxy_source *source, struct mpx_profile_share *share)
{
    *share = (struct mpx_profile_share){
        .number = source->number,
        .epoch = source->epoch,
        .sequence = source->sequence,
        .sealed = source->sealed != 0,
        .incomplete = source->incomplete != 0,
        .start_ms = mpx_profile_clamp_ms(source->start_ms),
        .end_ms = mpx_profile_clamp_ms(source->end_ms),
    };
    memcpy(share->directory, source->directory, sizeof share->directory);
    share->node = strdup(source->host);
    share->command = strdup(source->job->command);
    share->entries =
        calloc(source->count + source->node_count + 1, sizeof *share->entries);
    return share->node && share->command && share->entries &&
           copy_values(share, source, source->metrics, source->ranks, 0, source->count) &&
           copy_values(share, source, source->node_metrics, NULL, source->count,
                       source->node_count);
}

static void add_stored(struct mpx_plan *plan, const struct mpx_archive_body *body)
{
    plan->stored[plan->stored_count++] =
        mpx_share_id_of(body->shares[0].directory, body->shares[0].number);
}

static bool add_source(struct mpx_plan *plan, const mproxy_source *source)
{
    if (!plan->desc.jobid || source->start_ms < plan->start_ms) {
        mproxy_job desc;
        if (mproxy_job_copy(source->job, &desc) != MPROXY_OK)
            return false;
        mproxy_job_clear(&plan->desc);
        plan->desc = desc;
        plan->start_ms = source->start_ms;
    }
    plan->uid = source->uid;
    return copy_source(source, &plan->shares[plan->share_count++]);
}

struct mpx_plan *mpx_plan_new(const struct mpx_job_known *job,
                              const struct mpx_known *run, size_t count, int64_t boot_ms)
{
    struct mpx_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return NULL;
    plan->boot_ms = boot_ms;
    plan->known_runs = job->profile_count;
    plan->stored = calloc(job->profile_count + 1, sizeof *plan->stored);
    plan->shares = calloc(count, sizeof *plan->shares);
    bool ok = plan->stored && plan->shares;
    for (size_t i = 0; i < job->profile_count && ok; i++)
        if (job->profiles[i].run == run[0].run)
            add_stored(plan, job->profiles[i].entry->body);
    for (size_t i = 0; i < count && ok; i++)
        ok = !run[i].source || add_source(plan, run[i].source);
    if (ok)
        return plan;
    mpx_plan_free(plan);
    return NULL;
}

void mpx_plan_free(struct mpx_plan *plan)
{
    if (!plan)
        return;
    for (size_t i = 0; i < plan->share_count; i++)
        mpx_profile_clear_share(&plan->shares[i]);
    mproxy_job_clear(&plan->desc);
    free(plan->shares);
    free(plan->stored);
    free(plan);
}

// ---- execution, by the worker

static bool holds_stored(const struct mpx_plan *plan, const struct mpx_archive_body *body)
{
    if (body->uid != plan->uid || strcmp(body->desc.jobid, plan->desc.jobid) != 0)
        return false;
    for (size_t i = 0; i < plan->stored_count; i++)
        if (mpx_archive_find_share(body, plan->stored[i].directory,
                                   plan->stored[i].number))
            return true;
    return false;
}

static bool is_later(const struct mpx_profile_share *a, const struct mpx_profile_share *b)
{
    if (a->sealed != b->sealed)
        return a->sealed > b->sealed;
    return a->epoch > b->epoch || (a->epoch == b->epoch && a->sequence > b->sequence);
}

// Room for `more` shares beside those that the profile has. False: no memory.
static bool reserve(mproxy_profile *p, size_t more)
{
    return MPX_RESERVE_TO(p->shares, p->share_count + more + 1);
}

// Shares written before each said its command are all of the profile's.
static bool keep_command(struct mpx_profile_share *share, const mproxy_job *desc)
{
    if (!share->command)
        share->command = strdup(desc->command);
    return share->command != NULL;
}

// The shares change hands; `shares` is left empty. States of one share are told apart later.
static bool take_shares(mproxy_profile *p, struct mpx_profile_share *shares, size_t count,
                        const mproxy_job *desc)
{
    if (!reserve(p, count))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!keep_command(&shares[i], desc))
            return false;
        p->shares[p->share_count++] = shares[i];
        shares[i] = (struct mpx_profile_share){0};
    }
    return true;
}

static int by_identity(const void *a, const void *b)
{
    const struct mpx_profile_share *x = a, *y = b;
    int order = mpx_profile_compare_shares(x, y);
    return order ? order : is_later(y, x) - is_later(x, y);
}

// In order; of the states of one share the latest, which stands first, stays.
static void keep_latest(mproxy_profile *p)
{
    size_t kept = 0;
    qsort(p->shares, p->share_count, sizeof *p->shares, by_identity);
    for (size_t i = 0; i < p->share_count; i++) {
        if (kept > 0 &&
            mpx_profile_compare_shares(&p->shares[kept - 1], &p->shares[i]) == 0)
            mpx_profile_clear_share(&p->shares[i]);
        else
            p->shares[kept++] = p->shares[i];
    }
    p->share_count = kept;
}

// The run's description is that of its first share; its size the largest that was told.
static bool take_desc(mproxy_profile *p, const mproxy_job *desc, int64_t start_ms,
                      int64_t *first_ms)
{
    uint64_t size = desc->size > p->desc.size ? desc->size : p->desc.size;
    if (!p->desc.jobid || start_ms < *first_ms) {
        mproxy_job copy;
        if (mproxy_job_copy(desc, &copy) != MPROXY_OK)
            return false;
        mproxy_job_clear(&p->desc);
        p->desc = copy;
        *first_ms = start_ms;
    }
    p->desc.size = size <= SIZE_SANE_MAX ? size : 0;
    return true;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// A node of which a share came after all was heard.
static bool drop_heard(mproxy_profile *p)
{
    if (p->unheard_count == 0)
        return true;
    const char **heard = calloc(p->share_count + 1, sizeof *heard);
    size_t kept = 0;
    for (size_t i = 0; i < p->share_count && heard; i++)
        heard[i] = p->shares[i].node;
    if (!heard)
        return false;
    qsort(heard, p->share_count, sizeof *heard, by_text);
    for (size_t i = 0; i < p->unheard_count; i++) {
        if (bsearch(&p->unheard[i], heard, p->share_count, sizeof *heard, by_text))
            free(p->unheard[i]);
        else
            p->unheard[kept++] = p->unheard[i];
    }
    p->unheard_count = kept;
    free(heard);
    return true;
}

static bool take_stored(mproxy_profile *p, mproxy_profile *stored,
                        struct mpx_node_set *unheard, int64_t start_ms, int64_t *first_ms)
{
    bool ok = take_desc(p, &stored->desc, start_ms, first_ms);
    ok = ok && take_shares(p, stored->shares, stored->share_count, &stored->desc);
    for (size_t i = 0; i < stored->unheard_count && ok; i++)
        ok = mpx_node_set_add(unheard, stored->unheard[i]);
    return ok;
}

static mproxy_status load_stored(mproxy_archive *archive, const struct mpx_plan *plan,
                                 mproxy_profile *p, int64_t *first_ms, mproxy_error *err)
{
    struct mpx_archive_index *index = mpx_archive_take_index(archive);
    struct mpx_node_set unheard = {0};
    mproxy_status status = MPROXY_OK;
    for (size_t i = 0; i < index->count && status == MPROXY_OK; i++) {
        const struct mpx_archive_entry *e = index->entries[i];
        mproxy_profile *stored = NULL;
        if (!holds_stored(plan, e->body))
            continue;
        status = mproxy_archive_load(archive, e->key, &stored, err);
        // It was damaged after it had been stored: the new shares are stored beside it.
        if (status == MPROXY_E_CORRUPT || status == MPROXY_E_NOTFOUND)
            status = MPROXY_OK;
        else if (status == MPROXY_OK &&
                 !take_stored(p, stored, &unheard, e->body->start_ms, first_ms))
            status = mpx_fail(err, MPROXY_E_NOMEM, "profile '%s': no memory", e->key);
        mproxy_profile_free(stored);
    }
    mpx_node_set_give(&unheard, &p->unheard, &p->unheard_count);
    mpx_archive_index_unref(index);
    return status;
}

static mproxy_status take_plan(mproxy_profile *p, struct mpx_plan *plan,
                               int64_t *first_ms, mproxy_error *err)
{
    bool ok = take_desc(p, &plan->desc, plan->start_ms, first_ms) &&
              take_shares(p, plan->shares, plan->share_count, &plan->desc);
    if (ok) {
        keep_latest(p);
        ok = drop_heard(p);
    }
    if (!ok)
        return mpx_fail(err, MPROXY_E_NOMEM, "profile '%s': no memory", plan->desc.jobid);
    return mpx_profile_sum(p, err);
}

// The profile of the run: what is stored of it with what the plan adds. Takes shares out of
// the plan.
static mproxy_status make_profile(mproxy_archive *archive, struct mpx_plan *plan,
                                  mproxy_profile **out, mproxy_error *err)
{
    mproxy_profile *p = calloc(1, sizeof *p);
    int64_t first_ms = 0;
    if (!p)
        return mpx_fail(err, MPROXY_E_NOMEM, "profile '%s': no memory", plan->desc.jobid);
    p->uid = plan->uid;
    p->provisional = plan->provisional;
    mproxy_status status = MPROXY_OK;
    if (plan->stored_count > 0)
        status = load_stored(archive, plan, p, &first_ms, err);
    if (status == MPROXY_OK)
        status = take_plan(p, plan, &first_ms, err);
    if (status == MPROXY_OK)
        *out = p;
    else
        mproxy_profile_free(p);
    return status;
}

bool mpx_plan_reads(const struct mpx_plan *plan)
{
    return plan->stored_count > 0;
}

mproxy_status mpx_plan_provisional(mproxy_archive *archive, struct mpx_plan *plan,
                                   mproxy_profile **out, mproxy_error *err)
{
    plan->provisional = true;
    return make_profile(archive, plan, out, err);
}

mproxy_status mpx_plan_store(mproxy_archive *archive, struct mpx_plan *plan,
                             mproxy_error *err)
{
    mproxy_profile *p;
    mproxy_status status = make_profile(archive, plan, &p, err);
    if (status != MPROXY_OK)
        return status;
    status = mpx_archive_store(archive, p, plan->known_runs, err);
    mproxy_profile_free(p);
    return status;
}
