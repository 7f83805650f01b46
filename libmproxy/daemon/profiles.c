// Saving finished jobs: the archive under the prefix, and what may be released for it.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/daemon_private.h"

enum { RETRY_MS = 10000 }; // between two tries to open the archive

// Make the directories above the last one, which is made for the first profile.
static mproxy_status make_parents(const char *path, mproxy_error *err)
{
    char part[PATH_MAX];
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(part, 0700);
        *slash = '/';
    }
    *strrchr(part, '/') = '\0';
    // Said now, not when the first job has ended.
    if (access(path, F_OK) != 0 &&
        faccessat(AT_FDCWD, part, W_OK | X_OK, AT_EACCESS) != 0)
        return mpx_fail_errno(err, "%s", part);
    return MPROXY_OK;
}

static void on_damaged(void *arg, const char *path, const mproxy_error *why)
{
    mpx_log(arg, MPROXY_LOG_WARNING, "profile %s is damaged and left alone: %s", path,
            why->text);
}

static void open_archive(struct mproxy_daemon *d, int64_t boot_ms)
{
    if (d->keeper || boot_ms < d->archive_retry_ms)
        return;
    d->archive_retry_ms = boot_ms + RETRY_MS;
    mproxy_error err;
    mproxy_archive *archive = atomic_load(&d->archive);
    mproxy_status status = MPROXY_OK;
    if (!archive) {
        status = make_parents(d->profiles_path, &err);
        if (status == MPROXY_OK)
            status = mproxy_archive_open(d->profiles_path, on_damaged, d, &archive, &err);
        if (status == MPROXY_OK)
            atomic_store(&d->archive, archive);
    }
    struct mpx_keeper_options keeper = {.continue_ms =
                                            (int64_t)d->options.continue_s * 1000,
                                        .log = mpx_log_line,
                                        .log_arg = d};
    if (status == MPROXY_OK)
        status = mpx_keeper_open(archive, &keeper, &d->keeper, &err);
    d->archive_trouble[0] = '\0';
    if (status != MPROXY_OK)
        snprintf(d->archive_trouble, sizeof d->archive_trouble, "%s", err.text);
}

// Without profiles nothing is waited for: what is sealed is released.
static void release_sealed(struct mproxy_daemon *d)
{
    const mproxy_source *const *sources;
    size_t count = mproxy_ledger_sources(d->ledger, &sources);
    uint64_t *numbers = realloc(d->releasable, (count + 1) * sizeof *numbers);
    if (!numbers)
        return;
    d->releasable = numbers;
    d->releasable_count = 0;
    for (size_t i = 0; i < count; i++)
        if (sources[i]->sealed)
            numbers[d->releasable_count++] = sources[i]->number;
}

static void keep_profiles(struct mproxy_daemon *d, int64_t boot_ms)
{
    char why[256] = "";
    open_archive(d, boot_ms);
    if (!d->keeper) {
        snprintf(why, sizeof why, "%s", d->archive_trouble);
    } else {
        const mproxy_source *const *sources;
        size_t count = mproxy_reduction_sources(d->reduction, &sources);
        if (mpx_keeper_round(d->keeper, sources, count, boot_ms) != MPROXY_OK)
            snprintf(why, sizeof why, "no memory");
        else
            mpx_keeper_failed(d->keeper, why, sizeof why);
    }
    if (why[0] && !d->trouble[0])
        snprintf(d->trouble, sizeof d->trouble, "profiles can't be saved: %s", why);
}

void mpx_daemon_archive(struct mproxy_daemon *d, int64_t boot_ms)
{
    if (d->options.no_profiles)
        release_sealed(d);
    else
        keep_profiles(d, boot_ms);
}

void mpx_daemon_release(struct mproxy_daemon *d)
{
    const uint8_t *directory = mproxy_ledger_directory(d->ledger);
    for (size_t i = 0; i < d->releasable_count; i++) {
        mproxy_reduction_stored(d->reduction, directory, d->releasable[i]);
        mproxy_ledger_release(d->ledger, d->releasable[i]);
    }
    d->releasable_count = 0;
    if (!d->keeper)
        return;
    const struct mpx_release *releases;
    size_t count = mpx_keeper_releases(d->keeper, &releases);
    for (size_t i = 0; i < count; i++) {
        mproxy_reduction_stored(d->reduction, releases[i].directory, releases[i].number);
        if (memcmp(releases[i].directory, directory, sizeof releases[i].directory) == 0)
            mproxy_ledger_release(d->ledger, releases[i].number);
    }
}

size_t mpx_daemon_profiles(struct mproxy_daemon *d)
{
    mproxy_archive *archive = atomic_load(&d->archive);
    return archive ? mproxy_archive_size(archive) : 0;
}
