// The registration lock: a futex, so that it is one plain word whose state is known after a
// fork, and taken only with signals blocked.

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/state.h"

static _Atomic uint32_t word; // 0 free, 1 held, 2 held and waited for

static long futex(int operation, uint32_t value)
{
    return syscall(SYS_futex, &word, operation, value, NULL, NULL, 0);
}

static void acquire(void)
{
    uint32_t seen = 0;
    if (atomic_compare_exchange_strong_explicit(&word, &seen, 1, memory_order_acquire,
                                                memory_order_relaxed))
        return;
    while (atomic_exchange_explicit(&word, 2, memory_order_acquire) != 0)
        futex(FUTEX_WAIT_PRIVATE, 2);
}

static void give_back(void)
{
    if (atomic_exchange_explicit(&word, 0, memory_order_release) == 2)
        futex(FUTEX_WAKE_PRIVATE, 1);
}

// ---- marks for tracers: see MPROXY_TRACED

enum traced { TRACED_UNKNOWN = 0, TRACED_NOT = 1, TRACED = 2 };
static _Atomic int traced; // enum traced

static void mark(enum mproxy_own_call which)
{
    int known = atomic_load_explicit(&traced, memory_order_relaxed);
    if (known == TRACED_UNKNOWN) {
        known = getenv(MPROXY_TRACED) ? TRACED : TRACED_NOT;
        atomic_store_explicit(&traced, known, memory_order_relaxed);
    }
    if (known == TRACED)
        syscall(SYS_close, which);
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

// The raw system call also blocks the signals that glibc keeps to itself: cancellation, and
// setuid() of another thread.
static void set_signals(const uint64_t *mask, uint64_t *old)
{
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, old, sizeof *mask);
}

void mpx_quiet_begin(struct mpx_hold *h)
{
    // Not those that the program's own faults raise: blocked, they would kill it.
    static const uint64_t all =
        ~(1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1) | 1ull << (SIGFPE - 1) |
          1ull << (SIGILL - 1) | 1ull << (SIGTRAP - 1) | 1ull << (SIGSYS - 1));
    h->saved_errno = errno;
    mpx_own_begin();
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &h->cancel_state);
    set_signals(&all, &h->signals);
}

void mpx_quiet_end(const struct mpx_hold *h)
{
    set_signals(&h->signals, NULL);
    pthread_setcancelstate(h->cancel_state, NULL);
    mpx_own_end();
    errno = h->saved_errno;
}

void mpx_hold(struct mpx_hold *h)
{
    mpx_quiet_begin(h);
    if (mpx_thread.depth++ == 0)
        acquire();
    h->was_inside = mpx_thread.inside;
    mpx_thread.inside = 1;
}

void mpx_release(const struct mpx_hold *h)
{
    mpx_thread.inside = h->was_inside;
    if (mpx_thread.depth > 0 && --mpx_thread.depth == 0)
        give_back();
    mpx_quiet_end(h);
}

// ---- the lock, seen from elsewhere

bool mpx_lock_is_free(void)
{
    return atomic_load_explicit(&word, memory_order_relaxed) == 0;
}

void mpx_lock_reset(void)
{
    mpx_thread.depth = 0;
    mpx_thread.inside = 0;
    atomic_store_explicit(&word, 0, memory_order_release);
}
