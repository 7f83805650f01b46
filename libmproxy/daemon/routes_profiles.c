// Finished jobs: those in the archive, and those that are over and not stored yet.
//
// Every request goes by the event loop, for two reasons. A job that has ended since the
// last round must be there at once, so the loop may make a round first; rounds made for
// requests take a bounded part of the loop's time. And files are read by a worker
// (reading.h), because a request thread must not wait for a file server.
//
// Lists come from the archive's index in memory, and from the keeper's list of
// provisional runs, which the loop copies: they are rendered by a helper thread of their own
// (listing.h), because a hundred thousand of them take longer than a turn of the loop may.
//
// One profile is a provisional run, summed up from the sources on the thread that writes
// the reply, or a file, or both, when a part of the run is stored already. ID@START_TIME
// may name a run that is still stored as ID, until the newer run of that id is stored,
// too.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/daemon_private.h"
#include "daemon/listing.h"
#include "daemon/reading.h"
#include "daemon/routes.h"
#include "exposition/sink.h"

enum { ROUNDS_SHARE = 4 }; // rounds for requests take at most a quarter of the time

// A round, unless one was begun so lately that it has seen whatever the client has.
static void look(struct mproxy_daemon *d)
{
    int64_t now_ns = mpx_clock_ns(CLOCK_MONOTONIC);
    if (!d->keeper ||
        now_ns - mproxy_rounds_last(d->rounds)->begin_ns < ROUNDS_SHARE * d->round_ns)
        return;
    mpx_daemon_round(d);
    if (d->ousted)
        mproxy_loop_stop(d->loop);
}

static size_t list_provisional(const struct mproxy_daemon *d,
                               const struct mpx_provisional **out)
{
    return d->keeper ? mpx_keeper_provisional(d->keeper, out) : 0;
}

// ---- lists

// Until it was read once, an archive is not empty.
static bool is_unread(struct mproxy_daemon *d, struct mpx_request *rq)
{
    if (!d->keeper || mpx_keeper_archive(d->keeper) || mpx_keeper_has_tried(d->keeper))
        return false;
    mpx_reply_refuse(rq, 503, "%.400s: the profiles there have not been read yet",
                     d->profiles_path);
    return true;
}

static void render_list(mproxy_archive *archive, struct mpx_read *read)
{
    bool ok = mpx_listing_render(read->list, archive, &read->text);
    read->status = ok ? MPROXY_OK : MPROXY_E_NOMEM;
}

static void answer_list(struct mpx_request *rq, struct mpx_read *read)
{
    if (read->status == MPROXY_OK)
        mpx_reply_buf(rq, 200, MPX_TYPE_JSON, &read->text);
    else
        mpx_reply_refuse(rq, 503, "no memory to answer");
}

static void start_list(struct mproxy_daemon *d, struct mpx_request *rq, bool by_command)
{
    const struct mpx_provisional *runs = NULL;
    look(d);
    if (is_unread(d, rq))
        return;
    size_t count = list_provisional(d, &runs);
    struct mpx_read what = {.list = mpx_listing_new(runs, count, by_command)};
    if (what.list)
        mpx_reading_start(d->lists, rq, render_list, answer_list, &what);
    else
        mpx_reply_refuse(rq, 503, "no memory to answer");
}

static void do_profiles(struct mproxy_daemon *d, struct mpx_request *rq, void *arg)
{
    (void)arg;
    start_list(d, rq, false);
}

void mpx_route_profiles(struct mpx_request *rq, void *context)
{
    mpx_command_send(context, rq, do_profiles, NULL);
}

static void do_percmd(struct mproxy_daemon *d, struct mpx_request *rq, void *arg)
{
    (void)arg;
    start_list(d, rq, true);
}

void mpx_route_percmd(struct mpx_request *rq, void *context)
{
    mpx_command_send(context, rq, do_percmd, NULL);
}

// ---- one profile

static mproxy_status render_profile(void *profile, mproxy_write_fn write, void *write_arg)
{
    return mproxy_profile_render(profile, write, write_arg);
}

static void free_profile(void *profile)
{
    mproxy_profile_free(profile);
}

// Summed up on the thread that writes it: a run of many shares takes its time.
static mproxy_status render_plan(void *plan, mproxy_write_fn write, void *write_arg)
{
    mproxy_profile *profile;
    mproxy_status status = mpx_plan_provisional(NULL, plan, &profile, NULL);
    if (status != MPROXY_OK)
        return status;
    status = mproxy_profile_render(profile, write, write_arg);
    mproxy_profile_free(profile);
    return status;
}

static void free_plan(void *plan)
{
    mpx_plan_free(plan);
}

static void refuse_profile(struct mpx_request *rq, const struct mpx_read *read)
{
    if (read->status == MPROXY_E_NOTFOUND || read->status == MPROXY_E_INVALID)
        mpx_reply_refuse(rq, 404,
                         "parameter 'jobid': no profile '%.200s' is stored: /profiles "
                         "has those that are",
                         read->jobid);
    else if (read->status == MPROXY_E_CORRUPT)
        mpx_reply_refuse(rq, 404, "parameter 'jobid': profile '%.200s' is damaged: %s",
                         read->jobid, read->err.text);
    else
        mpx_reply_refuse(rq, 503, "profile '%.200s' can't be read: %s", read->jobid,
                         read->err.text);
}

// ID@START_TIME names the run that has ID until a newer one is stored.
static void read_by_time(mproxy_archive *archive, struct mpx_read *read)
{
    char *at = strrchr(read->jobid, '@');
    if (!at)
        return;
    *at = '\0';
    mproxy_profile *profile;
    if (mproxy_archive_load(archive, read->jobid, &profile, NULL) == MPROXY_OK) {
        if (mproxy_profile_job(profile)->start_time == strtoll(at + 1, NULL, 10)) {
            read->profile = profile;
            read->status = MPROXY_OK;
        } else {
            mproxy_profile_free(profile);
        }
    }
    *at = '@';
}

static void read_profile(mproxy_archive *archive, struct mpx_read *read)
{
    if (!archive) {
        read->status = MPROXY_E_NOTFOUND;
    } else if (read->plan) {
        read->status =
            mpx_plan_provisional(archive, read->plan, &read->profile, &read->err);
    } else {
        read->status =
            mproxy_archive_load(archive, read->jobid, &read->profile, &read->err);
    }
}

static void read_renamed(mproxy_archive *archive, struct mpx_read *read)
{
    read_profile(archive, read);
    if (archive && read->status == MPROXY_E_NOTFOUND)
        read_by_time(archive, read);
}

static void answer_profile(struct mpx_request *rq, struct mpx_read *read)
{
    if (read->status != MPROXY_OK) {
        refuse_profile(rq, read);
        return;
    }
    mpx_reply_stream(rq, MPX_TYPE_JSON, render_profile, free_profile, read->profile);
    read->profile = NULL;
}

static const struct mpx_provisional *find_provisional(const struct mproxy_daemon *d,
                                                      const char *key)
{
    const struct mpx_provisional *runs;
    size_t count = list_provisional(d, &runs);
    for (size_t i = 0; i < count; i++)
        if (strcmp(runs[i].key, key) == 0)
            return &runs[i];
    return NULL;
}

static struct mpx_plan *plan_provisional(struct mproxy_daemon *d, const char *key)
{
    const struct mpx_provisional *run = find_provisional(d, key);
    const mproxy_source *const *sources;
    if (!run)
        return NULL;
    size_t count = mproxy_reduction_sources(d->reduction, &sources);
    return mpx_keeper_plan(d->keeper, sources, count, run);
}

static void start_reading(struct mproxy_daemon *d, struct mpx_request *rq,
                          mpx_read_fn run, mpx_answer_fn answer, const char *jobid,
                          struct mpx_plan *plan)
{
    struct mpx_read what = {.jobid = strdup(jobid), .plan = plan};
    if (what.jobid) {
        mpx_reading_start(d->readings, rq, run, answer, &what);
        return;
    }
    mpx_plan_free(plan);
    mpx_reply_refuse(rq, 503, "no memory to answer");
}

// Whether ID@START_TIME may be what is stored as ID, because a newer run is provisional.
static bool is_renamed(const struct mproxy_daemon *d, const char *key)
{
    const struct mpx_provisional *runs;
    size_t count = list_provisional(d, &runs);
    const char *at = strrchr(key, '@');
    for (size_t i = 0; i < count && at; i++)
        if (strlen(runs[i].key) == (size_t)(at - key) &&
            strncmp(runs[i].key, key, (size_t)(at - key)) == 0)
            return true;
    return false;
}

static void do_profile(struct mproxy_daemon *d, struct mpx_request *rq, void *arg)
{
    const char *jobid = arg;
    look(d);
    struct mpx_plan *plan = plan_provisional(d, jobid);
    if (plan && !mpx_plan_reads(plan))
        mpx_reply_stream(rq, MPX_TYPE_JSON, render_plan, free_plan, plan);
    else if (plan || !is_unread(d, rq))
        start_reading(d, rq, is_renamed(d, jobid) ? read_renamed : read_profile,
                      answer_profile, jobid, plan);
}

static void send_for(struct mpx_request *rq, struct mproxy_daemon *d, mpx_command_fn run)
{
    const char *jobid = mpx_request_param(rq, "jobid");
    char *copy = jobid ? strdup(jobid) : NULL;
    if (copy)
        mpx_command_send(d, rq, run, copy);
    else if (jobid)
        mpx_reply_refuse(rq, 503, "no memory to answer");
    else
        mpx_reply_refuse(rq, 400,
                         "parameter 'jobid': the id of a finished job was expected");
}

void mpx_route_profile(struct mpx_request *rq, void *context)
{
    send_for(rq, context, do_profile);
}

// ---- Extra-P

static void read_extrap(mproxy_archive *archive, struct mpx_read *read)
{
    read->status =
        archive ? mproxy_archive_render_extrap(archive, read->jobid, mpx_write_to_buf,
                                               &read->text, &read->err)
                : MPROXY_E_NOTFOUND;
}

static void answer_extrap(struct mpx_request *rq, struct mpx_read *read)
{
    if (read->status != MPROXY_OK)
        refuse_profile(rq, read);
    else if (read->text.failed)
        mpx_reply_refuse(rq, 503, "no memory to answer");
    else
        mpx_reply_buf(rq, 200, "application/x-ndjson", &read->text);
}

static void do_extrap(struct mproxy_daemon *d, struct mpx_request *rq, void *arg)
{
    if (!is_unread(d, rq))
        start_reading(d, rq, read_extrap, answer_extrap, arg, NULL);
}

void mpx_route_extrap(struct mpx_request *rq, void *context)
{
    send_for(rq, context, do_extrap);
}
