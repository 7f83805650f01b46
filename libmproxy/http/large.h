// Large replies on their way. Each takes a thread, so their number is bounded; a client that
// does not read on gives its place up when others need it. Any thread may call any function.
#ifndef MPX_HTTP_LARGE_H
#define MPX_HTTP_LARGE_H

#include <pthread.h>
#include <stdint.h>

#include "http/piecewise.h"

struct mpx_large;

struct mpx_larges {
    pthread_mutex_t lock;    // guards all below
    struct mpx_large *first; // those on their way
    unsigned count;          // of them, those that were cut off left out
    unsigned max;            // fixed
    int64_t patience_ms;     // fixed: so long a client may read nothing while others wait
};

void mpx_larges_init(struct mpx_larges *larges, unsigned max, int64_t patience_ms);
void mpx_larges_fini(struct mpx_larges *larges); // none may be left
// Whether there is room for one more. A client that has read nothing for too long is cut off
// for that: its socket is shut down.
bool mpx_larges_have_room(struct mpx_larges *larges);
// Count `body`, which is sent by socket `fd`, until `out`, which stands for it, is closed. The
// descriptor must stay open until then. False when there is no memory.
bool mpx_larges_add(struct mpx_larges *larges, int fd, struct mpx_piecewise body,
                    struct mpx_piecewise *out);

#endif
