// Sees a program make a process that shares its memory and runs beside it, on the same thread-local
// storage: from then on both count as one thread by atomic additions. Seen are the C library's
// clone() and syscall() of clone and clone3; what is made by instructions of the program's own is
// not. Of a child with memory of its own it sees that its function returns, which ends it.
#include <mproxy/client.h>

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include "common/loader.h"
#include "process/leave.h"
#include "process/sandbox.h"

// With CLONE_VFORK only one of the two runs.
static void look_at(unsigned long flags)
{
    if ((flags & (CLONE_VM | CLONE_VFORK | CLONE_SETTLS)) == CLONE_VM)
        mproxy_thread_shared();
}

typedef int clone_function(int (*run)(void *), void *stack, int flags, void *arg, ...);
static clone_function *next_clone;

__attribute__((constructor)) static void find_clone(void)
{
    if (!next_clone)
        next_clone = (clone_function *)mpx_dlsym(RTLD_NEXT, "clone");
}

struct called {
    int (*run)(void *);
    void *arg;
};

// In the child, whose copy of the caller's stack has what is called.
static int run_to_its_end(void *arg)
{
    const struct called *called = arg;
    int status = called->run(called->arg);
    mpx_finish();
    return status;
}

MPROXY_API int clone(int (*run)(void *), void *stack, int flags, void *arg, ...)
{
    va_list list;
    va_start(list, arg);
    pid_t *parent = va_arg(list, pid_t *);
    void *area = va_arg(list, void *);
    pid_t *child = va_arg(list, pid_t *);
    va_end(list);
    find_clone(); // another library's constructor may come before ours
    look_at((unsigned long)flags);
    struct called called = {run, arg};
    if (run && !(flags & CLONE_VM)) {
        run = run_to_its_end;
        arg = &called;
    }
    if (next_clone)
        return next_clone(run, stack, flags, arg, parent, area, child);
    errno = ENOSYS;
    return -1;
}

#if defined(__x86_64__) || defined(__aarch64__)

// The first words of what clone3 is given.
struct clone3_arguments {
    uint64_t flags;
};

mpx_syscall *mpx_before_syscall(long number, unsigned long first, unsigned long second)
{
    if (number == SYS_clone)
        look_at(first);
    if (number == SYS_clone3 && first && second >= sizeof(struct clone3_arguments))
        look_at(((const struct clone3_arguments *)first)->flags);
    return mpx_next_syscall ? mpx_next_syscall : mpx_find_syscall();
}

#endif
