// What HTTP threads ask the event loop to do.
#ifndef MPX_DAEMON_COMMANDS_H
#define MPX_DAEMON_COMMANDS_H

#include <pthread.h>

#include <mproxy/daemon.h>

#include "http/request.h"

// Runs on the event loop's thread; answers rq by one mpx_reply_*(), and does not resume it.
typedef void (*mpx_command_fn)(struct mproxy_daemon *d, struct mpx_request *rq,
                               void *arg);

struct mpx_command;
struct mpx_commands {
    pthread_mutex_t lock; // a lock, because HTTP threads put and the loop takes
    struct mpx_command *first, **last; // guarded by lock, like all below
    size_t count;
    bool closed;
    int event_fd; // readable when there are commands
};

mproxy_status mpx_commands_init(struct mpx_commands *c, mproxy_error *err);
void mpx_commands_fini(struct mpx_commands *c); // none may be left

// Defer the request and queue the command; refused with 503 when the queue is full or
// closed. Any thread. `arg` (may be NULL) is given to free() afterwards in any case.
void mpx_command_send(struct mproxy_daemon *d, struct mpx_request *rq, mpx_command_fn run,
                      void *arg);
// Do all commands there are.
void mpx_commands_run(struct mproxy_daemon *d);
// Refuse those that are left and all that come.
void mpx_commands_close(struct mproxy_daemon *d);

#endif
