// Connections and their requests, on libmicrohttpd.
//
// One request's path: on_address, on_head, on_body for each piece of a body, on_end, then
// on_reply and the headers when its reply is sent, on_done. All on the connection's thread.
#ifndef MPX_HTTP_TRANSPORT_H
#define MPX_HTTP_TRANSPORT_H

#include <mproxy/base.h>

#include "http/internal.h"
#include "http/piecewise.h"

enum mpx_next {
    MPX_GO_ON,  // with the request
    MPX_REPLY,  // send the reply that is there
    MPX_LATER,  // the request was deferred
    MPX_HANG_UP // close the connection
};

typedef void (*mpx_add_header_fn)(void *arg, const char *name, const char *value);

struct mpx_exchange {
    // Before anything of the address is parsed. False: its parameters are dropped.
    bool (*on_address)(struct mpx_request *rq, const char *address);
    enum mpx_next (*on_head)(struct mpx_request *rq);
    enum mpx_next (*on_body)(struct mpx_request *rq, const char *bytes, size_t length);
    enum mpx_next (*on_end)(struct mpx_request *rq);
    // Complete the reply, which is sent next.
    void (*on_reply)(struct mpx_request *rq);
    void (*each_header)(struct mpx_request *rq, mpx_add_header_fn add, void *arg);
    // For a reply without bytes. False: it can't be had.
    bool (*open_body)(struct mpx_request *rq, struct mpx_waker waker,
                      struct mpx_piecewise *out);
    void (*on_done)(struct mpx_request *rq); // `rq` is gone afterwards
};

struct mpx_transport_options {
    const struct mpx_exchange *exchange; // must stay
    struct mpx_server *server;           // of each request
    int listen_fd;                       // stays the caller's
    unsigned threads, max_connections, max_listeners;
};

// @return MPROXY_OK, MPROXY_E_NOMEM, MPROXY_E_SYSTEM
mproxy_status mpx_transport_open(const struct mpx_transport_options *options,
                                 struct mpx_transport **out, mproxy_error *err);
// Refuse to suspend any more, from now on.
void mpx_transport_stop(struct mpx_transport *t);
// After mpx_transport_stop(). Waits for those that are suspended. Accepts NULL.
void mpx_transport_close(struct mpx_transport *t);
// Connections that were cut off because too many were there; any thread.
uint64_t mpx_transport_cut_count(struct mpx_transport *t);

int mpx_transport_socket(const struct mpx_request *rq); // -1 when it is not known
// Count a connection among those that listen from now on, whose number has a limit of its
// own. False when its address has more of them than others, and no more are possible.
bool mpx_transport_let_listen(struct mpx_request *rq);

#endif
