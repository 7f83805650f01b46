// Timers: a binary heap ordered by time and, within one time, by when they were set.
//
// A timer takes its place in the heap's memory when it is made, so that setting one never
// fails. Those that are due are taken out one at a time before they are called, so that a
// callback may set, stop or free any timer, its own included. One that a callback sets to
// "now" is due no earlier than this call began and was set after it: it waits for the next
// turn, and a timer that always sets itself to "now" does not keep descriptors waiting.

#include <assert.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/err.h"
#include "loop/private.h"

#define NS_PER_MS INT64_C(1000000)

struct mproxy_timer {
    struct mproxy_loop *loop;
    size_t place; // in the heap + 1; 0: not set
    int64_t due_ns;
    int64_t period_ns; // 0: once
    uint64_t order;    // rises with each call that sets a timer
    mproxy_timer_fn function;
    void *arg;
};

// ---- the heap

static bool is_before(const struct mproxy_timer *a, const struct mproxy_timer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void put(struct mpx_timers *t, size_t at, struct mproxy_timer *timer)
{
    t->heap[at] = timer;
    timer->place = at + 1;
}

static void sift_up(struct mpx_timers *t, size_t at)
{
    struct mproxy_timer *timer = t->heap[at];
    for (; at > 0 && is_before(timer, t->heap[(at - 1) / 2]); at = (at - 1) / 2)
        put(t, at, t->heap[(at - 1) / 2]);
    put(t, at, timer);
}

static void sift_down(struct mpx_timers *t, size_t at)
{
    struct mproxy_timer *timer = t->heap[at];
    for (size_t child; (child = 2 * at + 1) < t->count; at = child) {
        if (child + 1 < t->count && is_before(t->heap[child + 1], t->heap[child]))
            child++;
        if (!is_before(t->heap[child], timer))
            break;
        put(t, at, t->heap[child]);
    }
    put(t, at, timer);
}

static void insert(struct mpx_timers *t, struct mproxy_timer *timer)
{
    put(t, t->count++, timer);
    sift_up(t, timer->place - 1);
}

static void take_out(struct mpx_timers *t, struct mproxy_timer *timer)
{
    if (timer->place == 0)
        return;
    size_t at = timer->place - 1;
    struct mproxy_timer *last = t->heap[--t->count];
    timer->place = 0;
    if (last == timer)
        return;
    put(t, at, last);
    sift_up(t, at);
    sift_down(t, last->place - 1);
}

// ---- for the loop

mproxy_status mpx_timers_init(struct mpx_timers *t, mproxy_error *err)
{
    t->fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    return t->fd >= 0 ? MPROXY_OK : mpx_fail_errno(err, "timer of the event loop");
}

void mpx_timers_fini(struct mpx_timers *t)
{
    if (t->fd >= 0)
        close(t->fd);
    free(t->heap);
}

// Setting it also takes back that it was readable.
mproxy_status mpx_timers_arm(struct mpx_timers *t, mproxy_error *err)
{
    int64_t first_ns = t->count ? t->heap[0]->due_ns : 0;
    struct itimerspec when = {.it_value = {.tv_sec = first_ns / (1000 * NS_PER_MS),
                                           .tv_nsec = first_ns % (1000 * NS_PER_MS)}};
    if (first_ns == t->armed_ns)
        return MPROXY_OK;
    if (timerfd_settime(t->fd, TFD_TIMER_ABSTIME, &when, NULL) != 0)
        return mpx_fail_errno(err, "timer of the event loop");
    t->armed_ns = first_ns;
    return MPROXY_OK;
}

// The next time of a row that began with due_ns: those that have passed are left out.
static void set_again(struct mpx_timers *t, struct mproxy_timer *timer, int64_t now_ns)
{
    int64_t missed = (now_ns - timer->due_ns) / timer->period_ns;
    timer->due_ns += (missed + 1) * timer->period_ns;
    timer->order = ++t->last_order;
    insert(t, timer);
}

void mpx_timers_call(struct mproxy_loop *loop)
{
    struct mpx_timers *t = &loop->timers;
    uint64_t last = t->last_order;
    int64_t now_ns = t->count ? mpx_clock_ns(CLOCK_BOOTTIME) : 0;
    while (t->count && !atomic_load(&loop->stopped)) {
        struct mproxy_timer *timer = t->heap[0];
        if (timer->due_ns > now_ns || timer->order > last)
            break;
        take_out(t, timer);
        if (timer->period_ns)
            set_again(t, timer, now_ns);
        loop->called++;
        timer->function(timer->arg); // may free it
    }
}

// ---- for guests

mproxy_status mproxy_timer_new(struct mproxy_loop *loop, mproxy_timer_fn function,
                               void *arg, struct mproxy_timer **out, mproxy_error *err)
{
    MPX_REQUIRE(loop && function && out, err);
    struct mpx_timers *t = &loop->timers;
    struct mproxy_timer *timer = calloc(1, sizeof *timer);
    if (!timer || !MPX_RESERVE(t->heap, t->room, t->there + 1)) {
        free(timer);
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for a timer");
    }
    *timer = (struct mproxy_timer){.loop = loop, .function = function, .arg = arg};
    t->there++;
    *out = timer;
    return MPROXY_OK;
}

void mproxy_timer_free(struct mproxy_timer *timer)
{
    if (!timer)
        return;
    mproxy_timer_stop(timer);
    timer->loop->timers.there--;
    free(timer);
}

static void set(struct mproxy_timer *timer, int64_t delay_ms, int64_t period_ms)
{
    const int64_t max_ms = INT64_C(1000) * 86400 * 36500; // a century
    struct mpx_timers *t = &timer->loop->timers;
    delay_ms = delay_ms < 0 ? 0 : delay_ms > max_ms ? max_ms : delay_ms;
    take_out(t, timer);
    timer->due_ns = mpx_clock_ns(CLOCK_BOOTTIME) + delay_ms * NS_PER_MS;
    timer->period_ns = period_ms > max_ms ? max_ms * NS_PER_MS : period_ms * NS_PER_MS;
    timer->order = ++t->last_order;
    insert(t, timer);
}

void mproxy_timer_set(struct mproxy_timer *timer, int64_t delay_ms)
{
    set(timer, delay_ms, 0);
}

void mproxy_timer_repeat(struct mproxy_timer *timer, int64_t period_ms)
{
    assert(period_ms > 0);
    set(timer, period_ms, period_ms > 0 ? period_ms : 1);
}

void mproxy_timer_stop(struct mproxy_timer *timer)
{
    take_out(&timer->loop->timers, timer);
}

int mproxy_timer_is_set(const struct mproxy_timer *timer)
{
    return timer->place != 0;
}
