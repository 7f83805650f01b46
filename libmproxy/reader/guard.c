#include "reader/guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "base/err.h"

struct window {
    uintptr_t base;
    size_t length; // 0: this thread reads no segment
    volatile sig_atomic_t hit;
};

// Not the default TLS model: that may call malloc when a handler first touches it.
static __thread struct window window __attribute__((tls_model("initial-exec")));

static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;            // guarded by install_lock
static bool in_place;             // guarded by install_lock
static struct sigaction previous; // written before the handler can run

// A segment that lost a page is bad as a whole, so all of it is replaced: replacing one page
// would split the mapping and could fail for want of map entries.
static bool put_zeroes(uintptr_t address)
{
    if (window.length == 0 || address - window.base >= window.length)
        return false;
    void *zeroes = mmap((void *)window.base, window.length, PROT_READ,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    window.hit = 1;
    return zeroes != MAP_FAILED;
}

static void pass_on(int number, siginfo_t *info, void *context)
{
    if (previous.sa_flags & SA_SIGINFO) {
        previous.sa_sigaction(number, info, context);
    } else if (previous.sa_handler == SIG_IGN && info->si_code <= 0) {
        return;
    } else if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
        // Returning repeats the access; the second fault does what it would have done.
        struct sigaction plain = {.sa_handler = SIG_DFL};
        sigaction(SIGBUS, &plain, NULL);
        if (info->si_code <= 0) // sent by kill(): nothing is repeated
            raise(number);
    } else {
        previous.sa_handler(number);
    }
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    // A positive code is the kernel's: a signal sent by somebody carries no address.
    if (info->si_code <= 0 || !put_zeroes((uintptr_t)info->si_addr))
        pass_on(number, info, context);
    errno = saved;
}

mproxy_status mpx_guard_install(mproxy_error *err)
{
    mproxy_status status = MPROXY_OK;
    pthread_mutex_lock(&install_lock);
    if (!in_place) {
        struct sigaction action = {.sa_sigaction = on_sigbus,
                                   .sa_flags = SA_SIGINFO | SA_ONSTACK};
        sigemptyset(&action.sa_mask);
        in_place = sigaction(SIGBUS, NULL, &previous) == 0 &&
                   sigaction(SIGBUS, &action, NULL) == 0;
        if (!in_place)
            status = mpx_fail_errno(err, "handler of SIGBUS");
    }
    if (status == MPROXY_OK)
        users++;
    pthread_mutex_unlock(&install_lock);
    return status;
}

void mpx_guard_remove(void)
{
    pthread_mutex_lock(&install_lock);
    if (users > 0 && --users == 0) {
        struct sigaction now;
        // Somebody who came after us may call our handler for ever: leave it in place.
        if (sigaction(SIGBUS, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
            now.sa_sigaction == on_sigbus)
            in_place = sigaction(SIGBUS, &previous, NULL) != 0;
    }
    pthread_mutex_unlock(&install_lock);
}

void mpx_guard_enter(const void *base, size_t length)
{
    window.base = (uintptr_t)base;
    window.hit = 0;
    window.length = length;
    atomic_signal_fence(memory_order_seq_cst);
}

bool mpx_guard_hit(void)
{
    atomic_signal_fence(memory_order_seq_cst);
    return window.hit != 0;
}

bool mpx_guard_leave(void)
{
    bool hit = mpx_guard_hit();
    window.length = 0;
    return hit;
}
