// The routing table. A new route is a line here and its handler; what it needs decides who
// may use it (http/access.c), which headers it asks for and whether it answers before the
// first round is done.

#include "daemon/routes.h"

#include "daemon/daemon_private.h"

#define GET_OR_POST (MPX_GET | MPX_POST)

const struct mpx_route mpx_routes[] = {
    {MPX_GET, "/", mpx_route_index, MPX_NEED_READ},
    {MPX_GET, "/index.html", mpx_route_index, MPX_NEED_READ},
    {MPX_GET, "/is_admire_proxy.html", mpx_route_recognise, MPX_NEED_NOTHING},
    {MPX_GET, "/job", mpx_route_job, MPX_NEED_READ},
    {MPX_GET, "/job/list", mpx_route_job_list, MPX_NEED_READ},
    {MPX_GET, "/joblist", mpx_route_job_list, MPX_NEED_READ},
    {MPX_GET, "/metrics", mpx_route_metrics, MPX_NEED_READ},
    {MPX_GET, "/api/v1/sd", mpx_route_discovery, MPX_NEED_READ},
    {MPX_GET, "/api/v1/status", mpx_route_status, MPX_NEED_READ},
    {GET_OR_POST, "/push", mpx_route_push, MPX_NEED_CHANGE},
    {GET_OR_POST, "/accumulate", mpx_route_accumulate, MPX_NEED_CHANGE},
    {GET_OR_POST, "/set", mpx_route_set, MPX_NEED_CHANGE},
    {MPX_GET, "/alarms", mpx_route_alarms, MPX_NEED_READ},
    {MPX_GET, "/alarms/list", mpx_route_alarms, MPX_NEED_READ},
    {MPX_GET, "/profiles", mpx_route_profiles, MPX_NEED_READ},
    {MPX_GET, "/profiles/percmd", mpx_route_percmd, MPX_NEED_READ},
    {MPX_GET, "/percmd", mpx_route_percmd, MPX_NEED_READ},
    {MPX_GET, "/profiles/get", mpx_route_profile, MPX_NEED_READ},
    {MPX_GET, "/get", mpx_route_profile, MPX_NEED_READ},
    {MPX_GET, "/profiles/extrap", mpx_route_extrap, MPX_NEED_READ},
    {MPX_GET, "/join/list", mpx_route_scrapes, MPX_NEED_READ},
    {MPX_GET, "/topo", mpx_route_topo, MPX_NEED_READ},
    {MPX_GET, "/period", mpx_route_period, MPX_NEED_READ},
    {MPX_GET, "/-/healthy", mpx_route_healthy, MPX_NEED_NOTHING},
    {MPX_GET, "/-/ready", mpx_route_ready, MPX_NEED_READ},
};
const size_t mpx_route_count_all = sizeof mpx_routes / sizeof *mpx_routes;
