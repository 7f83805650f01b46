// Clients of the legacy socket: accepting, reading, and what a message does.
//
// The socket and each client are guests of the event loop. A call takes a bounded amount
// from its client, so that one that never stops sending delays the others by no more
// than that.
//
// A client sends JSON messages that end in NUL, and is never answered; it blocks when
// its socket is full. So the proxy reads whatever happens: a client beyond the limit is
// accepted and closed, because left in the queue it would stop its program. What is no
// message ends the connection; a message whose value can't be counted is passed over.
//
// Each client has a scribe (own/scribe.c), for the user whom the kernel says it is.
// Values are written into its segment when they arrive, one message after the other;
// there is no state here that a killed proxy could lose but the bytes of a message that
// is not whole.
//
// Memory is bounded twice: a message without an end, and all unfinished messages
// together. A buffer that was large once is given back when it is empty.
//
// The socket's file may be removed by anybody who cleans /tmp. Before each round it is
// looked at, by device and inode, and made again if it is not ours any more; clients
// that are connected do not notice. What goes wrong is told once per client, and once
// per trouble with the file.

#include "gateway/gateway.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/options.h"
#include "gateway/message_json.h"
#include "gateway/socket.h"
#include "metric/reserved.h"
#include "own/scribe.h"
#include "processes/processes.h"

enum {
    READ_BLOCK = 64 * 1024, // per client and call
    KEPT_ROOM = 64 * 1024,  // a client's buffer that grew larger is given back
    ACCEPTS = 64,           // per call
};

struct client {
    struct client *next, *previous;
    struct mproxy_gateway *gateway;
    int fd;
    mproxy_watch *watch;
    int pid;
    uint32_t uid;
    struct mpx_buf in;
    size_t scanned; // bytes of `in` known to hold no NUL
    struct mpx_scribe *scribe;
    bool is_described;  // it has said which job it is of
    bool counts_itself; // its start and end are known already
    bool complained;    // one line a connection
};

struct mproxy_gateway {
    mproxy_gateway_options options;
    mproxy_input input;
    struct mpx_logger logger;
    char socket_path[PATH_MAX];
    char dir_path[PATH_MAX];
    int listen_fd;
    mproxy_watch *listener;
    struct mpx_socket_file file;
    bool told_unbound;
    struct client *clients;
    mproxy_gateway_stats stats;
    uint64_t refused[MPX_GATEWAY_REFUSALS];
};

static void complain(struct mproxy_gateway *gw, struct client *c, const char *what,
                     const char *consequence)
{
    if (!c->complained)
        mpx_say(&gw->logger, MPROXY_LOG_WARNING, "gateway: client with pid %d: %s: %s",
                c->pid, what, consequence);
    c->complained = true;
}

// Clients.

static void drop_client(struct mproxy_gateway *gw, struct client *c)
{
    if (c->previous)
        c->previous->next = c->next;
    else
        gw->clients = c->next;
    if (c->next)
        c->next->previous = c->previous;
    gw->stats.clients--;
    gw->stats.buffered -= c->in.size;
    mpx_scribe_free(c->scribe);
    mpx_buf_free(&c->in);
    mproxy_watch_remove(c->watch);
    close(c->fd);
    free(c);
}

// Messages. Each of these says whether the connection goes on.

static bool refuse(struct mproxy_gateway *gw, struct client *c,
                   enum mpx_gateway_refusal reason, const char *what)
{
    gw->refused[reason]++;
    mpx_scribe_refuse(c->scribe, MPX_OFF_REFUSED);
    complain(gw, c, what, "the connection is closed");
    return false;
}

static bool pass_over(struct mproxy_gateway *gw, struct client *c,
                      enum mpx_gateway_refusal reason, const char *what)
{
    gw->refused[reason]++;
    mpx_scribe_refuse(c->scribe,
                      reason == MPX_GATEWAY_VALUE ? MPX_OFF_VALUE : MPX_OFF_REFUSED);
    complain(gw, c, what, "what it says is not counted");
    return true;
}

static bool after_write(struct mproxy_gateway *gw, struct client *c, mproxy_status status,
                        const mproxy_error *err)
{
    if (status == MPROXY_OK)
        return true;
    if (status == MPROXY_E_TYPE)
        return refuse(gw, c, MPX_GATEWAY_TYPE, err->text);
    return pass_over(gw, c,
                     status == MPROXY_E_INVALID ? MPX_GATEWAY_NAME : MPX_GATEWAY_ROOM,
                     err->text);
}

// Ids that name sums can't name a job.
static bool names_a_job(const char *jobid)
{
    return jobid[0] != '\0' && strcmp(jobid, "main") != 0 &&
           strncmp(jobid, "Node: ", 6) != 0;
}

static bool take_job(struct mproxy_gateway *gw, struct client *c, const mproxy_job *job)
{
    mproxy_error err;
    bool named = names_a_job(job->jobid);
    c->is_described = true;
    c->counts_itself = mpx_peer_counts_itself(c->pid, gw->dir_path);
    if (!named && !c->complained) {
        char what[128];
        snprintf(what, sizeof what, "job id '%.60s' can't name a job", job->jobid);
        complain(gw, c, what, "it counts for the node only");
    }
    if (named && mpx_scribe_is_for(c->scribe, job))
        return true;
    mproxy_status status = mpx_scribe_begin(c->scribe, named ? job : NULL, c->uid, &err);
    return after_write(gw, c, status, &err);
}

// What the older library counts of its process. One that proxy_run has preloaded into would
// be counted twice; of another nobody else tells.
static bool is_of_process(const char *name)
{
    return strcmp(name, "has_started") == 0 || strcmp(name, "has_finished") == 0;
}

static bool is_reserved(const char *name)
{
    return mpx_name_is_reserved(name) && !is_of_process(name);
}

static bool pass_over_reserved(struct mproxy_gateway *gw, struct client *c,
                               const char *name)
{
    char what[160];
    snprintf(what, sizeof what, "metric '%.100s' is counted by the proxy", name);
    return pass_over(gw, c, MPX_GATEWAY_NAME, what);
}

static bool take_value(struct mproxy_gateway *gw, struct client *c,
                       const struct mpx_message *m)
{
    mproxy_error err;
    if (!m->has_value || (c->counts_itself && is_of_process(m->name)))
        return true;
    if (is_reserved(m->name))
        return pass_over_reserved(gw, c, m->name);
    if (m->type == MPROXY_COUNTER && m->value < 0)
        return pass_over(gw, c, MPX_GATEWAY_VALUE, "a counter's increment is below zero");
    mproxy_status status = MPROXY_OK;
    if (!mpx_scribe_has_begun(c->scribe))
        status = mpx_scribe_begin(c->scribe, NULL, c->uid, &err);
    if (status == MPROXY_OK)
        status = mpx_scribe_write(c->scribe, m->name, m->type, m->doc, m->value, &err);
    return after_write(gw, c, status, &err);
}

static bool take_message(struct mproxy_gateway *gw, struct client *c, const char *text,
                         size_t length)
{
    struct mpx_message m;
    mproxy_error err;
    mproxy_status status = mpx_message_parse(text, length, &m, &err);
    if (status != MPROXY_OK)
        return refuse(
            gw, c, status == MPROXY_E_INVALID ? MPX_GATEWAY_SHAPE : MPX_GATEWAY_NOT_JSON,
            err.text);
    gw->stats.messages++;
    bool go_on;
    if (m.kind == MPX_MESSAGE_JOB) {
        go_on = take_job(gw, c, &m.job);
    } else if (m.kind == MPX_MESSAGE_DESC && is_reserved(m.name)) {
        go_on = pass_over_reserved(gw, c, m.name);
    } else if (m.kind == MPX_MESSAGE_DESC && c->counts_itself && is_of_process(m.name)) {
        go_on = true;
    } else if (m.kind == MPX_MESSAGE_DESC) {
        status = mpx_scribe_declare(c->scribe, m.name, m.type, m.doc, &err);
        go_on = after_write(gw, c, status, &err);
    } else {
        go_on = take_value(gw, c, &m);
    }
    mpx_message_clear(&m);
    return go_on;
}

// Take all whole messages out of the buffer.
static bool take_messages(struct mproxy_gateway *gw, struct client *c)
{
    size_t start = 0;
    bool go_on = true;
    while (go_on) {
        char *nul = memchr(c->in.data + c->scanned, '\0', c->in.size - c->scanned);
        if (!nul)
            break;
        size_t end = (size_t)(nul - c->in.data);
        go_on = take_message(gw, c, c->in.data + start, end - start);
        c->scanned = start = end + 1;
    }
    c->in.size -= start;
    memmove(c->in.data, c->in.data + start, c->in.size);
    c->scanned = c->in.size;
    if (go_on && c->in.size > gw->options.max_message)
        go_on = refuse(gw, c, MPX_GATEWAY_SIZE, "a message without an end");
    return go_on;
}

static bool read_client(struct mproxy_gateway *gw, struct client *c)
{
    if (!mpx_buf_reserve(&c->in, READ_BLOCK))
        return refuse(gw, c, MPX_GATEWAY_SIZE, "no memory for a message");
    ssize_t got = recv(c->fd, c->in.data + c->in.size, READ_BLOCK, 0);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    if (got == 0)
        return false;
    size_t before = c->in.size;
    c->in.size += (size_t)got;
    bool go_on = take_messages(gw, c);
    gw->stats.buffered += c->in.size - before;
    if (go_on && gw->stats.buffered > gw->options.max_buffered)
        go_on = refuse(gw, c, MPX_GATEWAY_SIZE, "too much waits in unfinished messages");
    if (c->in.size == 0 && c->in.room > KEPT_ROOM)
        mpx_buf_free(&c->in);
    return go_on;
}

static void on_client(void *arg, int fd, unsigned events)
{
    struct client *c = arg;
    (void)fd;
    (void)events;
    if (!read_client(c->gateway, c))
        drop_client(c->gateway, c);
}

// The socket.

static struct client *add_client(struct mproxy_gateway *gw, int fd)
{
    struct client *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    struct ucred peer = {.pid = 0};
    socklen_t length = sizeof peer;
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
    *c = (struct client){.gateway = gw, .fd = fd, .pid = peer.pid, .uid = peer.uid};
    if (mpx_scribe_new(gw->dir_path, MPX_SEG_GATEWAY, &c->scribe, NULL) != MPROXY_OK ||
        mproxy_watch_add(gw->options.loop, fd, MPROXY_READABLE, on_client, c, &c->watch,
                         NULL) != MPROXY_OK) {
        mpx_scribe_free(c->scribe);
        free(c);
        return NULL;
    }
    c->next = gw->clients;
    if (c->next)
        c->next->previous = c;
    gw->clients = c;
    gw->stats.clients++;
    gw->stats.accepted++;
    return c;
}

// A client beyond the limit is let in and let go: left in the queue it would block its
// program as soon as the socket is full.
static void accept_some(void *arg, int listen_fd, unsigned events)
{
    struct mproxy_gateway *gw = arg;
    (void)events;
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        if (gw->stats.clients < gw->options.max_clients && add_client(gw, fd))
            continue;
        close(fd);
        if (gw->refused[MPX_GATEWAY_CLIENTS]++ == 0)
            mpx_say(&gw->logger, MPROXY_LOG_WARNING,
                    "gateway: %llu clients are connected: one more is refused",
                    (unsigned long long)gw->stats.clients);
    }
}

static void close_socket(struct mproxy_gateway *gw)
{
    mproxy_watch_remove(gw->listener);
    gw->listener = NULL;
    if (gw->listen_fd >= 0)
        close(gw->listen_fd);
    gw->listen_fd = -1;
}

static mproxy_status bind_socket(struct mproxy_gateway *gw, mproxy_error *err)
{
    int fd;
    mproxy_status status = mpx_socket_bind(gw->socket_path, &fd, &gw->file, err);
    if (status != MPROXY_OK)
        return status;
    close_socket(gw);
    gw->listen_fd = fd;
    status = mproxy_watch_add(gw->options.loop, fd, MPROXY_READABLE, accept_some, gw,
                              &gw->listener, err);
    if (status != MPROXY_OK)
        close_socket(gw);
    return status;
}

static mproxy_status before_round(void *self, const mproxy_round *round,
                                  mproxy_error *err)
{
    struct mproxy_gateway *gw = self;
    (void)round;
    (void)err; // told here, once: programs that run already are counted all the same
    for (struct client *c = gw->clients; c; c = c->next)
        mpx_scribe_retry(c->scribe);
    if (gw->listener && mpx_socket_is_ours(gw->socket_path, &gw->file))
        return MPROXY_OK;
    mproxy_error why;
    if (bind_socket(gw, &why) == MPROXY_OK) {
        mpx_say(&gw->logger, MPROXY_LOG_INFO,
                "gateway: the socket '%s' had vanished and was made again",
                gw->socket_path);
        gw->told_unbound = false;
    } else if (!gw->told_unbound) {
        mpx_say(&gw->logger, MPROXY_LOG_WARNING, "gateway: %s: programs can't reach it",
                why.text);
        gw->told_unbound = true;
    }
    return MPROXY_OK;
}

// What a program said before it ended waits here by the time that its segment is found final. It is
// heard before the segment is unlinked, by which it is known to be counted there.
static void hear_newcomers(struct mproxy_gateway *gw)
{
    uint64_t before;
    do {
        before = gw->stats.accepted;
        if (gw->listener)
            accept_some(gw, gw->listen_fd, MPROXY_READABLE);
    } while (gw->stats.accepted - before == ACCEPTS);
    for (struct client *c = gw->clients, *next; c; c = next) {
        next = c->next;
        if (!c->is_described && !read_client(gw, c))
            drop_client(gw, c);
    }
}

static mproxy_status after_round(void *self, const mproxy_round *round, mproxy_error *err)
{
    struct mproxy_gateway *gw = self;
    (void)round;
    (void)err;
    hear_newcomers(gw);
    for (struct client *c = gw->clients; c; c = c->next)
        mpx_scribe_keep(c->scribe);
    return MPROXY_OK;
}

const mproxy_input *mproxy_gateway_input(const mproxy_gateway *gateway)
{
    return &gateway->input;
}

// Life.

static void fill_in(struct mproxy_gateway *gw)
{
    mproxy_gateway_options *o = &gw->options;
    gw->logger = (struct mpx_logger){o->log, o->log_arg};
    o->max_clients = o->max_clients ? o->max_clients : 2048;
    o->max_message = o->max_message ? o->max_message : 4 << 20;
    o->max_buffered = o->max_buffered ? o->max_buffered : 64 << 20;
    gw->input = (mproxy_input){.struct_size = sizeof gw->input,
                               .name = "gateway",
                               .self = gw,
                               .before_round = before_round,
                               .after_round = after_round};
}

mproxy_status mpx_gateway_open_at(const mproxy_gateway_options *options,
                                  const char *dir_path, mproxy_gateway **out,
                                  mproxy_error *err)
{
    struct mproxy_gateway *gw = calloc(1, sizeof *gw);
    if (!gw)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the gateway");
    gw->options = *options;
    fill_in(gw);
    snprintf(gw->socket_path, sizeof gw->socket_path, "%s", options->socket_path);
    snprintf(gw->dir_path, sizeof gw->dir_path, "%s", dir_path);
    gw->listen_fd = -1;
    mproxy_status status = bind_socket(gw, err);
    if (status == MPROXY_OK)
        *out = gw;
    else
        mproxy_gateway_close(gw);
    return status;
}

mproxy_status mproxy_gateway_open(const mproxy_gateway_options *options,
                                  mproxy_gateway **out, mproxy_error *err)
{
    MPX_REQUIRE(options && out, err);
    mproxy_gateway_options o;
    mproxy_status status =
        MPX_OPTIONS_TAKE(mproxy_gateway_options, max_buffered, &o, options, err);
    if (status != MPROXY_OK)
        return status;
    MPX_REQUIRE(o.loop && o.processes && o.socket_path, err);
    return mpx_gateway_open_at(&o, mpx_processes_dir_path(o.processes), out, err);
}

void mproxy_gateway_close(mproxy_gateway *gateway)
{
    struct mproxy_gateway *gw = gateway;
    if (!gw)
        return;
    while (gw->clients)
        drop_client(gw, gw->clients);
    if (gw->listen_fd >= 0 && mpx_socket_is_ours(gw->socket_path, &gw->file))
        unlink(gw->socket_path);
    close_socket(gw);
    free(gw);
}

mproxy_status mproxy_gateway_get_stats(const mproxy_gateway *gateway,
                                       mproxy_gateway_stats *out)
{
    MPX_REQUIRE(gateway && out, NULL);
    mproxy_gateway_stats stats = gateway->stats;
    for (size_t i = 0; i < MPX_GATEWAY_REFUSALS; i++)
        stats.refused += gateway->refused[i];
    return MPX_STRUCT_GIVE(mproxy_gateway_stats, refused, out, &stats, NULL);
}

uint64_t mpx_gateway_refused(const mproxy_gateway *gw, enum mpx_gateway_refusal reason)
{
    return gw->refused[reason];
}
