// Tracer and tracee on one CPU.
//
// At each stop one waits for the other, so two CPUs gain nothing, and waking a CPU that
// sleeps costs several times what changing between two programs on one does. The scheduler
// does not know: it puts who is woken where nobody is. So the thread that stops most often
// is kept on one CPU together with the tracer, for a quarter of a second at a time and only
// while it stops thousands of times a second, and it alone: of several busy threads one would
// be served at the cost of the others. It can't see that: before it asks for its affinity,
// and before it makes children, all is as it was.
#ifndef PROXY_EXPORTER_STRACE_FOLLOW_H
#define PROXY_EXPORTER_STRACE_FOLLOW_H

#include "tracees.h"

// It has a new image, whose loader will make some fifty calls in a row.
void follow_exec(struct tracee *t, uint64_t now_ns);
// It stopped, at the beginning of a call.
void follow_stop(struct tracee *t, uint64_t now_ns);
// Give back what was taken, now.
void follow_release(void);
// The same, if it is this thread that was kept.
void follow_forget(pid_t tid);
// After a signal interrupted the tracer: look whether the thread still stops.
void follow_tick(void);

#endif
