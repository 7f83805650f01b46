// The filter that makes wanted calls of a process and its children stop for the tracer.
#ifndef PROXY_EXPORTER_STRACE_FILTER_H
#define PROXY_EXPORTER_STRACE_FILTER_H

#include "calls.h"

enum filter_leave {
    FILTER_NONE = 0,  // no filter can be put in
    FILTER_PLAIN = 1, // as it is
    FILTER_BOUND = 2, // with no_new_privs, which takes privileges from set-uid programs
};

// What is possible here; puts a filter without effect into the calling process.
enum filter_leave filter_try(void);

// Put it in. From now on wanted calls fail with ENOSYS unless a tracer is attached.
// With `watched`, the calls of calls_watched stop too.
bool filter_install(const struct calls *calls, bool watched, enum filter_leave leave);

#endif
