/**
 * @file mproxy/loop.h
 * The event loop: one thread that waits for descriptors, times, children and other threads
 * on behalf of guests. A guest is anything that wants to be called back: the gateway's
 * clients, the rounds of a proxy, a foreign library with sockets and a timeout of its own.
 *
 * A callback may add, change and remove any guest, itself included. Once removed, a guest is
 * not called again, not even for an event that had been there already.
 *
 * Threads: the loop's, that is the one that calls mproxy_loop_run(); before it runs, the one
 *          that opened it. mproxy_loop_stop() and mproxy_bell_ring(): any thread or signal
 *          handler. Callbacks run on the loop's thread unless they say otherwise.
 * Memory:  every guest is its owner's, and is removed before the loop is closed.
 * Times:   `_ms` are durations on CLOCK_BOOTTIME, which goes on while the machine sleeps.
 */
#ifndef MPROXY_LOOP_H
#define MPROXY_LOOP_H

#include <sys/types.h>

#include <mproxy/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mproxy_loop mproxy_loop;

/**
 * @param out  set on success; release with mproxy_loop_close()
 * @return MPROXY_OK, MPROXY_E_NOMEM or MPROXY_E_SYSTEM (no descriptors)
 */
MPROXY_API mproxy_status mproxy_loop_open(mproxy_loop **out, mproxy_error *err);
/** Every guest must have been removed before. Not from a callback. Accepts NULL. */
MPROXY_API void mproxy_loop_close(mproxy_loop *loop);
/**
 * Call guests until mproxy_loop_stop(); a stop from before the call counts, once.
 *
 * @return MPROXY_OK or MPROXY_E_SYSTEM
 */
MPROXY_API mproxy_status mproxy_loop_run(mproxy_loop *loop, mproxy_error *err);
/**
 * One turn: wait until there is something to do, and do it. Guests that a callback makes due
 * or ready wait for the next turn.
 *
 * @param wait_ms  wait for no longer; negative: as long as it takes
 * @param called   set to how many callbacks there were; may be NULL
 * @return MPROXY_OK or MPROXY_E_SYSTEM
 */
MPROXY_API mproxy_status mproxy_loop_turn(mproxy_loop *loop, int64_t wait_ms,
                                          size_t *called, mproxy_error *err);
/** No further guest is called, and mproxy_loop_run() returns. */
MPROXY_API void mproxy_loop_stop(mproxy_loop *loop);

/* Descriptors. */

typedef struct mproxy_watch mproxy_watch; /**< of a descriptor */

/**
 * Events of a descriptor; or-ed. MPROXY_BROKEN, an error or a hang-up, is told even where
 * nobody asked: a guest that does not remove the watch then is called in each turn.
 */
enum mproxy_event { MPROXY_READABLE = 1, MPROXY_WRITABLE = 2, MPROXY_BROKEN = 4 };

/** @param events  those that are there */
typedef void (*mproxy_watch_fn)(void *arg, int fd, unsigned events);

/**
 * Call `function` in each turn in which the descriptor is ready for some of `events`, which
 * may be none for now. Each descriptor has one watch at most.
 *
 * @param fd   stays the caller's, who removes the watch before closing it
 * @param out  set on success
 * @return MPROXY_OK, MPROXY_E_EXISTS (watched already), MPROXY_E_INVALID (a file that is
 *         always ready), MPROXY_E_NOMEM, MPROXY_E_SYSTEM
 */
MPROXY_API mproxy_status mproxy_watch_add(mproxy_loop *loop, int fd, unsigned events,
                                          mproxy_watch_fn function, void *arg,
                                          mproxy_watch **out, mproxy_error *err);
/** Watch for other events from now on. @return MPROXY_OK or MPROXY_E_SYSTEM */
MPROXY_API mproxy_status mproxy_watch_set(mproxy_watch *watch, unsigned events,
                                          mproxy_error *err);
MPROXY_API void mproxy_watch_remove(mproxy_watch *watch); /**< accepts NULL */

/* Times. */

typedef struct mproxy_timer mproxy_timer;
typedef void (*mproxy_timer_fn)(void *arg);

/** A timer that is not set. @return MPROXY_OK or MPROXY_E_NOMEM */
MPROXY_API mproxy_status mproxy_timer_new(mproxy_loop *loop, mproxy_timer_fn function,
                                          void *arg, mproxy_timer **out,
                                          mproxy_error *err);
MPROXY_API void mproxy_timer_free(mproxy_timer *timer); /**< accepts NULL */
/**
 * Call once in `delay_ms`, 0: in the next turn, instead of what was set before. Timers that
 * are due are called in the order of their times, those of one time in the order in which
 * they were set.
 */
MPROXY_API void mproxy_timer_set(mproxy_timer *timer, int64_t delay_ms);
/**
 * Call each `period_ms`, 1 or more, the first time after one. Periods that passed while the
 * loop was busy are one call.
 */
MPROXY_API void mproxy_timer_repeat(mproxy_timer *timer, int64_t period_ms);
MPROXY_API void mproxy_timer_stop(mproxy_timer *timer);
MPROXY_API int mproxy_timer_is_set(const mproxy_timer *timer);

/* Other threads. */

typedef struct mproxy_bell mproxy_bell;
typedef void (*mproxy_bell_fn)(void *arg);

/**
 * A bell that any thread rings and the loop hears: the function is called once for all rings
 * since it was called last. The bell must outlive those who ring it.
 *
 * @param out  set on success; release with mproxy_bell_close()
 * @return MPROXY_OK, MPROXY_E_NOMEM or MPROXY_E_SYSTEM
 */
MPROXY_API mproxy_status mproxy_bell_open(mproxy_loop *loop, mproxy_bell_fn function,
                                          void *arg, mproxy_bell **out,
                                          mproxy_error *err);
MPROXY_API void mproxy_bell_close(mproxy_bell *bell); /**< accepts NULL */
/** Any thread or signal handler; errno is kept. */
MPROXY_API void mproxy_bell_ring(mproxy_bell *bell);

/* Work that may take long: on a disk, a file server or a name server. */

typedef struct mproxy_helper
    mproxy_helper; /**< a thread beside the loop's, with a queue */

/**
 * Start a helper thread. It does one thing after the other; its signals are blocked.
 *
 * @param name  of the thread, at most 15 bytes; copied
 * @param max   things that it may have to do at a time
 * @param out   set on success; release with mproxy_helper_close()
 * @return MPROXY_OK, MPROXY_E_NOMEM or MPROXY_E_SYSTEM
 */
MPROXY_API mproxy_status mproxy_helper_open(mproxy_loop *loop, const char *name,
                                            size_t max, mproxy_helper **out,
                                            mproxy_error *err);
/**
 * What was not begun is done unrun, by this call; not from `done`. A thread that hangs in the kernel can't
 * be ended: it is left behind when `timeout_ms` are over.
 *
 * @return nonzero: all is over; 0: it was left behind, and what it works with must never be
 *         freed, nor is its `done` called
 */
MPROXY_API int mproxy_helper_close(mproxy_helper *helper, int timeout_ms);
/**
 * Have something done.
 *
 * @param run   called with `arg` on the helper's thread
 * @param done  called with `arg` afterwards, on the loop's thread, once, in the order of
 *              these calls; `has_run` is 0 when the helper was closed before it began
 * @return MPROXY_OK, MPROXY_E_LIMIT (it has `max` things to do) or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_helper_put(mproxy_helper *helper, void (*run)(void *arg),
                                           void (*done)(void *arg, int has_run),
                                           void *arg);
/** For how long the helper has been at what it does now; 0 when it does nothing. */
MPROXY_API int64_t mproxy_helper_busy_ms(mproxy_helper *helper);

/* Children of this process. */

typedef struct mproxy_child mproxy_child;
/**
 * @param status  as waitpid() tells it; -1: somebody else has waited for it. The handle is
 *                invalid from here on.
 */
typedef void (*mproxy_child_fn)(void *arg, pid_t pid, int status);

/**
 * Wait for a child without SIGCHLD, which is the program's, and reap it.
 *
 * @param out  set on success
 * @return MPROXY_OK or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_child_watch(mproxy_loop *loop, pid_t pid,
                                            mproxy_child_fn function, void *arg,
                                            mproxy_child **out, mproxy_error *err);
/** Stop waiting: the child is not reaped. Accepts NULL. */
MPROXY_API void mproxy_child_forget(mproxy_child *child);

#ifdef __cplusplus
}
#endif
#endif
