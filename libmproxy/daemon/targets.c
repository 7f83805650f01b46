// Targets that this proxy may scrape, and those that its options name. Itself it may not: what
// it shows would count as what it reads, and again in the next round.

#include <ifaddrs.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <mproxy/remote.h>

#include "base/err.h"
#include "daemon/daemon_private.h"

static bool is_local_address(const char *host)
{
    struct ifaddrs *all, *at;
    bool found = false;
    if (getifaddrs(&all) != 0)
        return false;
    for (at = all; at && !found; at = at->ifa_next) {
        char name[NI_MAXHOST];
        sa_family_t family = at->ifa_addr ? at->ifa_addr->sa_family : AF_UNSPEC;
        socklen_t size = family == AF_INET    ? sizeof(struct sockaddr_in)
                         : family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                              : 0;
        found = size > 0 &&
                getnameinfo(at->ifa_addr, size, name, sizeof name, NULL, 0,
                            NI_NUMERICHOST) == 0 &&
                strcmp(name, host) == 0;
    }
    freeifaddrs(all);
    return found;
}

static bool is_own(const struct mproxy_daemon *d, const char *address)
{
    char url[MPROXY_REMOTE_URL_MAX], host[256];
    unsigned port = 0;
    if (mproxy_remote_url(address, 80, "", url, NULL) != MPROXY_OK)
        return false;
    const char *at = strstr(url, "://") + 3;
    if (strncmp(at, d->advertise, strlen(d->advertise)) == 0 &&
        strchr("/?", at[strlen(d->advertise)]))
        return true;
    if ((sscanf(at, "[%255[^]]]:%u", host, &port) != 2 &&
         sscanf(at, "%255[^:]:%u", host, &port) != 2) ||
        port != (unsigned)d->options.port)
        return false;
    return strcasecmp(host, d->host) == 0 || strcasecmp(host, "localhost") == 0 ||
           strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0 ||
           strncmp(host, "127.", 4) == 0 || is_local_address(host);
}

mproxy_status mpx_daemon_join(struct mproxy_daemon *d, const char *address,
                              unsigned period_ms, unsigned flags, mproxy_error *err)
{
    if (is_own(d, address))
        return mpx_fail(err, MPROXY_E_INVALID,
                        "address '%.200s': is this proxy: another one was expected",
                        address);
    return mproxy_scraper_join(d->scraper, address, period_ms, flags, err);
}

// ADDRESS[@MS]; the text is changed.
static mproxy_status join_option(struct mproxy_daemon *d, char *text, mproxy_error *err)
{
    unsigned long ms = 0;
    char *at = strrchr(text, '@'), *end;
    if (at) {
        ms = strtoul(at + 1, &end, 10);
        if (at[1] < '0' || at[1] > '9' || *end || ms == 0 || ms > UINT_MAX)
            return mpx_fail(
                err, MPROXY_E_INVALID,
                "target '%.200s': a period in milliseconds was expected behind "
                "'@'",
                text);
        *at = '\0';
    }
    mproxy_error why;
    mproxy_status status =
        mpx_daemon_join(d, text, (unsigned)ms, MPROXY_JOIN_FOR_NOW, &why);
    return status == MPROXY_OK ? status : mpx_fail(err, status, "target: %s", why.text);
}

mproxy_status mpx_daemon_join_options(struct mproxy_daemon *d, mproxy_error *err)
{
    char *list = d->options.targets ? strdup(d->options.targets) : NULL, *rest = NULL;
    mproxy_status status = MPROXY_OK;
    if (d->options.targets && !list)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for targets");
    for (char *text = list ? strtok_r(list, ",", &rest) : NULL; text && !status;
         text = strtok_r(NULL, ",", &rest))
        status = join_option(d, text, err);
    free(list);
    return status;
}
