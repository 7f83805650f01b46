// The event loop: one thread that waits for descriptors, times and children on behalf of
// guests. A guest is anything that wants to be called back: the gateway's clients, the
// sampling timer, commands of HTTP threads, a foreign library with sockets and a timeout of
// its own.
//
// A callback may add, change and remove any guest, itself included. Once removed, a guest
// is not called again, not even for an event that had been there already.
//
// Times are durations on CLOCK_BOOTTIME, which goes on while the machine sleeps.
//
// Work that may take long, on a disk or a name server, runs on a thread of base/worker.h,
// whose descriptor is watched like any other.
//
// Threads: the loop's, that is the one that calls mpx_loop_run(); before it runs, the one
// that made it. mpx_loop_stop() and mpx_bell_ring(): any thread or signal handler.
#ifndef MPX_LOOP_LOOP_H
#define MPX_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <mproxy/base.h>

struct mpx_loop;

// @return MPROXY_OK, MPROXY_E_NOMEM, MPROXY_E_SYSTEM (no descriptors)
mproxy_status mpx_loop_new(struct mpx_loop **out, mproxy_error *err);
// Every guest must have been removed before. Not from a callback. Accepts NULL.
void mpx_loop_free(struct mpx_loop *loop);

// Call guests until mpx_loop_stop(); a stop from before the call counts, once.
// @return MPROXY_OK, MPROXY_E_SYSTEM
mproxy_status mpx_loop_run(struct mpx_loop *loop, mproxy_error *err);
// One turn: wait for at most `wait_ms` (negative: as long as it takes) until there is
// something to do, and do it. Guests that a callback makes due or ready wait for the next turn.
// @param called  set to how many callbacks there were; may be NULL
mproxy_status mpx_loop_turn(struct mpx_loop *loop, int64_t wait_ms, size_t *called,
                            mproxy_error *err);
// No further guest is called, and mpx_loop_run() returns.
void mpx_loop_stop(struct mpx_loop *loop);

// ---- descriptors

// The events that a descriptor is watched for, and those that are there. MPX_BROKEN, an error
// or a hang-up, is told with the others even where nobody asked: a guest that does not remove
// the watch then is called again in each turn.
enum mpx_events { MPX_READABLE = 1, MPX_WRITABLE = 2, MPX_BROKEN = 4 };

struct mpx_watch;
typedef void (*mpx_watch_fn)(void *arg, int fd, unsigned events);

// Call `function` in each turn in which the descriptor is ready for some of `events`, which
// may be none for now. It stays the caller's, and is not to be closed before the watch is
// removed. Each descriptor has one watch at most.
// @return MPROXY_OK, MPROXY_E_EXISTS (watched already), MPROXY_E_INVALID (a file that is
//         always ready), MPROXY_E_NOMEM, MPROXY_E_SYSTEM
mproxy_status mpx_watch_add(struct mpx_loop *loop, int fd, unsigned events,
                            mpx_watch_fn function, void *arg, struct mpx_watch **out,
                            mproxy_error *err);
// Other events from now on. Cannot fail for want of memory.
mproxy_status mpx_watch_set(struct mpx_watch *watch, unsigned events, mproxy_error *err);
void mpx_watch_remove(struct mpx_watch *watch); // accepts NULL

// ---- times

struct mpx_timer;
typedef void (*mpx_timer_fn)(void *arg);

// A timer that is not set.
// @return MPROXY_OK, MPROXY_E_NOMEM
mproxy_status mpx_timer_new(struct mpx_loop *loop, mpx_timer_fn function, void *arg,
                            struct mpx_timer **out, mproxy_error *err);
void mpx_timer_free(struct mpx_timer *timer); // accepts NULL
// Call once in `delay_ms`, 0: in the next turn, instead of what was set before. Timers that
// are due are called in the order of their times, those of one time in the order in which
// they were set.
void mpx_timer_set(struct mpx_timer *timer, int64_t delay_ms);
// Call each `period_ms`, 1 or more, the first time after one. Periods that passed while the
// loop was busy are one call.
void mpx_timer_repeat(struct mpx_timer *timer, int64_t period_ms);
void mpx_timer_stop(struct mpx_timer *timer);
bool mpx_timer_is_set(const struct mpx_timer *timer);

// ---- other threads

struct mpx_bell;
typedef void (*mpx_bell_fn)(void *arg);

// A bell that any thread rings and the loop hears: the function is called once for all
// rings since it was called last. The bell must outlive those who ring it.
// @return MPROXY_OK, MPROXY_E_NOMEM, MPROXY_E_SYSTEM
mproxy_status mpx_bell_new(struct mpx_loop *loop, mpx_bell_fn function, void *arg,
                           struct mpx_bell **out, mproxy_error *err);
void mpx_bell_ring(struct mpx_bell *bell); // any thread or signal handler; keeps errno
void mpx_bell_free(struct mpx_bell *bell); // accepts NULL

// ---- children

struct mpx_child;
// `status` as waitpid() tells it; -1: somebody else has waited for it. The handle is
// invalid from here on.
typedef void (*mpx_child_fn)(void *arg, pid_t pid, int status);

// Wait for a child of this process without SIGCHLD, which is the program's, and reap it.
// @return MPROXY_OK, MPROXY_E_NOMEM
mproxy_status mpx_child_watch(struct mpx_loop *loop, pid_t pid, mpx_child_fn function,
                              void *arg, struct mpx_child **out, mproxy_error *err);
void mpx_child_forget(struct mpx_child *child); // it is not reaped; accepts NULL

#endif
