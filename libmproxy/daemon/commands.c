#include "daemon/commands.h"

#include <stdlib.h>

#include "base/err.h"
#include "daemon/daemon_private.h"

enum { QUEUE_MAX = 1024 };

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

static struct mpx_command *take_all(struct mpx_commands *c, bool close_it)
{
    pthread_mutex_lock(&c->lock);
    struct mpx_command *first = c->first;
    c->first = NULL;
    c->last = &c->first;
    c->count = 0;
    c->closed |= close_it;
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

// Do all commands there are.
static void run_all(void *arg)
{
    struct mproxy_daemon *d = arg;
    struct mpx_command *next;
    for (struct mpx_command *at = take_all(&d->commands, false); at; at = next) {
        next = at->next;
        d->commands.kept = false;
        at->run(d, at->rq, at->arg);
        finish(at, d->commands.kept);
    }
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
    return mproxy_bell_open(loop, run_all, d, &c->bell, err);
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
    for (struct mpx_command *at = take_all(&d->commands, true); at; at = next) {
        next = at->next;
        mpx_reply_refuse(at->rq, 503, "the proxy is about to stop");
        finish(at, false);
    }
}
