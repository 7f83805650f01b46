// Setting a tracer on the calling process, before it becomes the command.
#ifndef PROXY_EXPORTER_STRACE_START_H
#define PROXY_EXPORTER_STRACE_START_H

#include "calls.h"

struct start {
    const struct calls *calls;
    bool unfiltered; // stop at every call
    bool roams;      // leave affinity alone
    bool times_all;  // do not sample
};

// A tracer of this process, which is no child of it, waits for its next exec. False, with the
// reason in `why`, when there is none; the process can go on as it is in any case.
bool start_tracer(const struct start *start, char *why, size_t room);

#endif
