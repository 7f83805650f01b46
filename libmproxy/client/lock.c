// The registration lock: a futex word that names its holder.
//
// It is never held over anything that is not ours: between mpx_hold() and mpx_release() there are
// system calls of our own and our own memory, no function that another library may stand in
// for, no allocator, no loader, no handler of fork(). So nobody who waits for it can be
// waiting for himself.
//
// It can't be lost with its holder. All signals are blocked but SIGSYS, which a filter of system
// calls raises and a handler answers; what remains is a holder that is killed (a child of
// vfork, which shares our memory) and a handler of SIGSYS that jumps away. Whoever waits asks
// after a moment whether the holder still lives, and takes its place: what the holder left half
// done is finished or undone (resume.c), as in a forked child that finds it so. A number from
// another PID namespace tells nothing: such a holder is waited for, and keeps the lock.
// A thread that finds itself to be the holder is in a handler, or has left one by a jump:
// its stack tells. Waiting is bounded, whatever a holder does: one that was waited for in vain
// is not waited for again, but asked after now and then, for it may be killed later.
//
// The word lies in the page that fork wipes; whether somebody was changing something lies
// outside, and is what a child finds.

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/environment.h"
#include "base/clock.h"
#include "base/sys.h"
#include "client/state.h"

enum {
    // Beside the holder's thread id, which is below 2^22: somebody waits; the number is one of
    // another PID namespace.
    WAITED = 1 << 30,
    ABROAD = 1 << 29,
    STEP_MS_MAX = 50,
    NEAR = 64 << 10,
};
#define PATIENCE_NS INT64_C(2000000000)
#define COOKIE UINT64_C(0x6d70782d686f6c64)

static _Atomic uint32_t *the_word(void)
{
    return &mpx_guard.lock;
}

// ---- marks for tracers: see MPROXY_TRACED

enum traced { TRACED_UNKNOWN = 0, TRACED_NOT = 1, TRACED = 2 };
static _Atomic int traced; // enum traced

static void mark(enum mproxy_own_call which)
{
    int known = atomic_load_explicit(&traced, memory_order_relaxed);
    if (known == TRACED_UNKNOWN) {
        known = mpx_variable(MPROXY_TRACED) ? TRACED : TRACED_NOT;
        atomic_store_explicit(&traced, known, memory_order_relaxed);
    }
    if (known == TRACED)
        mpx_sys_raw(SYS_close, which, 0, 0, 0, 0, 0);
}

void mpx_own_begin(void)
{
    mark(MPROXY_OWN_BEGIN);
}

void mpx_own_end(void)
{
    mark(MPROXY_OWN_END);
}

// ---- signals

static void set_signals(int how, const uint64_t *mask, uint64_t *old)
{
    mpx_sys_raw(SYS_rt_sigprocmask, how, (long)mask, (long)old, sizeof *mask, 0, 0);
}

static void block_signals(struct mpx_hold *h)
{
    // The kernel kills for SIGSYS where it is blocked. Nothing of ours raises the others that
    // tell of faults; sent by somebody, they can wait. Blocked is also what glibc keeps to
    // itself: cancellation, and setuid() of another thread.
    uint64_t all = ~(1ull << (SIGSYS - 1));
    h->saved_errno = *mpx_errno();
    mpx_own_begin();
    set_signals(SIG_BLOCK, &all, &h->signals); // what the program blocks stays blocked
}

static void unblock_signals(const struct mpx_hold *h)
{
    set_signals(SIG_SETMASK, &h->signals, NULL);
    mpx_own_end();
    *mpx_errno() = h->saved_errno;
}

void mpx_quiet_begin(struct mpx_hold *h)
{
    // Faults are not ours alone here: malloc() may be the program's.
    static const uint64_t all =
        ~(1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1) | 1ull << (SIGFPE - 1) |
          1ull << (SIGILL - 1) | 1ull << (SIGTRAP - 1) | 1ull << (SIGSYS - 1));
    h->saved_errno = errno;
    mpx_own_begin();
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &h->cancel_state);
    set_signals(SIG_BLOCK, &all, &h->signals);
}

void mpx_quiet_end(const struct mpx_hold *h)
{
    set_signals(SIG_SETMASK, &h->signals, NULL);
    pthread_setcancelstate(h->cancel_state, NULL);
    mpx_own_end();
    errno = h->saved_errno;
}

// ---- who holds it

static bool is_on_other_stack(void)
{
    stack_t stack = {0};
    mpx_sys_raw(SYS_sigaltstack, 0, (long)&stack, 0, 0, 0, 0);
    return stack.ss_flags & SS_ONSTACK;
}

// The calling thread is the holder: has it left by a jump? A handler that interrupted it lies
// below its frame, which is as it was.
static bool was_left(const struct mpx_hold *h)
{
    if (is_on_other_stack())
        return false;
    uintptr_t here = (uintptr_t)h, there = (uintptr_t)h->outer;
    return here >= there || (there - here < NEAR && h->outer->cookie != COOKIE);
}

// The kernel forgets a thread's list in what the thread clones, and libc tells it anew in a fork.
static long robust_list(void **head)
{
    size_t length;
    *head = NULL;
    return mpx_sys_raw(SYS_get_robust_list, 0, (long)head, (long)&length, 0, 0, 0);
}

void mpx_client_take_pid(void)
{
    void *head;
    int pid = mpx_getpid();
    bool is_first = pid == 1 && robust_list(&head) == 0 && head;
    atomic_store(&mpx_client.is_first, is_first);
    atomic_store(&mpx_client.pid, pid);
}

bool mpx_client_is_this(void)
{
    void *head;
    int pid = mpx_getpid();
    if (atomic_load(&mpx_client.pid) != pid)
        return false;
    return pid != 1 || !atomic_load(&mpx_client.is_first) || robust_list(&head) != 0 ||
           head;
}

// Whether numbers of processes mean here what they mean to the process itself: a child of
// vfork or clone that shares our memory may live in another PID namespace, and sees no parent
// there. Its own children of that kind are taken for abroad too, which is the safe side.
static bool is_at_home(void)
{
    int home = atomic_load(&mpx_client.pid);
    return home == 0 || mpx_client_is_this() || home == mpx_getppid();
}

enum fate { ALIVE, GONE, UNKNOWN };

// ALIVE: a thread of ours that is there; or a child that shares our memory and has not ended
// (one that nobody has waited for yet can still be asked for).
static enum fate fate_of(int tid)
{
    siginfo_t info = {0};
    if (mpx_sys_raw(SYS_tgkill, mpx_getpid(), tid, 0, 0, 0, 0) == 0)
        return ALIVE;
    if (mpx_sys_raw(SYS_waitid, P_PID, tid, (long)&info,
                    WEXITED | WNOHANG | WNOWAIT | __WALL, 0, 0) == 0)
        return info.si_pid == tid ? GONE : ALIVE;
    return mpx_sys_raw(SYS_kill, tid, 0, 0, 0, 0, 0) == -ESRCH ? GONE : UNKNOWN;
}

// Neither a thread nor a child of this process has that number, but somebody: used again.
// Not for a child of vfork, which may be waiting for a thread of its parent.
static bool is_stranger(enum fate fate)
{
    return fate == UNKNOWN && atomic_load(&mpx_client.pid) == mpx_getpid();
}

// ---- taking it

static bool exchange(uint32_t from, uint32_t to)
{
    return atomic_compare_exchange_strong_explicit(
        the_word(), &from, to, memory_order_acquire, memory_order_relaxed);
}

static void wait_for(uint32_t seen, int ms)
{
    struct timespec t = {.tv_nsec = ms * 1000000L};
    mpx_sys_raw(SYS_futex, (long)the_word(), FUTEX_WAIT_PRIVATE, seen, (long)&t, 0, 0);
}

// Whether the lock is to be had though its holder can't give it back.
static bool is_lost(uint32_t self, uint32_t holder, bool is_late)
{
    if ((self | holder) & ABROAD)
        return false;
    enum fate fate = fate_of((int)holder);
    return fate == GONE || (is_late && is_stranger(fate));
}

// Not more often than a waiter would.
static bool is_lost_by_now(uint32_t self, uint32_t holder)
{
    static _Atomic int64_t asked;
    int64_t now = mpx_clock_ns(CLOCK_MONOTONIC), before = atomic_load(&asked);
    return now - before >= STEP_MS_MAX * INT64_C(1000000) &&
           atomic_compare_exchange_strong(&asked, &before, now) &&
           is_lost(self, holder, true);
}

static enum mpx_held acquire(const struct mpx_hold *h)
{
    uint32_t self = h->word;
    int64_t since = 0; // by the clock: whoever is woken finds the lock taken now and then
    int step = 1;
    while (!exchange(0, since ? self | WAITED : self)) {
        uint32_t seen = atomic_load(the_word()), holder = seen & ~(uint32_t)WAITED;
        if (seen == 0)
            continue;
        if (holder == self)
            return was_left(h) ? MPX_HELD : MPX_HELD_BY_CALLER;
        if (atomic_load(&mpx_client.given_up) == seen) {
            if (!is_lost_by_now(self, holder))
                return MPX_HELD_TOO_LONG;
            if (exchange(seen, self | WAITED))
                return MPX_HELD;
            continue;
        }
        if (!(seen & WAITED) && !exchange(seen, seen | WAITED))
            continue;
        seen |= WAITED;
        since = since ? since : mpx_clock_ns(CLOCK_MONOTONIC);
        wait_for(seen, step);
        step = step * 2 < STEP_MS_MAX ? step * 2 : STEP_MS_MAX;
        if (atomic_load(the_word()) != seen)
            continue;
        bool is_late = mpx_clock_ns(CLOCK_MONOTONIC) - since >= PATIENCE_NS;
        if (is_lost(self, holder, is_late) && exchange(seen, self | WAITED))
            return MPX_HELD;
        if (is_late)
            atomic_store(&mpx_client.given_up, seen);
    }
    return MPX_HELD;
}

enum mpx_held mpx_hold(struct mpx_hold *h)
{
    block_signals(h);
    h->cookie = COOKIE;
    h->outer = mpx_thread.hold;
    h->word = (uint32_t)mpx_gettid() | (is_at_home() ? 0 : ABROAD);
    mpx_thread.hold = h;
    atomic_signal_fence(memory_order_seq_cst);
    enum mpx_held held = acquire(h);
    if (held != MPX_HELD) {
        mpx_thread.hold = h->outer;
        unblock_signals(h);
        return held;
    }
    atomic_store(&mpx_client.given_up, 0);
    h->must_resume = atomic_exchange(&mpx_client.unfinished, true);
    return MPX_HELD;
}

void mpx_release(struct mpx_hold *h)
{
    uint32_t seen = atomic_load(the_word());
    bool is_ours = (seen & ~(uint32_t)WAITED) == h->word;
    if (is_ours)
        atomic_store_explicit(&mpx_client.unfinished, false, memory_order_release);
    // Somebody may begin to wait meanwhile. A lock that was taken from us is not ours to open.
    while (is_ours && !atomic_compare_exchange_weak_explicit(the_word(), &seen, 0,
                                                             memory_order_release,
                                                             memory_order_relaxed))
        is_ours = (seen & ~(uint32_t)WAITED) == h->word;
    if (is_ours && (seen & WAITED))
        mpx_sys_raw(SYS_futex, (long)the_word(), FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
    h->cookie = 0;
    mpx_thread.hold = NULL;
    unblock_signals(h);
}
