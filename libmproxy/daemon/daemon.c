// Opening and closing: what belongs together, in the order in which it depends.

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "daemon/daemon_private.h"
#include "http/listen.h"

// Each segment of a live process takes a descriptor.
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

// Parts.

// Tests reach the most names sooner.
static size_t most_names(void)
{
#ifdef MPROXY_TEST_HOOKS
    const char *most = getenv("MPROXY_TEST_MAX_NAMES");
    return most ? strtoul(most, NULL, 10) : 0;
#else
    return 0;
#endif
}

static mproxy_status open_sums(struct mproxy_daemon *d, mproxy_error *err)
{
    mproxy_store_options names = {.struct_size = sizeof names,
                                  .max_metrics = most_names()};
    mproxy_status status = mproxy_store_open(&names, &d->store, err);
    if (status == MPROXY_OK)
        status = mproxy_reduction_new(d->store, &d->reduction, err);
    if (status == MPROXY_OK)
        mproxy_reduction_set_continue(d->reduction, d->options.continue_s * 1000);
    return status;
}

static size_t count_profiles(void *daemon)
{
    return mpx_daemon_profiles(daemon);
}

static mproxy_status open_self(struct mproxy_daemon *d, mproxy_error *err)
{
    const mproxy_self_options options = {.struct_size = sizeof options,
                                         .store = d->store,
                                         .host = d->host,
                                         .processes = d->processes};
    const struct mpx_self_more more = {.server = &d->server,
                                       .gateway = &d->gateway,
                                       .syscalls = &d->syscalls,
                                       .push = &d->push,
                                       .profiles = count_profiles,
                                       .arg = d};
    return mpx_self_open_more(&options, &more, &d->self, err);
}

static mproxy_status open_rounds(struct mproxy_daemon *d, mproxy_error *err)
{
    const mproxy_rounds_options options = {.struct_size = sizeof options,
                                           .store = d->store,
                                           .reduction = d->reduction,
                                           .ledger = d->ledger,
                                           .keep_sealed = d->keeper != NULL,
                                           .period_ms = d->options.sampling_period_ms,
                                           .log = d->options.log,
                                           .log_arg = d->options.log_arg};
    mproxy_status status = mproxy_rounds_new(&options, &d->rounds, err);
    return status == MPROXY_OK ? mpx_inputs_add(d, err) : status;
}

static mproxy_status open_loop(struct mproxy_daemon *d, mproxy_error *err)
{
    mproxy_status status = mproxy_loop_open(&d->loop, err);
    if (status == MPROXY_OK)
        status = mpx_commands_open(&d->commands, d, d->loop, err);
    return status;
}

static mproxy_status open_all(struct mproxy_daemon *d,
                              const mproxy_daemon_options *options, mproxy_error *err)
{
    mproxy_status status = mpx_daemon_take_options(d, options, err);
    if (status != MPROXY_OK)
        return status;
    raise_descriptor_limit();
    status = mpx_listen(d->options.listen_address, &d->options.port, &d->listen_fd, err);
    if (status != MPROXY_OK)
        return status;
    mpx_daemon_name_it(d);
    status = open_loop(d, err);
    if (status == MPROXY_OK)
        status = mpx_daemon_open_events(d, err);
    if (status == MPROXY_OK)
        status = open_sums(d, err);
    if (status == MPROXY_OK)
        status = mpx_inputs_open(d, err);
    if (status == MPROXY_OK)
        status = mpx_daemon_open_profiles(d, err);
    if (status == MPROXY_OK)
        status = open_self(d, err);
    if (status == MPROXY_OK)
        status = open_rounds(d, err);
    return status;
}

mproxy_status mproxy_daemon_open(const mproxy_daemon_options *options,
                                 mproxy_daemon **out, mproxy_error *err)
{
    MPX_REQUIRE(out, err);
    struct mproxy_daemon *d = calloc(1, sizeof *d);
    if (!d)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for a daemon");
    d->listen_fd = -1;
    d->start_boot_ms = mpx_boot_ms();
    mproxy_status status = open_all(d, options, err);
    if (status == MPROXY_OK)
        *out = d;
    else
        mproxy_daemon_close(d);
    return status;
}

const char *mproxy_daemon_url(const mproxy_daemon *daemon)
{
    return daemon->url;
}

mproxy_status mproxy_daemon_run(mproxy_daemon *daemon, mproxy_error *err)
{
    MPX_REQUIRE(daemon, err);
    return mpx_daemon_serve(daemon, err);
}

void mproxy_daemon_stop(mproxy_daemon *daemon)
{
    mproxy_loop_stop(daemon->loop);
}

void mproxy_daemon_close(mproxy_daemon *daemon)
{
    struct mproxy_daemon *d = daemon;
    if (!d)
        return;
    mpx_server_close(d->server);
    mpx_events_close(d->events);
    mpx_daemon_close_profiles(d);
    mproxy_rounds_free(d->rounds);
    d->rounds = NULL;
    mpx_inputs_close(d);
    mproxy_self_close(d->self);
    mproxy_reduction_free(d->reduction);
    mproxy_store_close(d->store);
    mproxy_timer_free(d->round_timer);
    mpx_commands_fini(&d->commands);
    mproxy_loop_close(d->loop);
    if (d->listen_fd >= 0)
        close(d->listen_fd);
    mpx_daemon_free_options(d);
    free(d);
}
