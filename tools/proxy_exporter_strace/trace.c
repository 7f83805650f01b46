// Stops of a tracee, as ptrace(2) names them: PTRACE_EVENT_SECCOMP at the beginning of a
// wanted call, a syscall-stop at its end; without a filter two syscall-stops. All other
// stops are passed through: signals are delivered, groups stop, children are traced.
//
// Tracees are served in rounds. waitpid() always names the first of those that have stopped,
// in the order in which they began; serving each at once would let the first few threads
// stop again and again while the others starve. So all stops that wait are taken first, and
// then served: nobody is served twice before everybody has been served once.
//
// Of one thread there may be two events, when it was killed while it stood: by SIGKILL, or
// by the exec of another thread, which then goes by the leader's number. The second begins
// the next round, and the first is stale: it tells what was counted, but must not resume a
// thread that stands somewhere else by now.
#include "trace.h"

#include <errno.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "count.h"
#include "follow.h"
#include "own.h"
#include "sample.h"
#include "untraced.h"

enum { SYSCALL_STOP = SIGTRAP | 0x80, ROUND_EVENTS = 512, NO_NUMBER = 0xffff };

struct event {
    pid_t tid;
    int status;
};

struct round {
    struct event events[ROUND_EVENTS + 1];
    unsigned count;
    uint64_t number;
};

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
    if (t->stale)
        return;
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
    bool ours = !trace->first && own_takes(t, number);
    bool wanted = !ours && is_wanted(trace, number);
    bool untimed = wanted && trace->samples && !trace->first && number != SYS_execve &&
                   !sample_wants((int)number);
    if (untimed)
        count_hit((int)number);
    t->call = wanted && !untimed ? (int)number : NO_CALL;
    t->was_untraced = trace->filtered && number == SYS_clone && untraced_take(t->tid);
    t->in_call =
        t->call != NO_CALL || !trace->filtered || t->was_untraced || t->wants_result;
    t->begin_ns = now_ns();
    if (!trace->follows)
        return;
    if (shows_affinity(number))
        follow_release();
    else
        follow_stop(t, t->begin_ns);
}

static int64_t result_of(const struct tracee *t)
{
    struct __ptrace_syscall_info info = {0};
    bool known = ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, sizeof info, &info) > 0 &&
                 info.op == PTRACE_SYSCALL_INFO_EXIT;
    return known ? info.exit.rval : 0;
}

static void end_call(struct trace *trace, struct tracee *t)
{
    int number = t->call;
    uint64_t ns = now_ns() - t->begin_ns;
    t->in_call = false;
    t->call = NO_CALL;
    if (t->was_untraced)
        untraced_put_back(t->tid);
    t->was_untraced = false;
    if (t->wants_result)
        own_result(t, result_of(t));
    if (number == NO_CALL || trace->first)
        return;
    int64_t result = call_moves(number) != MOVES_NOTHING ? result_of(t) : 0;
    count_hit(number);
    count_time(number, ns * sample_took(number, ns), result);
}

static void on_filter(struct trace *trace, struct tracee *t)
{
    unsigned long number = NO_NUMBER;
    ptrace(PTRACE_GETEVENTMSG, t->tid, 0, &number);
    begin_call(trace, t, number);
}

static uint64_t number_at_entry(const struct __ptrace_syscall_info *info)
{
    if (info->arch != calls_arch())
        return NO_NUMBER;
    return info->entry.nr == SYS_close ? own_close(info->entry.args[0]) : info->entry.nr;
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
        begin_call(trace, t, number_at_entry(&info));
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
    own_exec(t);
    if (trace->follows)
        follow_exec(t, now_ns());
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
    if (t->stale) {
        if (trace->filtered && event == 0 && signal == SYSCALL_STOP)
            end_call(trace, t);
        return;
    }
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

// ---- rounds

// False when this is a second event of a thread, which waits for the next round.
static bool note(struct round *round, pid_t tid, int status)
{
    struct tracee *t = WIFSTOPPED(status) ? tracee_find_or_add(tid) : tracee_find(tid);
    round->events[round->count++] = (struct event){tid, status};
    if (!t)
        return true;
    t->stale = t->batch == round->number;
    t->batch = round->number;
    return !t->stale;
}

// All stops that wait, or the first that comes. What is left over from the last round, at
// most one, is the first of this. Returns how many are to be served now; -1 when no tracee
// is left, 0 after a signal.
static int gather(struct round *round)
{
    int status, options = round->count > 0 ? WNOHANG : 0;
    round->number++;
    if (round->count > 0) {
        struct event left = round->events[0];
        round->count = 0;
        note(round, left.tid, left.status);
    }
    while (round->count < ROUND_EVENTS) {
        pid_t tid = waitpid(-1, &status, __WALL | options);
        if (tid <= 0)
            return tid < 0 && errno != EINTR && round->count == 0 ? -1
                                                                  : (int)round->count;
        if (!note(round, tid, status))
            return (int)round->count - 1;
        options = WNOHANG;
    }
    return ROUND_EVENTS;
}

static void serve(struct trace *trace, const struct event *event)
{
    bool stopped = WIFSTOPPED(event->status);
    struct tracee *t = stopped ? tracee_find_or_add(event->tid) : NULL;
    if (!stopped) {
        on_end(trace, event->tid);
        return;
    }
    if (!t) { // no memory for it: it goes on, uncounted
        ptrace(PTRACE_CONT, event->tid, 0, 0);
        return;
    }
    on_stop(trace, t, event->status);
}

void trace_run(struct trace *trace)
{
    static struct round round;
    while (!trace->stop || !*trace->stop) {
        int count = gather(&round);
        if (count < 0)
            return;
        if (trace->follows)
            follow_tick();
        for (int i = 0; i < count; i++)
            serve(trace, &round.events[i]);
        if ((unsigned)count < round.count) {
            round.events[0] = round.events[count];
            round.count = 1;
        } else {
            round.count = 0;
        }
    }
    // What was gathered has been served: leaving begins with nothing in hand but that.
    if (round.count > 0)
        serve(trace, &round.events[0]);
    leave_all(trace);
}
