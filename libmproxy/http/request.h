// A request as its handler sees it, and the ways to answer it.
//
// A handler runs on one of the server's threads, reads the request, and calls exactly one
// mpx_reply_*(). A handler that cannot answer at once calls mpx_request_defer() instead and
// returns; whoever has the answer, on any thread, calls one mpx_reply_*() and then
// mpx_request_resume(), after which the request must not be touched.
#ifndef MPX_HTTP_REQUEST_H
#define MPX_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include <mproxy/base.h>

#include "base/buf.h"

struct mpx_request;
struct sockaddr;

enum mpx_http_method { MPX_GET = 1, MPX_POST = 2, MPX_PUT = 4, MPX_DELETE = 8 };

// A route's effect, which decides who may use it: see mpx_http_may().
enum mpx_http_need {
    MPX_NEED_NOTHING =
        0, // says no more than that we are here; answers before all is ready
    MPX_NEED_READ = 1,
    MPX_NEED_CHANGE = 2,
};

// One line of the routing table. HEAD is answered wherever GET is.
struct mpx_route {
    unsigned methods; // enum mpx_http_method, or-ed
    const char
        *path; // without a trailing slash; ends in "/*" to take all that lies below
    void (*handle)(struct mpx_request *rq, void *context);
    enum mpx_http_need need;
    // The types a body may have, "TYPE, TYPE" or "*/*"; NULL: a body is ignored.
    const char *types;
    size_t max_body; // in bytes; 0: the server's
    void *context;   // of the handler; NULL: the server's
};

#define MPX_TYPE_JSON "application/json"
#define MPX_TOKEN_COOKIE "mproxy_token"
#define MPX_TYPE_HTML "text/html; charset=utf-8"

enum mpx_http_method mpx_request_method(const struct mpx_request *rq); // GET for HEAD
const char *mpx_request_path(const struct mpx_request *rq);            // decoded
// The rest behind the fixed part of the path of a route that ends in "/*", decoded;
// "" for other routes.
const char *mpx_request_rest(const struct mpx_request *rq);
// The sender's address; NULL when it is not known.
const struct sockaddr *mpx_request_peer(const struct mpx_request *rq);
// The token that it proves itself by: `Authorization: Bearer TOKEN`, else the cookie
// MPX_TOKEN_COOKIE; NULL without one.
const char *mpx_request_token(const struct mpx_request *rq);
// A parameter of the query, decoded; "" without a value, NULL when it is not there.
const char *mpx_request_param(const struct mpx_request *rq, const char *name);
// The parameters in their order. False: there are no more.
bool mpx_request_param_at(const struct mpx_request *rq, size_t index, const char **name,
                          const char **value);
// A header of the request by name, whatever its case; NULL when it is not there.
const char *mpx_request_header(const struct mpx_request *rq, const char *name);
// How much a header such as Accept wants what it names, 0 to 1; 0 when it does not name it,
// whatever its wildcards say. The header may be NULL.
double mpx_http_quality(const char *header, const char *name);
// The body; NULL and 0 when there is none.
const char *mpx_request_body(const struct mpx_request *rq, size_t *length);

// Unpack the body if it was sent as gzip (Content-Encoding), within the limit of its route.
// False: it was answered with a refusal.
bool mpx_request_unpack(struct mpx_request *rq);

// The body is taken from the buffer, which is empty afterwards.
void mpx_reply_buf(struct mpx_request *rq, int code, const char *type,
                   struct mpx_buf *body);
// The bytes are borrowed until `release(arg)`, called on any thread; release may be NULL.
void mpx_reply_held(struct mpx_request *rq, int code, const char *type, const char *bytes,
                    size_t length, void (*release)(void *arg), void *arg);
bool mpx_request_takes_gzip(const struct mpx_request *rq);
// Bodies are packed for clients that accept gzip, each time anew. A caller that keeps
// packed bodies asks whether one of this length shall be packed, and says so of the reply
// then.
bool mpx_request_packs(const struct mpx_request *rq, size_t length);
void mpx_reply_is_packed(struct mpx_request *rq);
// A header of the reply that was made before, instead of the server's own of that name.
bool mpx_request_is_answered(const struct mpx_request *rq);
bool mpx_reply_header(struct mpx_request *rq, const char *name, const char *value);
// Name the version of the reply that was made before, in quotes. A client that has this
// version already gets 304 instead.
void mpx_reply_etag(struct mpx_request *rq, const char *etag);
// {"operation": TEXT, "success": true}, status 200.
void mpx_reply_done(struct mpx_request *rq, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// The same with status 202.
void mpx_reply_accept(struct mpx_request *rq, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// {"operation": TEXT, "success": false}; 503 carries Retry-After.
void mpx_reply_refuse(struct mpx_request *rq, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Write the bytes as gzip; any thread.
// @return MPROXY_OK, MPROXY_E_NOMEM, or what write returned
mproxy_status mpx_gzip(const char *bytes, size_t length, mproxy_write_fn write,
                       void *arg);
// Runs on a thread of its own and writes the body; a write that fails ends it.
typedef mproxy_status (*mpx_produce_fn)(void *arg, mproxy_write_fn write,
                                        void *write_arg);
// A body of any size in bounded memory. `release(arg)` after produce has returned, or when
// it is never called (HEAD).
void mpx_reply_stream(struct mpx_request *rq, const char *type, mpx_produce_fn produce,
                      void (*release)(void *arg), void *arg);

// Server-sent events of these topics (bits) of the server's mpx_events, from now on or from
// where the header Last-Event-ID says; without a thread.
void mpx_reply_events(struct mpx_request *rq, unsigned topics);

// False when the server is about to stop: answer at once then.
bool mpx_request_defer(struct mpx_request *rq);
void mpx_request_resume(struct mpx_request *rq);

#endif
