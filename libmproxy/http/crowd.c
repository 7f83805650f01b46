// The list is in order of waiting, the oldest first: who becomes busy or idle goes to the
// newest end. The lock covers the list and the descriptors in it, so that no descriptor is
// shut down that was closed meanwhile; HTTP threads and whoever resumes a request take it.

#include "http/crowd.h"

#include <netinet/in.h>
#include <string.h>

void mpx_crowd_init(struct mpx_crowd *crowd, unsigned max)
{
    memset(crowd, 0, sizeof *crowd);
    crowd->max = max;
    pthread_mutex_init(&crowd->lock, NULL);
}

void mpx_crowd_fini(struct mpx_crowd *crowd)
{
    pthread_mutex_destroy(&crowd->lock);
}

// One host is one IPv4 address, but easily a whole /64 of IPv6.
static uint16_t group_of(const struct sockaddr *address)
{
    unsigned char key[8] = {0};
    if (address && address->sa_family == AF_INET) {
        memcpy(key, &((const struct sockaddr_in *)address)->sin_addr, 4);
    } else if (address && address->sa_family == AF_INET6) {
        const struct in6_addr *six = &((const struct sockaddr_in6 *)address)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(six))
            memcpy(key, six->s6_addr + 12, 4);
        else
            memcpy(key, six->s6_addr, 8);
    }
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < sizeof key; i++)
        hash = (hash ^ key[i]) * 16777619u;
    return (uint16_t)((hash ^ hash >> 16) % MPX_CROWD_GROUPS);
}

static void append_locked(struct mpx_crowd *crowd, struct mpx_guest *guest)
{
    guest->before = crowd->newest;
    guest->after = NULL;
    if (crowd->newest)
        crowd->newest->after = guest;
    else
        crowd->oldest = guest;
    crowd->newest = guest;
}

static void unlink_locked(struct mpx_crowd *crowd, struct mpx_guest *guest)
{
    if (guest->before)
        guest->before->after = guest->after;
    else
        crowd->oldest = guest->after;
    if (guest->after)
        guest->after->before = guest->before;
    else
        crowd->newest = guest->before;
}

static bool goes_before_locked(const struct mpx_crowd *crowd, const struct mpx_guest *one,
                               const struct mpx_guest *other)
{
    if (crowd->sizes[one->group] != crowd->sizes[other->group])
        return crowd->sizes[one->group] > crowd->sizes[other->group];
    return !one->busy && other->busy;
}

static struct mpx_guest *who_goes_locked(const struct mpx_crowd *crowd)
{
    struct mpx_guest *found = NULL;
    for (struct mpx_guest *g = crowd->oldest; g; g = g->after)
        if (!g->going && (!found || goes_before_locked(crowd, g, found)))
            found = g;
    return found;
}

static void cut_one_locked(struct mpx_crowd *crowd)
{
    struct mpx_guest *guest = who_goes_locked(crowd);
    if (!guest)
        return;
    guest->going = true;
    crowd->going++;
    crowd->sizes[guest->group]--;
    crowd->cut++;
    shutdown(guest->fd, SHUT_RDWR); // never waits; who owns the connection sees its end
}

void mpx_crowd_enter(struct mpx_crowd *crowd, struct mpx_guest *guest, int fd,
                     const struct sockaddr *address)
{
    *guest = (struct mpx_guest){.fd = fd, .group = group_of(address)};
    pthread_mutex_lock(&crowd->lock);
    // Before it is in the list, the newcomer can't be the one to go.
    if (crowd->count - crowd->going >= crowd->max)
        cut_one_locked(crowd);
    append_locked(crowd, guest);
    crowd->count++;
    crowd->sizes[guest->group]++;
    pthread_mutex_unlock(&crowd->lock);
}

void mpx_crowd_set_busy(struct mpx_crowd *crowd, struct mpx_guest *guest, bool busy)
{
    pthread_mutex_lock(&crowd->lock);
    guest->busy = busy;
    unlink_locked(crowd, guest);
    append_locked(crowd, guest);
    pthread_mutex_unlock(&crowd->lock);
}

void mpx_crowd_leave(struct mpx_crowd *crowd, struct mpx_guest *guest)
{
    pthread_mutex_lock(&crowd->lock);
    unlink_locked(crowd, guest);
    crowd->count--;
    if (guest->going)
        crowd->going--;
    else
        crowd->sizes[guest->group]--;
    pthread_mutex_unlock(&crowd->lock);
}

uint64_t mpx_crowd_cut(struct mpx_crowd *crowd)
{
    pthread_mutex_lock(&crowd->lock);
    uint64_t cut = crowd->cut;
    pthread_mutex_unlock(&crowd->lock);
    return cut;
}
