// The HTTP server: connections, limits, routing, replies. Knows nothing of what it serves.
#ifndef MPX_HTTP_SERVER_H
#define MPX_HTTP_SERVER_H

#include <stdint.h>

#include "http/events.h"
#include "http/request.h"

struct mpx_server;

struct mpx_server_options {
    const struct mpx_route *routes; // must stay
    size_t route_count;
    void *context; // given to every handler
    struct mpx_events_hub
        *events;              // for mpx_reply_events(); must outlive the server, or NULL
    int listen_fd;            // stays the caller's; must outlive the server
    unsigned threads;         // 0: 2
    unsigned max_connections; // 0: 1024, or half of the descriptors that are allowed
    unsigned max_listeners;   // beside those; 0: 1024, or an eighth of the descriptors
    unsigned max_streams;     // large replies at one time; 0: 8
    unsigned stream_patience_ms; // so long one may not be read while others wait; 0: 10 s
    size_t max_body;   // of a request, in bytes, unless its route says; 0: 1 MiB
    size_t max_bodies; // of all that are held at one time; 0: 128 MiB
};

// Start to serve: 503 to all routes that need something, until mpx_server_set_ready().
// @return MPROXY_OK, MPROXY_E_NOMEM, MPROXY_E_SYSTEM
mproxy_status mpx_server_open(const struct mpx_server_options *options,
                              struct mpx_server **out, mproxy_error *err);
// Accepts NULL. Every deferred request must have been resumed; streams are cut off, and
// the events are ended.
void mpx_server_close(struct mpx_server *server);
void mpx_server_set_ready(struct mpx_server *server, bool ready); // any thread

// How often each route answered with each status; any thread. Unknown paths: "other".
void mpx_server_each_count(const struct mpx_server *server,
                           void (*visit)(void *arg, const char *route, int code,
                                         uint64_t count),
                           void *arg);

// How many connections were cut off because more than max_connections or max_listeners
// were there; any thread.
uint64_t mpx_server_cut_count(struct mpx_server *server);

// The server behind the public header's.
struct mproxy_http;
struct mpx_server *mpx_http_server(const struct mproxy_http *http);

#endif
