// Targets that this proxy may scrape, and those that its options name. Itself it may not: what
// it shows would count as what it reads, and again in the next round.

#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <mproxy/remote.h>

#include "base/err.h"
#include "daemon/daemon_private.h"

static bool map_address(const struct sockaddr *address, struct in6_addr *out)
{
    if (address->sa_family == AF_INET6) {
        *out = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        return true;
    }
    if (address->sa_family != AF_INET)
        return false;
    *out = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(out->s6_addr + 12,
           &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    return true;
}

// The address that a numeric host is, however it is written: 127.1, 0, ::ffff:127.0.0.1. IPv4
// ones are mapped to IPv6. False: it is a name.
static bool read_address(const char *host, struct in6_addr *out)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST};
    struct addrinfo *found;
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return false;
    bool is_it = map_address(found->ai_addr, out);
    freeaddrinfo(found);
    return is_it;
}

static bool is_of_interface(const struct in6_addr *wanted)
{
    struct ifaddrs *all;
    struct in6_addr own;
    bool found = false;
    if (getifaddrs(&all) != 0)
        return false;
    for (const struct ifaddrs *at = all; at && !found; at = at->ifa_next)
        found = at->ifa_addr && map_address(at->ifa_addr, &own) &&
                memcmp(&own, wanted, sizeof own) == 0;
    freeifaddrs(all);
    return found;
}

static bool is_local_address(const char *host)
{
    static const uint8_t loopback[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    static const uint8_t any[16] = {[10] = 0xff, [11] = 0xff};
    struct in6_addr wanted;
    return read_address(host, &wanted) &&
           (memcmp(&wanted, loopback, sizeof loopback) == 0 ||
            memcmp(&wanted, any, sizeof any) == 0 || IN6_IS_ADDR_UNSPECIFIED(&wanted) ||
            IN6_IS_ADDR_LOOPBACK(&wanted) || is_of_interface(&wanted));
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
           is_local_address(host);
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
