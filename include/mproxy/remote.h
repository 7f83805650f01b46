/**
 * @file mproxy/remote.h
 * A client of HTTP servers: other proxies, exporters, Alertmanager. Scrapes, the tree and
 * proxyctl share it.
 *
 * A *remote* keeps connections open between requests and carries any number of requests at a
 * time. It is used in one of two ways: mproxy_remote_ask() waits for one reply;
 * mproxy_remote_start() does not wait, and the caller's event loop watches mproxy_remote_fd()
 * and calls mproxy_remote_dispatch(), which never waits. Host names are resolved by threads of
 * libcurl, so that a dead name server delays nobody else.
 *
 * libcurl is loaded at the first request, since it brings thirty libraries and a MiB of memory
 * that a proxy which asks nobody does not need (docs/decisions/0022).
 *
 * A reply is bounded in size, also after decompression, and in time. A redirect is
 * followed to the same scheme, host and port only. Proxies that the environment names are not
 * used: the servers asked are those of the cluster.
 *
 * Threads: one thread at a time per remote; callbacks run on the thread that dispatches.
 */
#ifndef MPROXY_REMOTE_H
#define MPROXY_REMOTE_H

#include <mproxy/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mproxy_remote mproxy_remote;
typedef struct mproxy_remote_call mproxy_remote_call; /**< a request under way */

/** All fields but struct_size may be zero. Strings are copied. */
typedef struct mproxy_remote_options {
    size_t struct_size;       /**< sizeof(mproxy_remote_options) */
    unsigned max_connections; /**< open at a time, other requests wait; 0: 256 */
    const char *user_agent;   /**< NULL: "mproxy/VERSION" */
} mproxy_remote_options;

/** Strings and body are copied. */
typedef struct mproxy_remote_request {
    size_t struct_size;    /**< sizeof(mproxy_remote_request) */
    const char *url;       /**< http://HOST:PORT/..., as mproxy_remote_url() makes it */
    const char *method;    /**< NULL: GET, or POST with a body */
    const void *body;      /**< NULL: none */
    size_t body_size;      /**< bytes */
    const char *body_type; /**< Content-Type; NULL: application/json */
    const char *accept;    /**< Accept; NULL: anything */
    const char *token;     /**< sent as `Authorization: Bearer TOKEN`; NULL: none */
    uint64_t timeout_ms;   /**< for all of it, resolving the name included; 0: 10,000 */
    size_t max_reply;      /**< bytes of a body; 0: 64 MiB */
} mproxy_remote_request;

/** A server's answer, whatever the code. Borrowed for the callback, or until the next
 *  mproxy_remote_ask(). */
typedef struct mproxy_remote_reply {
    size_t struct_size; /**< sizeof(mproxy_remote_reply), set before it is filled in */
    int code;           /**< 200, 404 ... */
    const char *type;   /**< Content-Type; "" when there was none */
    const char *body;   /**< decompressed, with a NUL behind it */
    size_t body_size;
    double seconds; /**< from the start of the request to the last byte */
} mproxy_remote_reply;

/**
 * Called once for each request that was started and not cancelled.
 *
 * @param status  MPROXY_OK: there is a reply; MPROXY_E_TIMEOUT; MPROXY_E_LIMIT (longer than
 *                max_reply); MPROXY_E_INVALID (redirected elsewhere); MPROXY_E_CORRUPT (no
 *                HTTP); MPROXY_E_SYSTEM (not reached); MPROXY_E_NOMEM
 * @param reply   NULL unless status is MPROXY_OK
 * @param error   text that names the URL and what went wrong; NULL when status is MPROXY_OK
 */
typedef void (*mproxy_remote_done)(void *arg, mproxy_status status,
                                   const mproxy_remote_reply *reply,
                                   const mproxy_error *error);

/**
 * @param options  may be NULL
 * @param out      set on success; release with mproxy_remote_close()
 * @return MPROXY_OK, MPROXY_E_NOMEM, MPROXY_E_SYSTEM, or MPROXY_E_INVALID (options)
 */
MPROXY_API mproxy_status mproxy_remote_open(const mproxy_remote_options *options,
                                            mproxy_remote **out, mproxy_error *err);
/** Requests under way are cancelled. Accepts NULL. */
MPROXY_API void mproxy_remote_close(mproxy_remote *remote);

/**
 * Ask and wait for the reply. Requests that were started go on meanwhile, so their callbacks
 * may be called.
 *
 * @param reply  filled in on success, whatever the server's code
 * @return MPROXY_OK; MPROXY_E_INVALID (struct_size); what mproxy_remote_start() refuses a request
 *         for; or the status that a mproxy_remote_done gets
 */
MPROXY_API mproxy_status mproxy_remote_ask(mproxy_remote *remote,
                                           const mproxy_remote_request *request,
                                           mproxy_remote_reply *reply, mproxy_error *err);

/**
 * Begin a request. `done` is called by a later mproxy_remote_dispatch(), never by this call.
 *
 * @param call  set on success, to cancel it; valid until `done` is called. May be NULL.
 * @return MPROXY_OK, MPROXY_E_INVALID (the URL, a control character in a header),
 *         MPROXY_E_NOMEM, MPROXY_E_UNSUPPORTED (libcurl can't be loaded; the text says why)
 */
MPROXY_API mproxy_status mproxy_remote_start(mproxy_remote *remote,
                                             const mproxy_remote_request *request,
                                             mproxy_remote_done done, void *arg,
                                             mproxy_remote_call **call,
                                             mproxy_error *err);
/** Give a request up: `done` is not called. May be called from a callback. */
MPROXY_API void mproxy_remote_cancel(mproxy_remote_call *call);

/** A descriptor that is readable when dispatch has something to do; stays the remote's. */
MPROXY_API int mproxy_remote_fd(const mproxy_remote *remote);
/** Send and receive what can be, and call back for replies that are whole; never waits. */
MPROXY_API void mproxy_remote_dispatch(mproxy_remote *remote);
/** The number of requests under way. */
MPROXY_API size_t mproxy_remote_count(const mproxy_remote *remote);

/** Longest URL, the NUL included. */
#define MPROXY_REMOTE_URL_MAX 2048
/**
 * The URL of a path at an address as people write it: `HOST`, `HOST:PORT`, `[IPV6]:PORT`, or
 * an http:// or https:// URL, whose own path is put before `path`.
 *
 * @param default_port  where the address says none
 * @param path          begins with '/', already escaped; "" for the address alone
 * @return MPROXY_OK, or MPROXY_E_INVALID with a text that says what was expected
 */
MPROXY_API mproxy_status mproxy_remote_url(const char *address, unsigned default_port,
                                           const char *path,
                                           char out[MPROXY_REMOTE_URL_MAX],
                                           mproxy_error *err);

#ifdef __cplusplus
}
#endif
#endif
