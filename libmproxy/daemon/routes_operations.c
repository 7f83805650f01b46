// The proxy itself: is it well, what does it hold, where does it stand.

#include <inttypes.h>
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
    char uptime[32];
    int64_t up_ms = mpx_boot_ms() - d->start_boot_ms;
    snprintf(uptime, sizeof uptime, "%" PRId64 ".%03" PRId64, up_ms / 1000, up_ms % 1000);
    struct mpx_json j = {.out = &body};
    mpx_json_begin(&j, '{');
    mpx_json_member(&j, "version", mproxy_version());
    mpx_json_member(&j, "host", d->host);
    mpx_json_member(&j, "address", d->advertise);
    mpx_json_key(&j, "uptime");
    mpx_json_put_raw(&j, uptime);
    mpx_json_member_u64(&j, "jobs", mpx_self_jobs(d->self));
    mpx_json_member_u64(&j, "series", mpx_self_series(d->self));
    mpx_json_member_u64(&j, "clients", gateway.clients);
    mpx_json_member_u64(&j, "children", 0);
    mpx_json_member_u64(&j, "memory", resident_bytes());
    mpx_json_member_u64(&j, "profiles", mpx_daemon_profiles(d));
    mpx_json_member_u64(&j, "rounds", d->round_count);
    mpx_json_member_u64(&j, "period", d->options.sampling_period_ms);
    mpx_json_member_u64(&j, "connections_cut", mpx_server_cut_count(d->server));
    mpx_json_member_u64(&j, "listeners", events.listeners);
    mpx_json_member_u64(&j, "listeners_let_go", events.let_go);
    mpx_json_member(&j, "trouble", mproxy_rounds_trouble(d->rounds));
    mpx_json_end(&j, '}');
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

void mpx_route_topo(struct mpx_request *rq, void *context)
{
    struct mproxy_daemon *d = context;
    struct mpx_buf body = MPX_BUF_INIT;
    struct mpx_json j = {.out = &body};
    mpx_json_begin(&j, '[');
    mpx_json_begin(&j, '[');
    mpx_json_put_string(&j, d->advertise);
    mpx_json_put_string(&j, d->advertise);
    mpx_json_end(&j, ']');
    mpx_json_end(&j, ']');
    mpx_reply_buf(rq, 200, MPX_TYPE_JSON, &body);
}
