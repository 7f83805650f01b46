// Handlers of all routes, in routes_*.c and pages.c; `context` is the daemon.
#ifndef MPX_DAEMON_ROUTES_H
#define MPX_DAEMON_ROUTES_H

#include "http/request.h"

#define MPX_ROUTE(methods, path, handler, need, types, limit, text)                      \
    void handler(struct mpx_request *rq, void *context);
#include "daemon/routes.def"
#include "daemon/assets.def"
#undef MPX_ROUTE

#endif
