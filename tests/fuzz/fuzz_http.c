// Bytes that come over the network, sent to a real server: each connection is answered or
// closed in time, and what our handlers say of it is JSON of printable text.

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/utf8.h"
#include "http/listen.h"
#include "http/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PATIENCE_MS = 10000, QUIET_MS = 1 };

static int port;

// Says what it was given, so that all of it is quoted.
static void on_echo(struct mpx_request *rq, void *context)
{
    (void)context;
    size_t length;
    const char *key = mpx_request_param(rq, "key");
    const char *value = mpx_request_param(rq, "value");
    const char *body = mpx_request_body(rq, &length);
    double quality = mpx_http_quality(mpx_request_header(rq, "Accept"), "text/plain");
    if (!key && !body)
        mpx_reply_refuse(rq, 400, "parameter 'key': a name was expected");
    else if (length > 500)
        mpx_reply_refuse(rq, 400, "body: %zu bytes", length);
    else
        mpx_reply_done(rq, "%.300s %.300s %.*s %g", key ? key : "", value ? value : "",
                       (int)length, body ? body : "", quality);
}

static mproxy_status produce(void *arg, mproxy_write_fn write, void *write_arg)
{
    (void)arg;
    return write(write_arg, "[1,2,3]", 7);
}

static void on_stream(struct mpx_request *rq, void *context)
{
    (void)context;
    mpx_reply_stream(rq, MPX_TYPE_JSON, produce, NULL, NULL);
}

// Below a prefix; whatever type and body, and who sent it.
static void on_rest(struct mpx_request *rq, void *context)
{
    (void)context;
    size_t length;
    const char *body = mpx_request_body(rq, &length);
    const char *token = mpx_request_token(rq);
    if (!mpx_request_peer(rq) || mpx_request_rest(rq)[0] == '\0' || length > 5000 ||
        strncmp(mpx_request_path(rq), "/below/", 7) != 0)
        abort();
    mpx_reply_done(rq, "%.300s %.100s %.*s", mpx_request_rest(rq), token ? token : "",
                   length > 300 ? 300 : (int)length, body ? body : "");
    mpx_reply_header(rq, "Content-Security-Policy", "default-src 'self'");
    mpx_reply_etag(rq, "\"one\"");
}

static void on_events(struct mpx_request *rq, void *context)
{
    mpx_events_publish(context, 0, "news");
    mpx_reply_events(rq, 1);
}

static const struct mpx_route routes[] = {
    {MPX_GET, "/", on_echo, MPX_NEED_READ, NULL, 0, NULL},
    {MPX_GET | MPX_POST, "/set", on_echo, MPX_NEED_CHANGE, MPX_TYPE_JSON, 0, NULL},
    {MPX_GET | MPX_PUT | MPX_DELETE, "/stream", on_stream, MPX_NEED_READ, NULL, 0, NULL},
    {MPX_GET | MPX_POST, "/below/*", on_rest, MPX_NEED_CHANGE, "*/*", 5000, NULL},
    {MPX_PUT, "/below/*", on_rest, MPX_NEED_CHANGE, "text/plain, x/y", 100, NULL},
    {MPX_GET, "/events", on_events, MPX_NEED_READ, NULL, 0, NULL},
};

static void open_server(void)
{
    static const struct mpx_events_topic topic = {.name = "one", .backlog = 4};
    struct mpx_events_options of_events = {
        .topics = &topic, .topic_count = 1, .origin = 0xabc, .beat_s = 1};
    struct mpx_server_options options = {.routes = routes,
                                         .route_count = sizeof routes / sizeof *routes,
                                         .max_body = 2000,
                                         .max_bodies = 100000};
    struct mpx_server *server;
    if (mpx_events_open(&of_events, &options.events, NULL) != MPROXY_OK)
        abort();
    options.context = options.events;
    if (mpx_listen("127.0.0.1", &port, &options.listen_fd, NULL) != MPROXY_OK ||
        mpx_server_open(&options, &server, NULL) != MPROXY_OK)
        abort();
    mpx_server_set_ready(server, true);
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct linger gone = {.l_onoff = 1}; // thousands a second: leave no port waiting
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        abort();
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &gone, sizeof gone);
    return fd;
}

// A whole request without a body: never met with silence.
static bool is_whole(const char *data, size_t size)
{
    static const char *const of_bodies[] = {"content-length", "transfer-encoding"};
    static char text[1 << 20];
    if (size >= sizeof text || memchr(data, '\0', size))
        return false;
    for (size_t i = 0; i < size; i++)
        text[i] = (char)tolower((unsigned char)data[i]);
    text[size] = '\0';
    for (size_t i = 0; i < sizeof of_bodies / sizeof *of_bodies; i++)
        if (strstr(text, of_bodies[i]))
            return false;
    char *end = strstr(text, "\r\n");
    return end && end - text > 14 && memcmp(data, "GET /", 5) == 0 &&
           memcmp(data + (end - text) - 9, " HTTP/1.1", 9) == 0 &&
           strstr(text, "\r\n\r\n");
}

// What comes until it is quiet.
static size_t read_some(int fd, char *text, size_t room, int patience_ms)
{
    size_t used = 0;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (used < room && poll(&ready, 1, patience_ms) > 0) {
        ssize_t got = recv(fd, text + used, room - used, 0);
        if (got <= 0)
            return used;
        used += (size_t)got;
        patience_ms = QUIET_MS;
    }
    if (used == 0 && patience_ms == PATIENCE_MS)
        abort();
    return used;
}

// Up to the end of our one sentence there is printable UTF-8 and nothing else.
static void check_operation(const char *at, const char *end)
{
    const char *success = memmem(at, (size_t)(end - at), "\",\"success\":", 12);
    if (!success)
        abort();
    while (at < success) {
        size_t step = mpx_utf8_char(at, (size_t)(success - at));
        if (step == 0 || (unsigned char)*at < 0x20)
            abort();
        at += step;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[256 * 1024];
    if (port == 0)
        open_server();
    int fd = dial();
    if (size > 0 && send(fd, data, size, MSG_NOSIGNAL) < 0)
        size = 0; // it was refused before all was sent
    bool is_answered = is_whole((const char *)data, size);
    size_t used = read_some(fd, text, sizeof text, is_answered ? PATIENCE_MS : QUIET_MS);
    close(fd);
    if (used > 0 && (used < 12 || memcmp(text, "HTTP/1.", 7) != 0))
        abort();
    static const char start[] = "\r\n\r\n{\"operation\":\"";
    char *at = memmem(text, used, start, sizeof start - 1);
    if (at && is_answered)
        check_operation(at + sizeof start - 1, text + used);
    return 0;
}
