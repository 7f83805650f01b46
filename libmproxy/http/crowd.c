// The list is in order of waiting, the oldest first: a guest that becomes busy or idle goes to
// the newest end. The lock covers the list and the descriptors in it, so that no descriptor is
// shut down that was closed meanwhile; HTTP threads and whoever resumes a request take it.

#include "http/crowd.h"

#include <netinet/in.h>
#include <string.h>

#include "base/index.h"

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
    return (uint16_t)(mpx_hash_bytes(key, sizeof key) % MPX_CROWD_GROUPS);
}

static void append_locked(struct mpx_crowd *crowd, struct mpx_guest *guest)
{
    guest->crowd = crowd;
    guest->before = crowd->newest;
    guest->after = NULL;
    if (crowd->newest)
        crowd->newest->after = guest;
    else
        crowd->oldest = guest;
    crowd->newest = guest;
}

static void unlink_locked(struct mpx_guest *guest)
{
    struct mpx_crowd *crowd = guest->crowd;
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

static void cut_locked(struct mpx_crowd *crowd, struct mpx_guest *guest)
{
    guest->going = true;
    crowd->going++;
    crowd->sizes[guest->group]--;
    crowd->cut++;
    shutdown(guest->fd, SHUT_RDWR); // never waits; who owns the connection sees its end
}

static bool is_full_locked(const struct mpx_crowd *crowd)
{
    return crowd->count - crowd->going >= crowd->max;
}

static void add_locked(struct mpx_crowd *crowd, struct mpx_guest *guest)
{
    append_locked(crowd, guest);
    crowd->count++;
    crowd->sizes[guest->group]++;
}

void mpx_crowd_enter(struct mpx_crowd *crowd, struct mpx_guest *guest, int fd,
                     const struct sockaddr *address)
{
    *guest = (struct mpx_guest){.fd = fd, .group = group_of(address)};
    pthread_mutex_lock(&crowd->lock);
    // Before it is in the list, the newcomer can't be the one to go.
    struct mpx_guest *other = is_full_locked(crowd) ? who_goes_locked(crowd) : NULL;
    if (other)
        cut_locked(crowd, other);
    add_locked(crowd, guest);
    pthread_mutex_unlock(&crowd->lock);
}

void mpx_crowd_set_busy(struct mpx_guest *guest, bool busy)
{
    struct mpx_crowd *crowd = guest->crowd;
    pthread_mutex_lock(&crowd->lock);
    guest->busy = busy;
    unlink_locked(guest);
    append_locked(crowd, guest);
    pthread_mutex_unlock(&crowd->lock);
}

// False when there is no room for a guest of this group.
static bool make_room_locked(struct mpx_crowd *crowd, uint16_t group)
{
    if (!is_full_locked(crowd))
        return true;
    struct mpx_guest *other = who_goes_locked(crowd);
    if (!other || crowd->sizes[group] >= crowd->sizes[other->group])
        return false;
    cut_locked(crowd, other);
    return true;
}

bool mpx_crowd_move(struct mpx_crowd *to, struct mpx_guest *guest)
{
    struct mpx_crowd *from = guest->crowd;
    pthread_mutex_lock(&from->lock);
    bool moves = !guest->going;
    if (moves) {
        unlink_locked(guest);
        from->count--;
        from->sizes[guest->group]--;
    }
    pthread_mutex_unlock(&from->lock);
    if (!moves)
        return false;
    pthread_mutex_lock(&to->lock);
    moves = make_room_locked(to, guest->group);
    if (moves)
        add_locked(to, guest);
    pthread_mutex_unlock(&to->lock);
    if (moves)
        return true;
    pthread_mutex_lock(&from->lock);
    add_locked(from, guest);
    pthread_mutex_unlock(&from->lock);
    return false;
}

void mpx_crowd_leave(struct mpx_guest *guest)
{
    struct mpx_crowd *crowd = guest->crowd;
    pthread_mutex_lock(&crowd->lock);
    unlink_locked(guest);
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
