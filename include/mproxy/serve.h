/**
 * @file mproxy/serve.h
 * A store over HTTP: what its newest snapshot shows, as Prometheus text, OpenMetrics or JSON
 * (docs: http-api.md, "Jobs").
 *
 *     GET /metrics   the sum of all, or a job (`?job=ID`, `*`: all), one metric (`&metric=`)
 *     GET /job       jobs with their counters
 *     GET /job/list  their descriptions; /joblist is the same
 *
 * Bodies that several clients ask for in one round are rendered once; large ones are streamed.
 *
 * Threads: any; handlers run on the server's.
 */
#ifndef MPROXY_SERVE_H
#define MPROXY_SERVE_H

#include <mproxy/http.h>
#include <mproxy/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How many routes mproxy_serve_routes() fills in. */
#define MPROXY_SERVE_ROUTES 4

/**
 * Fill in the routes above, for mproxy_http_options.
 *
 * @param store   shown; must outlive the server
 * @param routes  room for MPROXY_SERVE_ROUTES, the first with its struct_size set
 * @return MPROXY_SERVE_ROUTES, or 0 without a struct_size
 */
MPROXY_API size_t mproxy_serve_routes(mproxy_store *store, mproxy_http_route *routes);

/**
 * A server of these routes and no others: mproxy_http_open() with the rest left at its
 * defaults.
 *
 * @param address  NULL: all interfaces
 * @param port     0: a free one, see mproxy_http_port()
 * @param out      set on success; release with mproxy_http_close(), before the store
 */
MPROXY_API mproxy_status mproxy_serve_open(mproxy_store *store, const char *address,
                                           int port, mproxy_http **out,
                                           mproxy_error *err);

#ifdef __cplusplus
}
#endif
#endif
