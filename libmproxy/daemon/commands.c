// Commands wait in one queue, in the order in which they came.
//
// A turn of the loop does some of them and no more: a thousand requests that came together
// must not keep the round, or older clients, from their turn. What is left rings the bell
// again, so that all other guests are called in between.

#include "daemon/commands.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "daemon/daemon_private.h"

enum {
    QUEUE_MAX = 1024,
    TURN_MAX = 32,         // commands of one turn of the loop
    TURN_NS = 5 * 1000000, // after which none is begun in it
};

struct mpx_command {
    struct mpx_command *next;
    struct mpx_request *rq;
    mpx_command_fn run;
    void *arg;
};

static bool put(struct mpx_commands *c, struct mpx_command *command)
{
    pthread_mutex_lock(&c->lock);
    bool taken = !c->closed && c->count < QUEUE_MAX;
    if (taken) {
        *c->last = command;
        c->last = &command->next;
        c->count++;
    }
    pthread_mutex_unlock(&c->lock);
    return taken;
}

static struct mpx_command *close_queue(struct mpx_commands *c)
{
    pthread_mutex_lock(&c->lock);
    struct mpx_command *first = c->first;
    c->first = NULL;
    c->last = &c->first;
    c->count = 0;
    c->closed = true;
    pthread_mutex_unlock(&c->lock);
    return first;
}

// *more: others wait behind it.
static struct mpx_command *take_one(struct mpx_commands *c, bool *more)
{
    pthread_mutex_lock(&c->lock);
    struct mpx_command *first = c->first;
    if (first) {
        c->first = first->next;
        c->last = c->first ? c->last : &c->first;
        c->count--;
    }
    *more = c->first != NULL;
    pthread_mutex_unlock(&c->lock);
    return first;
}

static void finish(struct mpx_command *command, bool is_kept)
{
    if (!is_kept)
        mpx_request_resume(command->rq);
    free(command->arg);
    free(command);
}

void mpx_command_send(struct mproxy_daemon *d, struct mpx_request *rq, mpx_command_fn run,
                      void *arg)
{
    struct mpx_commands *c = &d->commands;
    struct mpx_command *command = calloc(1, sizeof *command);
    if (!command || !mpx_request_defer(rq)) {
        free(command);
        free(arg);
        mpx_reply_refuse(rq, 503, "the proxy is about to stop, or has no memory");
        return;
    }
    *command = (struct mpx_command){.rq = rq, .run = run, .arg = arg};
    if (put(c, command)) {
        mproxy_bell_ring(c->bell);
        return;
    }
    mpx_reply_refuse(rq, 503, "%d requests wait for the event loop already", QUEUE_MAX);
    finish(command, false);
}

static void run_some(void *arg)
{
    struct mproxy_daemon *d = arg;
    struct mpx_commands *c = &d->commands;
    int64_t until_ns = mpx_clock_ns(CLOCK_MONOTONIC) + TURN_NS;
    bool more = true;
    for (int i = 0; more && i < TURN_MAX && mpx_clock_ns(CLOCK_MONOTONIC) < until_ns;
         i++) {
        struct mpx_command *command = take_one(c, &more);
        if (!command)
            return;
        c->kept = false;
        command->run(d, command->rq, command->arg);
        finish(command, c->kept);
    }
    if (more)
        mproxy_bell_ring(c->bell);
}

void mpx_command_keep(struct mproxy_daemon *d)
{
    d->commands.kept = true;
}

mproxy_status mpx_commands_open(struct mpx_commands *c, struct mproxy_daemon *d,
                                mproxy_loop *loop, mproxy_error *err)
{
    *c = (struct mpx_commands){.last = &c->first};
    pthread_mutex_init(&c->lock, NULL);
    return mproxy_bell_open(loop, run_some, d, &c->bell, err);
}

void mpx_commands_fini(struct mpx_commands *c)
{
    if (!c->last)
        return;
    mproxy_bell_close(c->bell);
    pthread_mutex_destroy(&c->lock);
    c->last = NULL;
}

void mpx_commands_close(struct mproxy_daemon *d)
{
    struct mpx_command *next;
    for (struct mpx_command *at = close_queue(&d->commands); at; at = next) {
        next = at->next;
        mpx_reply_refuse(at->rq, 503, "the proxy is about to stop");
        finish(at, false);
    }
}
