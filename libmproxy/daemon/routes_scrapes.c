// Targets: /join, /join/multiple, /join/list, /remove and /disconnect.
//
// A request is judged by its words on the server's thread, and done on the loop, whose the
// scraper is. Between the two it is a struct joins: addresses and periods in one block of memory,
// as commands have it, so that whoever drops the command frees all of it.
//
// The query is that of the older daemon, with its ways: a parameter without a value goes on
// with the list before it, so `to=A&B` are two addresses.
//
// Several targets are joined all or none. What was joined by the request is left again when a
// later one fails; a target that had been joined before stays, with the period that it has then.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon_private.h"
#include "daemon/routes.h"
#include "exposition/json.h"

enum { JOINS_MAX = 256, PERIOD_MAX_MS = 3600000, PERIOD_MIN_MS = 10 };

// What is asked for: one block of memory, so that one free() takes all.
struct joins {
    size_t count, periods;
    unsigned period_ms[JOINS_MAX]; // 0: not said
    char *address[JOINS_MAX];
    char texts[];
};

// ---- on the loop's thread

static int code_of(mproxy_status status)
{
    return status == MPROXY_E_INVALID ? 400 : status == MPROXY_E_NOTFOUND ? 404 : 503;
}

// All or none: what had been joined before stays in any case.
static mproxy_status join_all(struct mproxy_daemon *d, const struct joins *j,
                              mproxy_error *err)
{
    bool is_new[JOINS_MAX];
    mproxy_status status = MPROXY_OK;
    size_t done = 0;
    for (; done < j->count && status == MPROXY_OK; done++) {
        size_t before = mproxy_scraper_count(d->scraper);
        status = mpx_daemon_join(d, j->address[done], j->period_ms[done], 0, err);
        is_new[done] = mproxy_scraper_count(d->scraper) > before;
    }
    while (status != MPROXY_OK && done-- > 0)
        if (is_new[done])
            mproxy_scraper_leave(d->scraper, j->address[done], NULL);
    return status;
}

static void do_join(struct mproxy_daemon *d, struct mpx_request *rq, void *arg)
{
    const struct joins *j = arg;
    mproxy_error err;
    mproxy_status status = join_all(d, j, &err);
    if (status != MPROXY_OK)
        mpx_reply_refuse(rq, code_of(status), "parameter 'to': %s", err.text);
    else if (j->count == 1)
        mpx_reply_done(rq, "%.200s is scraped", j->address[0]);
    else
        mpx_reply_done(rq, "%zu targets are scraped", j->count);
}

static void do_leave(struct mproxy_daemon *d, struct mpx_request *rq, void *arg)
{
    const struct joins *j = arg;
    mproxy_error err;
    mproxy_status status = mproxy_scraper_leave(d->scraper, j->address[0], &err);
    if (status == MPROXY_OK)
        mpx_reply_done(rq, "%.200s is not scraped any more", j->address[0]);
    else
        mpx_reply_refuse(rq, code_of(status), "parameter 'target': %s", err.text);
}

static void put_entry(struct mpx_json *j, const mproxy_scrape_target *t, const char *type)
{
    mpx_json_begin(j, '{');
    mpx_json_member(j, "target_url", t->url);
    mpx_json_member(j, "ttype", type);
    mpx_json_member_number(j, "period", t->period_ms / 1e3);
    mpx_json_member_u64(j, "last_scrape", t->last_scrape_us / 1000000);
    mpx_json_member_bool(j, "healthy", t->healthy);
    mpx_json_member(j, "last_error", t->last_error);
    mpx_json_member_u64(j, "samples", t->samples);
    mpx_json_member_number(j, "duration_ms", round(t->duration_ms * 1e3) / 1e3);
    mpx_json_member_u64(j, "refused", t->refused);
    mpx_json_member(j, "why_refused", t->why_refused);
    mpx_json_end(j, '}');
}

static void do_list(struct mproxy_daemon *d, struct mpx_request *rq, void *arg)
{
    (void)arg;
    struct mpx_buf body = MPX_BUF_INIT;
    struct mpx_json j = {.out = &body};
    mproxy_scrape_target t = {.struct_size = sizeof t,
                              .url = "/system",
                              .period_ms = d->options.sampling_period_ms,
                              .last_scrape_us = mproxy_rounds_last(d->rounds)->wall_us,
                              .healthy = 1,
                              .last_error = "",
                              .samples = mproxy_system_layout(d->system)->count,
                              .duration_ms = (double)(d->round_ns / 1000000),
                              .why_refused = ""};
    mpx_json_begin(&j, '[');
    put_entry(&j, &t, "System");
    for (size_t i = 0; mproxy_scraper_target(d->scraper, i, &t, NULL) == MPROXY_OK; i++)
        put_entry(&j, &t, t.proxy ? "Proxy" : "Prometheus");
    mpx_json_end(&j, ']');
    mpx_reply_buf(rq, 200, MPX_TYPE_JSON, &body);
}

// ---- on the server's threads

// False: answered with a refusal.
static bool take_period(struct mpx_request *rq, struct joins *j, const char *text)
{
    char *end;
    unsigned long ms = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || ms < PERIOD_MIN_MS || ms > PERIOD_MAX_MS)
        mpx_reply_refuse(
            rq, 400,
            "parameter 'period': '%.60s': a whole number of milliseconds from "
            "%d to %d was expected",
            text, PERIOD_MIN_MS, PERIOD_MAX_MS);
    else if (j->periods == JOINS_MAX)
        mpx_reply_refuse(rq, 400, "parameter 'period': at most %d were expected",
                         JOINS_MAX);
    else {
        j->period_ms[j->periods++] = (unsigned)ms;
        return true;
    }
    return false;
}

static bool take_address(struct mpx_request *rq, struct joins *j, const char *text,
                         char **at)
{
    if (j->count == JOINS_MAX) {
        mpx_reply_refuse(rq, 400, "parameter 'to': at most %d were expected", JOINS_MAX);
        return false;
    }
    if (!*text)
        return true;
    j->address[j->count++] = *at;
    *at = stpcpy(*at, text) + 1;
    return true;
}

// A parameter without a value goes on with the list before it: `to=A&B` are two addresses.
static bool take_parameters(struct mpx_request *rq, struct joins *j)
{
    const char *name, *value, *list = "";
    char *at = j->texts;
    for (size_t i = 0; mpx_request_param_at(rq, i, &name, &value); i++) {
        bool goes_on =
            !value || (!*value && strcmp(name, "to") && strcmp(name, "period"));
        const char *text = goes_on ? name : value;
        list = goes_on ? list : name;
        if (strcmp(list, "to") == 0 && !take_address(rq, j, text, &at))
            return false;
        if (strcmp(list, "period") == 0 && !take_period(rq, j, text))
            return false;
    }
    if (j->count == 0)
        mpx_reply_refuse(rq, 400, "parameter 'to': HOST:PORT or a URL was expected");
    else if (j->periods > j->count)
        mpx_reply_refuse(rq, 400, "parameter 'period': %zu for %zu targets", j->periods,
                         j->count);
    else
        return true;
    return false;
}

static struct joins *new_joins(struct mpx_request *rq)
{
    const char *name, *value;
    size_t room = 1;
    for (size_t i = 0; mpx_request_param_at(rq, i, &name, &value); i++)
        room += strlen(name) + strlen(value ? value : "") + 2;
    struct joins *j = calloc(1, sizeof *j + room);
    if (!j)
        mpx_reply_refuse(rq, 503, "no memory to answer");
    return j;
}

static void join(struct mpx_request *rq, void *context, size_t most)
{
    struct joins *j = new_joins(rq);
    bool ok = j && take_parameters(rq, j);
    if (ok && j->count > most) {
        mpx_reply_refuse(rq, 400,
                         "parameter 'to': one target was expected, several by "
                         "/join/multiple");
        ok = false;
    }
    if (ok)
        mpx_command_send(context, rq, do_join, j);
    else
        free(j);
}

void mpx_route_join(struct mpx_request *rq, void *context)
{
    join(rq, context, 1);
}

void mpx_route_join_multiple(struct mpx_request *rq, void *context)
{
    join(rq, context, JOINS_MAX);
}

void mpx_route_scrapes(struct mpx_request *rq, void *context)
{
    mpx_command_send(context, rq, do_list, NULL);
}

static void leave(struct mpx_request *rq, void *context)
{
    const char *target = mpx_request_param(rq, "target");
    if (!target || !*target) {
        mpx_reply_refuse(rq, 400, "parameter 'target': HOST:PORT or a URL was expected");
        return;
    }
    struct joins *j = new_joins(rq);
    char *at = j ? j->texts : NULL;
    if (j && take_address(rq, j, target, &at))
        mpx_command_send(context, rq, do_leave, j);
}

// `from` is the proxy that is to stop: this one, for it is the one that was asked.
void mpx_route_remove(struct mpx_request *rq, void *context)
{
    leave(rq, context);
}

void mpx_route_disconnect(struct mpx_request *rq, void *context)
{
    leave(rq, context);
}
