// The tracer is a grandchild, so that the command finds no child that it did not make and
// no parent but its own; in a session of its own, so that no terminal's signal reaches it;
// and holds no descriptor, so that nobody who reads the command's output waits for it.
//
// The obvious way round, a tracer that forks the command, would change what the command is:
// its parent, its process group, who gets its exit status, who is killed with whom. Here the
// process that was started becomes the command, and what traces it came out of it.
//
//     command: fork_tracer() ---- meet() ------------------------ filter_install(), exec
//       between: tries a filter, leaves its tracer to init, ends
//         tracer: be_unnoticed, opens the client - news - leave - PTRACE_SEIZE - news - trace
//
// Invariants:
// * Until the tracer has said that it is attached, nothing of the command has changed that it
//   could notice: signal mask, handlers, pending signals, the subreaper's flag are put back.
// * No zombie and no SIGCHLD is left: the process between is waited for with SIGCHLD blocked,
//   and its signal taken, unless one was pending before.
// * The filter is tried in the process between, which ends with what the kernel accepted as
//   its status, for a filter that was put in can't be taken out again. The command puts in
//   the same one only once the tracer is there: without a tracer its calls would fail.
// * Whatever fails before is told by the tracer in words, and the command runs untraced.
#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mproxy/client.h>

#include "filter.h"
#include "trace.h"

// What the tracer says before it traces.
struct news {
    pid_t pid;
    int error; // of ptrace; 0: attached
    char text[200];
};

struct channel {
    int to_tracer, to_command; // ends of a pair of sockets
};

static bool put(int fd, const void *data, size_t size)
{
    return send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static bool take(int fd, void *data, size_t size)
{
    ssize_t got;
    do
        got = read(fd, data, size);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)size;
}

// ---- the tracer's side

static void raise_limit(int resource)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(resource, &limit);
}

static void ask_not_to_be_killed(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!write(fd, "-1000", 5);
    close(fd);
}

static void be_unnoticed(int kept_fd)
{
    sigset_t none;
    setsid();
    for (int signal = 1; signal < NSIG; signal++)
        sigaction(signal, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_NAME, "mproxy-strace");
    ask_not_to_be_killed();
    raise_limit(RLIMIT_CPU);
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        if (fd != null && fd != kept_fd)
            dup2(null, fd);
    if (kept_fd > 3)
        close_range(3, (unsigned)kept_fd - 1, 0);
    close_range(kept_fd < 3 ? 3 : (unsigned)kept_fd + 1, ~0U, 0);
}

// The reason not to trace is told; then nothing is left but to end.
static bool tell(int fd, int error, const char *text)
{
    struct news news = {.pid = getpid(), .error = error};
    snprintf(news.text, sizeof news.text, "%s", text);
    return put(fd, &news, sizeof news) && error == 0;
}

__attribute__((noreturn)) static void be_tracer(const struct start *start, pid_t command,
                                                int fd)
{
    char leave;
    mproxy_error err = {0};
    be_unnoticed(fd);
    mproxy_process_observes();
    bool counts = mproxy_client_status(&err) == MPROXY_OK;
    // Where Yama wants it, the process must name its tracer before it is attached.
    if (!tell(fd, counts ? 0 : EINVAL, err.text) || !take(fd, &leave, sizeof leave))
        _exit(1);
    struct trace trace = {.calls = start->calls,
                          .filtered = leave != FILTER_NONE,
                          .follows = leave != FILTER_NONE && !start->roams,
                          .samples = leave != FILTER_NONE && !start->times_all,
                          .first = command};
    long done = ptrace(PTRACE_SEIZE, command, 0, (void *)trace_options(trace.filtered));
    int error = done == 0 ? 0 : errno;
    const char *why = error == EPERM ? "a tracer or debugger has the process already, or "
                                       "nobody may trace here"
                                     : strerror(error);
    if (!tell(fd, error, why))
        _exit(1);
    close(fd);
    (void)!chdir("/");
    trace_run(&trace);
    _exit(0);
}

// ---- the command's side

// Between the two: leaves the tracer to init, and says what filter can be put in here.
__attribute__((noreturn)) static void be_parent(const struct start *start, pid_t command,
                                                struct channel channel)
{
    pid_t tracer = fork();
    if (tracer == 0) {
        close(channel.to_tracer);
        be_tracer(start, command, channel.to_command);
    }
    if (tracer < 0)
        _exit(100 + errno);
    _exit(start->unfiltered ? FILTER_NONE : (int)filter_try());
}

// The status of the process between, without a trace of it: no signal, no zombie.
static int fork_tracer(const struct start *start, struct channel channel)
{
    sigset_t child, before, pending;
    int subreaper = 0, status = -1;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, &before);
    sigpending(&pending);
    struct sigaction old;
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, &old);
    // Else the tracer would become our child.
    prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    pid_t self = getpid(), between = fork();
    if (between == 0)
        be_parent(start, self, channel);
    while (between > 0 && waitpid(between, &status, 0) < 0 && errno == EINTR)
        ;
    prctl(PR_SET_CHILD_SUBREAPER, subreaper);
    if (!sigismember(&pending, SIGCHLD))
        sigtimedwait(&child, NULL, &(struct timespec){0});
    sigaction(SIGCHLD, &old, NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return between < 0 || !WIFEXITED(status) ? -1 : WEXITSTATUS(status);
}

static bool meet(int fd, char leave, char *why, size_t room)
{
    struct news news = {.error = EPIPE, .text = "the tracer ended"};
    bool ok = take(fd, &news, sizeof news) && news.error == 0;
    if (ok) {
        prctl(PR_SET_PTRACER, news.pid, 0, 0, 0);
        news = (struct news){.error = EPIPE, .text = "the tracer ended"};
        ok = put(fd, &leave, sizeof leave) && take(fd, &news, sizeof news) &&
             news.error == 0;
        prctl(PR_SET_PTRACER, 0, 0, 0, 0);
    }
    if (!ok)
        snprintf(why, room, "%s", news.text);
    return ok;
}

bool start_tracer(const struct start *start, char *why, size_t room)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
        snprintf(why, room, "%s", strerror(errno));
        return false;
    }
    struct channel channel = {fds[0], fds[1]};
    int leave = fork_tracer(start, channel);
    close(channel.to_command);
    bool ok = false;
    if (leave < 0 || leave >= 100)
        snprintf(why, room, "no process for the tracer: %s",
                 strerror(leave < 0 ? EAGAIN : leave - 100));
    else
        ok = meet(channel.to_tracer, (char)leave, why, room);
    close(channel.to_tracer);
    if (!ok || leave == FILTER_NONE)
        return ok;
    // The same filter was accepted in the process between.
    ok = filter_install(start->calls, !start->roams, (enum filter_leave)leave);
    if (!ok)
        snprintf(why, room, "no filter can be put in");
    return ok;
}
