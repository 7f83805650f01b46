// A server with a few routes, and clients of it on real sockets.
#ifndef TESTS_SUPPORT_HTTP_FIXTURE_H
#define TESTS_SUPPORT_HTTP_FIXTURE_H

#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/listen.h"
#include "http/server.h"

static struct mpx_server *server;
static struct mpx_events_hub *events;
static int listen_fd, port;
static char reply[1 << 20];
static size_t reply_size;
static pthread_t answerer;

static void on_echo(struct mpx_request *rq, void *context)
{
    (void)context;
    const char *key = mpx_request_param(rq, "key");
    size_t length;
    const char *body = mpx_request_body(rq, &length);
    if (!key && !body)
        mpx_reply_refuse(rq, 400, "parameter 'key': a name was expected");
    else
        mpx_reply_done(rq, "%.*s", key ? (int)strlen(key) : (int)length,
                       key ? key : body);
}

static void on_rest(struct mpx_request *rq, void *context)
{
    (void)context;
    size_t length;
    mpx_request_body(rq, &length);
    mpx_reply_done(rq, "rest '%s' and %zu bytes", mpx_request_rest(rq), length);
}

static void on_long(struct mpx_request *rq, void *context)
{
    (void)context;
    static char text[5000];
    memset(text, 'x', sizeof text);
    mpx_reply_held(rq, 200, "text/plain", text, sizeof text, NULL, NULL);
}

static mproxy_status produce(void *arg, mproxy_write_fn write, void *write_arg)
{
    char block[1000];
    memset(block, 'y', sizeof block);
    for (size_t left = *(size_t *)arg; left > 0; left -= sizeof block)
        if (write(write_arg, block, sizeof block) != MPROXY_OK)
            return MPROXY_E_SYSTEM;
    return MPROXY_OK;
}

static void on_stream(struct mpx_request *rq, void *context)
{
    (void)context;
    size_t *size = malloc(sizeof *size);
    *size = strtoul(mpx_request_param(rq, "size"), NULL, 10);
    mpx_reply_stream(rq, "text/plain", produce, free, size);
}

static void *answer_later(void *arg)
{
    mpx_reply_done(arg, "later");
    mpx_request_resume(arg);
    return NULL;
}

static void on_defer(struct mpx_request *rq, void *context)
{
    (void)context;
    ck_assert(mpx_request_defer(rq));
    pthread_create(&answerer, NULL, answer_later, rq);
}

static void on_packed(struct mpx_request *rq, void *context)
{
    (void)context;
    mpx_reply_held(rq, 200, "text/plain", "packed", 6, NULL, NULL);
    if (mpx_request_packs(rq, 5000) && !mpx_request_packs(rq, 5))
        mpx_reply_is_packed(rq);
}

static void on_events(struct mpx_request *rq, void *context)
{
    (void)context;
    mpx_reply_events(rq, (unsigned)strtoul(mpx_request_param(rq, "topics"), NULL, 10));
}

// Headers of its own, and who it takes the client for.
static void on_headers(struct mpx_request *rq, void *context)
{
    (void)context;
    const struct sockaddr_in *peer = (const void *)mpx_request_peer(rq);
    const char *token = mpx_request_token(rq);
    mpx_reply_done(rq, "%s %s", inet_ntoa(peer->sin_addr), token ? token : "none");
    mpx_reply_header(rq, "Content-Security-Policy", "default-src 'self'");
    mpx_reply_header(rq, "Cache-Control", "max-age=5");
    if (mpx_request_param(rq, "etag"))
        mpx_reply_etag(rq, "\"one\"");
}

static const struct mpx_route routes[] = {
    {MPX_GET, "/", on_long, MPX_NEED_READ, NULL, 0, NULL},
    {MPX_GET | MPX_POST, "/echo", on_echo, MPX_NEED_CHANGE, MPX_TYPE_JSON, 0, NULL},
    {MPX_GET, "/below/*", on_rest, MPX_NEED_READ, NULL, 0, NULL},
    {MPX_PUT, "/below/*", on_rest, MPX_NEED_CHANGE, "*/*", 30000, NULL},
    {MPX_DELETE, "/below/deeper/*", on_rest, MPX_NEED_CHANGE, NULL, 0, NULL},
    {MPX_GET, "/below/one", on_long, MPX_NEED_READ, NULL, 0, NULL},
    {MPX_POST, "/text", on_echo, MPX_NEED_CHANGE, "text/plain, text/x-other", 100, NULL},
    {MPX_GET, "/long", on_long, MPX_NEED_READ, NULL, 0, NULL},
    {MPX_GET, "/packed", on_packed, MPX_NEED_READ, NULL, 0, NULL},
    {MPX_GET, "/stream", on_stream, MPX_NEED_READ, NULL, 0, NULL},
    {MPX_GET, "/defer", on_defer, MPX_NEED_CHANGE, NULL, 0, NULL},
    {MPX_GET, "/events", on_events, MPX_NEED_READ, NULL, 0, NULL},
    {MPX_GET, "/headers", on_headers, MPX_NEED_READ, NULL, 0, NULL},
    {MPX_GET, "/alive", on_long, MPX_NEED_NOTHING, NULL, 0, NULL},
};

static inline void open_server(void)
{
    static const struct mpx_events_topic topics[] = {{"one", 4}, {"two", 4}};
    static const struct mpx_events_options of_events = {
        .topics = topics, .topic_count = 2, .origin = 0xabc, .beat_s = 1};
    ck_assert_int_eq(mpx_events_open(&of_events, &events, NULL), MPROXY_OK);
    port = 0;
    ck_assert_int_eq(mpx_listen("127.0.0.1", &port, &listen_fd, NULL), MPROXY_OK);
    struct mpx_server_options options = {.routes = routes,
                                         .route_count = sizeof routes / sizeof *routes,
                                         .listen_fd = listen_fd,
                                         .events = events,
                                         .max_connections = 8,
                                         .max_listeners = 4,
                                         .max_streams = 2,
                                         .stream_patience_ms = 1000,
                                         .max_body = 10000,
                                         .max_bodies = 50000};
    ck_assert_int_eq(mpx_server_open(&options, &server, NULL), MPROXY_OK);
    mpx_server_set_ready(server, true);
}

static inline void close_server(void)
{
    mpx_server_close(server);
    mpx_events_close(events);
    close(listen_fd);
}

// A connection from another address of this host: 127.0.0.FROM.
static inline int dial_from(uint32_t from)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in local = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(0x7f000000 | from)};
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&local, sizeof local), 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    struct timeval limit = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

static inline int dial(void)
{
    return dial_from(1);
}

// Send what is given, read until the server closes; the status, the reply in `reply`.
static inline int talk_on(int fd, const char *request, size_t length)
{
    ck_assert_int_eq(send(fd, request, length, MSG_NOSIGNAL), (ssize_t)length);
    reply_size = 0;
    ssize_t got;
    while ((got = recv(fd, reply + reply_size, sizeof reply - 1 - reply_size, 0)) > 0)
        reply_size += (size_t)got;
    reply[reply_size] = '\0';
    close(fd);
    int status = 0;
    sscanf(reply, "HTTP/1.1 %d", &status);
    return status;
}

static inline int talk(const char *request, size_t length)
{
    return talk_on(dial(), request, length);
}

static inline int ask(const char *method, const char *path, const char *headers,
                      const char *body)
{
    static char request[64 * 1024];
    int length = snprintf(request, sizeof request,
                          "%s %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s", method,
                          path, headers);
    if (body)
        length += snprintf(request + length, sizeof request - (size_t)length,
                           "Content-Length: %zu\r\n", strlen(body));
    length += snprintf(request + length, sizeof request - (size_t)length, "\r\n%s",
                       body ? body : "");
    return talk(request, (size_t)length);
}

#endif
