// Asking targets: when, how, and what becomes of the reply.
//
// A target has a timer. It begins a scrape, whose end sets the timer for the next one: at the
// next multiple of the period since the first, so that targets stay spread over the period as
// their numbers have spread them, however long each takes. After failures the pause doubles up
// to a minute (or its period, if that is longer), more or less by a fifth, so that targets that
// failed together do not come back together.
//
// The loop must not stand still for a large page, and nearly all pages are small or known: what
// is in the known order is read at GB/s. A page is parsed right here if that takes some
// milliseconds by what the last one took; the others, first pages of more than 200 KB and all
// of more than 1 MiB, by a helper thread, one after the other, for the parser is fast enough for one thread
// and needs none of the store. New series come into the store a few at a time: each turn of
// the loop settles so many, and only when all are there the page counts, as a whole.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "scrape/private.h"
#include "scrape/proxy.h"

enum {
    FIRST_WITHIN_MS = 1000,
    BACKOFF_MAX_MS = 60000,
    TELL_EACH_MS = 60000,
    SILENT_PERIODS = 5,   // after which gauges go
    NEW_AT_A_TIME = 2048, // series: some milliseconds
    PARSE_HERE_NS = 5000000,
    PARSE_HERE_MOST =
        1 << 20, // bytes, whatever the last page took: this one may be another
    HELPER_MAX = 1 << 20,
    KIND_MAX = 1 << 20,
    NS_PER_BYTE = 25, // of a page that nothing is known of
};

static const char accept[] = "text/plain;version=0.0.4,"
                             "application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1";

// ---- times

static uint64_t next_random(void)
{
    static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

// Fractions of the golden ratio lie evenly, however many there are.
static int64_t phase_of(const struct mpx_target *t, int64_t span_ms)
{
    uint64_t fraction = t->number * UINT64_C(0x9e3779b97f4a7c15) >> 32;
    return (int64_t)(fraction * (uint64_t)span_ms >> 32);
}

static int64_t pause_after_failure(const struct mpx_target *t)
{
    int64_t period = t->period_ms,
            most = BACKOFF_MAX_MS > period ? BACKOFF_MAX_MS : period;
    int64_t pause = period;
    for (unsigned i = 1; i < t->failures && pause < most; i++)
        pause *= 2;
    pause = pause < most ? pause : most;
    int64_t fifth = pause / 5;
    return pause - fifth + (int64_t)(next_random() % (uint64_t)(2 * fifth + 1));
}

static void plan_next(struct mpx_target *t)
{
    int64_t now = mpx_boot_ms(), period = t->period_ms;
    if (t->failures > 1) {
        t->due_ms = now + pause_after_failure(t);
    } else {
        t->due_ms += period;
        if (t->due_ms <= now)
            t->due_ms = now + period - (now - t->due_ms) % period;
    }
    mproxy_timer_set(t->timer, t->due_ms - now);
}

// ---- how it went

static void note_end(struct mpx_target *t)
{
    t->seconds = (double)(mpx_clock_ns(CLOCK_MONOTONIC) - t->begun_ns) / 1e9;
    t->last_us = mpx_wall_us();
    t->counts[MPX_SCRAPE_SCRAPES]++;
}

// A target that fails now and then would fill the log.
static void say_failure(struct mpx_target *t, const char *text)
{
    int64_t now = mpx_boot_ms();
    if (t->told_ms > 0 && now - t->told_ms < TELL_EACH_MS)
        return;
    mpx_say(&t->scraper->logger, MPROXY_LOG_WARNING, "scrape: %s", text);
    t->is_told = true;
    t->told_ms = now;
}

static void fail(struct mpx_target *t, const char *text)
{
    note_end(t);
    if (t->failures == 0)
        say_failure(t, text);

    t->counts[MPX_SCRAPE_FAILURES]++;
    t->failures++;
    t->is_unknown = true;
    t->is_healthy = false;
    snprintf(t->last_error, sizeof t->last_error, "%s", text);
    plan_next(t);
}

static void succeed(struct mpx_target *t)
{
    note_end(t);
    if (t->is_told)
        mpx_say(&t->scraper->logger, MPROXY_LOG_INFO, "scrape: %s is well again", t->url);
    t->is_told = false;

    t->failures = 0;
    t->is_healthy = true;
    t->last_error[0] = '\0';
    t->heard_ms = mpx_boot_ms();
    plan_next(t);
}

// ---- the page

static void settle(struct mpx_target *t)
{
    struct mpx_ingest_page page;
    struct mpx_ingest_stats stats;
    mproxy_error err;
    mproxy_status status = mpx_ingest_apply(t->ingest, &page, &err);
    if (status == MPROXY_OK)
        status = mpx_page_note(t, &page, &err);
    mpx_ingest_get_stats(t->ingest, &stats);
    if (status == MPROXY_OK && stats.unsettled > 0 && stats.unsettled < t->unsettled) {
        t->unsettled = stats.unsettled;
        t->is_settling = true; // the timer's next call goes on
        mproxy_timer_set(t->timer, 0);
        return;
    }
    t->is_settling = false;
    if (status == MPROXY_OK)
        status = mpx_page_take(t, &page, &err);
    if (status != MPROXY_OK) {
        mpx_page_refuse(t);
        fail(t, err.text);
        return;
    }
    t->samples = page.samples;
    succeed(t);
}

// Where it is asked for this; `room` is for another path than its own.
static const char *url_for(const struct mpx_target *t, enum mpx_asking asking,
                           char room[MPROXY_REMOTE_URL_MAX])
{
    static const char *const paths[] = {"/metrics", "/is_admire_proxy.html", "/job"};
    if (asking == MPX_ASK_PAGE)
        return t->url;
    snprintf(room, MPROXY_REMOTE_URL_MAX, "%.*s%s",
             (int)(strlen(t->url) - strlen("/metrics")), t->url, paths[asking]);
    return room;
}

static void take_jobs(struct mpx_target *t)
{
    mproxy_error err;
    size_t samples = t->jobs.entries;
    mproxy_status status = mpx_proxy_open(t, &err);
    if (status == MPROXY_OK && t->proxy && !t->is_listed)
        status = mpx_remember_list(t->scraper, &err);
    t->is_listed |= status == MPROXY_OK;
    if (status == MPROXY_OK)
        status = mpx_proxy_take(t, &t->jobs, &err);
    mpx_jobs_fini(&t->jobs);
    if (status != MPROXY_OK) {
        fail(t, err.text);
        return;
    }
    t->samples = samples;
    succeed(t);
}

static void parse(void *target)
{
    struct mpx_target *t = target;
    int64_t begun = mpx_clock_ns(CLOCK_MONOTONIC);
    if (t->asking == MPX_ASK_JOBS) {
        mpx_jobs_fini(&t->jobs);
        t->parsed = mpx_jobs_read(t->page, t->page_size, &t->jobs, &t->parse_error);
    } else
        t->parsed = mpx_ingest_parse(t->ingest, t->page, t->page_size, t->format,
                                     &t->parse_error);
    t->ns_per_byte = (double)(mpx_clock_ns(CLOCK_MONOTONIC) - begun) /
                     (double)(t->page_size ? t->page_size : 1);
}

static void on_parsed(struct mpx_target *t)
{
    const mproxy_error *e = &t->parse_error;
    char text[sizeof t->last_error];
    if (t->parsed == MPROXY_OK) {
        if (t->asking == MPX_ASK_JOBS) {
            take_jobs(t);
        } else {
            t->unsettled = SIZE_MAX;
            settle(t);
        }
        return;
    }
    char room[MPROXY_REMOTE_URL_MAX];
    const char *url = url_for(t, t->asking, room);
    if (e->line > 0)
        snprintf(text, sizeof text, "%.200s: line %d, column %d: %s", url, e->line,
                 e->column, e->text);
    else
        snprintf(text, sizeof text, "%.200s: %s", url, e->text);
    fail(t, text);
}

static void on_helped(void *target, int has_run)
{
    struct mpx_target *t = target;
    t->is_parsing = false;
    free(t->page);
    t->page = NULL;
    if (!has_run)
        return; // the scraper is being closed
    if (t->is_joined)
        on_parsed(t);
    else {
        mpx_page_end(t);
        mpx_jobs_fini(&t->jobs);
    }
}

// False: answered with a failure.
static bool have_parsed(struct mpx_target *t, const char *body, size_t size,
                        mproxy_error *err)
{
    struct mproxy_scraper *s = t->scraper;
    mproxy_status status = MPROXY_OK;
    if (!s->helper)
        status =
            mproxy_helper_open(s->o.loop, "mproxy-pages", HELPER_MAX, &s->helper, err);
    char *copy = malloc(size + 1);
    if (!copy)
        status = mpx_fail(err, MPROXY_E_NOMEM, "%.150s: no memory for its page", t->url);
    if (copy)
        memcpy(copy, body, size + 1);
    t->page = copy;
    t->page_size = size;
    t->is_parsing = true;
    if (status == MPROXY_OK)
        status = mproxy_helper_put(s->helper, parse, on_helped, t);
    if (status == MPROXY_OK)
        return true;
    t->is_parsing = false;
    t->page = NULL;
    free(copy);
    return false;
}

static mproxy_status open_ingest(struct mpx_target *t, mproxy_error *err)
{
    const struct mpx_ingest_options o = {.store = t->scraper->o.store,
                                         .max_series = t->scraper->o.max_series,
                                         .max_new = NEW_AT_A_TIME};
    return t->ingest ? MPROXY_OK : mpx_ingest_open(&o, &t->ingest, err);
}

static mproxy_status check_reply(struct mpx_target *t, const mproxy_remote_reply *reply,
                                 mproxy_error *err)
{
    mproxy_error why;
    char room[MPROXY_REMOTE_URL_MAX];
    if (reply->code != 200)
        return mpx_fail(err, MPROXY_E_INVALID, "%.200s: answered with HTTP status %d",
                        url_for(t, t->asking, room), reply->code);
    if (t->asking == MPX_ASK_JOBS)
        return MPROXY_OK;
    if (mproxy_format_of_content_type(reply->type, &t->format, &why) != MPROXY_OK)
        return mpx_fail(err, MPROXY_E_UNSUPPORTED, "%.150s: %.250s", t->url, why.text);
    return open_ingest(t, err);
}

static void take_page(struct mpx_target *t, const char *body, size_t size)
{
    mproxy_error err;
    double rate = t->ns_per_byte > 0 ? t->ns_per_byte : NS_PER_BYTE;
    if (size > PARSE_HERE_MOST || rate * (double)size > PARSE_HERE_NS) {
        if (!have_parsed(t, body, size, &err))
            fail(t, err.text);
        return;
    }
    t->page = (char *)(uintptr_t)body;
    t->page_size = size;
    parse(t);
    t->page = NULL;
    on_parsed(t);
}

// ---- what it is

// One that does not answer is what it was.
static void take_kind(struct mpx_target *t, mproxy_status status,
                      const mproxy_remote_reply *reply)
{
    t->is_unknown = false;
    if (status != MPROXY_OK || reply->code >= 500)
        return;
    bool was_proxy = t->is_proxy;
    t->is_proxy = reply->code == 200 && strstr(reply->body, "<html");
    if (was_proxy && !t->is_proxy && t->proxy)
        mpx_proxy_leave(t->proxy);
    if (!was_proxy && t->is_proxy)
        mpx_page_end(t);
}

// Some servers answer whatever they are asked for with a page: only jobs make a proxy.
static bool is_mistaken(struct mpx_target *t, const mproxy_remote_reply *reply)
{
    if (t->asking != MPX_ASK_JOBS || t->proxy || reply->code >= 500 ||
        (reply->code == 200 && reply->body[strspn(reply->body, " \t\r\n")] == '['))
        return false;
    t->is_proxy = false;
    return true;
}

// ---- asking

// The next request of this scrape, by the timer.
static void go_on(struct mpx_target *t)
{
    t->is_going_on = true;
    mproxy_timer_set(t->timer, 0);
}

static void on_reply(void *target, mproxy_status status, const mproxy_remote_reply *reply,
                     const mproxy_error *error)
{
    struct mpx_target *t = target;
    mproxy_error err;
    t->call = NULL;
    if (t->asking == MPX_ASK_KIND) {
        take_kind(t, status, reply);
        go_on(t);
    } else if (status != MPROXY_OK)
        fail(t, error->text);
    else if (is_mistaken(t, reply))
        go_on(t);
    else if (check_reply(t, reply, &err) != MPROXY_OK)
        fail(t, err.text);
    else
        take_page(t, reply->body, reply->body_size);
}

static enum mpx_asking next_asking(struct mpx_target *t)
{
    if (!mpx_proxy_may_be_at(t->url))
        return MPX_ASK_PAGE;
    return t->is_unknown ? MPX_ASK_KIND : t->is_proxy ? MPX_ASK_JOBS : MPX_ASK_PAGE;
}

static void ask(struct mpx_target *t)
{
    struct mproxy_scraper *s = t->scraper;
    char room[MPROXY_REMOTE_URL_MAX];
    uint64_t timeout = (uint64_t)t->period_ms * 9 / 10;
    t->asking = next_asking(t);
    const mproxy_remote_request request = {
        .struct_size = sizeof request,
        .url = url_for(t, t->asking, room),
        .accept = t->asking == MPX_ASK_PAGE   ? accept
                  : t->asking == MPX_ASK_JOBS ? "application/json"
                                              : "text/html",
        .timeout_ms = timeout < s->o.timeout_ms ? timeout : s->o.timeout_ms,
        .max_reply = t->asking == MPX_ASK_KIND ? KIND_MAX : s->o.max_page};
    mproxy_error err;
    if (mproxy_remote_start(t->remote, &request, on_reply, t, &t->call, &err) !=
        MPROXY_OK)
        fail(t, err.text);
}

static void on_time(void *target)
{
    struct mpx_target *t = target;
    if (t->is_settling)
        settle(t);
    else if (t->is_parsing) // a page of before it was left and joined again
        mproxy_timer_set(t->timer, t->period_ms);
    else if (!t->call) {
        if (!t->is_going_on)
            t->begun_ns = mpx_clock_ns(CLOCK_MONOTONIC);
        t->is_going_on = false;
        ask(t);
    }
}

mproxy_status mpx_poll_begin(struct mpx_target *t, mproxy_error *err)
{
    int64_t within = t->period_ms < FIRST_WITHIN_MS ? t->period_ms : FIRST_WITHIN_MS;
    mproxy_status status = MPROXY_OK;
    if (!t->timer)
        status = mproxy_timer_new(t->scraper->o.loop, on_time, t, &t->timer, err);
    if (status != MPROXY_OK)
        return status;
    int64_t now = mpx_boot_ms(), wait = phase_of(t, within);
    t->heard_ms = now;
    t->due_ms = now + wait;
    t->failures = 0;
    t->is_unknown = true;
    mproxy_timer_set(t->timer, wait);
    return MPROXY_OK;
}

void mpx_poll_hasten(struct mpx_target *t)
{
    int64_t now = mpx_boot_ms();
    if (!mproxy_timer_is_set(t->timer) || t->is_settling ||
        t->due_ms <= now + t->period_ms)
        return;
    t->due_ms = now + t->period_ms;
    mproxy_timer_set(t->timer, t->period_ms);
}

void mpx_poll_end(struct mpx_target *t)
{
    if (t->call)
        mproxy_remote_cancel(t->call);
    t->call = NULL;
    t->is_settling = false;
    mproxy_timer_free(t->timer);
    t->timer = NULL;
    if (!t->is_parsing)
        mpx_page_end(t);
}

void mpx_poll_look(struct mpx_target *t, int64_t now_ms)
{
    int64_t patience = (int64_t)SILENT_PERIODS * t->period_ms;
    if (t->is_parsing || t->is_settling || now_ms - t->heard_ms <= patience)
        return;
    if (t->ingest || t->is_refused)
        mpx_page_end(t);
    if (t->proxy)
        mpx_proxy_silence(t->proxy);
}
