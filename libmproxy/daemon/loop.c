// The event loop: the one thread that owns and changes all state.

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/daemon_private.h"

enum event { ON_STOP, ON_TIMER, ON_COMMANDS, ON_GATEWAY, EVENTS };

enum { DRAIN_MS = 5000 }; // profiles under way at the end get this long

static mproxy_status watch(struct mproxy_daemon *d, int fd, enum event what,
                           mproxy_error *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = what};
    if (epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return mpx_fail_errno(err, "event loop");
    return MPROXY_OK;
}

static mproxy_status start_timer(struct mproxy_daemon *d, mproxy_error *err)
{
    unsigned ms = d->options.sampling_period_ms;
    struct timespec period = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    struct itimerspec timer = {.it_interval = period, .it_value = period};
    if (timerfd_settime(d->timer_fd, 0, &timer, NULL) != 0)
        return mpx_fail_errno(err, "timer of the event loop");
    return MPROXY_OK;
}

static mproxy_status start(struct mproxy_daemon *d, mproxy_error *err)
{
    struct mpx_server_options server = {.routes = mpx_routes,
                                        .route_count = mpx_route_count_all,
                                        .context = d,
                                        .listen_fd = d->listen_fd};
    mproxy_status status = watch(d, d->stop_fd, ON_STOP, err);
    if (status == MPROXY_OK)
        status = watch(d, d->timer_fd, ON_TIMER, err);
    if (status == MPROXY_OK)
        status = watch(d, d->commands.event_fd, ON_COMMANDS, err);
    if (status == MPROXY_OK)
        status = watch(d, mpx_gateway_fd(d->gateway), ON_GATEWAY, err);
    if (status == MPROXY_OK)
        status = mpx_server_open(&server, &d->server, err);
    if (status == MPROXY_OK)
        status = start_timer(d, err);
    return status;
}

static bool drain_counter(int fd)
{
    uint64_t count;
    return read(fd, &count, sizeof count) == sizeof count;
}

// False: it is time to stop.
static bool turn(struct mproxy_daemon *d)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(d->epoll_fd, events, EVENTS, -1);
    bool go_on = true;
    for (int i = 0; i < count; i++) {
        switch ((enum event)events[i].data.u32) {
        case ON_STOP:
            go_on = !drain_counter(d->stop_fd);
            break;
        case ON_TIMER:
            // However many periods have passed: one round.
            if (drain_counter(d->timer_fd))
                mpx_daemon_round(d);
            break;
        case ON_COMMANDS:
            mpx_commands_run(d);
            break;
        case ON_GATEWAY:
            mpx_gateway_dispatch(d->gateway);
            break;
        case EVENTS:
            break;
        }
    }
    return go_on && !d->ousted && (count >= 0 || errno == EINTR);
}

// What clients counted through us becomes final and is folded by a last round.
static void finish(struct mproxy_daemon *d)
{
    mpx_commands_close(d);
    mpx_server_close(d->server);
    d->server = NULL;
    mpx_gateway_close(d->gateway);
    d->gateway = NULL;
    mpx_direct_close(d->direct);
    d->direct = NULL;
    mpx_syscalls_close(d->syscalls, d->ousted ? -1 : d->dir_fd);
    d->syscalls = NULL;
    if (!d->ousted)
        mpx_daemon_round(d);
    if (d->keeper && !mpx_keeper_drain(d->keeper, DRAIN_MS))
        mpx_log(d, MPROXY_LOG_WARNING,
                "profiles are still being written: the next start tries again");
}

mproxy_status mpx_daemon_loop(struct mproxy_daemon *d, mproxy_error *err)
{
    mproxy_status status = start(d, err);
    if (status != MPROXY_OK)
        return status;
    mpx_daemon_round(d);
    while (turn(d))
        ;
    finish(d);
    if (d->ousted)
        return mpx_fail(err, MPROXY_E_BUSY,
                        "%s: %s: this one ends, and leaves the state to the other",
                        d->dir_path, d->trouble);
    return MPROXY_OK;
}
