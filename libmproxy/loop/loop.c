// The loop: an epoll with one structure for each descriptor that is watched.
//
// A turn is: set the timer descriptor to the first time, wait, call the timers that are due,
// then the descriptors that are ready. The kernel hands out ready descriptors in turn, so
// one that is always ready delays the others by one callback and no more; a guest that has
// much to do does a bounded part of it and is called again.
//
// What was removed is the difficulty of every such loop: events are taken from the kernel
// in a batch, and the callback of one may remove the guest of another, close its descriptor
// and open a new one that gets the same number. So an event carries the address of its
// watch and not the number, a removed watch is marked and left out, and its memory stays
// until the batch is over, so that no new watch can take the address either. Timers need
// none of that: they are taken out of the heap one by one.
//
// All descriptors are watched level-triggered, because edge-triggered ones must be emptied
// by each callback, which makes one busy guest stop all others.
//
// A stop is a flag and a descriptor: the flag is seen between two callbacks, the descriptor
// ends a wait that began before it was set. Both can be set by a signal handler.

#include "loop/private.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/err.h"

enum { BATCH = 64 };

struct mproxy_watch {
    struct mproxy_loop *loop;
    struct mproxy_watch *next_removed;
    int fd;
    unsigned events;
    bool is_removed;
    mproxy_watch_fn function;
    void *arg;
};

// ---- life

// Descriptors of the loop itself have no watch: they end a wait, and that is all.
static mproxy_status add_own(struct mproxy_loop *loop, int fd, mproxy_error *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (fd < 0 || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return mpx_fail_errno(err, "event loop");
    return MPROXY_OK;
}

mproxy_status mproxy_loop_open(struct mproxy_loop **out, mproxy_error *err)
{
    MPX_REQUIRE(out, err);
    struct mproxy_loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for an event loop");
    loop->timers.fd = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    mproxy_status status = add_own(loop, loop->stop_fd, err);
    if (status == MPROXY_OK)
        status = mpx_timers_init(&loop->timers, err);
    if (status == MPROXY_OK)
        status = add_own(loop, loop->timers.fd, err);
    if (status == MPROXY_OK)
        *out = loop;
    else
        mproxy_loop_close(loop);
    return status;
}

void mproxy_loop_close(struct mproxy_loop *loop)
{
    if (!loop)
        return;
    assert(loop->watch_count == 0 && loop->timers.there == 0 && !loop->turning);
    mpx_timers_fini(&loop->timers);
    if (loop->stop_fd >= 0)
        close(loop->stop_fd);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    free(loop);
}

// ---- descriptors

static uint32_t to_epoll(unsigned events)
{
    return (events & MPROXY_READABLE ? (uint32_t)EPOLLIN : 0) |
           (events & MPROXY_WRITABLE ? (uint32_t)EPOLLOUT : 0);
}

static unsigned from_epoll(uint32_t events)
{
    return (events & EPOLLIN ? MPROXY_READABLE : 0u) |
           (events & EPOLLOUT ? MPROXY_WRITABLE : 0u) |
           (events & (EPOLLERR | EPOLLHUP) ? MPROXY_BROKEN : 0u);
}

static mproxy_status fail_to_watch(int fd, mproxy_error *err)
{
    if (errno == EEXIST)
        return mpx_fail(err, MPROXY_E_EXISTS, "descriptor %d is watched already", fd);
    if (errno == EPERM)
        return mpx_fail(err, MPROXY_E_INVALID,
                        "descriptor %d is of a file that is always ready", fd);
    return mpx_fail_errno(err, "descriptor %d of the event loop", fd);
}

mproxy_status mproxy_watch_add(struct mproxy_loop *loop, int fd, unsigned events,
                               mproxy_watch_fn function, void *arg,
                               struct mproxy_watch **out, mproxy_error *err)
{
    MPX_REQUIRE(loop && function && out, err);
    struct mproxy_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory to watch descriptor %d", fd);
    *watch = (struct mproxy_watch){
        .loop = loop, .fd = fd, .events = events, .function = function, .arg = arg};
    struct epoll_event event = {.events = to_epoll(events), .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        free(watch);
        return fail_to_watch(fd, err);
    }
    loop->watch_count++;
    *out = watch;
    return MPROXY_OK;
}

mproxy_status mproxy_watch_set(struct mproxy_watch *watch, unsigned events,
                               mproxy_error *err)
{
    MPX_REQUIRE(watch && !watch->is_removed, err);
    if (watch->events == events)
        return MPROXY_OK;
    struct epoll_event event = {.events = to_epoll(events), .data.ptr = watch};
    if (epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) != 0)
        return mpx_fail_errno(err, "descriptor %d of the event loop", watch->fd);
    watch->events = events;
    return MPROXY_OK;
}

void mproxy_watch_remove(struct mproxy_watch *watch)
{
    if (!watch)
        return;
    struct mproxy_loop *loop = watch->loop;
    assert(!watch->is_removed);
    int failed = epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    assert(failed == 0); // closed before the watch was removed
    (void)failed;
    loop->watch_count--;
    watch->is_removed = true;
    if (!loop->turning) {
        free(watch);
        return;
    }
    watch->next_removed = loop->removed;
    loop->removed = watch;
}

static void free_removed(struct mproxy_loop *loop)
{
    while (loop->removed) {
        struct mproxy_watch *watch = loop->removed;
        loop->removed = watch->next_removed;
        free(watch);
    }
}

// ---- turns

// Another callback may have removed the watch, or asked for something else, since the event
// came.
static void call_watch(struct mproxy_loop *loop, const struct epoll_event *event)
{
    struct mproxy_watch *watch = event->data.ptr;
    if (!watch || watch->is_removed)
        return;
    unsigned events = from_epoll(event->events) & (watch->events | MPROXY_BROKEN);
    if (!events)
        return;
    loop->called++;
    watch->function(watch->arg, watch->fd, events);
}

static int wait_for(const struct mproxy_loop *loop, int64_t wait_ms,
                    struct epoll_event events[BATCH])
{
    int timeout = wait_ms < 0 ? -1 : wait_ms > INT_MAX ? INT_MAX : (int)wait_ms;
    return epoll_wait(loop->epoll_fd, events, BATCH, timeout);
}

mproxy_status mproxy_loop_turn(struct mproxy_loop *loop, int64_t wait_ms, size_t *called,
                               mproxy_error *err)
{
    MPX_REQUIRE(loop && !loop->turning, err);
    struct epoll_event events[BATCH];
    loop->called = 0;
    mproxy_status status = mpx_timers_arm(&loop->timers, err);
    if (status != MPROXY_OK)
        return status;
    int count = wait_for(loop, wait_ms, events);
    if (count < 0 && errno != EINTR)
        return mpx_fail_errno(err, "event loop");
    loop->turning = true;
    mpx_timers_call(loop);
    for (int i = 0; i < count && !atomic_load(&loop->stopped); i++)
        call_watch(loop, &events[i]);
    loop->turning = false;
    free_removed(loop);
    if (called)
        *called = loop->called;
    return MPROXY_OK;
}

mproxy_status mproxy_loop_run(struct mproxy_loop *loop, mproxy_error *err)
{
    MPX_REQUIRE(loop, err);
    mproxy_status status = MPROXY_OK;
    while (status == MPROXY_OK && !atomic_load(&loop->stopped))
        status = mproxy_loop_turn(loop, -1, NULL, err);
    uint64_t stops;
    (void)!read(loop->stop_fd, &stops, sizeof stops);
    atomic_store(&loop->stopped, false);
    return status;
}

static void raise_event(int fd)
{
    uint64_t one = 1;
    int saved = errno;
    (void)!write(fd, &one, sizeof one);
    errno = saved;
}

void mproxy_loop_stop(struct mproxy_loop *loop)
{
    atomic_store(&loop->stopped, true);
    raise_event(loop->stop_fd);
}

// ---- bells

struct mproxy_bell {
    int fd;
    struct mproxy_watch *watch;
    mproxy_bell_fn function;
    void *arg;
};

static void on_ring(void *arg, int fd, unsigned events)
{
    const struct mproxy_bell *bell = arg;
    uint64_t rings;
    (void)events;
    (void)!read(fd, &rings, sizeof rings);
    bell->function(bell->arg);
}

mproxy_status mproxy_bell_open(struct mproxy_loop *loop, mproxy_bell_fn function,
                               void *arg, struct mproxy_bell **out, mproxy_error *err)
{
    MPX_REQUIRE(loop && function && out, err);
    struct mproxy_bell *bell = calloc(1, sizeof *bell);
    if (!bell)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for a bell");
    *bell = (struct mproxy_bell){
        .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .function = function, .arg = arg};
    mproxy_status status = bell->fd < 0
                               ? mpx_fail_errno(err, "bell of the event loop")
                               : mproxy_watch_add(loop, bell->fd, MPROXY_READABLE,
                                                  on_ring, bell, &bell->watch, err);
    if (status == MPROXY_OK)
        *out = bell;
    else
        mproxy_bell_close(bell);
    return status;
}

void mproxy_bell_ring(struct mproxy_bell *bell)
{
    raise_event(bell->fd);
}

void mproxy_bell_close(struct mproxy_bell *bell)
{
    if (!bell)
        return;
    mproxy_watch_remove(bell->watch);
    if (bell->fd >= 0)
        close(bell->fd);
    free(bell);
}
