// The only file that knows libmicrohttpd.
//
// One request's path: the address is seen (begin), the headers are there (first call of
// `on_request`), body bytes (further calls), the end of the body (last call: the handler
// runs). A refusal waits for the end of the body too, because a client that is still
// sending would lose the reply to a reset connection.
//
// The library answers by itself, with pages of its own, what is no request, and what does
// not fit its memory of a connection. So that memory is larger than what we take, and what
// lies between the two is refused by us.

#include "http/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "http/crowd.h"
#include "http/stream.h"

enum {
    CONNECTION_MEMORY = 32 * 1024, // headers, query and read buffer of one connection
    HEAD_MAX = 24 * 1024,          // of it, what a request may take
    CONNECTIONS_MAX = 1024,
    IDLE_SECONDS = 60, // then a connection without progress is closed
    STREAM_BLOCK = 64 * 1024,
    SWALLOWED_MAX = 16 << 20, // of a refused body, or more where more is taken
    SPARE_CONNECTIONS = 128,  // of each thread: cut off already, not closed yet
};

struct mpx_server {
    struct mpx_server_options options;
    struct mpx_route_table table;
    struct MHD_Daemon *daemon;
    struct mpx_crowd crowd;
    atomic_bool ready;
    atomic_bool stopping;
    atomic_uint suspended; // connections; must be 0 when the daemon stops
    atomic_uint streams;
};

// One streamed reply; lives as long as its response.
struct sending {
    struct mpx_server *server;
    struct MHD_Connection *connection;
    struct mpx_stream *stream;
};

// Suspend a connection unless we are about to stop. The count goes up first, so that a
// stop that has seen it at 0 cannot meet a suspended connection.
static bool suspend(struct mpx_server *server, struct MHD_Connection *connection)
{
    atomic_fetch_add(&server->suspended, 1);
    if (atomic_load(&server->stopping)) {
        atomic_fetch_sub(&server->suspended, 1);
        return false;
    }
    MHD_suspend_connection(connection);
    return true;
}

static void resume(struct mpx_server *server, struct MHD_Connection *connection)
{
    MHD_resume_connection(connection);
    atomic_fetch_sub(&server->suspended, 1);
}

// Streams.

static void wake_sending(void *arg)
{
    struct sending *sending = arg;
    resume(sending->server, sending->connection);
}

static ssize_t read_sending(void *arg, uint64_t position, char *bytes, size_t room)
{
    (void)position;
    struct sending *sending = arg;
    long got = mpx_stream_read(sending->stream, bytes, room);
    if (got > 0)
        return got;
    if (got == MPX_STREAM_END)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (got == MPX_STREAM_BROKEN || !suspend(sending->server, sending->connection))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (!mpx_stream_wait(sending->stream))
        resume(sending->server, sending->connection);
    return 0;
}

static void free_sending(void *arg)
{
    struct sending *sending = arg;
    mpx_stream_close(sending->stream);
    atomic_fetch_sub(&sending->server->streams, 1);
    free(sending);
}

// The response takes over what the reply holds, also when it fails.
static struct MHD_Response *open_stream(struct mpx_request *rq)
{
    struct mpx_server *server = rq->server;
    struct sending *sending = calloc(1, sizeof *sending);
    if (!sending)
        return NULL;
    *sending =
        (struct sending){.server = server, .connection = rq->connection, .stream = NULL};
    struct mpx_stream_options options = {.produce = rq->reply.produce,
                                         .release = rq->reply.release,
                                         .arg = rq->reply.release_arg,
                                         .wake = wake_sending,
                                         .wake_arg = sending,
                                         .gzip = rq->reply.gzipped};
    atomic_fetch_add(&server->streams, 1);
    bool opened = mpx_stream_open(&options, &sending->stream, NULL) == MPROXY_OK;
    if (opened)
        rq->reply.release = NULL;
    struct MHD_Response *response =
        opened ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK,
                                                   read_sending, sending, free_sending)
               : NULL;
    if (!response)
        free_sending(sending);
    return response;
}

// Connections.

static struct mpx_guest *guest_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void enter(struct mpx_server *server, struct MHD_Connection *connection,
                  void **state)
{
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *address =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct mpx_guest *guest = malloc(sizeof *guest);
    *state = guest;
    if (guest)
        mpx_crowd_enter(&server->crowd, guest, fd->connect_fd,
                        address ? address->client_addr : NULL);
    else
        shutdown(fd->connect_fd, SHUT_RDWR); // a connection that nobody could bound
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **state,
                          enum MHD_ConnectionNotificationCode what)
{
    struct mpx_server *server = arg;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        enter(server, connection, state);
    } else if (*state) {
        mpx_crowd_leave(&server->crowd, *state);
        free(*state);
        *state = NULL;
    }
}

static void set_busy(struct mpx_request *rq, bool busy)
{
    struct mpx_guest *guest = guest_of(rq->connection);
    if (guest && guest->busy != busy) // only the connection's own thread changes it
        mpx_crowd_set_busy(&rq->server->crowd, guest, busy);
}

// Replies.

static struct MHD_Response *open_held(struct mpx_request *rq)
{
    struct mpx_http_reply *reply = &rq->reply;
    union {
        const void *from;
        void *to;
    } bytes = {.from = reply->bytes}; // the library does not write to it
    struct MHD_Response *response =
        reply->release ? MHD_create_response_from_buffer_with_free_callback_cls(
                             reply->length, bytes.to, reply->release, reply->release_arg)
                       : MHD_create_response_from_buffer(reply->length, bytes.to,
                                                         MHD_RESPMEM_PERSISTENT);
    if (response)
        reply->release = NULL;
    return response;
}

static ssize_t read_nothing(void *arg, uint64_t position, char *bytes, size_t room)
{
    (void)arg;
    (void)position;
    (void)bytes;
    (void)room;
    return MHD_CONTENT_READER_END_OF_STREAM;
}

static struct MHD_Response *open_response(struct mpx_request *rq)
{
    if (!rq->reply.produce)
        return open_held(rq);
    if (!rq->is_head)
        return open_stream(rq);
    // Of a size that is not known, which is what GET says too.
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1, read_nothing, NULL,
                                             NULL);
}

// A client may send nothing more and wait for the connection's end. When that word came
// together with the request, the library does not see it until the connection times out.
static bool has_said_all(struct MHD_Connection *connection)
{
    char byte;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info && recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void add_headers(struct mpx_request *rq, struct MHD_Response *response)
{
    MHD_add_response_header(response, "Content-Type", rq->reply.type);
    MHD_add_response_header(response, "Cache-Control", "no-cache");
    MHD_add_response_header(response, "Vary", "Accept, Accept-Encoding");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (rq->reply.gzipped)
        MHD_add_response_header(response, "Content-Encoding", "gzip");
    if (has_said_all(rq->connection))
        MHD_add_response_header(response, "Connection", "close");
    if (rq->reply.code == 503)
        MHD_add_response_header(response, "Retry-After", "1");
    if (rq->reply.code == 401)
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    unsigned allow;
    char text[48];
    if (rq->reply.code == 405) {
        mpx_route_find(&rq->server->table, rq->route->path, 0, &allow);
        mpx_route_allow_text(allow, text);
        MHD_add_response_header(response, "Allow", text);
    }
}

static enum MHD_Result send_reply(struct mpx_request *rq)
{
    struct mpx_server *server = rq->server;
    set_busy(rq, true);
    if (rq->reply.code == 0)
        mpx_reply_refuse(rq, 500, "this route gave no answer");
    if (rq->reply.produce &&
        atomic_load(&server->streams) >= server->options.max_streams && !rq->is_head)
        mpx_reply_refuse(rq, 503, "%u large replies are on their way already",
                         server->options.max_streams);
    if (rq->reply.produce)
        rq->reply.gzipped =
            mpx_http_wants_gzip(mpx_request_header(rq, "Accept-Encoding"));
    else if (!rq->reply.gzipped && mpx_request_packs(rq, rq->reply.length))
        mpx_http_reply_gzip(&rq->reply);
    struct MHD_Response *response = open_response(rq);
    if (!response)
        return MHD_NO;
    add_headers(rq, response);
    mpx_route_count(&server->table, rq->route, rq->reply.code);
    enum MHD_Result result =
        MHD_queue_response(rq->connection, (unsigned)rq->reply.code, response);
    MHD_destroy_response(response);
    mpx_http_reply_clear(&rq->reply);
    return result;
}

// Requests.

// The library makes a record of each parameter in the connection's memory and closes the
// connection without a word when there is no more. The address is in that memory, so that
// it may be cut.
static void drop_query(const char *uri)
{
    union {
        const char *from;
        char *to;
    } at = {.from = strchr(uri, '?')};
    if (at.to)
        at.to[1] = '\0';
}

// Called before anything of the address is parsed: the only place to see all of it.
static void *begin_request(void *arg, const char *uri, struct MHD_Connection *connection)
{
    struct mpx_request *rq = calloc(1, sizeof *rq);
    if (!rq)
        return NULL;
    rq->server = arg;
    rq->connection = connection;
    if (uri && !mpx_http_check_address(rq, uri))
        drop_query(uri);
    return rq;
}

static void end_request(void *arg, struct MHD_Connection *connection, void **state,
                        enum MHD_RequestTerminationCode why)
{
    (void)arg;
    (void)connection;
    (void)why;
    struct mpx_request *rq = *state;
    if (!rq)
        return;
    set_busy(rq, false);
    mpx_http_reply_clear(&rq->reply);
    mpx_buf_free(&rq->body);
    free(rq);
    *state = NULL;
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

static enum MHD_Result take_body(struct mpx_request *rq, const char *bytes, size_t length)
{
    rq->received += length;
    if (rq->received > swallowed_at_most(rq))
        return MHD_NO;
    if (rq->reply.code == 0 && rq->received > body_at_most(rq))
        refuse_size(rq);
    if (rq->reply.code == 0 && rq->route->types)
        mpx_buf_add(&rq->body, bytes, length);
    else
        mpx_buf_free(&rq->body);
    return MHD_YES;
}

struct longest {
    const char *name;
    size_t length;
};

static enum MHD_Result compare_header(void *arg, enum MHD_ValueKind kind,
                                      const char *name, const char *value)
{
    (void)kind;
    struct longest *longest = arg;
    size_t length = strlen(name) + (value ? strlen(value) : 0);
    if (length > longest->length)
        *longest = (struct longest){.name = name, .length = length};
    return MHD_YES;
}

static void check_head(struct mpx_request *rq)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(rq->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (rq->reply.code != 0 || !info || info->header_size <= HEAD_MAX)
        return;
    struct longest longest = {.name = "none"};
    MHD_get_connection_values(rq->connection, MHD_HEADER_KIND, compare_header, &longest);
    mpx_reply_refuse(rq, 431,
                     "the head of the request is over the limit of %d bytes; its longest "
                     "header, '%.60s', has %zu",
                     HEAD_MAX, longest.name, longest.length);
}

static enum MHD_Result begin_body(struct mpx_request *rq, const char *path,
                                  const char *method)
{
    rq->begun = true;
    mpx_http_admit(rq, &rq->server->table, atomic_load(&rq->server->ready), path, method);
    check_head(rq);
    if (!mpx_http_check_framing(rq))
        return send_reply(rq); // the connection is closed behind it
    if (mpx_http_announced_length(rq) <= swallowed_at_most(rq))
        return MHD_YES;
    if (rq->reply.code == 0)
        refuse_size(rq);
    return send_reply(rq);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection,
                                  const char *path, const char *method,
                                  const char *version, const char *body,
                                  size_t *body_length, void **state)
{
    (void)version;
    struct mpx_server *server = arg;
    struct mpx_request *rq = *state;
    if (!rq || rq->connection != connection)
        return MHD_NO;
    if (!rq->begun)
        return begin_body(rq, path, method);
    if (*body_length > 0) {
        size_t length = *body_length;
        *body_length = 0;
        return take_body(rq, body, length);
    }
    if (rq->reply.code == 0 && rq->body.failed)
        mpx_reply_refuse(rq, 503, "no memory for the body");
    if (rq->reply.code == 0 && !rq->started) {
        rq->started = true;
        set_busy(rq, true);
        if (!rq->route->handle)
            mpx_reply_refuse(rq, 404, "'%s' is not served here", rq->route->path);
        else
            rq->route->handle(rq, server->options.context);
        if (rq->deferred) // we are called again when it is resumed
            return MHD_YES;
    }
    return send_reply(rq);
}

// For handlers.

const char *mpx_request_rest(const struct mpx_request *rq)
{
    size_t prefix = mpx_route_prefix(rq->route);
    return prefix ? rq->path + prefix : "";
}

const char *mpx_request_param(const struct mpx_request *rq, const char *name)
{
    const char *value = NULL;
    size_t length;
    if (MHD_lookup_connection_value_n(rq->connection, MHD_GET_ARGUMENT_KIND, name,
                                      strlen(name), &value, &length) != MHD_YES)
        return NULL;
    return value ? value : "";
}

const char *mpx_request_header(const struct mpx_request *rq, const char *name)
{
    return MHD_lookup_connection_value(rq->connection, MHD_HEADER_KIND, name);
}

const char *mpx_request_body(const struct mpx_request *rq, size_t *length)
{
    *length = rq->body.size;
    return rq->body.size ? rq->body.data : NULL;
}

bool mpx_request_defer(struct mpx_request *rq)
{
    rq->deferred = suspend(rq->server, rq->connection);
    return rq->deferred;
}

void mpx_request_resume(struct mpx_request *rq)
{
    resume(rq->server, rq->connection);
}

// The server.

// Connections leave descriptors to the rest of the process.
static unsigned connections_at_most(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur / 2 > CONNECTIONS_MAX)
        return CONNECTIONS_MAX;
    return limit.rlim_cur < 16 ? 8 : (unsigned)(limit.rlim_cur / 2);
}

// What is not given.
static void fill_in(struct mpx_server_options *o)
{
    o->threads = o->threads ? o->threads : 2;
    o->max_connections = o->max_connections ? o->max_connections : connections_at_most();
    o->max_streams = o->max_streams ? o->max_streams : 8;
    o->max_body = o->max_body ? o->max_body : 1 << 20;
}

static struct MHD_Daemon *start(struct mpx_server *server)
{
    const struct mpx_server_options *o = &server->options;
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        on_request, server, MHD_OPTION_LISTEN_SOCKET, o->listen_fd,
        MHD_OPTION_CONNECTION_LIMIT,
        o->threads * (o->max_connections + SPARE_CONNECTIONS),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
        MHD_OPTION_THREAD_POOL_SIZE, o->threads, MHD_OPTION_URI_LOG_CALLBACK,
        begin_request, server, MHD_OPTION_NOTIFY_COMPLETED, end_request, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_END);
}

mproxy_status mpx_server_open(const struct mpx_server_options *options,
                              struct mpx_server **out, mproxy_error *err)
{
    struct mpx_server *server = calloc(1, sizeof *server);
    if (!server)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the web server");
    struct mpx_server_options *o = &server->options;
    *o = *options;
    fill_in(o);
    mpx_crowd_init(&server->crowd, o->max_connections);
    server->table.routes = o->routes;
    server->table.count = o->route_count;
    server->table.counts = calloc(o->route_count + 1, sizeof *server->table.counts);
    // The library closes the socket it is given; the caller keeps the port.
    o->listen_fd = dup(o->listen_fd);
    if (server->table.counts && o->listen_fd >= 0)
        server->daemon = start(server);
    if (!server->daemon) {
        mproxy_status status = mpx_fail_errno(err, "the web server does not start");
        if (o->listen_fd >= 0)
            close(o->listen_fd);
        mpx_server_close(server);
        return status;
    }
    *out = server;
    return MPROXY_OK;
}

void mpx_server_close(struct mpx_server *server)
{
    if (!server)
        return;
    atomic_store(&server->stopping, true);
    // Producers of streams wake their connections by themselves.
    while (atomic_load(&server->suspended) > 0)
        usleep(1000);
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    mpx_crowd_fini(&server->crowd);
    free(server->table.counts);
    free(server);
}

void mpx_server_set_ready(struct mpx_server *server, bool ready)
{
    atomic_store(&server->ready, ready);
}

void mpx_server_each_count(struct mpx_server *server,
                           void (*visit)(void *arg, const char *route, int code,
                                         uint64_t count),
                           void *arg)
{
    mpx_route_each(&server->table, visit, arg);
}

uint64_t mpx_server_cut_count(struct mpx_server *server)
{
    return mpx_crowd_cut(&server->crowd);
}
