// One background thread with a queue, for what may take long: disks, file servers that do not
// answer, name servers.
//
//     struct lookup { struct mpx_work work; ... };     // the work is the first member
//     mpx_worker_put(w, &lookup->work);                // runs on the worker's thread
//     mpx_worker_collect(w);                           // done() on the owner's, when fd() is
//                                                      // readable or whenever it likes
//
// Nobody waits for a work without a bound: a thread that hangs in the kernel can't be ended,
// so close() leaves it behind when its time is up, with all that its work uses.
//
// put() by any thread; everything else by one, the owner's.
#ifndef MPX_BASE_WORKER_H
#define MPX_BASE_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mproxy/base.h>

struct mpx_worker;

// One thing to do. It belongs to the worker from put() to done().
struct mpx_work {
    // On the worker's thread.
    void (*run)(struct mpx_work *work);
    // On the owner's thread, once, in the order of put(); may put again. `has_run` is false
    // for what the close came before. Not called for a work that outlives the close.
    void (*done)(struct mpx_work *work, bool has_run);
    // On the worker's thread, instead, for a work that outlived the close; may be NULL.
    void (*left)(struct mpx_work *work);
    struct mpx_work *next; // the worker's
};

// `name` is the thread's, of at most 15 bytes. Signals are blocked there. At most `max` works
// are held at a time. @return MPROXY_OK, MPROXY_E_NOMEM, MPROXY_E_SYSTEM
mproxy_status mpx_worker_open(const char *name, size_t max, struct mpx_worker **out,
                              mproxy_error *err);
// Those not begun are done unrun; the one at work gets `timeout_ms`. False: it is still
// there, and the thread was left behind. Memory that its work uses must never be freed then.
// Accepts NULL.
bool mpx_worker_close(struct mpx_worker *worker, int timeout_ms);

// Readable while there is something to collect.
int mpx_worker_fd(const struct mpx_worker *worker);
// False: as many works as may be are held already, or it is closed; nothing has changed.
bool mpx_worker_put(struct mpx_worker *worker, struct mpx_work *work);
// Call done() of all that have run; how many there were.
size_t mpx_worker_collect(struct mpx_worker *worker);
// Wait until all that was put has run, and collect it. False when the time ran out.
bool mpx_worker_drain(struct mpx_worker *worker, int timeout_ms);
// Works that have not run to their end.
size_t mpx_worker_pending(struct mpx_worker *worker);
// For how long the work that runs has been running; 0 when none does.
int64_t mpx_worker_busy_ms(struct mpx_worker *worker);

#endif
