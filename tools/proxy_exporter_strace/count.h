// The counters: strace___hits___NAME and so on, made when a call is seen first.
#ifndef PROXY_EXPORTER_STRACE_COUNT_H
#define PROXY_EXPORTER_STRACE_COUNT_H

#include <stdint.h>

// A call that began, or ended.
void count_hit(int number);
// Time of a call, or of several; result as the kernel returned it, negative for errors.
void count_time(int number, uint64_t ns, int64_t result);

// How many were counted.
uint64_t count_total(void);

#endif
