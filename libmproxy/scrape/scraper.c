// The scraper: its targets, joined and left, as an input of rounds.
//
// A target is known by its URL; an address without a path is completed to /metrics, so that two
// spellings of one target are one. Its request and pace are poll.c's, its page page.c's, what is
// shown of it tell.c's; here is the list of them.
//
// Joining changes two things, the list on file and the target's timer, and either may fail. The
// list is written first, with the target as it will be, and again as it was when the rest fails:
// a proxy that is killed in between scrapes one target more, and none is forgotten.
//
// A page may be parsed by a helper thread. A target that leaves meanwhile is not freed before that
// is done; one whose helper hangs is never freed, since the thread works with its memory.
//
// The client of HTTP is opened with the first target: a proxy that scrapes nothing loads no
// libcurl.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/options.h"
#include "scrape/private.h"
#include "scrape/proxy.h"

enum {
    PERIOD_MS = 1000,
    PERIOD_MIN_MS = 10,
    PERIOD_MAX_MS = 3600000,
    TIMEOUT_MS = 10000,
    PAGE_MAX = 64 << 20,
    GONE_MAX = 10000,
    TARGETS_MAX = 4096,
    LEFT_MAX = 1024,
    HELPER_WAIT_MS = 10000,
};

// ---- addresses

static bool has_path(const char *url)
{
    const char *path = strchr(strstr(url, "://") + 3, '/');
    return path && path[1] != '\0';
}

static bool is_jobs(const char *url)
{
    const char *path = strchr(strstr(url, "://") + 3, '/');
    return path && strcmp(path, "/job") == 0 &&
           strlen(url) + strlen("/metrics") < MPROXY_REMOTE_URL_MAX;
}

static mproxy_status make_url(const char *address, char out[MPROXY_REMOTE_URL_MAX],
                              mproxy_error *err)
{
    bool is_url = strstr(address, "://") != NULL;
    unsigned port = strncasecmp(address, "https:", 6) == 0 ? 443 : 80;
    mproxy_status status = mproxy_remote_url(address, is_url ? port : 0, "", out, err);
    if (status != MPROXY_OK)
        return status;
    size_t length = strcspn(out + 7, "/?") + 7; // behind http://
    if (!is_url && length > 2 && strncmp(out + length - 2, ":0", 2) == 0)
        return mpx_fail(err, MPROXY_E_INVALID,
                        "address '%.200s': HOST:PORT or a URL was expected", address);
    if (is_jobs(out)) { // as a proxy is listed: known by where it is like any target
        strcpy(out + strlen(out) - strlen("/job"), "/metrics");
        return MPROXY_OK;
    }
    if (has_path(out) || strchr(out, '?'))
        return MPROXY_OK;
    return mproxy_remote_url(address, port, "/metrics", out, err);
}

static struct mpx_target *find(const struct mproxy_scraper *s, const char *url)
{
    for (size_t i = 0; i < s->count; i++)
        if (!s->targets[i]->is_dropped && strcmp(s->targets[i]->url, url) == 0)
            return s->targets[i];
    return NULL;
}

// ---- targets

static void free_target(struct mpx_target *t)
{
    if (t->is_parsing)
        return; // a helper that hangs works with it: never freed
    mpx_poll_end(t);
    mpx_kept_close(&t->kept);
    mpx_figures_fini(&t->figures);
    mpx_proxy_free(t->proxy);
    mpx_jobs_fini(&t->jobs);

    free(t->url);
    free(t);
}

static void on_remote(void *remote, int fd, unsigned events)
{
    (void)fd;
    (void)events;
    mproxy_remote_dispatch(remote);
}

// Keep a connection to each target.
static mproxy_status open_remote(struct mproxy_scraper *s, struct mpx_target *t,
                                 mproxy_error *err)
{
    struct mpx_scrape_remote *r = &s->remotes[t->number % MPX_SCRAPE_REMOTES];
    const mproxy_remote_options o = {.struct_size = sizeof o,
                                     .max_connections = (unsigned)s->o.max_targets};
    mproxy_status status =
        r->remote ? MPROXY_OK : mproxy_remote_open(&o, &r->remote, err);
    if (status == MPROXY_OK && !r->watch)
        status = mproxy_watch_add(s->o.loop, mproxy_remote_fd(r->remote), MPROXY_READABLE,
                                  on_remote, r->remote, &r->watch, err);
    t->remote = r->remote;
    return status;
}

static mproxy_status too_many(const struct mproxy_scraper *s, mproxy_error *err)
{
    return mpx_fail(err, MPROXY_E_LIMIT, "%zu targets are scraped: at most %zu may be",
                    s->joined, s->o.max_targets);
}

static mproxy_status begin(struct mproxy_scraper *s, struct mpx_target *t,
                           mproxy_error *err)
{
    if (t->is_joined) {
        mpx_poll_hasten(t);
        return MPROXY_OK;
    }
    if (s->joined >= s->o.max_targets)
        return mpx_fail(err, MPROXY_E_LIMIT,
                        "%zu targets are scraped: at most %zu may be", s->joined,
                        s->o.max_targets);
    mproxy_status status = open_remote(s, t, err);
    if (status == MPROXY_OK)
        status = mpx_tell_open(t, err);
    if (status == MPROXY_OK)
        status = mpx_poll_begin(t, err);
    if (status != MPROXY_OK) {
        mpx_tell_close(t);
        return status;
    }
    snprintf(t->last_error, sizeof t->last_error, "not scraped yet");
    t->is_joined = true;
    s->joined++;
    return MPROXY_OK;
}

// What was joined stays as it was if this fails.
static mproxy_status join(struct mproxy_scraper *s, struct mpx_target *t,
                          unsigned period_ms, bool is_for_now, mproxy_error *err)
{
    struct mpx_target before = *t;
    t->period_ms = period_ms;
    t->is_for_now = is_for_now && (!t->is_joined || t->is_for_now);
    t->is_joined = true;
    mproxy_status status = mpx_remember_list(s, err);
    t->is_joined = before.is_joined;
    if (status == MPROXY_OK)
        status = begin(s, t, err);
    if (status == MPROXY_OK)
        return status;
    t->period_ms = before.period_ms;
    t->is_for_now = before.is_for_now;
    mpx_remember_list(s, NULL);
    return status;
}

static mproxy_status check_period(unsigned period_ms, mproxy_error *err)
{
    if (period_ms >= PERIOD_MIN_MS && period_ms <= PERIOD_MAX_MS)
        return MPROXY_OK;
    return mpx_fail(err, MPROXY_E_INVALID, "period %u ms: %d to %d was expected",
                    period_ms, PERIOD_MIN_MS, PERIOD_MAX_MS);
}

mproxy_status mproxy_scraper_join(mproxy_scraper *scraper, const char *address,
                                  unsigned period_ms, unsigned flags, mproxy_error *err)
{
    MPX_REQUIRE(scraper && address, err);
    char url[MPROXY_REMOTE_URL_MAX];
    unsigned period = period_ms ? period_ms : scraper->o.period_ms;
    mproxy_status status = make_url(address, url, err);
    if (status == MPROXY_OK)
        status = check_period(period, err);
    if (status != MPROXY_OK)
        return status;
    struct mpx_target *t = find(scraper, url);
    bool is_new = !t;
    if (is_new && scraper->joined >= scraper->o.max_targets)
        return too_many(scraper, err);
    if (is_new)
        t = mpx_target_add(scraper, url, err);
    if (!t)
        return MPROXY_E_NOMEM;
    status = join(scraper, t, period, flags & MPROXY_JOIN_FOR_NOW, err);
    if (status != MPROXY_OK && is_new) {
        scraper->count--;
        free_target(t);
        mpx_remember_list(scraper, NULL);
    }
    return status;
}

// Of those that were left only so many are shown on, for the memory of their counters.
static void drop_oldest(struct mproxy_scraper *s)
{
    struct mpx_target *oldest = NULL;
    size_t left = 0;
    for (size_t i = 0; i < s->count; i++) {
        struct mpx_target *t = s->targets[i];
        if (t->is_joined || t->is_dropped)
            continue;
        left++;
        if (!oldest || t->left_ms < oldest->left_ms)
            oldest = t;
    }
    if (left > LEFT_MAX)
        oldest->is_dropped = true;
}

mproxy_status mproxy_scraper_leave(mproxy_scraper *scraper, const char *address,
                                   mproxy_error *err)
{
    MPX_REQUIRE(scraper && address, err);
    char url[MPROXY_REMOTE_URL_MAX];
    mproxy_status status = make_url(address, url, err);
    if (status != MPROXY_OK)
        return status;
    struct mpx_target *t = find(scraper, url);
    if (!t || !t->is_joined)
        return mpx_fail(err, MPROXY_E_NOTFOUND, "'%.200s' is not scraped", url);
    t->is_joined = false;
    t->left_ms = mpx_boot_ms();
    drop_oldest(scraper);
    status = mpx_remember_list(scraper, err);
    if (status != MPROXY_OK) {
        t->is_joined = true;
        return status;
    }
    t->is_healthy = false;
    scraper->joined--;
    mpx_poll_end(t);
    mpx_tell_close(t);
    if (t->proxy)
        mpx_proxy_leave(t->proxy);
    return MPROXY_OK;
}

size_t mproxy_scraper_count(const mproxy_scraper *scraper)
{
    return scraper->joined;
}

// "REASON: a sentence", of the first reason that there is.
static const char *explain(struct mpx_target *t)
{
    t->why_refused[0] = '\0';
    if (t->is_proxy && t->proxy)
        return mpx_proxy_why_refused(t->proxy);
    for (int i = 0; t->ingest && !t->is_parsing && i < MPX_INGEST_REASONS; i++) {
        enum mpx_ingest_reason reason = (enum mpx_ingest_reason)i;
        const char *text = mpx_ingest_example(t->ingest, reason);
        if (*text && !*t->why_refused)
            snprintf(t->why_refused, sizeof t->why_refused, "%s: %s",
                     mpx_ingest_reason_text(reason), text);
    }
    return t->why_refused;
}

mproxy_status mproxy_scraper_target(const mproxy_scraper *scraper, size_t index,
                                    mproxy_scrape_target *out, mproxy_error *err)
{
    MPX_REQUIRE(scraper && out, err);
    struct mpx_target *t = NULL;
    for (size_t i = 0, joined = 0; i < scraper->count && !t; i++)
        if (scraper->targets[i]->is_joined && joined++ == index)
            t = scraper->targets[i];
    if (!t)
        return mpx_fail(err, MPROXY_E_NOTFOUND, "target %zu of %zu", index,
                        scraper->joined);
    struct mpx_ingest_stats stats = {0};
    if (t->ingest && !t->is_parsing)
        mpx_ingest_get_stats(t->ingest, &stats);
    if (t->is_proxy && t->proxy)
        stats.refused = mpx_proxy_refused(t->proxy);
    const mproxy_scrape_target told = {
        .url = t->is_proxy && t->proxy ? mpx_proxy_url(t->proxy) : t->url,
        .period_ms = t->period_ms,
        .healthy = t->is_healthy,
        .last_error = t->last_error,
        .last_scrape_us = t->last_us,
        .samples = t->samples,
        .duration_ms = t->seconds * 1e3,
        .refused = stats.refused,
        .why_refused = explain(t),
        .proxy = t->is_proxy && t->proxy};
    return MPX_STRUCT_GIVE(mproxy_scrape_target, why_refused, out, &told, err);
}

// ---- rounds

// Targets in a directory that was made anew are written down before they are shown.
static mproxy_status before_round(void *self, const mproxy_round *round,
                                  mproxy_error *err)
{
    (void)round;
    return mpx_remember_moved(self, err);
}

static mproxy_status show_one(struct mpx_target *t, const mproxy_round *round,
                              mproxy_error *err)
{
    mproxy_status status = MPROXY_OK;
    if (t->is_dropped && t->is_parsing)
        return status;
    if (!t->is_dropped)
        mpx_poll_look(t, round->boot_ms);
    if (t->proxy)
        status = mpx_proxy_tell(t, round, t->is_dropped, err);
    if (status != MPROXY_OK)
        return status;
    return t->is_dropped ? mpx_tell_gone(t, round, err) : mpx_tell(t, round, err);
}

static mproxy_status show(void *self, const mproxy_round *round, mproxy_error *err)
{
    struct mproxy_scraper *s = self;
    mproxy_status first = MPROXY_OK;
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        struct mpx_target *t = s->targets[i];
        mproxy_status status = show_one(t, round, first ? NULL : err);
        first = first ? first : status;
        s->targets[kept++] = t;
        if (t->is_dropped && !t->is_parsing && status == MPROXY_OK) {
            kept--;
            mpx_remember_forget(t);
            free_target(t);
        }
    }
    s->count = kept;
    return first;
}

const mproxy_input *mproxy_scraper_input(const mproxy_scraper *scraper)
{
    return &scraper->input;
}

// ---- life

// What the scraper before had joined. Without libcurl they wait for the next start.
static mproxy_status join_again(struct mproxy_scraper *s, mproxy_error *err)
{
    for (size_t i = 0; i < s->count; i++) {
        mproxy_error why;
        if (!s->targets[i]->was_joined)
            continue;
        mproxy_status status = begin(s, s->targets[i], &why);
        if (status == MPROXY_E_NOMEM)
            return mpx_fail(err, status, "%s", why.text);
        if (status != MPROXY_OK)
            mpx_say(&s->logger, MPROXY_LOG_ERROR, "scrape: %.150s: %s",
                    s->targets[i]->url, why.text);
    }
    return MPROXY_OK;
}

static void fill_in(mproxy_scraper_options *o)
{
    o->period_ms = o->period_ms ? o->period_ms : PERIOD_MS;
    o->timeout_ms = o->timeout_ms ? o->timeout_ms : TIMEOUT_MS;
    o->max_page = o->max_page ? o->max_page : PAGE_MAX;
    o->max_gone = o->max_gone ? o->max_gone : GONE_MAX;
    o->max_targets = o->max_targets ? o->max_targets : TARGETS_MAX;
}

mproxy_status mproxy_scraper_open(const mproxy_scraper_options *options,
                                  mproxy_scraper **out, mproxy_error *err)
{
    MPX_REQUIRE(options && out, err);
    mproxy_scraper_options o;
    mproxy_status status =
        MPX_OPTIONS_TAKE(mproxy_scraper_options, log_arg, &o, options, err);
    if (status != MPROXY_OK)
        return status;
    MPX_REQUIRE(o.store && o.loop, err);
    struct mproxy_scraper *s = calloc(1, sizeof *s);
    if (!s)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for scrapes");
    fill_in(&o);
    s->o = o;
    s->logger = (struct mpx_logger){o.log, o.log_arg};
    if (o.host)
        snprintf(s->host, sizeof s->host, "%s", o.host);
    else if (gethostname(s->host, sizeof s->host - 1) != 0)
        snprintf(s->host, sizeof s->host, "localhost");
    s->o.host = NULL; // the caller's
    s->input = (mproxy_input){.struct_size = sizeof s->input,
                              .name = "scrapes",
                              .self = s,
                              .before_round = before_round,
                              .show = show};
    status = mpx_remember_load(s, err);
    if (status == MPROXY_OK)
        status = join_again(s, err);
    if (status != MPROXY_OK) {
        mproxy_scraper_close(s);
        return status;
    }
    *out = s;
    return MPROXY_OK;
}

void mproxy_scraper_close(mproxy_scraper *scraper)
{
    struct mproxy_scraper *s = scraper;
    if (!s)
        return;
    mproxy_helper_close(s->helper, HELPER_WAIT_MS);
    for (size_t i = 0; i < s->count; i++)
        free_target(s->targets[i]);
    for (size_t i = 0; i < MPX_SCRAPE_REMOTES; i++) {
        mproxy_watch_remove(s->remotes[i].watch);
        mproxy_remote_close(s->remotes[i].remote);
    }
    free(s->targets);
    free(s->metrics);
    free(s->values);
    free(s->slots);
    free(s->items);
    mpx_buf_free(&s->list);

    free(s);
}
