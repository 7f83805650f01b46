// Runs that are over and not stored yet.
#include "profile/provisional.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

static void clear_run(struct mpx_provisional *run)
{
    for (size_t i = 0; i < run->replaced_count; i++)
        free(run->replaced[i]);
    free(run->replaced);
    mproxy_job_clear(&run->desc);
    free(run->key);
    *run = (struct mpx_provisional){0};
}

void mpx_provisional_clear(struct mpx_provisionals *list)
{
    for (size_t i = 0; i < list->count; i++)
        clear_run(&list->runs[i]);
    list->count = 0;
    mpx_index_clear(&list->keys);
}

void mpx_provisional_fini(struct mpx_provisionals *list)
{
    mpx_provisional_clear(list);
    mpx_index_fini(&list->keys);
    free(list->runs);
    list->runs = NULL;
}

static void widen(struct mpx_provisional *run, int64_t *first_ms, int64_t *end_ms,
                  int64_t start_ms, int64_t ended_ms)
{
    if (*first_ms == 0 || start_ms < *first_ms)
        *first_ms = start_ms;
    if (start_ms > run->start_ms)
        run->start_ms = start_ms;
    if (ended_ms > *end_ms)
        *end_ms = ended_ms;
}

// As the profile will say: of the source that started first, with the run's times.
static bool describe(struct mpx_provisional *run, const struct mpx_known *known,
                     size_t count)
{
    const mproxy_source *first = NULL;
    int64_t first_ms = 0, end_ms = 0;
    uint64_t size = 0;
    for (size_t i = 0; i < count; i++) {
        const mproxy_source *s = known[i].source;
        const struct mpx_archive_share *stored = known[i].stored;
        if (stored)
            widen(run, &first_ms, &end_ms, stored->start_ms, stored->end_ms);
        if (!s)
            continue;
        widen(run, &first_ms, &end_ms, s->start_ms, s->end_ms);
        first = first ? first : s;
        size = s->job->size > size ? s->job->size : size;
    }
    if (!first || mproxy_job_copy(first->job, &run->desc) != MPROXY_OK)
        return false;
    run->desc.size = size;
    run->desc.start_time = mpx_profile_clamp_ms(first_ms) / 1000;
    run->desc.end_time = mpx_profile_clamp_ms(end_ms) / 1000;
    return true;
}

static bool list_replaced(struct mpx_provisional *run, const struct mpx_job_known *job,
                          uint32_t number)
{
    run->replaced = calloc(job->profile_count + 1, sizeof *run->replaced);
    for (size_t i = 0; i < job->profile_count && run->replaced; i++) {
        if (job->profiles[i].run != number)
            continue;
        char *key = strdup(job->profiles[i].entry->key);
        if (!key)
            return false;
        run->replaced[run->replaced_count++] = key;
    }
    return run->replaced != NULL;
}

static bool set_key(struct mpx_provisional *run, bool is_newest)
{
    struct mpx_buf key = MPX_BUF_INIT;
    mpx_buf_add_text(&key, run->desc.jobid);
    if (!is_newest)
        mpx_buf_addf(&key, "@%" PRId64, run->desc.start_time);
    char *made = mpx_buf_take(&key);
    mpx_buf_free(&key);
    if (!made)
        return false;
    free(run->key);
    run->key = made;
    return true;
}

static struct mpx_provisional *find(const struct mpx_provisionals *list, const char *key)
{
    uint32_t hash = mpx_hash_text(key), at = mpx_index_start(&list->keys, hash), p;
    while (mpx_index_next(&list->keys, hash, &at, &p))
        if (strcmp(list->runs[p].key, key) == 0)
            return &list->runs[p];
    return NULL;
}

// A newer run of its id takes its name.
static bool rename_run(struct mpx_provisionals *list, struct mpx_provisional *run)
{
    uint32_t place = (uint32_t)(run - list->runs), before = mpx_hash_text(run->key);
    if (!set_key(run, false))
        return false;
    mpx_index_remove(&list->keys, before, place);
    mpx_index_put(&list->keys, mpx_hash_text(run->key), place);
    return true;
}

// As the archive will name it once it is stored: the newest run of an id has the id.
static bool choose_key(struct mpx_provisionals *list, struct mpx_provisional *run,
                       const struct mpx_job_known *job, uint32_t number)
{
    bool is_newest = true;
    for (size_t i = 0; i < job->profile_count; i++)
        is_newest &= job->profiles[i].run == number ||
                     job->profiles[i].entry->body->last_start_ms <= run->start_ms;
    struct mpx_provisional *other = find(list, run->desc.jobid);
    if (is_newest && other) {
        is_newest = other->start_ms <= run->start_ms;
        if (is_newest && !rename_run(list, other))
            return false;
    }
    return set_key(run, is_newest);
}

bool mpx_provisional_add(struct mpx_provisionals *list, const struct mpx_job_known *job,
                         const struct mpx_known *known, size_t count)
{
    if (!MPX_RESERVE(list->runs, list->room, list->count + 1) ||
        !mpx_index_reserve(&list->keys, (uint32_t)list->count + 1))
        return false;
    struct mpx_provisional run = {.number = known[0].id.number};
    memcpy(run.directory, known[0].id.directory, sizeof run.directory);
    for (size_t i = 0; i < count && run.uid == 0; i++)
        run.uid = known[i].source ? known[i].source->uid : 0;
    if (!describe(&run, known, count) || !list_replaced(&run, job, known[0].run) ||
        !choose_key(list, &run, job, known[0].run)) {
        clear_run(&run);
        return false;
    }
    mpx_index_put(&list->keys, mpx_hash_text(run.key), (uint32_t)list->count);
    list->runs[list->count++] = run;
    return true;
}

const struct mpx_known *mpx_provisional_find(const struct mpx_provisional *run,
                                             const struct mpx_job_known *job,
                                             size_t *count)
{
    size_t at = 0, first;
    while (at < job->count &&
           mpx_share_id_compare(job->shares[at].id.directory, job->shares[at].id.number,
                                run->directory, run->number) != 0)
        at++;
    if (at == job->count)
        return NULL;
    for (first = at; first > 0 && job->shares[first - 1].run == job->shares[at].run;)
        first--;
    while (at < job->count && job->shares[at].run == job->shares[first].run)
        at++;
    *count = at - first;
    return &job->shares[first];
}
