// Children: a process descriptor each, which is readable when the child has ended. Where
// there is none to be had, an older kernel or no descriptor left, the child is asked for
// every tenth of a second. SIGCHLD is the program's, and a library cannot share it.

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "loop/loop.h"

enum { ASK_MS = 100 };

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434 // of every architecture
#endif

struct mpx_child {
    pid_t pid;
    int fd; // -1: none, and the timer asks
    struct mpx_watch *watch;
    struct mpx_timer *timer;
    mpx_child_fn function;
    void *arg;
};

static void ask(void *arg)
{
    struct mpx_child *child = arg;
    int status = -1;
    pid_t got;
    do
        got = waitpid(child->pid, &status, WNOHANG);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return;
    struct mpx_child ended = *child;
    mpx_child_forget(child);
    ended.function(ended.arg, ended.pid, got < 0 ? -1 : status);
}

static void on_ready(void *arg, int fd, unsigned events)
{
    (void)fd;
    (void)events;
    ask(arg);
}

static bool watch_descriptor(struct mpx_loop *loop, struct mpx_child *child)
{
    child->fd = (int)syscall(SYS_pidfd_open, child->pid, 0); // closed on exec
    return child->fd >= 0 && mpx_watch_add(loop, child->fd, MPX_READABLE, on_ready, child,
                                           &child->watch, NULL) == MPROXY_OK;
}

mproxy_status mpx_child_watch(struct mpx_loop *loop, pid_t pid, mpx_child_fn function,
                              void *arg, struct mpx_child **out, mproxy_error *err)
{
    struct mpx_child *child = calloc(1, sizeof *child);
    if (!child)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory to watch child %d", (int)pid);
    *child = (struct mpx_child){.pid = pid, .fd = -1, .function = function, .arg = arg};
    mproxy_status status = MPROXY_OK;
    if (!watch_descriptor(loop, child)) {
        status = mpx_timer_new(loop, ask, child, &child->timer, err);
        if (status == MPROXY_OK)
            mpx_timer_repeat(child->timer, ASK_MS);
    }
    if (status == MPROXY_OK)
        *out = child;
    else
        mpx_child_forget(child);
    return status;
}

void mpx_child_forget(struct mpx_child *child)
{
    if (!child)
        return;
    mpx_watch_remove(child->watch);
    mpx_timer_free(child->timer);
    if (child->fd >= 0)
        close(child->fd);
    free(child);
}
