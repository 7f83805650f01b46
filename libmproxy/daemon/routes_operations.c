// The proxy itself: is it well, what does it hold, where does it stand.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "daemon/daemon_private.h"
#include "daemon/routes.h"

void mpx_route_healthy(struct mpx_request *rq, void *context)
{
    (void)context;
    mpx_reply_done(rq, "the proxy is running");
}

static void do_ready(struct mproxy_daemon *d, struct mpx_request *rq, void *arg)
{
    (void)arg;
    const char *trouble = mproxy_rounds_trouble(d->rounds);
    if (trouble[0])
        mpx_reply_refuse(rq, 503, "%s", trouble);
    else
        mpx_reply_done(rq, "the proxy is ready");
}

void mpx_route_ready(struct mpx_request *rq, void *context)
{
    mpx_command_send(context, rq, do_ready, NULL);
}

static uint64_t resident_bytes(void)
{
    unsigned long long total, resident = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (!statm)
        return 0;
    if (fscanf(statm, "%llu %llu", &total, &resident) != 2)
        resident = 0;
    fclose(statm);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void do_status(struct mproxy_daemon *d, struct mpx_request *rq, void *arg)
{
    (void)arg;
    struct mpx_buf body = MPX_BUF_INIT;
    mproxy_gateway_stats gateway = {.struct_size = sizeof gateway};
    struct mpx_events_stats events;
    mproxy_gateway_get_stats(d->gateway, &gateway);
    mpx_events_get_stats(d->events, &events);
    mpx_buf_add_text(&body, "{\"version\":");
    mpx_json_string(&body, mproxy_version());
    mpx_buf_add_text(&body, ",\"host\":");
    mpx_json_string(&body, d->host);
    mpx_buf_add_text(&body, ",\"address\":");
    mpx_json_string(&body, d->advertise);
    mpx_buf_addf(&body,
                 ",\"uptime\":%.3f,\"jobs\":%zu,\"series\":%zu,\"clients\":%llu,"
                 "\"children\":0,\"memory\":%llu,\"profiles\":%zu,\"rounds\":%llu,"
                 "\"period\":%u,\"connections_cut\":%llu,\"listeners\":%u,"
                 "\"listeners_let_go\":%llu,\"trouble\":",
                 (double)(mpx_boot_ms() - d->start_boot_ms) / 1e3, mpx_self_jobs(d->self),
                 mpx_self_series(d->self), (unsigned long long)gateway.clients,
                 (unsigned long long)resident_bytes(), mpx_daemon_profiles(d),
                 (unsigned long long)d->round_count, d->options.sampling_period_ms,
                 (unsigned long long)mpx_server_cut_count(d->server), events.listeners,
                 (unsigned long long)events.let_go);
    mpx_json_string(&body, mproxy_rounds_trouble(d->rounds));
    mpx_buf_add_text(&body, "}");
    mpx_reply_buf(rq, 200, MPX_TYPE_JSON, &body);
}

void mpx_route_status(struct mpx_request *rq, void *context)
{
    mpx_command_send(context, rq, do_status, NULL);
}

void mpx_route_period(struct mpx_request *rq, void *context)
{
    struct mproxy_daemon *d = context;
    mpx_reply_done(rq, "%u", d->options.sampling_period_ms);
}

// What is polled: today the node itself.
static void do_scrapes(struct mproxy_daemon *d, struct mpx_request *rq, void *arg)
{
    (void)arg;
    struct mpx_buf body = MPX_BUF_INIT;
    char period[MPROXY_NUMBER_MAX];
    mproxy_format_number(d->options.sampling_period_ms / 1e3, period);
    mpx_buf_addf(
        &body,
        "[{\"target_url\":\"/system\",\"ttype\":\"System\",\"period\":%s,"
        "\"last_scrape\":%llu,\"healthy\":true,\"last_error\":\"\","
        "\"samples\":%zu,\"duration_ms\":%lld}]",
        period, (unsigned long long)(mproxy_rounds_last(d->rounds)->wall_us / 1000000),
        mproxy_system_layout(d->system)->count, (long long)(d->round_ns / 1000000));
    mpx_reply_buf(rq, 200, MPX_TYPE_JSON, &body);
}

void mpx_route_scrapes(struct mpx_request *rq, void *context)
{
    mpx_command_send(context, rq, do_scrapes, NULL);
}

void mpx_route_topo(struct mpx_request *rq, void *context)
{
    struct mproxy_daemon *d = context;
    struct mpx_buf body = MPX_BUF_INIT;
    mpx_buf_add_text(&body, "[[");
    mpx_json_string(&body, d->advertise);
    mpx_buf_add_text(&body, ",");
    mpx_json_string(&body, d->advertise);
    mpx_buf_add_text(&body, "]]");
    mpx_reply_buf(rq, 200, MPX_TYPE_JSON, &body);
}
