// The keeper: rounds on the event loop, everything that touches files on a worker.
//
// Nothing is owed to memory: a run that could not be written is made into a plan again from
// its sources, and releases are read off the archive's index in every round. So the state that
// is left is about the worker only: which plans it has, which jobs it failed at and when they
// are tried again, and what is to be said. All of it belongs to the loop's thread; the worker
// sees the archive and one plan at a time, and results come back through its queue.
//
// A home directory on a file server that is dead blocks whoever looks at it, for good. The
// worker is the only one to look, also when the archive is opened. While it hangs, rounds go
// on without it: shares stay where they are, and mpx_keeper_failed() says why.
#include "profile/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "profile/keeper_private.h"
#include "profile/provisional.h"

enum {
    PLANS_MAX = 64,       // handed over at a time; the rest waits for a later round
    PAUSE_MAX_MS = 10000, // between two tries of one run, or to open the archive
    REFRESH_MS = 10000,   // how often to look for what other processes store
    LATE_MS = 5000,       // a file system that takes longer does not answer
    NOTES_MAX = 64,
};

// A job whose last write failed.
struct trouble {
    uint32_t uid;
    unsigned tries;
    int64_t retry_at_ms;
    char jobid[];
};

// Opening the archive, and looking for what others have stored.
struct look {
    struct mpx_work work;
    struct mpx_keeper *keeper;
    bool is_under_way;
    mproxy_archive *archive; // opened
    mproxy_status status;
    mproxy_error err;
    int64_t next_ms;
};

struct mpx_keeper {
    _Atomic(mproxy_archive *) archive;
    bool owns_archive, has_tried;
    struct mpx_keeper_options options;
    char dir[PATH_MAX];
    struct mpx_worker *worker;
    struct look look;
    int64_t boot_ms;   // of the last round
    int64_t opened_ms; // of the first round with an archive; -1 before
    struct mpx_release *releases;
    size_t release_count, release_room;
    struct mpx_provisionals provisional;
    struct mpx_plan *plans; // with the worker
    size_t plan_count;
    struct trouble **troubles;
    size_t trouble_count, trouble_room;
    struct mpx_index trouble_index;                     // by user and job id
    char failure[sizeof((mproxy_error *)0)->text];      // "": the last write went well
    char look_failure[sizeof((mproxy_error *)0)->text]; // the same of the last look
    char logged[sizeof((mproxy_error *)0)->text];
    char *notes[NOTES_MAX]; // ids of jobs stored since the last round
    size_t note_count;
};

mproxy_archive *mpx_keeper_archive(const struct mpx_keeper *k)
{
    return atomic_load(&k->archive);
}

// ---- results of the worker

static uint32_t hash_of(uint32_t uid, const char *jobid)
{
    return mpx_hash_text(jobid) ^ mpx_hash_u64(uid);
}

// Its place; the number of all when there is none.
static size_t find_trouble(const struct mpx_keeper *k, uint32_t uid, const char *jobid)
{
    uint32_t hash = hash_of(uid, jobid), p;
    uint32_t at = mpx_index_start(&k->trouble_index, hash);
    while (mpx_index_next(&k->trouble_index, hash, &at, &p))
        if (k->troubles[p]->uid == uid && strcmp(k->troubles[p]->jobid, jobid) == 0)
            return p;
    return k->trouble_count;
}

static void clear_trouble(struct mpx_keeper *k, const struct mpx_plan *plan)
{
    size_t place = find_trouble(k, plan->uid, plan->desc.jobid);
    if (place < k->trouble_count) {
        const struct trouble *last = k->troubles[--k->trouble_count];
        mpx_index_remove(&k->trouble_index, hash_of(plan->uid, plan->desc.jobid),
                         (uint32_t)place);
        if (place < k->trouble_count)
            mpx_index_move(&k->trouble_index, hash_of(last->uid, last->jobid),
                           (uint32_t)k->trouble_count, (uint32_t)place);
        free(k->troubles[place]);
        k->troubles[place] = k->troubles[k->trouble_count];
    }
    if (k->trouble_count == 0)
        k->failure[0] = '\0';
}

// NULL: no memory.
static struct trouble *new_trouble(struct mpx_keeper *k, const struct mpx_plan *plan)
{
    size_t length = strlen(plan->desc.jobid);
    if (!MPX_RESERVE(k->troubles, k->trouble_room, k->trouble_count + 1) ||
        !mpx_index_reserve(&k->trouble_index, (uint32_t)k->trouble_count + 1))
        return NULL;
    struct trouble *t = calloc(1, sizeof *t + length + 1);
    if (!t)
        return NULL;
    t->uid = plan->uid;
    memcpy(t->jobid, plan->desc.jobid, length);
    mpx_index_put(&k->trouble_index, hash_of(t->uid, t->jobid),
                  (uint32_t)k->trouble_count);
    k->troubles[k->trouble_count++] = t;
    return t;
}

static void add_trouble(struct mpx_keeper *k, const struct mpx_plan *plan)
{
    size_t place = find_trouble(k, plan->uid, plan->desc.jobid);
    struct trouble *t =
        place < k->trouble_count ? k->troubles[place] : new_trouble(k, plan);
    if (t) {
        int64_t pause_ms = INT64_C(1000) << (t->tries < 6 ? t->tries : 6);
        t->tries++;
        t->retry_at_ms =
            plan->boot_ms + (pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS);
    }
    snprintf(k->failure, sizeof k->failure, "%s", plan->err.text);
}

static void take_out(struct mpx_keeper *k, const struct mpx_plan *plan)
{
    struct mpx_plan **at = &k->plans;
    while (*at != plan)
        at = &(*at)->next;
    *at = plan->next;
    k->plan_count--;
}

static void store_plan(struct mpx_work *work)
{
    struct mpx_plan *plan = (struct mpx_plan *)work;
    plan->status = mpx_plan_store(mpx_keeper_archive(plan->keeper), plan, &plan->err);
}

static void end_plan(struct mpx_work *work, bool has_run)
{
    struct mpx_plan *plan = (struct mpx_plan *)work;
    struct mpx_keeper *k = plan->keeper;
    take_out(k, plan);
    if (has_run && plan->status == MPROXY_OK) {
        clear_trouble(k, plan);
        if (k->note_count < NOTES_MAX)
            k->notes[k->note_count++] = strdup(plan->desc.jobid);
    } else if (has_run && plan->status != MPROXY_E_EXISTS) {
        // Where another process has stored one, the next round plans with what there is.
        add_trouble(k, plan);
    }
    mpx_plan_free(plan);
}

// Make the directories above the last one, which is made for the first profile.
static mproxy_status make_parents(const char *path, mproxy_error *err)
{
    char part[PATH_MAX];
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (access(part, F_OK) != 0)
            (void)mkdir(part, 0700);
        *slash = '/';
    }
    *strrchr(part, '/') = '\0';
    // Said now, not when the first job has ended.
    if (access(path, F_OK) != 0 &&
        faccessat(AT_FDCWD, part, W_OK | X_OK, AT_EACCESS) != 0)
        return mpx_fail_errno(err, "%s", part);
    return MPROXY_OK;
}

static void run_look(struct mpx_work *work)
{
    struct look *look = (struct look *)work;
    struct mpx_keeper *k = look->keeper;
    mproxy_archive *archive = mpx_keeper_archive(k);
    if (archive) {
        look->status = mproxy_archive_refresh(archive, &look->err);
        return;
    }
    look->status = make_parents(k->dir, &look->err);
    if (look->status == MPROXY_OK)
        look->status = mproxy_archive_open(k->dir, k->options.log, k->options.log_arg,
                                           &look->archive, &look->err);
}

// A look that fails is tried again, and said: nothing may be there to be written, which would
// fail for the same reason.
static void end_look(struct mpx_work *work, bool has_run)
{
    struct look *look = (struct look *)work;
    struct mpx_keeper *k = look->keeper;
    look->is_under_way = false;
    if (!has_run)
        return;
    k->has_tried = true;
    if (!mpx_keeper_archive(k) && look->status == MPROXY_OK)
        atomic_store(&k->archive, look->archive);
    snprintf(k->look_failure, sizeof k->look_failure, "%s",
             look->status == MPROXY_OK ? "" : look->err.text);
}

static void look_again(struct mpx_keeper *k, int64_t boot_ms)
{
    if (k->look.is_under_way || boot_ms < k->look.next_ms)
        return;
    k->look.next_ms = boot_ms + REFRESH_MS;
    k->look.is_under_way = mpx_worker_put(k->worker, &k->look.work);
}

bool mpx_keeper_has_tried(const struct mpx_keeper *k)
{
    return k->has_tried;
}

int mpx_keeper_fd(const struct mpx_keeper *k)
{
    return mpx_worker_fd(k->worker);
}

void mpx_keeper_collect(struct mpx_keeper *k)
{
    mpx_worker_collect(k->worker);
}

// ---- rounds

static bool is_busy(struct mpx_keeper *k, uint32_t uid, const char *jobid,
                    int64_t boot_ms)
{
    if (!mpx_keeper_archive(k) || k->plan_count >= PLANS_MAX)
        return true;
    for (const struct mpx_plan *p = k->plans; p; p = p->next)
        if (p->uid == uid && strcmp(p->desc.jobid, jobid) == 0)
            return true;
    size_t place = find_trouble(k, uid, jobid);
    return place < k->trouble_count && boot_ms < k->troubles[place]->retry_at_ms;
}

static bool hand_over(struct mpx_keeper *k, struct mpx_plan *plan)
{
    plan->keeper = k;
    plan->work = (struct mpx_work){.run = store_plan, .done = end_plan};
    plan->next = k->plans;
    k->plans = plan;
    k->plan_count++;
    if (mpx_worker_put(k->worker, &plan->work))
        return true;
    take_out(k, plan);
    mpx_plan_free(plan);
    return false;
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

static bool release_stored(struct mpx_keeper *k, const struct mpx_job_known *job)
{
    for (size_t i = 0; i < job->count; i++) {
        const struct mpx_known *s = &job->shares[i];
        if (!s->source || !s->source->sealed || !s->stored || !s->stored->sealed)
            continue;
        if (!MPX_RESERVE(k->releases, k->release_room, k->release_count + 1))
            return false;
        struct mpx_release *r = &k->releases[k->release_count++];
        memcpy(r->directory, s->id.directory, sizeof r->directory);
        r->number = s->id.number;
    }
    return true;
}

static bool plan_run(struct mpx_keeper *k, const struct mpx_round *round,
                     const struct mpx_job_known *job, const struct mpx_known *run,
                     size_t count, const mproxy_source *of)
{
    if (mpx_run_is_over(run, count) && mpx_run_has_news(run, count) &&
        !mpx_provisional_add(&k->provisional, job, run, count))
        return false;
    if (!mpx_run_is_due(round, run, count) ||
        is_busy(k, of->uid, of->job->jobid, round->boot_ms))
        return true;
    struct mpx_plan *plan = mpx_plan_new(job, run, count, round->boot_ms);
    return plan && hand_over(k, plan);
}

// One user's one job id: all that is known of it, then its runs one by one.
static bool look_at_job(struct mpx_keeper *k, const struct mpx_round *round,
                        const struct mpx_archive_index *index,
                        const mproxy_source *const *sources, size_t count)
{
    struct mpx_job_known job;
    if (!mpx_job_gather(&job, index, sources, count, k->options.continue_ms))
        return false;
    bool ok = release_stored(k, &job);
    for (size_t i = 0, next; i < job.count && ok; i = next) {
        for (next = i + 1; next < job.count; next++)
            if (job.shares[next].run != job.shares[i].run)
                break;
        ok = plan_run(k, round, &job, job.shares + i, next - i, sources[0]);
    }
    mpx_job_clear(&job);
    return ok;
}

static struct mpx_archive_index *take_index(struct mpx_keeper *k)
{
    mproxy_archive *archive = mpx_keeper_archive(k);
    return archive ? mpx_archive_take_index(archive) : NULL;
}

static bool look_at_all(struct mpx_keeper *k, const struct mpx_round *round,
                        const mproxy_source **shares, size_t count)
{
    struct mpx_archive_index *index = take_index(k);
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

static void tell(struct mpx_keeper *k)
{
    const struct mpx_logger logger = {k->options.log, k->options.log_arg};
    for (size_t i = 0; i < k->note_count; i++) {
        mpx_say(&logger, MPROXY_LOG_INFO, "profile '%s' stored",
                k->notes[i] ? k->notes[i] : "");
        free(k->notes[i]);
    }
    k->note_count = 0;
    char failure[sizeof k->failure] = "";
    mpx_keeper_failed(k, failure, sizeof failure);
    if (strcmp(failure, k->logged) == 0)
        return;
    memcpy(k->logged, failure, sizeof failure);
    if (failure[0])
        mpx_say(&logger, MPROXY_LOG_WARNING, "profiles can't be stored, trying again: %s",
                failure);
    else
        mpx_say(&logger, MPROXY_LOG_INFO, "profiles are stored again");
}

static size_t pick_shares(const mproxy_source *const *sources, size_t count,
                          const mproxy_source **out)
{
    size_t picked = 0;
    for (size_t i = 0; i < count; i++)
        if (is_share(sources[i]))
            out[picked++] = sources[i];
    qsort(out, picked, sizeof *out, by_job);
    return picked;
}

mproxy_status mpx_keeper_round(struct mpx_keeper *k, const mproxy_source *const *sources,
                               size_t count, int64_t boot_ms)
{
    const mproxy_source **shares = calloc(count + 1, sizeof *shares);
    k->release_count = 0;
    mpx_provisional_clear(&k->provisional);
    mpx_keeper_collect(k);
    look_again(k, boot_ms);
    k->boot_ms = boot_ms;
    if (k->opened_ms < 0 && mpx_keeper_archive(k))
        k->opened_ms = boot_ms;
    tell(k);
    if (!shares)
        return MPROXY_E_NOMEM;
    struct mpx_round round = {
        .boot_ms = boot_ms,
        .wait_ms = k->options.wait_ms,
        .stored_are_lost = boot_ms - k->opened_ms > k->options.wait_ms,
    };
    size_t share_count = pick_shares(sources, count, shares);
    bool ok = look_at_all(k, &round, shares, share_count);
    free(shares);
    return ok ? MPROXY_OK : MPROXY_E_NOMEM;
}

size_t mpx_keeper_releases(const struct mpx_keeper *k, const struct mpx_release **out)
{
    *out = k->releases;
    return k->release_count;
}

size_t mpx_keeper_provisional(const struct mpx_keeper *k,
                              const struct mpx_provisional **out)
{
    *out = k->provisional.runs;
    return k->provisional.count;
}

// The run that has this key, once more from all that is known of its job.
struct mpx_plan *mpx_keeper_plan(struct mpx_keeper *k,
                                 const mproxy_source *const *sources, size_t count,
                                 const struct mpx_provisional *run)
{
    const mproxy_source **shares = calloc(count + 1, sizeof *shares);
    size_t share_count = 0;
    for (size_t i = 0; i < count && shares; i++)
        if (is_share(sources[i]) && sources[i]->uid == run->uid &&
            strcmp(sources[i]->job->jobid, run->desc.jobid) == 0)
            shares[share_count++] = sources[i];
    struct mpx_plan *plan = NULL;
    struct mpx_job_known job;
    struct mpx_archive_index *index = take_index(k);
    if (share_count > 0 &&
        mpx_job_gather(&job, index, shares, share_count, k->options.continue_ms)) {
        size_t length;
        const struct mpx_known *first = mpx_provisional_find(run, &job, &length);
        plan = first ? mpx_plan_new(&job, first, length, k->boot_ms) : NULL;
        mpx_job_clear(&job);
    }
    mpx_archive_index_unref(index);
    free(shares);
    return plan;
}

bool mpx_keeper_failed(struct mpx_keeper *k, char *text, size_t size)
{
    bool is_late = mpx_worker_busy_ms(k->worker) > LATE_MS;
    if (is_late && size > 0)
        snprintf(text, size,
                 "%.160s: the file system has not answered for more than %d s",
                 k->dir[0] ? k->dir : "profiles", LATE_MS / 1000);
    else if (size > 0 && (k->failure[0] || k->look_failure[0]))
        snprintf(text, size, "%s", k->failure[0] ? k->failure : k->look_failure);
    return is_late || k->failure[0] || k->look_failure[0];
}

bool mpx_keeper_drain(struct mpx_keeper *k, int timeout_ms)
{
    return mpx_worker_drain(k->worker, timeout_ms) && k->trouble_count == 0;
}

// ---- life

static void free_keeper(struct mpx_keeper *k)
{
    for (size_t i = 0; i < k->trouble_count; i++)
        free(k->troubles[i]);
    free(k->troubles);
    mpx_index_fini(&k->trouble_index);
    for (size_t i = 0; i < k->note_count; i++)
        free(k->notes[i]);
    mpx_provisional_fini(&k->provisional);
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
    atomic_init(&k->archive, archive);
    k->owns_archive = !archive;
    k->has_tried = archive != NULL;
    k->options = *options;
    snprintf(k->dir, sizeof k->dir, "%s", options->dir ? options->dir : "");
    if (k->options.continue_ms == 0)
        k->options.continue_ms = 600000;
    if (k->options.wait_ms == 0)
        k->options.wait_ms = 900000;
    k->opened_ms = -1;
    k->look = (struct look){.work = {.run = run_look, .done = end_look}, .keeper = k};
    mproxy_status status = mpx_worker_open("profiles", PLANS_MAX + 1, &k->worker, err);
    if (status != MPROXY_OK) {
        free_keeper(k);
        return status;
    }
    if (!archive)
        look_again(k, mpx_boot_ms());
    *out = k;
    return MPROXY_OK;
}

// What the worker was left behind with stays: it may come back to it.
bool mpx_keeper_close(struct mpx_keeper *k, int timeout_ms, bool leave_archive)
{
    if (!k)
        return true;
    if (!mpx_worker_close(k->worker, timeout_ms))
        return false;
    if (k->owns_archive && !leave_archive)
        mproxy_archive_close(mpx_keeper_archive(k));
    free_keeper(k);
    return true;
}
