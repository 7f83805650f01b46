// A loop with four pipes as its guests, and a note of who was called.
#ifndef TESTS_SUPPORT_LOOP_FIXTURE_H
#define TESTS_SUPPORT_LOOP_FIXTURE_H

#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <mproxy/loop.h>

enum { PIPES = 4, BOUND_MS = 10000 };

// A guest: a pipe whose reading end is watched, and what its callback is to do.
struct guest {
    int ends[2];
    mproxy_watch *watch;
    int calls;
    unsigned events;
    void (*act)(struct guest *g);
};

static mproxy_loop *loop;
static struct guest guests[PIPES];
static char order[64]; // who was called

static inline void note(char who)
{
    size_t length = strlen(order);
    ck_assert_uint_lt(length + 1, sizeof order);
    order[length] = who;
}

static inline void on_guest(void *arg, int fd, unsigned events)
{
    struct guest *g = arg;
    ck_assert_int_eq(fd, g->ends[0]);
    g->calls++;
    g->events = events;
    note(g >= guests && g < guests + PIPES ? (char)('0' + (g - guests)) : 'w');
    if (g->act)
        g->act(g);
}

static inline void watch(struct guest *g)
{
    ck_assert_int_eq(
        mproxy_watch_add(loop, g->ends[0], MPROXY_READABLE, on_guest, g, &g->watch, NULL),
        MPROXY_OK);
}

static inline void unwatch(struct guest *g)
{
    mproxy_watch_remove(g->watch);
    g->watch = NULL;
}

static inline void speak(struct guest *g)
{
    ck_assert_int_eq(write(g->ends[1], "x", 1), 1);
}

static inline void hear(struct guest *g)
{
    char byte;
    ck_assert_int_eq(read(g->ends[0], &byte, 1), 1);
}

static inline void set_up(void)
{
    memset(guests, 0, sizeof guests);
    memset(order, 0, sizeof order);
    ck_assert_int_eq(mproxy_loop_open(&loop, NULL), MPROXY_OK);
    for (int i = 0; i < PIPES; i++) {
        ck_assert_int_eq(pipe2(guests[i].ends, O_CLOEXEC | O_NONBLOCK), 0);
        watch(&guests[i]);
    }
}

static inline void tear_down(void)
{
    for (int i = 0; i < PIPES; i++) {
        unwatch(&guests[i]);
        close(guests[i].ends[0]);
        close(guests[i].ends[1]);
    }
    mproxy_loop_close(loop);
}

static inline size_t turn(void)
{
    size_t called = 99;
    ck_assert_int_eq(mproxy_loop_turn(loop, 0, &called, NULL), MPROXY_OK);
    return called;
}

#endif
