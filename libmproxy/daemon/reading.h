// Requests that need a file below the prefix. A worker of their own reads it, and nobody waits
// for a file server that does not answer: a request is refused after a bound, and those that
// come meanwhile at once.
//
// Threads: the event loop's, but for what is said.
#ifndef MPX_DAEMON_READING_H
#define MPX_DAEMON_READING_H

#include <mproxy/profile.h>

#include "base/buf.h"
#include "http/request.h"

struct mproxy_daemon;
struct mpx_listing;
struct mpx_plan;
struct mpx_readings;

// What to read and how; results are the worker's until it is answered.
struct mpx_read {
    char *jobid;              // or NULL
    struct mpx_plan *plan;    // or NULL
    struct mpx_listing *list; // or NULL
    mproxy_status status;
    mproxy_error err;
    mproxy_profile *profile;
    struct mpx_buf text;
};

// On the worker's thread.
typedef void (*mpx_read_fn)(mproxy_archive *archive, struct mpx_read *read);
// On the loop's: one mpx_reply_*(). What it takes out of `read` is its own.
typedef void (*mpx_answer_fn)(struct mpx_request *rq, struct mpx_read *read);

// @param name  of the helper thread
mproxy_status mpx_readings_open(struct mproxy_daemon *d, const char *name,
                                struct mpx_readings **out, mproxy_error *err);
// Refuse those that wait and all that come.
void mpx_readings_stop(struct mpx_readings *r); // accepts NULL
// False: it hangs in a read, and the archive must not be closed. Accepts NULL.
bool mpx_readings_close(struct mpx_readings *r);

// From a command: keep the request, read, answer. Takes what `what` holds.
void mpx_reading_start(struct mpx_readings *r, struct mpx_request *rq, mpx_read_fn run,
                       mpx_answer_fn answer, const struct mpx_read *what);

#endif
