// The tracer's loop: stops of tracees, one after the other.
#ifndef PROXY_EXPORTER_STRACE_TRACE_H
#define PROXY_EXPORTER_STRACE_TRACE_H

#include <signal.h>

#include "calls.h"
#include "tracees.h"

struct trace {
    const struct calls *calls;
    bool filtered; // wanted calls stop by a filter; else all calls stop
    bool follows;  // see follow.h
    bool samples;  // see sample.h
    // Nothing is counted before an exec of this one; 0: from the start.
    pid_t first;
    volatile sig_atomic_t *stop; // set by a signal handler: leave all alone; may be NULL
};

// What a tracee is seized with.
long trace_options(bool filtered);

// Until the last tracee is gone, or has been left alone.
void trace_run(struct trace *trace);

#endif
