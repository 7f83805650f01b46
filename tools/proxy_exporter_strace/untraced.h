// Children that a program makes with CLONE_UNTRACED: they would not be traced, but inherit
// the filter, and each of their filtered calls would fail. LeakSanitizer makes one. So the
// flag is taken out of the call at its beginning, and put back at its end.
#ifndef PROXY_EXPORTER_STRACE_UNTRACED_H
#define PROXY_EXPORTER_STRACE_UNTRACED_H

#include <stdbool.h>
#include <sys/types.h>

// At the beginning of a clone(): whether it had the flag, which is taken out.
bool untraced_take(pid_t tid);
// At its end, where untraced_take() said true.
void untraced_put_back(pid_t tid);

#endif
