// Filters of system calls (seccomp) that a process has been given before its first
// instruction: one may kill it for a call that the program itself never makes.
#ifndef MPX_BASE_FILTERS_H
#define MPX_BASE_FILTERS_H

#include <stdbool.h>

#define MPX_FILTERS_VARIABLE "MPROXY_FILTERS"

// Whether there are more than proxy_run had on this host. False where it did not say how many.
// Made of calls that the loader makes as well: open, read and close.
bool mpx_filters_are_more(void);

// By proxy_run: say in the environment, as "BOOT-ID N", how many it has here. False when there
// is no memory.
bool mpx_filters_tell(void);

#endif
