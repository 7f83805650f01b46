// The routing table: which line serves a path, and what each has answered.
#ifndef MPX_HTTP_ROUTE_H
#define MPX_HTTP_ROUTE_H

#include <stdatomic.h>
#include <stdint.h>

#include "http/request.h"

// Statuses that are counted apart; all others count under the last, 0.
enum { MPX_HTTP_CODES = 16 };

struct mpx_route_table {
    const struct mpx_route *routes;
    size_t count;
    _Atomic uint64_t (*counts)[MPX_HTTP_CODES]; // one more than routes: unknown paths
};

// How many bytes of a route's path every path below it starts with; 0: it has none below.
size_t mpx_route_prefix(const struct mpx_route *route);
// The route that names the most of a path, which may end in a slash; NULL when there is
// none. When only the method does not fit, *allow is set to what the path takes, or-ed over
// its routes.
const struct mpx_route *mpx_route_find(const struct mpx_route_table *table,
                                       const char *path, unsigned method,
                                       unsigned *allow);
// Methods as in an Allow header: "GET, HEAD, POST".
void mpx_route_allow_text(unsigned methods, char out[48]);

// Any thread.
void mpx_route_count(struct mpx_route_table *table, const struct mpx_route *route,
                     int code);
// Each path once; unknown ones are "other".
void mpx_route_each(const struct mpx_route_table *table,
                    void (*visit)(void *arg, const char *route, int code, uint64_t count),
                    void *arg);

#endif
