// Filters of system calls (seccomp) that a process has been given before its first
// instruction: one may kill it for a call that the program itself never makes.
#ifndef MPX_BASE_FILTERS_H
#define MPX_BASE_FILTERS_H

#include <stdbool.h>

#define MPX_FILTERS_VARIABLE "MPROXY_FILTERS"

// How many filters this process has; 0 where that can't be told. Made of calls that the
// loader makes as well: open, read and close.
unsigned mpx_filters_count(void);

// Whether there are more than proxy_run had. False where it did not say how many.
bool mpx_filters_are_more(void);

#endif
