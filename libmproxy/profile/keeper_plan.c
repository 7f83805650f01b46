// Which runs are due, and what is copied of them for the thread that writes.
#include "profile/keeper_private.h"

#include <stdlib.h>
#include <string.h>

#include "store/metric.h"

static bool is_later(const mproxy_source *source, const struct mpx_archive_share *stored)
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
           (is_later(source, stored) && source->end_ms > stored->end_ms);
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
