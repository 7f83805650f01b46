// Sees a program enter a sandbox of seccomp, in which a system call that it does not expect
// may kill it: the client then makes none. Filters come by prctl(), or as libseccomp does it
// by syscall(), which is looked at on x86-64 and arm64 only. What stands behind both is looked
// up while the process starts: a child of clone() without thread-local storage can't.
#include <mproxy/inline.h>

#include <errno.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/loader.h"
#include "process/sandbox.h"

// A filter was taken: later ones that are refused lift nothing, and vfork() is ours.
int mpx_is_inside;

// Told before the call, or it would be too late; taken back when there is no sandbox.
static long enter(long (*call)(const unsigned long *arguments),
                  const unsigned long *arguments)
{
    if (!mproxy_thread_has_storage())
        return call(arguments);
    mproxy_process_confined(1);
    long result = call(arguments);
    if (result >= 0) {
        __atomic_store_n(&mpx_is_inside, 1, __ATOMIC_RELEASE);
    } else if (!__atomic_load_n(&mpx_is_inside, __ATOMIC_ACQUIRE)) {
        int saved = errno;
        mproxy_process_confined(0);
        errno = saved;
    }
    return result;
}

static int (*next_prctl)(int option, ...);

__attribute__((constructor)) static void find_next(void)
{
    if (next_prctl)
        return;
    next_prctl = (int (*)(int, ...))mpx_dlsym(RTLD_NEXT, "prctl");
#if defined(__x86_64__) || defined(__aarch64__)
    mpx_find_syscall();
    mpx_next_vfork = mpx_dlsym(RTLD_NEXT, "vfork");
#endif
}

static long call_prctl(const unsigned long *a)
{
    find_next(); // another library's constructor may come before ours
    return next_prctl ? next_prctl((int)a[0], a[1], a[2], a[3], a[4])
                      : syscall(SYS_prctl, a[0], a[1], a[2], a[3], a[4]);
}

// A filter of NULL is a question: whether there are filters.
static bool enters_by_prctl(const unsigned long *a)
{
    return a[0] == PR_SET_SECCOMP &&
           (a[1] == SECCOMP_MODE_STRICT || (a[1] == SECCOMP_MODE_FILTER && a[2]));
}

MPROXY_API int prctl(int option, ...)
{
    va_list list;
    unsigned long a[5] = {(unsigned long)option};
    va_start(list, option);
    for (int i = 1; i < 5; i++)
        a[i] = va_arg(list, unsigned long);
    va_end(list);
    return (int)(enters_by_prctl(a) ? enter(call_prctl, a) : call_prctl(a));
}

#if defined(__x86_64__) || defined(__aarch64__)

mpx_syscall *mpx_next_syscall;
void *mpx_next_vfork;

mpx_syscall *mpx_find_syscall(void)
{
    mpx_next_syscall = (mpx_syscall *)mpx_dlsym(RTLD_NEXT, "syscall");
    return mpx_next_syscall;
}

static long call_seccomp(const unsigned long *a)
{
    mpx_syscall *next = mpx_next_syscall ? mpx_next_syscall : mpx_find_syscall();
    return next((long)a[0], a[1], a[2], a[3]);
}

static long call_syscall_prctl(const unsigned long *a)
{
    mpx_syscall *next = mpx_next_syscall ? mpx_next_syscall : mpx_find_syscall();
    return next(SYS_prctl, a[0], a[1], a[2], a[3], a[4]);
}

long mpx_seen_prctl(long number, unsigned long option, unsigned long a, unsigned long b,
                    unsigned long c, unsigned long d)
{
    (void)number;
    const unsigned long all[] = {option, a, b, c, d};
    return enters_by_prctl(all) ? enter(call_syscall_prctl, all)
                                : call_syscall_prctl(all);
}

long mpx_seen_seccomp(long number, unsigned long operation, unsigned long flags,
                      unsigned long filter)
{
    const unsigned long a[] = {(unsigned long)number, operation, flags, filter};
    bool enters = operation == SECCOMP_SET_MODE_STRICT ||
                  (operation == SECCOMP_SET_MODE_FILTER && filter);
    return enters ? enter(call_seccomp, a) : call_seccomp(a);
}

#endif
