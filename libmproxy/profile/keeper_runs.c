// All that is known of a job id, share by share, and its runs.
//
// A share may be known twice and more: as a source that is held, and as a state in one stored
// profile or in two that a late share has shown to be one run. Sorting by identity brings its
// states together, so that everything here costs n log n in the shares and nobody has to look
// for one among all others. Which shares are one run is said by source/runs.h; what is stored
// in one profile, or is one share, is one run whatever the clocks say.
//
// A profile without shares (of another make) counts among the profiles of the id, but no run
// can go on with it: there is nothing to sum up again.
#include "profile/keeper_private.h"

#include <stdlib.h>
#include <string.h>

#include "source/runs.h"

// A state of a share, before states of one share are put together.
struct state {
    struct mpx_share_id id;
    const mproxy_source *source;
    const struct mpx_archive_share *stored;
    uint32_t profile; // of `stored`
};

static int by_identity(const void *a, const void *b)
{
    const struct state *x = a, *y = b;
    int order = mpx_share_id_compare(x->id.directory, x->id.number, y->id.directory,
                                     y->id.number);
    return order ? order : (x->profile > y->profile) - (x->profile < y->profile);
}

static bool is_of_job(const struct mpx_archive_entry *e, const mproxy_source *source)
{
    return e->body->uid == source->uid &&
           strcmp(e->body->desc.jobid, source->job->jobid) == 0;
}

// The keys of an id's runs are ID and, behind it in the index, those with ID@ in front.
static size_t find_profiles(const struct mpx_archive_index *index,
                            const mproxy_source *source, struct mpx_known_profile *out)
{
    const char *jobid = source->job->jobid;
    size_t low = 0, high = index ? index->count : 0, length = strlen(jobid), count = 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(index->entries[middle]->key, jobid) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t i = low; index && i < index->count; i++) {
        const struct mpx_archive_entry *e = index->entries[i];
        if (strncmp(e->key, jobid, length) != 0)
            break;
        if (!is_of_job(e, source))
            continue;
        if (out)
            out[count] = (struct mpx_known_profile){.entry = e, .run = MPX_NO_RUN};
        count++;
    }
    return count;
}

static struct state *list_states(const struct mpx_job_known *job,
                                 const mproxy_source *const *sources, size_t count,
                                 size_t *out_count)
{
    size_t total = count, n = 0;
    for (size_t i = 0; i < job->profile_count; i++)
        total += job->profiles[i].entry->body->share_count;
    struct state *states = calloc(total, sizeof *states);
    for (size_t i = 0; i < count && states; i++)
        states[n++] = (struct state){
            .id = mpx_share_id_of(sources[i]->directory, sources[i]->number),
            .source = sources[i]};
    for (size_t i = 0; i < job->profile_count && states; i++) {
        const struct mpx_archive_body *body = job->profiles[i].entry->body;
        for (size_t k = 0; k < body->share_count; k++)
            states[n++] = (struct state){
                .id = mpx_share_id_of(body->shares[k].directory, body->shares[k].number),
                .stored = &body->shares[k],
                .profile = (uint32_t)i};
    }
    *out_count = total;
    return states;
}

static bool says_more(const struct mpx_archive_share *a,
                      const struct mpx_archive_share *b)
{
    return a->sealed > b->sealed || (a->sealed == b->sealed && a->end_ms > b->end_ms);
}

// States in order of identity become shares; a profile's first share stands for it in `runs`.
static void put_together(struct mpx_job_known *job, const struct state *states,
                         size_t count, struct mpx_runs *runs)
{
    for (size_t i = 0; i < count; i++) {
        const struct state *s = &states[i];
        struct mpx_known *last = job->count ? &job->shares[job->count - 1] : NULL;
        if (!last || mpx_share_id_compare(last->id.directory, last->id.number,
                                          s->id.directory, s->id.number) != 0) {
            last = &job->shares[job->count++];
            *last = (struct mpx_known){.id = s->id};
        }
        uint32_t share = (uint32_t)(job->count - 1);
        if (s->source) {
            last->source = s->source;
            continue;
        }
        if (!last->stored || says_more(s->stored, last->stored))
            last->stored = s->stored;
        struct mpx_known_profile *profile = &job->profiles[s->profile];
        if (profile->run == MPX_NO_RUN)
            profile->run = share;
        else
            mpx_runs_join(runs, profile->run, share);
    }
}

static struct mpx_run_share look_of(const struct mpx_known *known)
{
    struct mpx_run_share look = {0};
    if (known->stored)
        look = (struct mpx_run_share){known->stored->start_ms, known->stored->end_ms,
                                      known->stored->command};
    if (!known->source)
        return look;
    const mproxy_source *source = known->source;
    bool is_later = !known->stored || source->end_ms > look.end_ms;
    return (struct mpx_run_share){
        source->start_ms, is_later ? source->end_ms : look.end_ms, source->job->command};
}

static int64_t start_of(const struct mpx_known *known)
{
    return known->source ? known->source->start_ms : known->stored->start_ms;
}

static int by_run(const void *a, const void *b)
{
    const struct mpx_known *x = a, *y = b;
    if (x->run != y->run)
        return x->run < y->run ? -1 : 1;
    int64_t start_x = start_of(x), start_y = start_of(y);
    if (start_x != start_y)
        return start_x < start_y ? -1 : 1;
    return mpx_share_id_compare(x->id.directory, x->id.number, y->id.directory,
                                y->id.number);
}

static bool tell_runs(struct mpx_job_known *job, struct mpx_runs *runs,
                      int64_t continue_ms)
{
    struct mpx_run_share *looks = malloc(job->count * sizeof *looks);
    for (size_t i = 0; i < job->count && looks; i++)
        looks[i] = look_of(&job->shares[i]);
    runs->count = (uint32_t)job->count;
    bool ok = looks && mpx_runs_link(runs, looks, continue_ms);
    if (ok) {
        job->newest = mpx_runs_newest(runs, looks);
        for (size_t i = 0; i < job->count; i++)
            job->shares[i].run = mpx_runs_of(runs, (uint32_t)i);
        for (size_t i = 0; i < job->profile_count; i++)
            if (job->profiles[i].run != MPX_NO_RUN)
                job->profiles[i].run = mpx_runs_of(runs, job->profiles[i].run);
        qsort(job->shares, job->count, sizeof *job->shares, by_run);
    }
    free(looks);
    return ok;
}

bool mpx_job_gather(struct mpx_job_known *job, const struct mpx_archive_index *index,
                    const mproxy_source *const *sources, size_t count,
                    int64_t continue_ms)
{
    *job =
        (struct mpx_job_known){.profile_count = find_profiles(index, sources[0], NULL)};
    job->profiles = calloc(job->profile_count + 1, sizeof *job->profiles);
    if (!job->profiles)
        return false;
    find_profiles(index, sources[0], job->profiles);
    size_t state_count;
    struct mpx_runs runs = {0};
    struct state *states = list_states(job, sources, count, &state_count);
    job->shares = states ? calloc(state_count, sizeof *job->shares) : NULL;
    bool ok = job->shares && mpx_runs_init(&runs, (uint32_t)state_count);
    if (ok) {
        qsort(states, state_count, sizeof *states, by_identity);
        put_together(job, states, state_count, &runs);
        ok = tell_runs(job, &runs, continue_ms);
    }
    mpx_runs_fini(&runs);
    free(states);
    if (!ok)
        mpx_job_clear(job);
    return ok;
}

void mpx_job_clear(struct mpx_job_known *job)
{
    free(job->shares);
    free(job->profiles);
    *job = (struct mpx_job_known){0};
}
