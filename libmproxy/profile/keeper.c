// The keeper: rounds on the event loop, writing on a thread of its own.
//
// Nothing is owed to memory: a run that could not be written is made into a plan again from
// its sources, and releases are read off the archive's index in every round.
#include "profile/keeper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "profile/keeper_private.h"

enum {
    PLANS_MAX = 64,         // handed over at a time; the rest waits for a later round
    BACKOFF_MAX_MS = 60000, // between two tries of one run
    REFRESH_S = 10,         // how often to look for what other processes store
    NOTES_MAX = 64,
};

// A job whose last write failed.
struct trouble {
    struct trouble *next;
    uint32_t uid;
    unsigned tries;
    int64_t retry_at_ms;
    char jobid[];
};

struct note {
    struct note *next;
    char text[];
};

struct mpx_keeper {
    mproxy_archive *archive;
    struct mpx_keeper_options options;
    pthread_t thread;
    // of the event loop
    int64_t opened_ms; // boot time of the first round; -1 before
    struct mpx_release *releases;
    size_t release_count, release_room;
    char logged[sizeof((mproxy_error *)0)->text];
    // shared
    pthread_mutex_t lock;
    pthread_cond_t wake, idle;
    bool stop;
    struct mpx_plan *plans; // the first may be in work
    struct trouble *troubles;
    char failure[sizeof((mproxy_error *)0)->text]; // "": the last write went well
    struct note *notes;
    size_t note_count;
};

// ---- the thread

static struct trouble **find_trouble_locked(struct mpx_keeper *k, uint32_t uid,
                                            const char *jobid)
{
    struct trouble **at = &k->troubles;
    while (*at && ((*at)->uid != uid || strcmp((*at)->jobid, jobid) != 0))
        at = &(*at)->next;
    return at;
}

static void clear_trouble_locked(struct mpx_keeper *k, const struct mpx_plan *plan)
{
    struct trouble **at = find_trouble_locked(k, plan->uid, plan->desc.jobid);
    struct trouble *t = *at;
    if (t)
        *at = t->next;
    free(t);
    if (!k->troubles)
        k->failure[0] = '\0';
}

static void add_trouble_locked(struct mpx_keeper *k, const struct mpx_plan *plan,
                               const mproxy_error *err)
{
    struct trouble **at = find_trouble_locked(k, plan->uid, plan->desc.jobid);
    if (!*at) {
        size_t length = strlen(plan->desc.jobid);
        *at = calloc(1, sizeof **at + length + 1);
        if (*at) {
            (*at)->uid = plan->uid;
            memcpy((*at)->jobid, plan->desc.jobid, length);
        }
    }
    if (*at) {
        unsigned shift = (*at)->tries < 6 ? (*at)->tries : 6;
        int64_t pause_ms = INT64_C(1000) << shift;
        (*at)->tries++;
        (*at)->retry_at_ms =
            plan->boot_ms + (pause_ms < BACKOFF_MAX_MS ? pause_ms : BACKOFF_MAX_MS);
    }
    snprintf(k->failure, sizeof k->failure, "%s", err->text);
}

static void add_note_locked(struct mpx_keeper *k, const struct mpx_plan *plan)
{
    if (k->note_count >= NOTES_MAX)
        return;
    struct note **at = &k->notes;
    while (*at)
        at = &(*at)->next;
    size_t size = strlen(plan->desc.jobid) + 32;
    *at = calloc(1, sizeof **at + size);
    if (!*at)
        return;
    snprintf((*at)->text, size, "profile '%s' stored", plan->desc.jobid);
    k->note_count++;
}

static void work_locked(struct mpx_keeper *k)
{
    struct mpx_plan *plan = k->plans;
    mproxy_error err = {0};
    pthread_mutex_unlock(&k->lock);
    mproxy_status status = mpx_plan_store(k->archive, plan, &err);
    pthread_mutex_lock(&k->lock);
    if (status == MPROXY_OK) {
        clear_trouble_locked(k, plan);
        add_note_locked(k, plan);
    } else if (status !=
               MPROXY_E_EXISTS) { // else the next round plans with what there is
        add_trouble_locked(k, plan, &err);
    }
    k->plans = plan->next;
    mpx_plan_free(plan);
    if (!k->plans)
        pthread_cond_broadcast(&k->idle);
}

static void deadline_in(struct timespec *out, int64_t ms)
{
    int64_t ns = mpx_clock_ns(CLOCK_MONOTONIC) + 1000000 * ms;
    out->tv_sec = ns / 1000000000;
    out->tv_nsec = ns % 1000000000;
}

static void *run(void *arg)
{
    struct mpx_keeper *k = arg;
    pthread_mutex_lock(&k->lock);
    while (!k->stop) {
        struct timespec deadline;
        if (k->plans) {
            work_locked(k);
            continue;
        }
        deadline_in(&deadline, 1000 * REFRESH_S);
        if (pthread_cond_timedwait(&k->wake, &k->lock, &deadline) != ETIMEDOUT)
            continue;
        pthread_mutex_unlock(&k->lock);
        mproxy_archive_refresh(k->archive, NULL); // what fails now is tried again
        pthread_mutex_lock(&k->lock);
    }
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

// ---- rounds

static bool is_busy(struct mpx_keeper *k, uint32_t uid, const char *jobid,
                    int64_t boot_ms)
{
    size_t count = 0;
    bool busy = false;
    pthread_mutex_lock(&k->lock);
    for (const struct mpx_plan *p = k->plans; p && !busy; p = p->next, count++)
        busy = p->uid == uid && strcmp(p->desc.jobid, jobid) == 0;
    const struct trouble *t = *find_trouble_locked(k, uid, jobid);
    busy = busy || count >= PLANS_MAX || (t && boot_ms < t->retry_at_ms);
    pthread_mutex_unlock(&k->lock);
    return busy;
}

static void hand_over(struct mpx_keeper *k, struct mpx_plan *plan)
{
    pthread_mutex_lock(&k->lock);
    struct mpx_plan **at = &k->plans;
    while (*at)
        at = &(*at)->next;
    *at = plan;
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->lock);
}

static bool is_share(const mproxy_source *s)
{
    return s->kind == MPROXY_SOURCE_SHARE && s->job &&
           mproxy_job_check_id(s->job->jobid, NULL) == MPROXY_OK;
}

static int by_job(const void *a, const void *b)
{
    const mproxy_source *x = *(const mproxy_source *const *)a;
    const mproxy_source *y = *(const mproxy_source *const *)b;
    if (x->uid != y->uid)
        return x->uid < y->uid ? -1 : 1;
    return strcmp(x->job->jobid, y->job->jobid);
}

static bool is_of_job(const struct mpx_archive_entry *e, const mproxy_source *source)
{
    return e->body->uid == source->uid &&
           strcmp(e->body->desc.jobid, source->job->jobid) == 0;
}

static int64_t end_of(const struct mpx_archive_body *body)
{
    int64_t end_ms = 1000 * body->desc.end_time;
    for (size_t i = 0; i < body->share_count; i++)
        if (body->shares[i].end_ms > end_ms)
            end_ms = body->shares[i].end_ms;
    return end_ms;
}

// The keys of an id's runs are ID and, behind it in the index, those with ID@ in front.
static size_t add_stored(const struct mpx_archive_index *index,
                         const mproxy_source *source, struct mpx_known *out)
{
    const char *jobid = source->job->jobid;
    size_t low = 0, high = index->count, length = strlen(jobid), count = 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(index->entries[middle]->key, jobid) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t i = low; i < index->count; i++) {
        const struct mpx_archive_entry *e = index->entries[i];
        if (strncmp(e->key, jobid, length) != 0)
            break;
        if (!is_of_job(e, source))
            continue;
        if (out)
            out[count] = (struct mpx_known){.entry = e,
                                            .start_ms = e->body->start_ms,
                                            .end_ms = end_of(e->body),
                                            .command = e->body->desc.command};
        count++;
    }
    return count;
}

static bool add_release(struct mpx_keeper *k, const mproxy_source *source)
{
    if (k->release_count == k->release_room) {
        size_t room = k->release_room ? 2 * k->release_room : 16;
        struct mpx_release *more = realloc(k->releases, room * sizeof *more);
        if (!more)
            return false;
        k->releases = more;
        k->release_room = room;
    }
    struct mpx_release *r = &k->releases[k->release_count++];
    memcpy(r->directory, source->directory, sizeof r->directory);
    r->number = source->number;
    return true;
}

static bool release_stored(struct mpx_keeper *k, const struct mpx_known *known,
                           size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const mproxy_source *source = known[i].source;
        const mproxy_archive_share *stored =
            source && source->sealed ? mpx_run_stored(known, count, source) : NULL;
        if (stored && stored->sealed && !add_release(k, source))
            return false;
    }
    return true;
}

static bool plan_run(struct mpx_keeper *k, const struct mpx_round *round,
                     const struct mpx_known *known, size_t count, size_t known_runs,
                     const mproxy_source *job)
{
    if (!mpx_run_is_due(round, known, count) ||
        is_busy(k, job->uid, job->job->jobid, round->boot_ms))
        return true;
    struct mpx_plan *plan = mpx_plan_new(known, count, round->boot_ms);
    if (!plan)
        return false;
    plan->known_runs = known_runs;
    hand_over(k, plan);
    return true;
}

// One user's one job id: all that is known of it, then its runs one by one.
static bool look_at_job(struct mpx_keeper *k, const struct mpx_round *round,
                        const struct mpx_archive_index *index,
                        const mproxy_source *const *sources, size_t count)
{
    size_t stored = add_stored(index, sources[0], NULL);
    struct mpx_known *known = calloc(count + stored, sizeof *known);
    if (!known)
        return false;
    add_stored(index, sources[0], known);
    for (size_t i = 0; i < count; i++)
        known[stored + i] = (struct mpx_known){
            .source = sources[i],
            .start_ms = mpx_profile_clamp_ms(sources[i]->start_ms),
            .end_ms = mpx_profile_clamp_ms(sources[i]->end_ms),
            .command = sources[i]->job->command,
        };
    size_t total = count + stored, next;
    const mproxy_source *job = sources[0];
    bool ok = release_stored(k, known, total) &&
              mpx_runs_group(known, total, k->options.continue_ms);
    for (size_t i = 0; i < total && ok; i = next) {
        for (next = i + 1; next < total; next++)
            if (known[next].run != known[i].run)
                break;
        ok = plan_run(k, round, known + i, next - i, stored, job);
    }
    free(known);
    return ok;
}

static bool look_at_all(struct mpx_keeper *k, const struct mpx_round *round,
                        const mproxy_source **shares, size_t count)
{
    struct mpx_archive_index *index = mpx_archive_take_index(k->archive);
    bool ok = true;
    for (size_t i = 0, next; i < count && ok; i = next) {
        for (next = i + 1; next < count; next++)
            if (by_job(&shares[i], &shares[next]) != 0)
                break;
        ok = look_at_job(k, round, index, shares + i, next - i);
    }
    mpx_archive_index_unref(index);
    return ok;
}

// What the thread has to say, said on the caller's thread.
static void tell(struct mpx_keeper *k)
{
    char failure[sizeof k->failure];
    pthread_mutex_lock(&k->lock);
    struct note *notes = k->notes;
    k->notes = NULL;
    k->note_count = 0;
    memcpy(failure, k->failure, sizeof failure);
    pthread_mutex_unlock(&k->lock);
    for (struct note *n = notes, *next; n; n = next) {
        next = n->next;
        if (k->options.log)
            k->options.log(k->options.log_arg, false, n->text);
        free(n);
    }
    if (strcmp(failure, k->logged) == 0)
        return;
    memcpy(k->logged, failure, sizeof failure);
    char line[sizeof failure + 64];
    if (failure[0])
        snprintf(line, sizeof line, "profiles can't be stored, trying again: %s",
                 failure);
    else
        snprintf(line, sizeof line, "profiles are stored again");
    if (k->options.log)
        k->options.log(k->options.log_arg, failure[0] != '\0', line);
}

mproxy_status mpx_keeper_round(struct mpx_keeper *k, const mproxy_source *const *sources,
                               size_t count, int64_t boot_ms)
{
    const mproxy_source **shares = calloc(count + 1, sizeof *shares);
    size_t share_count = 0;
    k->release_count = 0;
    if (k->opened_ms < 0)
        k->opened_ms = boot_ms;
    tell(k);
    for (size_t i = 0; i < count && shares; i++)
        if (is_share(sources[i]))
            shares[share_count++] = sources[i];
    struct mpx_round round = {
        .boot_ms = boot_ms,
        .wait_ms = k->options.wait_ms,
        .stored_are_lost = boot_ms - k->opened_ms > k->options.wait_ms,
    };
    bool ok = shares != NULL;
    if (share_count > 0) {
        qsort(shares, share_count, sizeof *shares, by_job);
        ok = look_at_all(k, &round, shares, share_count);
    }
    free(shares);
    return ok ? MPROXY_OK : MPROXY_E_NOMEM;
}

size_t mpx_keeper_releases(const struct mpx_keeper *k, const struct mpx_release **out)
{
    *out = k->releases;
    return k->release_count;
}

bool mpx_keeper_failed(struct mpx_keeper *k, char *text, size_t size)
{
    pthread_mutex_lock(&k->lock);
    bool failed = k->failure[0] != '\0';
    if (failed && size > 0)
        snprintf(text, size, "%s", k->failure);
    pthread_mutex_unlock(&k->lock);
    return failed;
}

bool mpx_keeper_drain(struct mpx_keeper *k, int timeout_ms)
{
    struct timespec deadline;
    deadline_in(&deadline, timeout_ms);
    pthread_mutex_lock(&k->lock);
    int waited = 0;
    while (k->plans && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&k->idle, &k->lock, &deadline);
    bool done = !k->plans && !k->troubles;
    pthread_mutex_unlock(&k->lock);
    return done;
}

// ---- life

static int start_thread(struct mpx_keeper *k)
{
    sigset_t all, before;
    sigfillset(&all); // signals are the program's
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&k->thread, NULL, run, k);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

static void init_sync(struct mpx_keeper *k)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->wake, &attributes);
    pthread_cond_init(&k->idle, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void free_keeper(struct mpx_keeper *k)
{
    for (struct mpx_plan *p = k->plans, *next; p; p = next) {
        next = p->next;
        mpx_plan_free(p);
    }
    for (struct trouble *t = k->troubles, *next; t; t = next) {
        next = t->next;
        free(t);
    }
    for (struct note *n = k->notes, *next; n; n = next) {
        next = n->next;
        free(n);
    }
    pthread_cond_destroy(&k->wake);
    pthread_cond_destroy(&k->idle);
    pthread_mutex_destroy(&k->lock);
    free(k->releases);
    free(k);
}

mproxy_status mpx_keeper_open(mproxy_archive *archive,
                              const struct mpx_keeper_options *options,
                              struct mpx_keeper **out, mproxy_error *err)
{
    struct mpx_keeper *k = calloc(1, sizeof *k);
    if (!k)
        return mpx_fail(err, MPROXY_E_NOMEM, "keeper: no memory");
    k->archive = archive;
    k->options = *options;
    if (k->options.continue_ms == 0)
        k->options.continue_ms = 600000;
    if (k->options.wait_ms == 0)
        k->options.wait_ms = 900000;
    k->opened_ms = -1;
    init_sync(k);
    int failed = start_thread(k);
    if (failed) {
        free_keeper(k);
        errno = failed;
        return mpx_fail_errno(err, "keeper: can't start a thread");
    }
    *out = k;
    return MPROXY_OK;
}

void mpx_keeper_close(struct mpx_keeper *k)
{
    if (!k)
        return;
    pthread_mutex_lock(&k->lock);
    k->stop = true;
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->lock);
    pthread_join(k->thread, NULL);
    free_keeper(k);
}
