// The only file that knows libmicrohttpd.
//
// One request's path: the address is seen (begin_request), the headers are there (first call
// of on_request), body bytes (further calls), the end of the body (last call). A refusal
// waits for the end of the body too, because a client that is still sending would lose the
// reply to a reset connection.
//
// The library answers by itself, with pages of its own, what is no request, and what does
// not fit its memory of a connection. So that memory is larger than what we take, and what
// lies between the two is refused by us. Of that memory the system gives only the pages that
// are used, so a connection that waits costs three or four of them.
//
// A connection that waits for something of ours is suspended: the library forgets it until
// it is resumed, from any thread, once. It must not be stopped while one is suspended, so
// they are counted.

#include "http/transport.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "http/crowd.h"

enum {
    CONNECTION_MEMORY = 32 * 1024, // headers, query and read buffer of one connection
    IDLE_SECONDS = 60,             // then a connection without progress is closed
    STREAM_BLOCK = 64 * 1024,
    EVENT_BLOCK = 512,
    LISTENER_BUFFER = 16 * 1024, // of the kernel's, for what a listener has not read
    SPARE_CONNECTIONS = 128,     // of each thread: cut off already, not closed yet
};

struct mpx_transport {
    const struct mpx_exchange *exchange;
    struct mpx_server *server;
    struct MHD_Daemon *daemon;
    struct mpx_crowd crowd, listeners;
    atomic_bool stopping;
    atomic_uint suspended; // connections; must be 0 when the daemon stops
};

// One reply that comes piece by piece; lives as long as its response.
struct sending {
    struct mpx_transport *transport;
    struct MHD_Connection *connection;
    struct mpx_piecewise body;
};

// Suspend a connection unless we are about to stop. The count goes up first, so that a
// stop that has seen it at 0 cannot meet a suspended connection.
static bool suspend(struct mpx_transport *t, struct MHD_Connection *connection)
{
    atomic_fetch_add(&t->suspended, 1);
    if (atomic_load(&t->stopping)) {
        atomic_fetch_sub(&t->suspended, 1);
        return false;
    }
    MHD_suspend_connection(connection);
    return true;
}

static void resume(struct mpx_transport *t, struct MHD_Connection *connection)
{
    MHD_resume_connection(connection);
    atomic_fetch_sub(&t->suspended, 1);
}

bool mpx_request_defer(struct mpx_request *rq)
{
    rq->deferred = suspend(rq->transport, rq->connection);
    return rq->deferred;
}

void mpx_request_resume(struct mpx_request *rq)
{
    resume(rq->transport, rq->connection);
}

// Connections.

static struct mpx_guest *guest_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static int socket_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

int mpx_transport_socket(const struct mpx_request *rq)
{
    return socket_of(rq->connection);
}

static const struct sockaddr *address_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info ? info->client_addr : NULL;
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **state,
                          enum MHD_ConnectionNotificationCode what)
{
    struct mpx_transport *t = arg;
    int fd = socket_of(connection);
    struct mpx_guest *guest = *state;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (guest)
            mpx_crowd_leave(guest);
        free(guest);
        *state = NULL;
        return;
    }
    *state = guest = malloc(sizeof *guest);
    if (guest)
        mpx_crowd_enter(&t->crowd, guest, fd, address_of(connection));
    else
        shutdown(fd, SHUT_RDWR); // a connection that nobody could bound
}

static void set_busy(struct mpx_request *rq, bool busy)
{
    struct mpx_guest *guest = guest_of(rq->connection);
    if (guest && guest->busy != busy) // only the connection's own thread changes it
        mpx_crowd_set_busy(guest, busy);
}

// Little is kept for a listener that does not read, and one whose host has gone is noticed.
static void set_listener(int fd)
{
    static const int size = LISTENER_BUFFER, patience_ms = IDLE_SECONDS * 1000;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof patience_ms);
}

bool mpx_transport_let_listen(struct mpx_request *rq)
{
    struct mpx_guest *guest = guest_of(rq->connection);
    if (!guest || !mpx_crowd_move(&rq->transport->listeners, guest))
        return false;
    set_listener(socket_of(rq->connection));
    return true;
}

// Replies.

static void wake_sending(void *arg)
{
    struct sending *sending = arg;
    resume(sending->transport, sending->connection);
}

static ssize_t read_sending(void *arg, uint64_t position, char *bytes, size_t room)
{
    (void)position;
    struct sending *sending = arg;
    const struct mpx_piecewise *body = &sending->body;
    long got = body->read(body->arg, bytes, room);
    if (got > 0)
        return got;
    if (got == MPX_PIECE_END)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (got == MPX_PIECE_BROKEN || !suspend(sending->transport, sending->connection))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (!body->wait(body->arg))
        resume(sending->transport, sending->connection);
    return 0;
}

static void free_sending(void *arg)
{
    struct sending *sending = arg;
    if (sending->body.close)
        sending->body.close(sending->body.arg);
    free(sending);
}

static struct MHD_Response *open_pieces(struct mpx_request *rq)
{
    struct sending *sending = calloc(1, sizeof *sending);
    if (!sending)
        return NULL;
    sending->transport = rq->transport;
    sending->connection = rq->connection;
    struct mpx_waker waker = {.wake = wake_sending, .arg = sending};
    size_t block = rq->reply.topics ? EVENT_BLOCK : STREAM_BLOCK;
    struct MHD_Response *response =
        rq->transport->exchange->open_body(rq, waker, &sending->body)
            ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, block, read_sending,
                                                sending, free_sending)
            : NULL;
    if (!response)
        free_sending(sending);
    return response;
}

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
    if (!rq->reply.produce && !rq->reply.topics)
        return open_held(rq);
    if (!rq->is_head)
        return open_pieces(rq);
    // Of a size that is not known, which is what GET says too.
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1, read_nothing, NULL,
                                             NULL);
}

// A client may send nothing more and wait for the connection's end. When that word came
// together with the request, the library does not see it until the connection times out.
static bool has_said_all(struct MHD_Connection *connection)
{
    char byte;
    int fd = socket_of(connection);
    return fd >= 0 && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void add_header(void *response, const char *name, const char *value)
{
    MHD_add_response_header(response, name, value);
}

static enum MHD_Result send_reply(struct mpx_request *rq)
{
    const struct mpx_exchange *exchange = rq->transport->exchange;
    set_busy(rq, true);
    exchange->on_reply(rq);
    struct MHD_Response *response = open_response(rq);
    if (!response)
        return MHD_NO;
    exchange->each_header(rq, add_header, response);
    if (rq->reply.topics || has_said_all(rq->connection))
        MHD_add_response_header(response, "Connection", "close");
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
    struct mpx_transport *t = arg;
    struct mpx_request *rq = calloc(1, sizeof *rq);
    if (!rq)
        return NULL;
    rq->server = t->server;
    rq->transport = t;
    rq->connection = connection;
    rq->peer = address_of(connection);
    if (uri && !t->exchange->on_address(rq, uri))
        drop_query(uri);
    return rq;
}

static void end_request(void *arg, struct MHD_Connection *connection, void **state,
                        enum MHD_RequestTerminationCode why)
{
    (void)connection;
    (void)why;
    struct mpx_transport *t = arg;
    struct mpx_request *rq = *state;
    if (!rq)
        return;
    set_busy(rq, false);
    t->exchange->on_done(rq);
    free(rq->fields);
    free(rq);
    *state = NULL;
}

static enum MHD_Result take_field(void *arg, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    struct mpx_request *rq = arg;
    rq->fields[rq->field_count++] =
        (struct mpx_field){.kind = kind == MHD_HEADER_KIND   ? MPX_FIELD_HEADER
                                   : kind == MHD_COOKIE_KIND ? MPX_FIELD_COOKIE
                                                             : MPX_FIELD_PARAM,
                           .name = name,
                           .value = value ? value : ""};
    return MHD_YES;
}

// False when there is no memory for it.
static bool take_head(struct mpx_request *rq, const char *path, const char *method)
{
    static const enum MHD_ValueKind kinds =
        (enum MHD_ValueKind)(MHD_HEADER_KIND | MHD_COOKIE_KIND | MHD_GET_ARGUMENT_KIND);
    int count = MHD_get_connection_values(rq->connection, kinds, NULL, NULL);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(rq->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    rq->begun = true;
    rq->path = path;
    rq->method_name = method;
    rq->head_size = info ? info->header_size : 0;
    if (count <= 0)
        return true;
    rq->fields = calloc((size_t)count, sizeof *rq->fields);
    if (rq->fields)
        MHD_get_connection_values(rq->connection, kinds, take_field, rq);
    return rq->fields != NULL;
}

static enum MHD_Result go(struct mpx_request *rq, enum mpx_next next)
{
    if (next == MPX_REPLY)
        return send_reply(rq);
    return next == MPX_HANG_UP ? MHD_NO : MHD_YES; // later: called again when resumed
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection,
                                  const char *path, const char *method,
                                  const char *version, const char *body,
                                  size_t *body_length, void **state)
{
    (void)version;
    struct mpx_transport *t = arg;
    struct mpx_request *rq = *state;
    if (!rq || rq->connection != connection)
        return MHD_NO;
    if (!rq->begun)
        return take_head(rq, path, method) ? go(rq, t->exchange->on_head(rq)) : MHD_NO;
    if (*body_length > 0) {
        size_t length = *body_length;
        *body_length = 0;
        return go(rq, t->exchange->on_body(rq, body, length));
    }
    set_busy(rq, true);
    return go(rq, t->exchange->on_end(rq));
}

// All of it.

static struct MHD_Daemon *start(struct mpx_transport *t,
                                const struct mpx_transport_options *o, int listen_fd)
{
    unsigned limit = o->max_connections + o->max_listeners + SPARE_CONNECTIONS;
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        on_request, t, MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_CONNECTION_LIMIT,
        o->threads * limit, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
        MHD_OPTION_THREAD_POOL_SIZE, o->threads, MHD_OPTION_URI_LOG_CALLBACK,
        begin_request, t, MHD_OPTION_NOTIFY_COMPLETED, end_request, t,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, t, MHD_OPTION_END);
}

mproxy_status mpx_transport_open(const struct mpx_transport_options *options,
                                 struct mpx_transport **out, mproxy_error *err)
{
    struct mpx_transport *t = calloc(1, sizeof *t);
    if (!t)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the web server");
    t->exchange = options->exchange;
    t->server = options->server;
    mpx_crowd_init(&t->crowd, options->max_connections);
    mpx_crowd_init(&t->listeners, options->max_listeners);
    // The library closes the socket it is given; the caller keeps the port.
    int listen_fd = dup(options->listen_fd);
    if (listen_fd >= 0)
        t->daemon = start(t, options, listen_fd);
    if (!t->daemon) {
        mproxy_status status = mpx_fail_errno(err, "the web server does not start");
        if (listen_fd >= 0)
            close(listen_fd);
        mpx_transport_close(t);
        return status;
    }
    *out = t;
    return MPROXY_OK;
}

void mpx_transport_stop(struct mpx_transport *t)
{
    atomic_store(&t->stopping, true);
}

void mpx_transport_close(struct mpx_transport *t)
{
    if (!t)
        return;
    // Whoever has a suspended connection resumes it: producers of bodies, and handlers.
    while (atomic_load(&t->suspended) > 0)
        usleep(1000);
    if (t->daemon)
        MHD_stop_daemon(t->daemon);
    mpx_crowd_fini(&t->crowd);
    mpx_crowd_fini(&t->listeners);
    free(t);
}

uint64_t mpx_transport_cut_count(struct mpx_transport *t)
{
    return mpx_crowd_cut(&t->crowd) + mpx_crowd_cut(&t->listeners);
}
