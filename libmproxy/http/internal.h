// What the files of this module share.
#ifndef MPX_HTTP_INTERNAL_H
#define MPX_HTTP_INTERNAL_H

#include <stdatomic.h>

#include "http/server.h"

// Statuses that are counted apart; all others count under the last, 0.
enum { MPX_HTTP_CODES = 14 };

struct mpx_route_table {
    const struct mpx_route *routes;
    size_t count;
    _Atomic uint64_t (*counts)[MPX_HTTP_CODES]; // one more than routes: unknown paths
};

struct mpx_http_reply {
    int code; // 0: not answered yet
    const char *type;
    const char *bytes;
    size_t length;
    void (*release)(void *arg);
    void *release_arg;
    mpx_produce_fn produce; // a stream, when set
    bool gzipped;
};

struct mpx_request {
    struct mpx_server *server;
    struct MHD_Connection *connection;
    const struct mpx_route *route; // NULL: unknown path
    const char *path;              // decoded; the library's, until the request ends
    unsigned method;               // 0: one we do not know
    bool is_head;
    bool begun;    // its head is there
    bool started;  // the handler has run
    bool deferred; // the handler answers later
    struct mpx_buf body;
    size_t received; // bytes of the body, kept or not
    struct mpx_http_reply reply;
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
void mpx_route_count(struct mpx_route_table *table, const struct mpx_route *route,
                     int code);
void mpx_route_each(struct mpx_route_table *table,
                    void (*visit)(void *arg, const char *route, int code, uint64_t count),
                    void *arg);

// Find the route of a request whose head is there; what speaks against the request is put
// into its reply.
void mpx_http_admit(struct mpx_request *rq, const struct mpx_route_table *table,
                    bool ready, const char *path, const char *method);
// False when the address, as it was sent, can't be taken: refused then.
bool mpx_http_check_address(struct mpx_request *rq, const char *address);
// False when nobody can tell where the body ends: refused then, and the connection can't be
// used any more.
bool mpx_http_check_framing(struct mpx_request *rq);
// What Content-Length says; 0 without one.
uint64_t mpx_http_announced_length(const struct mpx_request *rq);
// The one place that decides what a request may do.
// @return 0, or 401 or 403 with the reason in err
int mpx_http_may(const struct mpx_request *rq, enum mpx_http_need need,
                 mproxy_error *err);

// Give back what a reply holds.
void mpx_http_reply_clear(struct mpx_http_reply *reply);
// Whether an Accept-Encoding header allows gzip.
bool mpx_http_wants_gzip(const char *accept_encoding);
// Compress a reply that is held; leaves it as it is when there is no memory.
void mpx_http_reply_gzip(struct mpx_http_reply *reply);

#endif
