// Handlers, one line each in routes.c; `context` is the daemon.
#ifndef MPX_DAEMON_ROUTES_H
#define MPX_DAEMON_ROUTES_H

#include "http/request.h"

// routes_jobs.c: what is shown now
void mpx_route_job(struct mpx_request *rq, void *context);
void mpx_route_job_list(struct mpx_request *rq, void *context);
void mpx_route_metrics(struct mpx_request *rq, void *context);
void mpx_route_discovery(struct mpx_request *rq, void *context);
void mpx_route_alarms(struct mpx_request *rq, void *context);
// routes_profiles.c: finished jobs
void mpx_route_profiles(struct mpx_request *rq, void *context);
void mpx_route_percmd(struct mpx_request *rq, void *context);
void mpx_route_profile(struct mpx_request *rq, void *context);
void mpx_route_extrap(struct mpx_request *rq, void *context);
// routes_counters.c: counters that people raise
void mpx_route_push(struct mpx_request *rq, void *context);
void mpx_route_accumulate(struct mpx_request *rq, void *context);
void mpx_route_set(struct mpx_request *rq, void *context);
// routes_operations.c: the proxy itself
void mpx_route_healthy(struct mpx_request *rq, void *context);
void mpx_route_ready(struct mpx_request *rq, void *context);
void mpx_route_status(struct mpx_request *rq, void *context);
void mpx_route_period(struct mpx_request *rq, void *context);
void mpx_route_scrapes(struct mpx_request *rq, void *context);
void mpx_route_topo(struct mpx_request *rq, void *context);
// pages.c: what browsers read
void mpx_route_index(struct mpx_request *rq, void *context);
void mpx_route_recognise(struct mpx_request *rq, void *context);

#endif
