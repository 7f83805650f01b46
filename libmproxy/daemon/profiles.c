// Saving finished jobs under the prefix, and what may be released for it. Only the keeper's
// worker touches the prefix: it may be on a file server that does not answer.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "daemon/daemon_private.h"
#include "daemon/reading.h"

enum {
    CLOSE_MS = 1000,      // a write that is under way when all else is closed
    FIRST_LOOK_MS = 2000, // readiness waits for the archive that long
};

// Whether profiles can be listed, or can't be for now.
static bool has_looked(const struct mproxy_daemon *d)
{
    return !d->keeper || mpx_keeper_has_tried(d->keeper) ||
           mpx_boot_ms() - d->start_boot_ms > FIRST_LOOK_MS;
}

void mpx_daemon_settle(struct mproxy_daemon *d)
{
    if (d->ready || !d->whole || !has_looked(d))
        return;
    d->ready = true;
    if (d->server)
        mpx_server_set_ready(d->server, true);
    mpx_say(&d->logger, MPROXY_LOG_INFO, "the first sampling round is done: serving");
}

static void on_keeper(void *daemon, int fd, unsigned events)
{
    struct mproxy_daemon *d = daemon;
    (void)fd;
    (void)events;
    mpx_keeper_collect(d->keeper);
    mpx_daemon_settle(d);
}

mproxy_status mpx_daemon_open_profiles(struct mproxy_daemon *d, mproxy_error *err)
{
    struct mpx_keeper_options keeper = {.continue_ms = d->options.continue_s * 1000,
                                        .log = d->options.log,
                                        .log_arg = d->options.log_arg,
                                        .dir = d->profiles_path};
    mproxy_status status = mpx_readings_open(d, "read", &d->readings, err);
    if (status == MPROXY_OK)
        status = mpx_readings_open(d, "lists", &d->lists, err);
    if (status != MPROXY_OK || d->options.no_profiles)
        return status;
    status = mpx_keeper_open(NULL, &keeper, &d->keeper, err);
    if (status == MPROXY_OK)
        status = mproxy_watch_add(d->loop, mpx_keeper_fd(d->keeper), MPROXY_READABLE,
                                  on_keeper, d, &d->keeper_watch, err);
    return status;
}

void mpx_daemon_close_profiles(struct mproxy_daemon *d)
{
    bool is_read = mpx_readings_close(d->readings);
    is_read &= mpx_readings_close(d->lists);
    mproxy_watch_remove(d->keeper_watch);
    // What hangs goes on using the archive, which is the keeper's then.
    if (!mpx_keeper_close(d->keeper, CLOSE_MS, !is_read))
        mpx_say(&d->logger, MPROXY_LOG_WARNING,
                "%s: the file system does not answer: left behind", d->profiles_path);
    d->keeper_watch = NULL;
    d->keeper = NULL;
    d->readings = d->lists = NULL;
}

// ---- rounds

// What was released since the round before is told to the ledger inside this one.
static mproxy_status before_round(void *self, const mproxy_round *round,
                                  mproxy_error *err)
{
    const struct mproxy_daemon *d = self;
    const uint8_t *directory = mproxy_ledger_directory(round->ledger);
    const struct mpx_release *releases;
    size_t count = mpx_keeper_releases(d->keeper, &releases);
    (void)err;
    for (size_t i = 0; i < count; i++) {
        mproxy_reduction_stored(round->reduction, releases[i].directory,
                                releases[i].number);
        if (memcmp(releases[i].directory, directory, sizeof releases[i].directory) == 0)
            mproxy_ledger_release(round->ledger, releases[i].number);
    }
    return MPROXY_OK;
}

static mproxy_status after_round(void *self, const mproxy_round *round, mproxy_error *err)
{
    const struct mproxy_daemon *d = self;
    char why[256] = "";
    const mproxy_source *const *sources;
    size_t count = mproxy_reduction_sources(round->reduction, &sources);
    if (mpx_keeper_round(d->keeper, sources, count, round->boot_ms) != MPROXY_OK)
        snprintf(why, sizeof why, "no memory");
    else
        mpx_keeper_failed(d->keeper, why, sizeof why);
    return why[0] ? mpx_fail(err, MPROXY_E_SYSTEM, "%s", why) : MPROXY_OK;
}

mproxy_input mpx_daemon_profiles_input(struct mproxy_daemon *d)
{
    return (mproxy_input){.struct_size = sizeof(mproxy_input),
                          .name = "profiles can't be saved",
                          .self = d,
                          .before_round = before_round,
                          .after_round = after_round};
}

static mproxy_archive *archive_of(const struct mproxy_daemon *d)
{
    return d->keeper ? mpx_keeper_archive(d->keeper) : NULL;
}

size_t mpx_daemon_profiles(struct mproxy_daemon *d)
{
    mproxy_archive *archive = archive_of(d);
    return archive ? mproxy_archive_size(archive) : 0;
}
