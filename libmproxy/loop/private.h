// The loop as its files see it; guests see loop.h.
#ifndef MPX_LOOP_PRIVATE_H
#define MPX_LOOP_PRIVATE_H

#include <stdatomic.h>

#include <stdbool.h>

#include <mproxy/loop.h>

// The timers of a loop: a heap of those that are set, with room for all that there are.
struct mpx_timers {
    struct mproxy_timer **heap;
    size_t count, room;
    size_t there;
    uint64_t last_order;
    int fd;           // a timerfd, readable when the first is due
    int64_t armed_ns; // what it is set to; 0: to nothing
};

struct mproxy_loop {
    int epoll_fd, stop_fd;
    atomic_bool stopped;
    struct mpx_timers timers;
    size_t watch_count;
    struct mproxy_watch *removed; // to be freed when the turn is over
    bool turning;
    size_t called; // callbacks of this turn
};

mproxy_status mpx_timers_init(struct mpx_timers *timers, mproxy_error *err);
void mpx_timers_fini(struct mpx_timers *timers); // accepts half of it
// Let the descriptor be readable when the first timer is due.
mproxy_status mpx_timers_arm(struct mpx_timers *timers, mproxy_error *err);
// Call those that are due and were set before this.
void mpx_timers_call(struct mproxy_loop *loop);

#endif
