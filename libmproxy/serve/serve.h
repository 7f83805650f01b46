// A store over HTTP, for routes of one's own table; all else is in the public header.
#ifndef MPX_SERVE_SERVE_H
#define MPX_SERVE_SERVE_H

#include <mproxy/serve.h>

#include "http/request.h"

// What is shown, and the node that it is on.
struct mpx_served {
    mproxy_store *store;
    const char *host; // must stay until the request has ended
};

void mpx_serve_metrics(struct mpx_request *rq, const struct mpx_served *of);
void mpx_serve_job(struct mpx_request *rq, const struct mpx_served *of);
void mpx_serve_job_list(struct mpx_request *rq, const struct mpx_served *of);

#endif
