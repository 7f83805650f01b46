// What syscall.S needs of sandbox.c and process.c.
#ifndef MPX_PROCESS_SANDBOX_H
#define MPX_PROCESS_SANDBOX_H

#include "common/loader.h"

typedef long mpx_syscall(long number, ...);

// The C library's syscall(); NULL until it is asked for.
extern MPX_HIDDEN mpx_syscall *mpx_next_syscall;
MPX_HIDDEN mpx_syscall *mpx_find_syscall(void);
// The same, before syscall() of clone and clone3 too, with their first two arguments.
MPX_HIDDEN mpx_syscall *mpx_before_syscall(long number, unsigned long first,
                                           unsigned long second);

// vfork() inside a sandbox. Outside it is the C library's.
extern MPX_HIDDEN int mpx_is_inside;
extern MPX_HIDDEN void *mpx_next_vfork;

// syscall(SYS_seccomp, ...).
MPX_HIDDEN long mpx_seen_seccomp(long number, unsigned long operation,
                                 unsigned long flags, unsigned long filter);

// syscall(SYS_prctl, ...).
MPX_HIDDEN long mpx_seen_prctl(long number, unsigned long option, unsigned long a,
                               unsigned long b, unsigned long c, unsigned long d);

// syscall(SYS_exit, ...), SYS_exit_group and of exec.
MPX_HIDDEN void mpx_seen_thread_exit(long number, long status);
MPX_HIDDEN void mpx_seen_exit(long number, long status);
MPX_HIDDEN long mpx_seen_exec(long number, unsigned long a, unsigned long b,
                              unsigned long c, unsigned long d, unsigned long e);

#endif
