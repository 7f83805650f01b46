// What the caller asks for, with what stands in for what was not said, and the names and
// paths that follow from it. All strings are the daemon's own afterwards.

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/options.h"
#include "daemon/daemon_private.h"

enum {
    PORT = 1337,
    PERIOD_MS = 1000,
    PERIOD_MIN_MS = 10,
    PERIOD_MAX_MS = 3600 * 1000,
    LINGER_MS = 2000,
    CONTINUE_S = 600,
};

static mproxy_status copy_path(const char *from, char out[PATH_MAX], const char *what,
                               mproxy_error *err)
{
    if (from[0] == '\0')
        return mpx_fail(err, MPROXY_E_INVALID, "%s: a path was expected", what);
    if ((size_t)snprintf(out, PATH_MAX, "%s", from) >= PATH_MAX)
        return mpx_fail(err, MPROXY_E_INVALID, "%s: longer than %d bytes", what,
                        PATH_MAX - 1);
    return MPROXY_OK;
}

static const char *home(void)
{
    const char *path = getenv("HOME");
    if (path && path[0])
        return path;
    const struct passwd *user = getpwuid(geteuid());
    return user ? user->pw_dir : "/";
}

static mproxy_status find_prefix(struct mproxy_daemon *d, const char *prefix,
                                 mproxy_error *err)
{
    char standard[PATH_MAX];
    snprintf(standard, sizeof standard, "%s/.proxyprofiles", home());
    char whole[PATH_MAX];
    mproxy_status status = copy_path(prefix ? prefix : standard, whole, "prefix", err);
    if (status == MPROXY_OK &&
        (size_t)snprintf(d->profiles_path, PATH_MAX, "%s/profiles", whole) >= PATH_MAX)
        status =
            mpx_fail(err, MPROXY_E_INVALID, "prefix: longer than %d bytes", PATH_MAX - 1);
    return status;
}

static mproxy_status find_socket(struct mproxy_daemon *d, const char *path,
                                 mproxy_error *err)
{
    char standard[64];
    snprintf(standard, sizeof standard, "/tmp/metric-proxy-%u.socket",
             (unsigned)geteuid());
    if (path && path[0] != '/') {
        // Both sides of the rendezvous must see the same string.
        char here[PATH_MAX], whole[2 * PATH_MAX];
        if (!getcwd(here, sizeof here))
            return mpx_fail_errno(err, "working directory");
        snprintf(whole, sizeof whole, "%s/%s", here, path);
        return copy_path(whole, d->socket_path, "socket", err);
    }
    return copy_path(path ? path : standard, d->socket_path, "socket", err);
}

void mpx_daemon_name_it(struct mproxy_daemon *d)
{
    const char *listen = d->options.listen_address;
    const char *shown = listen ? listen : d->host;
    char address[sizeof d->advertise];
    bool is_six = strchr(shown, ':') != NULL;
    snprintf(address, sizeof address, is_six ? "[%.255s]:%d" : "%.255s:%d", shown,
             d->options.port);
    snprintf(d->url, sizeof d->url, "http://%.280s", address);
    // Others reach a proxy by its host's name, unless it listens on one address only.
    bool is_any = !listen || strcmp(listen, "0.0.0.0") == 0 || strcmp(listen, "::") == 0;
    if (d->options.advertise)
        snprintf(d->advertise, sizeof d->advertise, "%s", d->options.advertise);
    else if (is_any)
        snprintf(d->advertise, sizeof d->advertise, "%s:%d", d->host, d->options.port);
    else
        snprintf(d->advertise, sizeof d->advertise, "%s", address);
}

// After this the strings are ours, whatever comes.
static mproxy_status copy_strings(mproxy_daemon_options *o, mproxy_error *err)
{
    const char **kept[] = {&o->listen_address, &o->advertise, &o->proc_root,
                           &o->sys_root,       &o->targets,   &o->textfile_dir};
    bool all = true;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        char *copy = *kept[i] ? strdup(*kept[i]) : NULL;
        all = all && (copy || !*kept[i]);
        *kept[i] = copy;
    }
    return all ? MPROXY_OK : mpx_fail(err, MPROXY_E_NOMEM, "no memory for options");
}

static void fill_in(mproxy_daemon_options *o)
{
    o->port = o->port == 0 ? PORT : o->port < 0 ? 0 : o->port;
    o->sampling_period_ms = o->sampling_period_ms ? o->sampling_period_ms : PERIOD_MS;
    o->linger_ms = o->linger_ms == 0 ? LINGER_MS : o->linger_ms < 0 ? 0 : o->linger_ms;
    o->continue_s = o->continue_s ? o->continue_s : CONTINUE_S;
}

mproxy_status mpx_daemon_take_options(struct mproxy_daemon *d,
                                      const mproxy_daemon_options *options,
                                      mproxy_error *err)
{
    mproxy_daemon_options *o = &d->options;
    mproxy_status status = MPX_OPTIONS_TAKE(mproxy_daemon_options, ebpf, o, options, err);
    d->logger = (struct mpx_logger){o->log, o->log_arg};
    if (status != MPROXY_OK)
        return status;
    status = copy_strings(o, err);
    fill_in(o);
    if (status == MPROXY_OK &&
        (o->sampling_period_ms < PERIOD_MIN_MS || o->sampling_period_ms > PERIOD_MAX_MS))
        status = mpx_fail(err, MPROXY_E_INVALID,
                          "sampling period %u ms: %d to %d was expected",
                          o->sampling_period_ms, PERIOD_MIN_MS, PERIOD_MAX_MS);
    if (gethostname(d->host, sizeof d->host - 1) != 0 || d->host[0] == '\0')
        snprintf(d->host, sizeof d->host, "localhost");
    if (status == MPROXY_OK)
        status = find_prefix(d, o->prefix, err);
    if (status == MPROXY_OK)
        status = find_socket(d, o->socket_path, err);
    o->prefix = o->socket_path = NULL; // the caller's; their copies are in d
    return status;
}

static void free_text(const char *text)
{
    union {
        const char *from;
        void *to;
    } owned = {.from = text};
    free(owned.to);
}

void mpx_daemon_free_options(struct mproxy_daemon *d)
{
    const char *texts[] = {d->options.listen_address, d->options.advertise,
                           d->options.proc_root,      d->options.sys_root,
                           d->options.targets,        d->options.textfile_dir};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free_text(texts[i]);
}
