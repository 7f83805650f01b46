// Which runs are due, and what is copied of them for the thread that writes.
#include "profile/keeper_private.h"

#include <stdlib.h>
#include <string.h>

const mproxy_archive_share *mpx_run_stored(const struct mpx_known *known, size_t count,
                                           const mproxy_source *source)
{
    struct mpx_share_id id = mpx_source_id(source);
    const mproxy_archive_share *best = NULL;
    for (size_t i = 0; i < count; i++) {
        const mproxy_archive_share *s =
            known[i].entry
                ? mpx_archive_find_share(known[i].entry->body, id.directory, id.number)
                : NULL;
        if (s && (!best || s->sealed > best->sealed ||
                  (s->sealed == best->sealed && s->end_ms > best->end_ms)))
            best = s;
    }
    return best;
}

static bool is_later(const mproxy_source *source, const mproxy_archive_share *stored)
{
    return source->epoch > stored->epoch ||
           (source->epoch == stored->epoch && source->sequence > stored->sequence);
}

// A sealed share never changes again. One that was given up on is worth another write only
// when its processes have gone on: its node's own metrics change all the time.
static bool is_news(const mproxy_source *source, const mproxy_archive_share *stored)
{
    if (!stored)
        return true;
    if (stored->sealed)
        return false;
    return source->sealed ||
           (is_later(source, stored) && source->end_ms > stored->end_ms);
}

static bool is_held(const struct mpx_known *known, size_t count,
                    const mproxy_archive_share *share)
{
    for (size_t i = 0; i < count; i++) {
        if (!known[i].source)
            continue;
        struct mpx_share_id id = mpx_source_id(known[i].source);
        if (id.number == share->number && strcmp(id.directory, share->directory) == 0)
            return true;
    }
    return false;
}

// Whether the run must wait for one of the shares of a stored profile.
static bool waits_for_stored(const struct mpx_round *round, const struct mpx_known *known,
                             size_t count, const struct mpx_archive_body *body)
{
    if (round->stored_are_lost)
        return false;
    for (size_t i = 0; i < body->share_count; i++)
        if (!body->shares[i].sealed && !is_held(known, count, &body->shares[i]))
            return true;
    return false;
}

bool mpx_run_is_due(const struct mpx_round *round, const struct mpx_known *known,
                    size_t count)
{
    bool news = false;
    for (size_t i = 0; i < count; i++) {
        const mproxy_source *source = known[i].source;
        if (!source)
            continue;
        if (!source->sealed && source->silent_ms <= round->wait_ms)
            return false;
        news = news || is_news(source, mpx_run_stored(known, count, source));
    }
    if (!news)
        return false;
    for (size_t i = 0; i < count; i++)
        if (known[i].entry && waits_for_stored(round, known, count, known[i].entry->body))
            return false;
    return true;
}

static bool copy_metric(const mproxy_metric *metric, const mproxy_value *value,
                        const mproxy_ranks *ranks, mproxy_profile_entry *out)
{
    mproxy_profile_entry e = {
        .name = (char *)metric->name,
        .doc = (char *)metric->doc,
        .type = metric->type,
        .value = *value,
    };
    if (ranks && metric->type == MPROXY_COUNTER)
        e.ranks = *ranks;
    return mpx_profile_copy_entry(&e, out);
}

// A gauge without contributors was never set.
static bool copy_values(mproxy_profile_share *share, const mproxy_metric *const *metrics,
                        const mproxy_value *values, const mproxy_ranks *ranks,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (metrics[i]->type == MPROXY_GAUGE && values[i].hits <= 0)
            continue;
        if (!copy_metric(metrics[i], &values[i], ranks ? &ranks[i] : NULL,
                         &share->entries[share->count]))
            return false;
        share->count++;
    }
    return true;
}

static bool copy_source(const mproxy_source *source, mproxy_profile_share *share)
{
    struct mpx_share_id id = mpx_source_id(source);
    *share = (mproxy_profile_share){
        .number = source->number,
        .epoch = source->epoch,
        .sequence = source->sequence,
        .sealed = source->sealed != 0,
        .incomplete = source->incomplete != 0,
        .start_ms = mpx_profile_clamp_ms(source->start_ms),
        .end_ms = mpx_profile_clamp_ms(source->end_ms),
    };
    memcpy(share->directory, id.directory, sizeof share->directory);
    share->node = strdup(source->host);
    share->entries =
        calloc(source->count + source->node_count + 1, sizeof *share->entries);
    return share->node && share->entries &&
           copy_values(share, source->metrics, source->values, source->ranks,
                       source->count) &&
           copy_values(share, source->node_metrics, source->node_values, NULL,
                       source->node_count);
}

static bool add_stored(struct mpx_plan *plan, const struct mpx_archive_body *body)
{
    if (body->share_count == 0)
        return true;
    struct mpx_share_id *id = &plan->stored[plan->stored_count++];
    memcpy(id->directory, body->shares[0].directory, sizeof id->directory);
    id->number = body->shares[0].number;
    return true;
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

struct mpx_plan *mpx_plan_new(const struct mpx_known *known, size_t count,
                              int64_t boot_ms)
{
    struct mpx_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return NULL;
    plan->boot_ms = boot_ms;
    plan->stored = calloc(count, sizeof *plan->stored);
    plan->shares = calloc(count, sizeof *plan->shares);
    bool ok = plan->stored && plan->shares;
    for (size_t i = 0; i < count && ok; i++)
        ok = known[i].entry ? add_stored(plan, known[i].entry->body)
                            : add_source(plan, known[i].source);
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
