#include "untraced.h"

#include <elf.h>
#include <linux/sched.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#if defined __x86_64__
#define FIRST_ARGUMENT rdi
#elif defined __aarch64__
#define FIRST_ARGUMENT regs[0]
#endif

#ifdef FIRST_ARGUMENT
static bool change(pid_t tid, unsigned long long from, unsigned long long to)
{
    struct user_regs_struct regs;
    struct iovec all = {&regs, sizeof regs};
    if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &all) != 0 ||
        (regs.FIRST_ARGUMENT & CLONE_UNTRACED) != from)
        return false;
    regs.FIRST_ARGUMENT ^= from ^ to;
    return ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &all) == 0;
}

bool untraced_take(pid_t tid)
{
    return change(tid, CLONE_UNTRACED, 0);
}

void untraced_put_back(pid_t tid)
{
#ifdef __x86_64__ // elsewhere the result is there by now
    change(tid, 0, CLONE_UNTRACED);
#else
    (void)tid;
#endif
}
#else
bool untraced_take(pid_t tid)
{
    (void)tid;
    return false;
}

void untraced_put_back(pid_t tid)
{
    (void)tid;
}
#endif
