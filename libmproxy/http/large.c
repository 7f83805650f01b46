#include "http/large.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"

struct mpx_large {
    struct mpx_large *before, *after;
    struct mpx_larges *all;
    struct mpx_piecewise body;
    int fd;
    int64_t read_ms; // when it was last read; guarded by the lock, like all below
    bool waits;      // for its producer, not for its reader
    bool going;      // cut off, not closed yet
};

void mpx_larges_init(struct mpx_larges *larges, unsigned max, int64_t patience_ms)
{
    *larges = (struct mpx_larges){.max = max, .patience_ms = patience_ms};
    pthread_mutex_init(&larges->lock, NULL);
}

void mpx_larges_fini(struct mpx_larges *larges)
{
    pthread_mutex_destroy(&larges->lock);
}

static void note(struct mpx_large *large, bool waits)
{
    int64_t now_ms = mpx_boot_ms();
    pthread_mutex_lock(&large->all->lock);
    large->read_ms = now_ms;
    large->waits = waits;
    pthread_mutex_unlock(&large->all->lock);
}

static long read_large(void *arg, char *bytes, size_t room)
{
    struct mpx_large *large = arg;
    note(large, false);
    return large->body.read(large->body.arg, bytes, room);
}

static bool wait_large(void *arg)
{
    struct mpx_large *large = arg;
    // Once it waits it may be woken and closed: noted before.
    note(large, true);
    return large->body.wait(large->body.arg);
}

static void close_large(void *arg)
{
    struct mpx_large *large = arg;
    struct mpx_larges *all = large->all;
    pthread_mutex_lock(&all->lock);
    if (large->before)
        large->before->after = large->after;
    else
        all->first = large->after;
    if (large->after)
        large->after->before = large->before;
    all->count -= !large->going;
    pthread_mutex_unlock(&all->lock);
    large->body.close(large->body.arg); // waits for its thread
    free(large);
}

static struct mpx_large *stalled_locked(const struct mpx_larges *larges)
{
    int64_t before_ms = mpx_boot_ms() - larges->patience_ms;
    struct mpx_large *found = NULL;
    for (struct mpx_large *l = larges->first; l; l = l->after)
        if (!l->going && !l->waits && l->read_ms < before_ms &&
            (!found || l->read_ms < found->read_ms))
            found = l;
    return found;
}

bool mpx_larges_have_room(struct mpx_larges *larges)
{
    pthread_mutex_lock(&larges->lock);
    struct mpx_large *stalled =
        larges->count >= larges->max ? stalled_locked(larges) : NULL;
    if (stalled) {
        stalled->going = true;
        larges->count--;
        shutdown(stalled->fd, SHUT_RDWR); // never waits
    }
    bool has_room = larges->count < larges->max;
    pthread_mutex_unlock(&larges->lock);
    return has_room;
}

bool mpx_larges_add(struct mpx_larges *larges, int fd, struct mpx_piecewise body,
                    struct mpx_piecewise *out)
{
    struct mpx_large *large = calloc(1, sizeof *large);
    if (!large)
        return false;
    large->all = larges;
    large->body = body;
    large->fd = fd;
    large->read_ms = mpx_boot_ms();
    pthread_mutex_lock(&larges->lock);
    large->after = larges->first;
    if (large->after)
        large->after->before = large;
    larges->first = large;
    larges->count++;
    pthread_mutex_unlock(&larges->lock);
    *out = (struct mpx_piecewise){
        .read = read_large, .wait = wait_large, .close = close_large, .arg = large};
    return true;
}
