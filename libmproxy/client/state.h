// What the client keeps for the process and for each thread.
//
// Rules that hold it together:
// - `mpx_guard.intact` is tested before anything is written. The kernel wipes it in a child
//   of fork or of a raw clone, never in one of vfork, which shares our memory.
// - `mproxy_lane.busy` is set around an update. A signal handler that finds it set counts in
//   row 0 by atomic additions and leaves the thread's row alone.
// - Everything else changes under one lock, with signals blocked, so that a handler never
//   waits for the thread that it interrupted. See lock.c for what it is not held over and why it
//   can't be lost.
// - A forked child takes over what its parent had published: nothing waits for fork(), and
//   fork() waits for nothing.
#ifndef MPX_CLIENT_STATE_H
#define MPX_CLIENT_STATE_H

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <mproxy/client.h>
#include <mproxy/inline.h>
#include <mproxy/job.h>

#include "writer/writer.h"

#define MPX_HIDDEN __attribute__((visibility("hidden")))
#define MPX_NO_SLOT UINT32_MAX

enum mpx_thread_state {
    MPX_THREAD_NEW = 0,
    MPX_THREAD_ROW = 1,    // has a row of its own
    MPX_THREAD_SHARED = 2, // counts in row 0 for good
};

// What a thread has beside its mproxy_lane, which is all that an update touches.
struct mpx_thread {
    struct mpx_hold *hold;  // of the lock, if this thread has it
    int64_t before_fork_ns; // when its last fork() was about to be; 0: there was none
    int *errno_at;          // its errno; NULL before that
    uint32_t row;
    uint8_t state;   // enum mpx_thread_state
    uint8_t full;    // the row cannot be extended
    uint8_t opening; // inside mpx_client_open()
};
_Static_assert(sizeof(struct mpx_thread) + sizeof(struct mproxy_lane) <= 64,
               "fits the static TLS of preloading");

extern MPX_HIDDEN _Thread_local struct mpx_thread mpx_thread
    __attribute__((tls_model("initial-exec")));

// errno. The function that tells where that is costs a child that has just been forked 3 us, the
// first touch of its code.
static inline int *mpx_errno(void)
{
    return mpx_thread.errno_at ? mpx_thread.errno_at : &errno;
}

// As large as pages can be, for it is wiped in whole pages.
#ifdef __x86_64__
enum { MPX_GUARD_SIZE = 4096 };
#else
enum { MPX_GUARD_SIZE = 65536 };
#endif
struct mpx_guard {
    _Alignas(MPX_GUARD_SIZE) _Atomic uint32_t intact;
    _Atomic uint32_t lock; // lock.c: nobody holds it in a child
    char rest_of_page[MPX_GUARD_SIZE - 2 * sizeof(uint32_t)];
};
extern MPX_HIDDEN struct mpx_guard mpx_guard;

enum mpx_client_state {
    MPX_CLIENT_UNOPENED = 0,
    MPX_CLIENT_OPEN = 1,
    MPX_CLIENT_OFF = 2,
};

// A forked child pays for each page that it writes to: what it writes begins a page, with the
// writer's.
struct mpx_client {
    _Alignas(MPX_SEG_PAGE) _Atomic int state; // enum mpx_client_state
    _Atomic bool armed;                       // the guard has been set up once
    _Atomic bool dead;     // a child that can never be told from its parent: no counting
    _Atomic bool started;  // mproxy_process_started() was called
    _Atomic bool finished; // mproxy_process_finished() was called
    _Atomic bool forked;   // this image began by a fork
    _Atomic bool observes; // mproxy_process_observes() was called
    _Atomic bool confined; // a system call may be our last
    _Atomic int pid;       // whose segment it is
    _Atomic bool
        is_first; // that is pid 1, and libc has told the kernel of its lists of locks
    _Atomic uint64_t *shared;  // row 0
    struct mpx_writer *writer; // guarded by the lock
    uint32_t free_rows;        // rows.c: how many there are; guarded by the lock
    long peak_kib;             // of memory, when this image began; 0 after a fork
    unsigned reasons;          // why nobody reads what we count; enum mpx_off_reason
    // Of the lock (lock.c): somebody holds it, or did when it was lost; the word of a holder that
    // was waited for in vain.
    _Atomic bool unfinished;
    _Atomic uint32_t given_up;
    _Alignas(64) char room[MPX_WRITER_SIZE]; // of the writer
    char dir_path[PATH_MAX];
    char jobid[MPROXY_JOB_ID_MAX + 1];
};
_Static_assert(offsetof(struct mpx_client, room) <= 512,
               "a forked child writes to one page: writer/parts.h");
extern MPX_HIDDEN struct mpx_client mpx_client;

// ---- lock.c

struct mpx_hold {
    uint64_t cookie;
    uint32_t word;          // as the lock is while this holds it
    struct mpx_hold *outer; // what this thread seemed to hold already
    uint64_t signals;
    int cancel_state;
    int saved_errno;
    bool must_resume; // a holder of before did not come to its end
};
// The calling process gets to be the client; whether it is. A child that shares the client's memory
// and is pid 1 of a PID namespace, as the client is of its own, is not: the kernel has no list of
// its locks.
void mpx_client_take_pid(void);
bool mpx_client_is_this(void);
// Tell a tracer, where there is one, that the calls between are our own; errno is lost.
void mpx_own_begin(void);
void mpx_own_end(void);
// Block signals and cancellation, and keep errno; own calls. For what may run other people's
// code: not together with the lock.
void mpx_quiet_begin(struct mpx_hold *h);
void mpx_quiet_end(const struct mpx_hold *h);
enum mpx_held {
    MPX_HELD = 0,
    MPX_HELD_BY_CALLER = 1, // it is in a handler that interrupted what holds it
    MPX_HELD_TOO_LONG = 2,  // by somebody who was waited for in vain
};
// Take the lock, with signals blocked; own calls. Unless it is held, nothing is blocked. Where
// must_resume is set, see mpx_client_hold(). Neither waits without a bound.
enum mpx_held mpx_hold(struct mpx_hold *h);
void mpx_release(struct mpx_hold *h);

// ---- process.c

// Open the process's segment, once. True when the process counts.
bool mpx_client_open(void);
// The guard is wiped: make this process a client of its own. False when it cannot count.
bool mpx_client_recover(void);
// Whether system calls may kill us: nothing that needs one is done.
static inline bool mpx_client_is_confined(void)
{
    return atomic_load_explicit(&mpx_client.confined, memory_order_relaxed);
}
// MPROXY_E_OFF with the reason.
mproxy_status mpx_client_fail_off(mproxy_error *err);

// ---- resume.c

// Hold the lock, all that it guards being whole; as mpx_hold().
enum mpx_held mpx_client_hold(struct mpx_hold *h);
// With the lock held, the writer being whole: so is all else.
void mpx_client_complete(void);

// ---- rows.c

// Give the calling thread a row, or a longer one. False when it has to use row 0.
bool mpx_rows_prepare(struct mpx_thread *t);
// Once per process, before the first row.
void mpx_rows_init(void);
// In a forked child: all rows are free but the one that an update is pending on, which is
// returned; 0 when there is none.
uint32_t mpx_rows_reset(struct mpx_thread *t, bool update_is_pending);

#endif
