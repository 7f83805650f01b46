// A request and its reply, as the files of this module see them.
//
// They call each other in one direction: server -> transport -> crowd, and
// server -> admit -> {route, reply} -> request. Transport reaches the server
// through the functions that it was opened with.
#ifndef MPX_HTTP_INTERNAL_H
#define MPX_HTTP_INTERNAL_H

#include <stdint.h>
#include <sys/socket.h>

#include "http/request.h"

struct mpx_server;
struct mpx_transport;
struct MHD_Connection;

enum mpx_field_kind { MPX_FIELD_HEADER, MPX_FIELD_PARAM, MPX_FIELD_COOKIE };

// A header, parameter or cookie; texts are the connection's and stay until the request ends.
struct mpx_field {
    enum mpx_field_kind kind;
    const char *name, *value;
};

struct mpx_http_reply {
    int code; // 0: not answered yet
    const char *type;
    const char *bytes;
    size_t length;
    void (*release)(void *arg);
    void *release_arg;
    mpx_produce_fn produce; // a stream, when set
    unsigned topics;        // events, when set: what is listened to
    bool gzipped;
    struct mpx_buf headers; // "NAME\0VALUE\0", as the handler set them
};

struct mpx_request {
    struct mpx_server *server;
    struct mpx_transport *transport;
    struct MHD_Connection *connection;
    const struct mpx_route *route; // NULL: unknown path
    const char *path;              // decoded; the connection's, until the request ends
    const struct sockaddr *peer;   // the same; NULL: not known
    struct mpx_field *fields;      // ours
    size_t field_count;
    size_t head_size; // bytes of request line and headers
    const char *method_name;
    unsigned method; // 0: one we do not know
    bool is_head;
    bool begun;    // its head is there
    bool started;  // the handler has run
    bool deferred; // the handler answers later
    struct mpx_buf body;
    uint64_t received; // bytes of the body, kept or not
    size_t held;       // bytes of it that count in the server's budget
    struct mpx_http_reply reply;
};

// request.c
// The value of Content-Length; 0 without one.
uint64_t mpx_request_announced(const struct mpx_request *rq);

// admit.c: each puts what speaks against a request into its reply.
// False when the address, as it was sent, can't be taken.
bool mpx_http_check_address(struct mpx_request *rq, const char *address);
// False when nobody can tell where the body ends: the connection can't be used any more.
bool mpx_http_check_framing(struct mpx_request *rq);
// Whether a request whose route is known may go on; `allow`: methods of the path when its
// own is none of them.
void mpx_http_admit(struct mpx_request *rq, unsigned allow, bool ready);

// gunzip.c: append what the bytes unpack to.
// @return MPROXY_OK, MPROXY_E_INVALID (no gzip), MPROXY_E_LIMIT (more than max), MPROXY_E_NOMEM
mproxy_status mpx_gunzip(const char *bytes, size_t length, size_t max,
                         struct mpx_buf *out, mproxy_error *err);

// reply.c
// What a refusal says, and what is done: {"operation":TEXT,"success":BOOL}.
void mpx_http_put_operation(struct mpx_buf *out, const char *text, bool success);
void mpx_http_reply_clear(struct mpx_http_reply *reply); // gives back what it holds
// Compress a reply that is held; leaves it as it is when there is no memory.
void mpx_http_reply_gzip(struct mpx_http_reply *reply);
// A header that the handler set; NULL when it did not.
const char *mpx_http_reply_header(const struct mpx_http_reply *reply, const char *name);

#endif
