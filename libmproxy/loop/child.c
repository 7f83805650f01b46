// Children: a process descriptor each, which is readable when the child has ended. Where
// there is none to be had, an older kernel or no descriptor left, the child is asked for
// every tenth of a second. SIGCHLD is the program's, and a library cannot share it.

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mproxy/loop.h>

#include "base/err.h"

enum { ASK_MS = 100 };

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434 // of every architecture
#endif

struct mproxy_child {
    pid_t pid;
    int fd; // -1: none, and the timer asks
    struct mproxy_watch *watch;
    struct mproxy_timer *timer;
    mproxy_child_fn function;
    void *arg;
};

static void ask(void *arg)
{
    struct mproxy_child *child = arg;
    int status = -1;
    pid_t got;
    do
        got = waitpid(child->pid, &status, WNOHANG);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return;
    struct mproxy_child ended = *child;
    mproxy_child_forget(child);
    ended.function(ended.arg, ended.pid, got < 0 ? -1 : status);
}

static void on_ready(void *arg, int fd, unsigned events)
{
    (void)fd;
    (void)events;
    ask(arg);
}

static bool watch_descriptor(struct mproxy_loop *loop, struct mproxy_child *child)
{
    child->fd = (int)syscall(SYS_pidfd_open, child->pid, 0); // closed on exec
    return child->fd >= 0 && mproxy_watch_add(loop, child->fd, MPROXY_READABLE, on_ready,
                                              child, &child->watch, NULL) == MPROXY_OK;
}

mproxy_status mproxy_child_watch(struct mproxy_loop *loop, pid_t pid,
                                 mproxy_child_fn function, void *arg,
                                 struct mproxy_child **out, mproxy_error *err)
{
    MPX_REQUIRE(loop && pid > 0 && function && out, err);
    struct mproxy_child *child = calloc(1, sizeof *child);
    if (!child)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory to watch child %d", (int)pid);
    *child =
        (struct mproxy_child){.pid = pid, .fd = -1, .function = function, .arg = arg};
    mproxy_status status = MPROXY_OK;
    if (!watch_descriptor(loop, child)) {
        status = mproxy_timer_new(loop, ask, child, &child->timer, err);
        if (status == MPROXY_OK)
            mproxy_timer_repeat(child->timer, ASK_MS);
    }
    if (status == MPROXY_OK)
        *out = child;
    else
        mproxy_child_forget(child);
    return status;
}

void mproxy_child_forget(struct mproxy_child *child)
{
    if (!child)
        return;
    mproxy_watch_remove(child->watch);
    mproxy_timer_free(child->timer);
    if (child->fd >= 0)
        close(child->fd);
    free(child);
}
