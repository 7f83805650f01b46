// What becomes of a request: its route, its limits, its handler, its reply.
//
// Connections are transport.c's, which calls the functions of `exchange` here, on its
// threads. Three things are bounded over all requests: connections (crowd.c), large
// replies, each of which takes a thread (stream.c, large.c), and the bytes of bodies
// that are held until their handler has run. A body counts as it arrives, so that
// announcing much costs others nothing.
//
// A request is judged as soon as its head is there, and a refusal is the reply from then
// on; the rest of its body is swallowed up to a bound, because a client that is still
// sending would lose the reply to a reset connection. Framing that could be read in two
// ways closes the connection behind the reply: a proxy in between may take the rest for
// another request.
//
// A handler runs once, when the body is whole. It answers, or defers the request and
// answers from another thread. A handler that does neither gets a 500, so no client
// waits for ever.
//
// The server knows neither jobs nor metrics: routes come as a table, their context as a
// pointer.

#include "http/server.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <strings.h>
#include <sys/resource.h>

#include "base/err.h"
#include "http/internal.h"
#include "http/large.h"
#include "http/route.h"
#include "http/stream.h"
#include "http/transport.h"

enum {
    CONNECTIONS_MAX = 1024,
    LISTENERS_MAX = 1024,
    STREAMS_MAX = 8,
    STREAM_PATIENCE_MS = 10000,
    BODY_MAX = 1 << 20,
    BODIES_MAX = 128 << 20,
    SWALLOWED_MAX = 16 << 20, // of a refused body, or more where more is taken
};

struct mpx_server {
    struct mpx_server_options options;
    struct mpx_route_table table;
    struct mpx_transport *transport;
    atomic_bool ready;
    struct mpx_larges larges;
    _Atomic uint64_t held; // bytes of bodies
};

// The head.

static unsigned known_method(const char *method)
{
    static const struct {
        const char *word;
        unsigned method;
    } known[] = {{"GET", MPX_GET},
                 {"HEAD", MPX_GET},
                 {"POST", MPX_POST},
                 {"PUT", MPX_PUT},
                 {"DELETE", MPX_DELETE}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].word, method) == 0)
            return known[i].method;
    return 0;
}

// A target may be a whole URL, which clients send to what they take for a proxy server.
static const char *path_of(const char *target)
{
    if (strncasecmp(target, "http://", 7) != 0)
        return target;
    const char *path = strchr(target + 7, '/');
    return path ? path : "/";
}

static size_t body_at_most(const struct mpx_request *rq)
{
    size_t own = rq->route ? rq->route->max_body : 0;
    return own ? own : rq->server->options.max_body;
}

// A client that sends less than this hears why its body is refused; one that sends more is
// cut off.
static uint64_t swallowed_at_most(const struct mpx_request *rq)
{
    size_t taken = body_at_most(rq);
    return taken > SWALLOWED_MAX ? taken : SWALLOWED_MAX;
}

static void refuse_size(struct mpx_request *rq)
{
    mpx_reply_refuse(rq, 413, "the body is over the limit of %zu bytes",
                     body_at_most(rq));
}

static enum mpx_next on_head(struct mpx_request *rq)
{
    struct mpx_server *server = rq->server;
    unsigned allow;
    rq->path = path_of(rq->path);
    rq->method = known_method(rq->method_name);
    rq->is_head = strcmp(rq->method_name, "HEAD") == 0;
    rq->route = mpx_route_find(&server->table, rq->path, rq->method, &allow);
    mpx_http_admit(rq, allow, atomic_load(&server->ready));
    if (!mpx_http_check_framing(rq))
        return MPX_REPLY; // the connection is closed behind it
    if (mpx_request_announced(rq) <= swallowed_at_most(rq))
        return MPX_GO_ON;
    if (rq->reply.code == 0)
        refuse_size(rq);
    return MPX_REPLY;
}

// The body.

static void drop_body(struct mpx_request *rq)
{
    mpx_buf_free(&rq->body);
    atomic_fetch_sub(&rq->server->held, rq->held);
    rq->held = 0;
}

static void keep_body(struct mpx_request *rq, const char *bytes, size_t length)
{
    struct mpx_server *server = rq->server;
    rq->held += length;
    if (atomic_fetch_add(&server->held, length) + length > server->options.max_bodies)
        mpx_reply_refuse(rq, 503, "bodies of %zu bytes are on their way already",
                         server->options.max_bodies);
    else
        mpx_buf_add(&rq->body, bytes, length);
    if (rq->body.failed)
        mpx_reply_refuse(rq, 503, "no memory for the body");
}

// Both bodies are held until the packed one is given back.
static bool replace_body(struct mpx_request *rq, struct mpx_buf *unpacked)
{
    struct mpx_server *server = rq->server;
    if (atomic_fetch_add(&server->held, unpacked->size) + unpacked->size >
        server->options.max_bodies) {
        atomic_fetch_sub(&server->held, unpacked->size);
        mpx_reply_refuse(rq, 503, "bodies of %zu bytes are on their way already",
                         server->options.max_bodies);
        return false;
    }
    drop_body(rq);
    rq->body = *unpacked;
    rq->held = unpacked->size;
    *unpacked = (struct mpx_buf)MPX_BUF_INIT;
    return true;
}

static bool gunzip_body(struct mpx_request *rq)
{
    struct mpx_buf unpacked = MPX_BUF_INIT;
    mproxy_error why;
    mproxy_status status =
        mpx_gunzip(rq->body.data, rq->body.size, body_at_most(rq), &unpacked, &why);
    bool ok = status == MPROXY_OK && replace_body(rq, &unpacked);
    mpx_buf_free(&unpacked);
    if (status != MPROXY_OK)
        mpx_reply_refuse(rq,
                         status == MPROXY_E_INVALID ? 400
                         : status == MPROXY_E_LIMIT ? 413
                                                    : 503,
                         "%s", why.text);
    return ok;
}

bool mpx_request_unpack(struct mpx_request *rq)
{
    const char *coding = mpx_request_header(rq, "Content-Encoding");
    if (!coding || !coding[0] || strcasecmp(coding, "identity") == 0)
        return true;
    if (strcasecmp(coding, "gzip") == 0 || strcasecmp(coding, "x-gzip") == 0)
        return gunzip_body(rq);
    mpx_reply_refuse(rq, 415,
                     "header Content-Encoding: '%.60s': gzip, or none, was "
                     "expected",
                     coding);
    return false;
}

static enum mpx_next on_body(struct mpx_request *rq, const char *bytes, size_t length)
{
    rq->received += length;
    if (rq->received > swallowed_at_most(rq))
        return MPX_HANG_UP;
    if (rq->reply.code == 0 && rq->received > body_at_most(rq))
        refuse_size(rq);
    if (rq->reply.code == 0 && rq->route->types)
        keep_body(rq, bytes, length);
    if (rq->reply.code != 0)
        drop_body(rq);
    return MPX_GO_ON;
}

static enum mpx_next on_end(struct mpx_request *rq)
{
    if (rq->reply.code != 0 || rq->started)
        return MPX_REPLY;
    rq->started = true;
    void *own = rq->route->context;
    rq->route->handle(rq, own ? own : rq->server->options.context);
    return rq->deferred ? MPX_LATER : MPX_REPLY;
}

// The reply.

static void check_room(struct mpx_request *rq)
{
    struct mpx_server *server = rq->server;
    if (rq->reply.produce && !rq->is_head && !mpx_larges_have_room(&server->larges))
        mpx_reply_refuse(rq, 503, "%u large replies are on their way already",
                         server->options.max_streams);
    if (rq->reply.topics &&
        (!server->options.events ||
         !mpx_events_has_any(server->options.events, rq->reply.topics)))
        mpx_reply_refuse(rq, 500, "this server has no such events");
    if (rq->reply.topics && !rq->is_head && !mpx_transport_let_listen(rq))
        mpx_reply_refuse(rq, 503, "%u listen to events already, most of them from there",
                         server->options.max_listeners);
}

static void on_reply(struct mpx_request *rq)
{
    drop_body(rq);
    if (rq->reply.code == 0)
        mpx_reply_refuse(rq, 500, "this route gave no answer");
    check_room(rq);
    if (mpx_http_reply_header(&rq->reply, "Content-Encoding"))
        ; // of the handler's own: its bytes stay as they are
    else if (rq->reply.produce)
        rq->reply.gzipped = mpx_request_takes_gzip(rq);
    else if (!rq->reply.topics && !rq->reply.gzipped &&
             mpx_request_packs(rq, rq->reply.length))
        mpx_http_reply_gzip(&rq->reply);
    mpx_route_count(&rq->server->table, rq->route, rq->reply.code);
}

static void each_set_header(const struct mpx_http_reply *reply, mpx_add_header_fn add,
                            void *arg)
{
    const char *at = reply->headers.data, *end = at + reply->headers.size;
    while (at < end) {
        const char *value = at + strlen(at) + 1;
        add(arg, at, value);
        at = value + strlen(value) + 1;
    }
}

// One of the server's, if the handler has not set it.
static void add_own(const struct mpx_http_reply *reply, mpx_add_header_fn add, void *arg,
                    const char *name, const char *value)
{
    if (!mpx_http_reply_header(reply, name))
        add(arg, name, value);
}

static void each_standard_header(const struct mpx_http_reply *reply,
                                 mpx_add_header_fn add, void *arg)
{
    static const char *const standard[][2] = {
        {"Cache-Control", "no-cache"},
        {"Vary", "Accept, Accept-Encoding"},
        {"X-Content-Type-Options", "nosniff"},
    };
    for (size_t i = 0; i < sizeof standard / sizeof *standard; i++)
        add_own(reply, add, arg, standard[i][0], standard[i][1]);
}

static void each_header(struct mpx_request *rq, mpx_add_header_fn add, void *arg)
{
    const struct mpx_http_reply *reply = &rq->reply;
    unsigned allow;
    char text[48];
    add_own(reply, add, arg, "Content-Type", reply->type);
    each_set_header(reply, add, arg);
    each_standard_header(reply, add, arg);
    if (reply->gzipped)
        add(arg, "Content-Encoding", "gzip");
    if (reply->topics) // proxies in between are not to collect them
        add_own(reply, add, arg, "X-Accel-Buffering", "no");
    if (reply->code == 503)
        add_own(reply, add, arg, "Retry-After", "1");
    if (reply->code == 401)
        add_own(reply, add, arg, "WWW-Authenticate", "Bearer");
    if (reply->code == 405) {
        mpx_route_find(&rq->server->table, rq->path, 0, &allow);
        mpx_route_allow_text(allow, text);
        add_own(reply, add, arg, "Allow", text);
    }
}

// Replies that come piece by piece.

static bool open_stream(struct mpx_request *rq, struct mpx_waker waker,
                        struct mpx_piecewise *out)
{
    struct mpx_http_reply *reply = &rq->reply;
    struct mpx_stream_options options = {.produce = reply->produce,
                                         .release = reply->release,
                                         .arg = reply->release_arg,
                                         .waker = waker,
                                         .gzip = reply->gzipped};
    struct mpx_stream *stream;
    if (mpx_stream_open(&options, &stream, NULL) != MPROXY_OK)
        return false;
    reply->release = NULL; // the stream's now
    struct mpx_piecewise body = mpx_stream_body(stream);
    if (mpx_larges_add(&rq->server->larges, mpx_transport_socket(rq), body, out))
        return true;
    body.close(body.arg);
    return false;
}

static bool open_body(struct mpx_request *rq, struct mpx_waker waker,
                      struct mpx_piecewise *out)
{
    if (rq->reply.produce)
        return open_stream(rq, waker, out);
    struct mpx_events_hub *events = rq->server->options.events;
    return events && mpx_events_listen(events, rq->reply.topics,
                                       mpx_request_header(rq, "Last-Event-ID"), waker,
                                       out, NULL) == MPROXY_OK;
}

static void on_done(struct mpx_request *rq)
{
    drop_body(rq);
    mpx_http_reply_clear(&rq->reply);
}

// The server.

static unsigned smaller(unsigned a, unsigned long long b)
{
    return b < a ? (unsigned)b : a;
}

// What is not given. Connections leave descriptors to the rest of the process.
static void fill_in(struct mpx_server_options *o)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        limit.rlim_cur = RLIM_INFINITY;
    unsigned long long files = limit.rlim_cur < 16 ? 16 : limit.rlim_cur;
    o->threads = o->threads ? o->threads : 2;
    o->max_connections =
        o->max_connections ? o->max_connections : smaller(CONNECTIONS_MAX, files / 2);
    o->max_listeners =
        o->max_listeners ? o->max_listeners : smaller(LISTENERS_MAX, files / 8);
    o->max_streams = o->max_streams ? o->max_streams : STREAMS_MAX;
    o->stream_patience_ms =
        o->stream_patience_ms ? o->stream_patience_ms : STREAM_PATIENCE_MS;
    o->max_body = o->max_body ? o->max_body : BODY_MAX;
    o->max_bodies = o->max_bodies ? o->max_bodies : BODIES_MAX;
}

static const struct mpx_exchange exchange = {
    .on_address = mpx_http_check_address,
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_reply = on_reply,
    .each_header = each_header,
    .open_body = open_body,
    .on_done = on_done,
};

mproxy_status mpx_server_open(const struct mpx_server_options *options,
                              struct mpx_server **out, mproxy_error *err)
{
    struct mpx_server *server = calloc(1, sizeof *server);
    if (!server)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the web server");
    struct mpx_server_options *o = &server->options;
    *o = *options;
    fill_in(o);
    mpx_larges_init(&server->larges, o->max_streams, o->stream_patience_ms);
    server->table.routes = o->routes;
    server->table.count = o->route_count;
    server->table.counts = calloc(o->route_count + 1, sizeof *server->table.counts);
    struct mpx_transport_options transport = {.exchange = &exchange,
                                              .server = server,
                                              .listen_fd = o->listen_fd,
                                              .threads = o->threads,
                                              .max_connections = o->max_connections,
                                              .max_listeners = o->max_listeners};
    mproxy_status status =
        server->table.counts
            ? mpx_transport_open(&transport, &server->transport, err)
            : mpx_fail(err, MPROXY_E_NOMEM, "no memory for the web server");
    if (status == MPROXY_OK)
        *out = server;
    else
        mpx_server_close(server);
    return status;
}

// Listeners get the last bytes of their streams before connections are closed; one that does not
// read them is not waited for.
static void end_events(struct mpx_events_hub *events)
{
    enum { STEP_US = 1000, STEPS = 500 };
    struct mpx_events_stats stats = {.listeners = 1};
    mpx_events_end(events); // wakes all that listen
    for (int i = 0; i < STEPS && stats.listeners > 0; i++) {
        usleep(STEP_US);
        mpx_events_get_stats(events, &stats);
    }
}

void mpx_server_close(struct mpx_server *server)
{
    if (!server)
        return;
    if (server->transport)
        mpx_transport_stop(server->transport);
    if (server->options.events)
        end_events(server->options.events);
    mpx_transport_close(server->transport);
    mpx_larges_fini(&server->larges);
    free(server->table.counts);
    free(server);
}

void mpx_server_set_ready(struct mpx_server *server, bool ready)
{
    atomic_store(&server->ready, ready);
}

void mpx_server_each_count(const struct mpx_server *server,
                           void (*visit)(void *arg, const char *route, int code,
                                         uint64_t count),
                           void *arg)
{
    mpx_route_each(&server->table, visit, arg);
}

uint64_t mpx_server_cut_count(struct mpx_server *server)
{
    return mpx_transport_cut_count(server->transport);
}
