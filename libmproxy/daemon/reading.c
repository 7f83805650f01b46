// Reading below the prefix on behalf of requests.
//
// The request and the read part ways when the time is up: the request is refused and forgotten
// (`rq` is NULL then), while the read stays with the worker until the kernel gives it back, be
// it never. Readings are listed in the order in which they came, so the first that waits is
// the next whose time is up, and one timer serves all.
#include "daemon/reading.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "daemon/daemon_private.h"
#include "daemon/listing.h"

enum {
    WAITING_MAX = 256, // readings at a time
    LATE_MS = 5000,    // a request waits no longer
    CLOSE_MS = 500,
};

struct reading {
    struct mpx_readings *owner;
    struct reading *next;
    struct mpx_request *rq; // NULL: refused already
    int64_t late_ms;        // when it will be
    mpx_read_fn run;
    mpx_answer_fn answer;
    struct mpx_read read;
};

struct mpx_readings {
    struct mproxy_daemon *daemon;
    mproxy_helper *helper;
    mproxy_timer *timer; // set while some wait
    struct reading *first, **last;
    bool is_stopped;
};

static void free_read(struct mpx_read *read)
{
    mproxy_profile_free(read->profile);
    mpx_plan_free(read->plan);
    mpx_listing_free(read->list);
    mpx_buf_free(&read->text);
    free(read->jobid);
}

static void free_reading(struct reading *reading)
{
    free_read(&reading->read);
    free(reading);
}

static void refuse_late(struct mpx_readings *r, struct mpx_request *rq)
{
    mpx_reply_refuse(rq, 503, "%.400s: the file system has not answered for %d s",
                     r->daemon->profiles_path, LATE_MS / 1000);
}

static void refuse(struct reading *reading, bool is_late)
{
    struct mpx_request *rq = reading->rq;
    reading->rq = NULL;
    if (is_late)
        refuse_late(reading->owner, rq);
    else
        mpx_reply_refuse(rq, 503, "the proxy is about to stop");
    mpx_request_resume(rq);
}

static void on_late(void *arg)
{
    struct mpx_readings *r = arg;
    int64_t now_ms = mpx_boot_ms();
    for (struct reading *at = r->first; at; at = at->next) {
        if (at->rq && at->late_ms > now_ms) {
            mproxy_timer_set(r->timer, at->late_ms - now_ms);
            return;
        }
        if (at->rq)
            refuse(at, true);
    }
}

static void run_reading(void *arg)
{
    struct reading *reading = arg;
    const struct mpx_keeper *keeper = reading->owner->daemon->keeper;
    reading->run(keeper ? mpx_keeper_archive(keeper) : NULL, &reading->read);
}

static void take_out(struct mpx_readings *r, struct reading *reading)
{
    struct reading **at = &r->first;
    while (*at != reading)
        at = &(*at)->next;
    *at = reading->next;
    if (r->last == &reading->next)
        r->last = at;
}

static void end_reading(void *arg, int has_run)
{
    struct reading *reading = arg;
    take_out(reading->owner, reading);
    if (reading->rq && has_run) {
        reading->answer(reading->rq, &reading->read);
        mpx_request_resume(reading->rq);
    } else if (reading->rq) {
        refuse(reading, false);
    }
    free_reading(reading);
}

mproxy_status mpx_readings_open(struct mproxy_daemon *d, const char *name,
                                struct mpx_readings **out, mproxy_error *err)
{
    struct mpx_readings *r = calloc(1, sizeof *r);
    if (!r)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory to read profiles");
    r->daemon = d;
    r->last = &r->first;
    *out = r;
    mproxy_status status =
        mproxy_helper_open(d->loop, name, WAITING_MAX, &r->helper, err);
    if (status == MPROXY_OK)
        status = mproxy_timer_new(d->loop, on_late, r, &r->timer, err);
    return status;
}

void mpx_readings_stop(struct mpx_readings *r)
{
    if (!r)
        return;
    r->is_stopped = true;
    for (struct reading *at = r->first; at; at = at->next)
        if (at->rq)
            refuse(at, false);
}

bool mpx_readings_close(struct mpx_readings *r)
{
    if (!r)
        return true;
    mpx_readings_stop(r);
    mproxy_timer_free(r->timer);
    r->timer = NULL;
    bool is_over = mproxy_helper_close(r->helper, CLOSE_MS);
    if (is_over)
        free(r); // what hangs comes back to it
    return is_over;
}

void mpx_reading_start(struct mpx_readings *r, struct mpx_request *rq, mpx_read_fn run,
                       mpx_answer_fn answer, const struct mpx_read *what)
{
    struct reading *reading = calloc(1, sizeof *reading);
    if (!reading) {
        struct mpx_read unread = *what;
        free_read(&unread);
        mpx_reply_refuse(rq, 503, "no memory to answer");
        return;
    }
    *reading = (struct reading){.owner = r,
                                .rq = rq,
                                .late_ms = mpx_boot_ms() + LATE_MS,
                                .run = run,
                                .answer = answer,
                                .read = *what};
    bool is_late = mproxy_helper_busy_ms(r->helper) > LATE_MS;
    if (r->is_stopped || is_late ||
        mproxy_helper_put(r->helper, run_reading, end_reading, reading) != MPROXY_OK) {
        if (is_late)
            refuse_late(r, rq);
        else
            mpx_reply_refuse(rq, 503, "too many profiles are being read");
        free_reading(reading);
        return;
    }
    mpx_command_keep(r->daemon);
    *r->last = reading;
    r->last = &reading->next;
    if (!mproxy_timer_is_set(r->timer))
        mproxy_timer_set(r->timer, LATE_MS);
}
