// Serving: from the first round to the last. The loop's thread is the one that owns and
// changes all state; what it does is done by guests: the timer of the rounds, commands of
// the HTTP threads, the gateway.

#include "base/err.h"
#include "daemon/daemon_private.h"
#include "daemon/reading.h"

enum { DRAIN_MS = 5000 }; // profiles under way at the end get this long

static mproxy_status open_server(struct mproxy_daemon *d, mproxy_error *err)
{
    struct mpx_server_options server = {.routes = mpx_routes,
                                        .route_count = mpx_route_count_all,
                                        .context = d,
                                        .events = d->events,
                                        .listen_fd = d->listen_fd};
    return mpx_server_open(&server, &d->server, err);
}

// However many periods have passed: one round.
static void on_period(void *arg)
{
    struct mproxy_daemon *d = arg;
    mpx_daemon_round(d);
    if (d->ousted)
        mproxy_loop_stop(d->loop);
}

// What clients counted through us becomes final and is folded by a last round.
static void finish(struct mproxy_daemon *d)
{
    mpx_commands_close(d);
    mpx_readings_stop(d->readings);
    mpx_readings_stop(d->lists);
    mpx_server_close(d->server);
    d->server = NULL;
    mpx_inputs_end(d, d->ousted ? -1 : mpx_processes_dir_fd(d->processes));
    if (!d->ousted)
        mpx_daemon_round(d);
    if (d->keeper && !mpx_keeper_drain(d->keeper, DRAIN_MS))
        mpx_say(&d->logger, MPROXY_LOG_WARNING,
                "profiles are still being written: the next start tries again");
}

mproxy_status mpx_daemon_serve(struct mproxy_daemon *d, mproxy_error *err)
{
    mproxy_status status = mproxy_timer_new(d->loop, on_period, d, &d->round_timer, err);
    if (status == MPROXY_OK)
        status = open_server(d, err);
    if (status != MPROXY_OK)
        return status;
    mproxy_timer_repeat(d->round_timer, d->options.sampling_period_ms);
    on_period(d);
    status = mproxy_loop_run(d->loop, err);
    finish(d);
    if (d->ousted)
        return mpx_fail(err, MPROXY_E_BUSY,
                        "%s: %s: this one ends, and leaves the state to the other",
                        mpx_processes_dir_path(d->processes), d->ousted_by.text);
    return status;
}
