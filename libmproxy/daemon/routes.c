// The routing table, made of routes.def and of the files of web/.

#include "daemon/routes.h"

#include "daemon/daemon_private.h"

#define MPX_ROUTE(methods, path, handler, need, types, limit, text)                      \
    {methods, path, handler, need, types, limit, NULL},

const struct mpx_route mpx_routes[] = {
#include "daemon/routes.def"
#include "daemon/assets.def"
};
const size_t mpx_route_count_all = sizeof mpx_routes / sizeof *mpx_routes;
