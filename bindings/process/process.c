// Counts the start and the end of each process.
//
// The end of a process that skips its destructors (_exit, _Exit, quick_exit; dash and
// forked children of Python end so) is seen by standing in for these functions, and of
// syscall(); that of a child of clone() and of the parent in daemon() in clone.c and daemon.c.
// Signals are no ends, and nothing is counted for them; of exec see exec.c.
#include <mproxy/client.h>
#include <mproxy/inline.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/loader.h"
#include "process/leave.h"
#include "process/sandbox.h"

typedef void exit_function(int status);

// Found while the process starts: at its end, looking up symbols may no longer be safe.
static exit_function *next_exit, *next_Exit, *next_quick_exit;

__attribute__((constructor)) static void start(void)
{
    next_exit = (exit_function *)mpx_dlsym(RTLD_NEXT, "_exit");
    next_Exit = (exit_function *)mpx_dlsym(RTLD_NEXT, "_Exit");
    next_quick_exit = (exit_function *)mpx_dlsym(RTLD_NEXT, "quick_exit");
    mproxy_process_started();
    if (mpx_find_runtime())
        mproxy_process_leaves(1);
}

__attribute__((destructor)) static void end(void)
{
    mproxy_process_finished();
}

__thread int mpx_in_vfork __attribute__((tls_model("initial-exec")));

// The end of a child of vfork is not its parent's, whose storage it has.
void mpx_finish(void)
{
    if (!mproxy_thread_has_storage() || !mpx_in_vfork)
        mproxy_process_finished();
}

// `next` is NULL in a process that ends before our constructor ran.
__attribute__((noreturn)) static void end_by(exit_function *next, int status)
{
    mpx_finish();
    if (next)
        next(status);
    for (;;)
        syscall(SYS_exit_group, status);
}

MPROXY_API __attribute__((noreturn)) void _exit(int status)
{
    end_by(next_exit, status);
}

MPROXY_API __attribute__((noreturn)) void _Exit(int status)
{
    end_by(next_Exit, status);
}

MPROXY_API __attribute__((noreturn)) void quick_exit(int status)
{
    end_by(next_quick_exit, status);
}

#if defined(__x86_64__) || defined(__aarch64__)

void mpx_seen_exit(long number, long status)
{
    mpx_finish();
    mpx_syscall *next = mpx_next_syscall ? mpx_next_syscall : mpx_find_syscall();
    for (;;)
        next(number, status);
}

// The end of a thread is that of its process where no other is left. That can't be asked in a
// sandbox, nor of a kernel before 4.11: the end is unseen there.
void mpx_seen_thread_exit(long number, long status)
{
    struct statx st;
    if (mproxy_thread_has_storage() && !mpx_in_vfork &&
        !__atomic_load_n(&mpx_is_inside, __ATOMIC_ACQUIRE) &&
        syscall(SYS_statx, AT_FDCWD, "/proc/self/task", 0, STATX_NLINK, &st) == 0 &&
        st.stx_nlink == 3)
        mpx_finish();
    mpx_syscall *next = mpx_next_syscall ? mpx_next_syscall : mpx_find_syscall();
    for (;;)
        next(number, status);
}

long mpx_seen_exec(long number, unsigned long a, unsigned long b, unsigned long c,
                   unsigned long d, unsigned long e)
{
    mpx_syscall *next = mpx_next_syscall ? mpx_next_syscall : mpx_find_syscall();
    mpx_leave_begin();
    long result = next(number, a, b, c, d, e);
    mpx_leave_end();
    return result;
}

#endif
