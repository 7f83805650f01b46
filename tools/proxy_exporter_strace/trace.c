// Stops of a tracee, as ptrace(2) names them: PTRACE_EVENT_SECCOMP at the beginning of a
// wanted call, a syscall-stop at its end; without a filter two syscall-stops. All other
// stops are passed through: signals are delivered, groups stop, children are traced.
#include "trace.h"

#include <errno.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "count.h"
#include "follow.h"
#include "sample.h"
#include "untraced.h"

enum { SYSCALL_STOP = SIGTRAP | 0x80 };

long trace_options(bool filtered)
{
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE |
                   PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
    // A filtered program whose tracer has died would go on with calls that fail; it is
    // ended instead.
    return filtered ? options | PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL : options;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void resume(const struct trace *trace, const struct tracee *t, int signal)
{
    bool all_stop = !trace->filtered && !trace->first;
    ptrace(t->in_call || all_stop ? PTRACE_SYSCALL : PTRACE_CONT, t->tid, 0,
           (void *)(long)signal);
}

static bool is_wanted(const struct trace *trace, uint64_t number)
{
    return number < CALLS_MAX && trace->calls->wanted[number];
}

// Calls that would show that the thread is kept on one CPU, or hand that on.
static bool shows_affinity(uint64_t number)
{
    for (size_t i = 0; i < CALLS_WATCHED; i++)
        if (number == (uint64_t)calls_watched[i])
            return true;
    return false;
}

static void begin_call(struct trace *trace, struct tracee *t, uint64_t number)
{
    bool wanted = is_wanted(trace, number);
    bool untimed = wanted && trace->samples && !trace->first && number != SYS_execve &&
                   !sample_wants((int)number);
    if (untimed)
        count_hit((int)number);
    t->call = wanted && !untimed ? (int)number : NO_CALL;
    t->was_untraced = trace->filtered && number == SYS_clone && untraced_take(t->tid);
    t->in_call = t->call != NO_CALL || !trace->filtered || t->was_untraced;
    t->begin_ns = now_ns();
    if (!trace->follows)
        return;
    if (shows_affinity(number))
        follow_release();
    else
        follow_stop(t, t->begin_ns);
}

static void end_call(struct trace *trace, struct tracee *t)
{
    int number = t->call;
    t->in_call = false;
    t->call = NO_CALL;
    if (t->was_untraced)
        untraced_put_back(t->tid);
    t->was_untraced = false;
    if (number == NO_CALL || trace->first)
        return;
    uint64_t ns = now_ns() - t->begin_ns;
    int64_t result = 0;
    struct __ptrace_syscall_info info = {0};
    if (call_moves(number) != MOVES_NOTHING &&
        ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, sizeof info, &info) > 0 &&
        info.op == PTRACE_SYSCALL_INFO_EXIT)
        result = info.exit.rval;
    count_hit(number);
    count_time(number, ns * sample_took(number, ns), result);
}

static void on_filter(struct trace *trace, struct tracee *t)
{
    unsigned long number = CALLS_MAX;
    ptrace(PTRACE_GETEVENTMSG, t->tid, 0, &number);
    begin_call(trace, t, number);
}

static void on_syscall(struct trace *trace, struct tracee *t)
{
    struct __ptrace_syscall_info info = {0};
    if (trace->filtered) {
        end_call(trace, t);
        return;
    }
    if (ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, sizeof info, &info) <= 0)
        return;
    if (info.op == PTRACE_SYSCALL_INFO_EXIT)
        end_call(trace, t);
    else if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
        begin_call(trace, t, info.arch == calls_arch() ? info.entry.nr : CALLS_MAX);
}

// A thread that was not the leader has taken the leader's id, and its own is gone.
static struct tracee *on_exec(struct trace *trace, struct tracee *t)
{
    unsigned long former = 0;
    pid_t tid = t->tid;
    ptrace(PTRACE_GETEVENTMSG, tid, 0, &former);
    if (former && (pid_t)former != tid) {
        follow_forget((pid_t)former);
        tracee_rename((pid_t)former, tid);
        t = tracee_find(tid);
    }
    if (tid != trace->first)
        return t;
    trace->first = 0;
    if (!trace->filtered)
        begin_call(trace, t, SYS_execve);
    return t;
}

// A group stop, the first stop of a child, or the answer to PTRACE_INTERRUPT.
static bool is_group_stop(int signal)
{
    return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN ||
           signal == SIGTTOU;
}

static void on_stop(struct trace *trace, struct tracee *t, int status)
{
    int signal = WSTOPSIG(status), event = status >> 16;
    t->parked = false;
    switch (event) {
    case 0:
        if (signal != SYSCALL_STOP) {
            resume(trace, t, signal);
            return;
        }
        on_syscall(trace, t);
        break;
    case PTRACE_EVENT_SECCOMP:
        on_filter(trace, t);
        break;
    case PTRACE_EVENT_EXEC:
        t = on_exec(trace, t);
        break;
    case PTRACE_EVENT_STOP:
        if (!is_group_stop(signal))
            break;
        t->parked = true;
        ptrace(PTRACE_LISTEN, t->tid, 0, 0);
        return;
    default:
        break;
    }
    resume(trace, t, 0);
}

static void on_end(struct trace *trace, pid_t tid)
{
    if (trace->follows)
        follow_forget(tid);
    tracee_remove(tid);
}

// ---- leaving

// Any stop will do; a signal on its way is delivered.
static void leave(struct tracee *t, int status)
{
    int signal = WSTOPSIG(status);
    bool is_signal = status >> 16 == 0 && signal != SYSCALL_STOP;
    ptrace(PTRACE_DETACH, t->tid, 0, (void *)(long)(is_signal ? signal : 0));
    tracee_remove(t->tid);
}

static void interrupt(struct tracee *t, void *arg)
{
    (void)arg;
    ptrace(PTRACE_INTERRUPT, t->tid, 0, 0);
}

static void leave_all(struct trace *trace)
{
    int status;
    tracee_each(interrupt, NULL);
    for (;;) {
        pid_t tid = waitpid(-1, &status, __WALL);
        if (tid < 0 && errno == EINTR)
            continue;
        if (tid < 0)
            return;
        struct tracee *t = WIFSTOPPED(status) ? tracee_find_or_add(tid) : NULL;
        if (!t)
            on_end(trace, tid);
        else
            leave(t, status);
    }
}

void trace_run(struct trace *trace)
{
    int status;
    while (!trace->stop || !*trace->stop) {
        pid_t tid = waitpid(-1, &status, __WALL);
        if (tid < 0 && errno != EINTR)
            return;
        if (trace->follows)
            follow_tick();
        if (tid < 0)
            continue;
        struct tracee *t = WIFSTOPPED(status) ? tracee_find_or_add(tid) : NULL;
        if (t)
            on_stop(trace, t, status);
        else if (WIFSTOPPED(status)) // no memory for it: it goes on, uncounted
            ptrace(PTRACE_CONT, tid, 0, 0);
        else
            on_end(trace, tid);
    }
    leave_all(trace);
}
