// What syscall.S needs of sandbox.c.
#ifndef MPX_PROCESS_SANDBOX_H
#define MPX_PROCESS_SANDBOX_H

#include "common/loader.h"

typedef long mpx_syscall(long number, ...);

// The C library's syscall(); NULL until it is asked for.
extern MPX_HIDDEN mpx_syscall *mpx_next_syscall;
MPX_HIDDEN mpx_syscall *mpx_find_syscall(void);

// syscall(SYS_seccomp, ...).
MPX_HIDDEN long mpx_seen_seccomp(long number, unsigned long operation,
                                 unsigned long flags, unsigned long filter);

#endif
