// The server as other programs see it: the public header's functions on those of this module.
//
// A listening socket, a server that is ready at once, and a copy of the routes, with the
// rights that follow from their methods. The daemon uses the private side, because it listens
// long before it serves and has rights for each route.
//
// Nothing is decided here. A request and a set of events are the private objects under public
// names; each function passes its arguments on. What the private side has as variadic text
// comes as a text, and what it borrows is copied, so that a program need not think about how
// long its strings live.
#include <mproxy/http.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/options.h"
#include "http/listen.h"
#include "http/server.h"

_Static_assert((int)MPROXY_HTTP_GET == MPX_GET && (int)MPROXY_HTTP_POST == MPX_POST &&
                   (int)MPROXY_HTTP_PUT == MPX_PUT &&
                   (int)MPROXY_HTTP_DELETE == MPX_DELETE,
               "methods are passed on as they are");

enum { BACKLOG = 128 };

struct mproxy_http {
    struct mpx_server *server;
    struct mpx_route *routes; // paths and types are ours
    size_t route_count;
    int listen_fd, port;
};

static mproxy_status copy_route(const void *given, struct mpx_route *to,
                                mproxy_error *err)
{
    mproxy_http_route route, *from = &route;
    mproxy_status status =
        MPX_OPTIONS_TAKE(mproxy_http_route, context, &route, given, err);
    if (status != MPROXY_OK)
        return status;
    if (!from->path || from->path[0] != '/' || !from->handle || from->methods == 0)
        return mpx_fail(err, MPROXY_E_INVALID,
                        "route '%.200s': methods, a path from '/' and a handler were "
                        "expected",
                        from->path ? from->path : "");
    char *types = from->body_types ? strdup(from->body_types) : NULL;
    *to = (struct mpx_route){.methods = from->methods,
                             .path = strdup(from->path),
                             .handle = from->handle,
                             .need = from->methods == MPX_GET ? MPX_NEED_READ
                                                              : MPX_NEED_CHANGE,
                             .types = types,
                             .context = from->context};
    if (!to->path || (from->body_types && !types))
        return mpx_fail(err, MPROXY_E_NOMEM, "route '%.200s': no memory", from->path);
    return MPROXY_OK;
}

static mproxy_status copy_routes(struct mproxy_http *h, const mproxy_http_options *o,
                                 mproxy_error *err)
{
    h->routes = calloc(o->route_count + 1, sizeof *h->routes);
    if (!h->routes)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for %zu routes", o->route_count);
    mproxy_status status = MPROXY_OK;
    for (size_t i = 0; i < o->route_count && status == MPROXY_OK; i++) {
        status = copy_route(MPX_STRUCT_AT(o->routes, i), &h->routes[i], err);
        h->route_count++;
    }
    return status;
}

static mproxy_status serve(struct mproxy_http *h, const mproxy_http_options *o,
                           mproxy_error *err)
{
    h->port = o->port;
    mproxy_status status = mpx_listen(o->address, &h->port, &h->listen_fd, err);
    if (status != MPROXY_OK)
        return status;
    struct mpx_server_options options = {.routes = h->routes,
                                         .route_count = h->route_count,
                                         .context = o->context,
                                         .events = o->events,
                                         .listen_fd = h->listen_fd,
                                         .threads = o->threads,
                                         .max_connections = o->max_connections,
                                         .max_body = o->max_body};
    status = mpx_server_open(&options, &h->server, err);
    if (status == MPROXY_OK)
        mpx_server_set_ready(h->server, true);
    return status;
}

mproxy_status mproxy_http_open(const mproxy_http_options *options, mproxy_http **out,
                               mproxy_error *err)
{
    MPX_REQUIRE(options && out, err);
    mproxy_http_options o;
    mproxy_status status =
        MPX_OPTIONS_TAKE(mproxy_http_options, events, &o, options, err);
    if (status != MPROXY_OK)
        return status;
    struct mproxy_http *h = calloc(1, sizeof *h);
    if (!h)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the web server");
    h->listen_fd = -1;
    status = copy_routes(h, &o, err);
    if (status == MPROXY_OK)
        status = serve(h, &o, err);
    if (status == MPROXY_OK)
        *out = h;
    else
        mproxy_http_close(h);
    return status;
}

struct mpx_server *mpx_http_server(const struct mproxy_http *http)
{
    return http->server;
}

int mproxy_http_port(const mproxy_http *http)
{
    return http->port;
}

void mproxy_http_close(mproxy_http *http)
{
    struct mproxy_http *h = http;
    if (!h)
        return;
    mpx_server_close(h->server);
    if (h->listen_fd >= 0)
        close(h->listen_fd);
    for (size_t i = 0; i < h->route_count; i++) {
        free((char *)(uintptr_t)h->routes[i].path);
        free((char *)(uintptr_t)h->routes[i].types);
    }
    free(h->routes);
    free(h);
}

const char *mproxy_request_path(const mproxy_request *request)
{
    return mpx_request_path(request);
}

const char *mproxy_request_param(const mproxy_request *request, const char *name)
{
    return mpx_request_param(request, name);
}

const char *mproxy_request_header(const mproxy_request *request, const char *name)
{
    return mpx_request_header(request, name);
}

const char *mproxy_request_body(const mproxy_request *request, size_t *length)
{
    return mpx_request_body(request, length);
}

void mproxy_reply_bytes(mproxy_request *request, int code, const char *type,
                        const char *bytes, size_t length)
{
    struct mpx_buf body = MPX_BUF_INIT;
    mpx_buf_add(&body, bytes, length);
    if (body.failed) {
        mpx_buf_free(&body);
        mpx_reply_refuse(request, 503, "no memory to answer");
        return;
    }
    mpx_reply_buf(request, code, type, &body);
}

void mproxy_reply_refuse(mproxy_request *request, int code, const char *text)
{
    mpx_reply_refuse(request, code, "%s", text);
}

void mproxy_reply_stream(mproxy_request *request, const char *type,
                         mproxy_status (*produce)(void *arg, mproxy_write_fn write,
                                                  void *write_arg),
                         void (*release)(void *arg), void *arg)
{
    mpx_reply_stream(request, type, produce, release, arg);
}

int mproxy_request_defer(mproxy_request *request)
{
    return mpx_request_defer(request);
}

void mproxy_request_resume(mproxy_request *request)
{
    mpx_request_resume(request);
}

// A token of RFC 9110. What frames the reply is the server's.
static bool is_header_name(const char *name)
{
    static const char signs[] = "!#$%&'*+-.^_`|~0123456789"
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return name[0] != '\0' && name[strspn(name, signs)] == '\0' &&
           strcasecmp(name, "Content-Length") != 0 &&
           strcasecmp(name, "Transfer-Encoding") != 0;
}

static bool is_header_value(const char *value)
{
    for (const char *at = value; *at; at++)
        if (((unsigned char)*at < 0x20 && *at != '\t') || *at == 0x7f)
            return false;
    return true;
}

mproxy_status mproxy_reply_header(mproxy_request *request, const char *name,
                                  const char *value)
{
    MPX_REQUIRE(request && name && value, NULL);
    if (!mpx_request_is_answered(request) || !is_header_name(name) ||
        !is_header_value(value))
        return MPROXY_E_INVALID;
    return mpx_reply_header(request, name, value) ? MPROXY_OK : MPROXY_E_NOMEM;
}

// ---- events

mproxy_status mproxy_events_open(const char *const *topics, unsigned count,
                                 unsigned backlog, mproxy_events **out, mproxy_error *err)
{
    MPX_REQUIRE(topics && count > 0 && count <= MPX_EVENTS_TOPICS_MAX && out, err);
    struct mpx_events_topic list[MPX_EVENTS_TOPICS_MAX];
    for (unsigned i = 0; i < count; i++) {
        if (!topics[i] || topics[i][0] == '\0' || strpbrk(topics[i], "\r\n"))
            return mpx_fail(err, MPROXY_E_INVALID,
                            "topic %u: a name of one line was expected", i);
        list[i] = (struct mpx_events_topic){.name = topics[i],
                                            .backlog = backlog ? backlog : BACKLOG};
    }
    // No two starts of programs that a client may take for one fall into one microsecond.
    const struct mpx_events_options options = {
        .topics = list, .topic_count = count, .origin = mpx_wall_us()};
    return mpx_events_open(&options, out, err);
}

void mproxy_events_close(mproxy_events *events)
{
    mpx_events_close(events);
}

mproxy_status mproxy_events_publish(mproxy_events *events, unsigned topic,
                                    const char *data)
{
    MPX_REQUIRE(events && data, NULL);
    MPX_REQUIRE(mpx_events_has(events, topic), NULL);
    return mpx_events_publish(events, topic, data);
}

void mproxy_reply_events(mproxy_request *request, unsigned topics)
{
    mpx_reply_events(request, topics);
}
