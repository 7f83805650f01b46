/**
 * @file mproxy/http.h
 * A small HTTP server: routes, their handlers, and bounds on what one client may cost the
 * others. It knows nothing of what it serves.
 *
 * A handler reads its request and calls exactly one mproxy_reply_*(). HEAD is answered
 * wherever GET is; replies are compressed for clients that accept gzip; an unknown path gets
 * 404, a method that a path does not take 405, both with the JSON of mproxy_reply_refuse().
 *
 * Threads: open and close by one thread. Handlers run on threads of the server's, several at
 *          a time; a request is used by its handler only.
 */
#ifndef MPROXY_HTTP_H
#define MPROXY_HTTP_H

#include <mproxy/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mproxy_http mproxy_http;
typedef struct mpx_request mproxy_request; /**< opaque; valid until its handler returns */

/** Methods of requests; or-ed in a route. */
typedef enum mproxy_http_method {
    MPROXY_HTTP_GET = 1,
    MPROXY_HTTP_POST = 2,
    MPROXY_HTTP_PUT = 4,
    MPROXY_HTTP_DELETE = 8
} mproxy_http_method;

/** A line of the routing table. Strings are copied. */
typedef struct mproxy_http_route {
    size_t struct_size; /**< sizeof(mproxy_http_route) */
    unsigned methods;   /**< of mproxy_http_method, or-ed */
    const char *path;   /**< "/a/b", or "/a/" followed by "*" for all that lies below */
    void (*handle)(mproxy_request *request, void *context);
    const char *body_types; /**< "TYPE, TYPE" or any; NULL: a body is ignored */
    void *context;          /**< given to its handler; NULL: that of the options */
} mproxy_http_route;

/** Strings are copied. */
typedef struct mproxy_http_options {
    size_t struct_size;              /**< sizeof(mproxy_http_options) */
    const char *address;             /**< NULL: all interfaces, IPv4 and IPv6 */
    int port;                        /**< 0: a free one, see mproxy_http_port() */
    const mproxy_http_route *routes; /**< `route_count` of them, copied */
    size_t route_count;
    void *context;            /**< given to handlers of routes that have none */
    unsigned threads;         /**< 0: 2 */
    unsigned max_connections; /**< 0: 1024, or half of the descriptors allowed */
    size_t max_body;          /**< bytes of a request's body; 0: 1 MiB */
} mproxy_http_options;

/**
 * Listen and serve.
 *
 * @param out  set on success; release with mproxy_http_close()
 * @return MPROXY_OK, MPROXY_E_INVALID (address, options), MPROXY_E_BUSY (the port is taken;
 *         the text names by which program), MPROXY_E_SYSTEM, MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_http_open(const mproxy_http_options *options,
                                          mproxy_http **out, mproxy_error *err);
/** The port that it listens at. */
MPROXY_API int mproxy_http_port(const mproxy_http *http);
/** Ends when the last handler has returned; streams are cut off. Accepts NULL. */
MPROXY_API void mproxy_http_close(mproxy_http *http);

/** The path asked for, decoded. */
MPROXY_API const char *mproxy_request_path(const mproxy_request *request);
/** A parameter of the query, decoded; "" without a value, NULL when it is not there. */
MPROXY_API const char *mproxy_request_param(const mproxy_request *request,
                                            const char *name);
/** A header by name, whatever its case; NULL when it is not there. */
MPROXY_API const char *mproxy_request_header(const mproxy_request *request,
                                             const char *name);
/** The body; NULL and a length of 0 when there is none. */
MPROXY_API const char *mproxy_request_body(const mproxy_request *request, size_t *length);

/** Answer with these bytes, which are copied. @param type  Content-Type; must stay */
MPROXY_API void mproxy_reply_bytes(mproxy_request *request, int code, const char *type,
                                   const char *bytes, size_t length);
/** Refuse: `{"operation": TEXT, "success": false}`, with a code of 400 or above. */
MPROXY_API void mproxy_reply_refuse(mproxy_request *request, int code, const char *text);
/**
 * Answer 200 with a body of any size in bounded memory.
 *
 * @param type     Content-Type; must stay
 * @param produce  called with `arg` on a thread of its own to write the body; a write that
 *                 fails ends it. Not called for HEAD.
 * @param release  called with `arg` when produce has returned or is not going to be called;
 *                 may be NULL
 */
MPROXY_API void mproxy_reply_stream(mproxy_request *request, const char *type,
                                    mproxy_status (*produce)(void *arg,
                                                             mproxy_write_fn write,
                                                             void *write_arg),
                                    void (*release)(void *arg), void *arg);

#ifdef __cplusplus
}
#endif
#endif
