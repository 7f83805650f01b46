/**
 * @file mproxy/http.h
 * A small HTTP server: routes, their handlers, and bounds on what one client may cost the
 * others. It knows nothing of what it serves.
 *
 * A handler reads its request and calls exactly one mproxy_reply_*(). One that cannot answer
 * at once calls mproxy_request_defer() instead and returns: whoever has the answer, on any
 * thread, calls one mproxy_reply_*() and then mproxy_request_resume().
 *
 * HEAD is answered wherever GET is; replies are compressed for clients that accept gzip; an
 * unknown path gets 404, a method that a path does not take 405, both with the JSON of
 * mproxy_reply_refuse().
 *
 * Threads: open and close by one thread. Handlers run on threads of the server's, several at
 *          a time; a request is used by one thread at a time, its handler's or, once it is
 *          deferred, the one that answers.
 */
#ifndef MPROXY_HTTP_H
#define MPROXY_HTTP_H

#include <mproxy/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mproxy_http mproxy_http;
/** Opaque; valid until its handler returns or, once deferred, until it is resumed. */
typedef struct mpx_request mproxy_request;
typedef struct mpx_events_hub mproxy_events; /**< opaque; see mproxy_events_open() */

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
    size_t struct_size;  /**< sizeof(mproxy_http_options) */
    const char *address; /**< NULL: all interfaces, IPv4 and IPv6 */
    int port;            /**< 0: a free one, see mproxy_http_port() */
    const mproxy_http_route
        *routes; /**< `route_count` of them, of one struct_size; copied */
    size_t route_count;
    void *context;            /**< given to handlers of routes that have none */
    unsigned threads;         /**< 0: 2 */
    unsigned max_connections; /**< 0: 1024, or half of the descriptors allowed */
    size_t max_body;          /**< bytes of a request's body; 0: 1 MiB */
    mproxy_events *events;    /**< for mproxy_reply_events(); must outlive the server */
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
/**
 * Ends when the last handler has returned; streams and events are cut off. Every deferred
 * request must have been resumed. Accepts NULL.
 */
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

/**
 * Answer later. The request and what it told stay until it is resumed.
 *
 * @return nonzero; 0 when the server is about to stop: answer at once then
 */
MPROXY_API int mproxy_request_defer(mproxy_request *request);
/** Send the reply that was made. The request must not be touched any more. Any thread. */
MPROXY_API void mproxy_request_resume(mproxy_request *request);

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
/**
 * Add a header to the reply that was made before, instead of the server's of that name
 * (Content-Type, Cache-Control, Vary, Retry-After, ...). With a Content-Encoding the bytes are
 * sent as they are. One that is set twice is sent twice.
 *
 * @return MPROXY_OK; MPROXY_E_INVALID: no reply was made, the name is none or one of those that
 *         frame a reply (Content-Length, Transfer-Encoding), or the value has control characters,
 *         such as a line's end; MPROXY_E_NOMEM. The reply is sent without it then.
 */
MPROXY_API mproxy_status mproxy_reply_header(mproxy_request *request, const char *name,
                                             const char *value);

/* Server-sent events: what is published is sent to all who listen. */

/**
 * A set of topics. Each keeps its newest events, so that a listener whose connection broke goes
 * on where it was (Last-Event-ID). One that has missed events is told so by an event `gap`;
 * one that reads too slowly is told and let go. A listener costs its connection, no thread.
 *
 * @param topics   names of one line, `count` of them, at most 32; copied
 * @param backlog  events that each topic keeps; 0: 128
 * @param out      set on success; release with mproxy_events_close()
 * @return MPROXY_OK, MPROXY_E_INVALID (count, a name) or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_events_open(const char *const *topics, unsigned count,
                                            unsigned backlog, mproxy_events **out,
                                            mproxy_error *err);
/** After mproxy_http_close(). Accepts NULL. */
MPROXY_API void mproxy_events_close(mproxy_events *events);
/**
 * Tell all who listen. Never waits for a listener. Any thread.
 *
 * @param topic  place of its name, from 0
 * @param data   the event's text; lines end in "\n", "\r" or both and are told as lines
 * @return MPROXY_OK; MPROXY_E_NOMEM: nobody has heard it, and all will be told of a gap;
 *         MPROXY_E_INVALID (topic)
 */
MPROXY_API mproxy_status mproxy_events_publish(mproxy_events *events, unsigned topic,
                                               const char *data);
/**
 * Answer with the events of these topics (1 << place, or-ed) of the server's, as they come; with
 * status 500 if it has none of them.
 */
MPROXY_API void mproxy_reply_events(mproxy_request *request, unsigned topics);

#ifdef __cplusplus
}
#endif
#endif
