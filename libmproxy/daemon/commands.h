// Commands: changes that HTTP threads ask the event loop to make.
#ifndef MPX_DAEMON_COMMANDS_H
#define MPX_DAEMON_COMMANDS_H

#include <pthread.h>

#include <mproxy/daemon.h>

#include "http/request.h"
#include <mproxy/loop.h>

// Runs on the event loop's thread; answers rq by one mpx_reply_*(), and does not resume it.
typedef void (*mpx_command_fn)(struct mproxy_daemon *d, struct mpx_request *rq,
                               void *arg);

struct mpx_command;
struct mpx_commands {
    bool kept;            // of the loop's thread: the request of the command that runs
    pthread_mutex_t lock; // a lock, because HTTP threads put and the loop takes
    struct mpx_command *first, **last; // guarded by lock, like all below
    size_t count;
    bool closed;
    mproxy_bell *bell; // rung for each command
};

// A guest of the loop from here on, which does the commands that come, some in each turn.
mproxy_status mpx_commands_open(struct mpx_commands *c, struct mproxy_daemon *d,
                                mproxy_loop *loop, mproxy_error *err);
void mpx_commands_fini(struct mpx_commands *c); // none may be left; accepts a zeroed one

// Defer the request and queue the command; refused with 503 when the queue is full or
// closed. Any thread. `arg` (may be NULL) is given to free() afterwards in any case.
void mpx_command_send(struct mproxy_daemon *d, struct mpx_request *rq, mpx_command_fn run,
                      void *arg);
// From a command: its request stays deferred, and is answered and resumed by somebody else.
void mpx_command_keep(struct mproxy_daemon *d);
// Refuse those that are left and all that come.
void mpx_commands_close(struct mproxy_daemon *d);

#endif
