// Requests and their callers: what is asked is copied, what comes is bounded and collected,
// redirects within one server are followed, and each caller is called back once.
//
// A call is in the remote's list from its start until its callback, or until it is cancelled;
// nobody else frees it. mproxy_remote_ask() is a call whose callback fills in the caller's
// reply, driven here until it has ended. A callback may start and cancel calls, but not close
// the remote.
//
// libcurl stands behind transfer.c, which knows bytes and times and nothing of what is asked.
// A redirect is a second transfer of the same call, made here and not by libcurl: it must go
// to the same scheme, host and port, since a token goes with it, and the time that the first
// took counts.
//
// A reply is collected in memory up to its bound, which counts bytes after decompression: a
// server that we were told to scrape may be anybody's.

#include <mproxy/remote.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/options.h"
#include "remote/transfer.h"
#include "remote/url.h"

enum {
    CONNECTIONS = 256,
    TIMEOUT_MS = 10000,
    REPLY_MAX = 64 << 20,
    REDIRECTS_MAX = 4,
    HEADERS_MAX = 4,
};

struct mproxy_remote_call {
    struct mpx_transfer transfer; // first: it is found by it
    mproxy_remote *remote;
    mproxy_remote_call *next, **link;
    char *url, *method, *body;
    char *headers[HEADERS_MAX + 1];
    size_t max_reply;
    struct mpx_buf reply;
    unsigned redirects;
    double seconds; // of the redirects before
    mproxy_remote_done done;
    void *arg;
};

struct mproxy_remote {
    char *user_agent;
    struct mpx_engine *engine;
    mproxy_remote_call *calls;
    size_t count;
    struct mpx_buf answer; // of the last mproxy_remote_ask()
    char *answer_type;
};

mproxy_status mproxy_remote_open(const mproxy_remote_options *options,
                                 mproxy_remote **out, mproxy_error *err)
{
    MPX_REQUIRE(out, err);
    mproxy_remote_options o;
    mproxy_status status =
        MPX_OPTIONS_TAKE(mproxy_remote_options, user_agent, &o, options, err);
    if (status != MPROXY_OK)
        return status;
    mproxy_remote *r = calloc(1, sizeof *r);
    if (r)
        r->user_agent = strdup(o.user_agent ? o.user_agent : "mproxy/" MPROXY_VERSION);
    if (!r || !r->user_agent)
        status = mpx_fail(err, MPROXY_E_NOMEM, "no memory for requests");
    else
        status = mpx_engine_open(o.max_connections ? o.max_connections : CONNECTIONS,
                                 r->user_agent, &r->engine, err);
    if (status != MPROXY_OK) {
        mproxy_remote_close(r);
        return status;
    }
    *out = r;
    return MPROXY_OK;
}

static void call_free(mproxy_remote_call *c)
{
    for (size_t i = 0; i < HEADERS_MAX; i++)
        free(c->headers[i]);
    free(c->url);
    free(c->method);
    free(c->body);
    mpx_buf_free(&c->reply);
    free(c);
}

static void enlist(mproxy_remote_call *c)
{
    mproxy_remote *r = c->remote;
    c->next = r->calls;
    c->link = &r->calls;
    if (c->next)
        c->next->link = &c->next;
    r->calls = c;
    r->count++;
}

static void delist(mproxy_remote_call *c)
{
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    c->remote->count--;
}

void mproxy_remote_cancel(mproxy_remote_call *c)
{
    mpx_transfer_stop(c->remote->engine, &c->transfer);
    delist(c);
    call_free(c);
}

void mproxy_remote_close(mproxy_remote *r)
{
    if (!r)
        return;
    while (r->calls)
        mproxy_remote_cancel(r->calls);
    mpx_engine_close(r->engine);
    mpx_buf_free(&r->answer);
    free(r->answer_type);
    free(r->user_agent);
    free(r);
}

// The end of a call.

static void conclude(mproxy_remote_call *c, mproxy_status status,
                     const mproxy_error *error)
{
    mproxy_remote_reply reply = {.struct_size = sizeof reply,
                                 .code = c->transfer.code,
                                 .type = c->transfer.type ? c->transfer.type : "",
                                 .body = c->reply.data ? c->reply.data : "",
                                 .body_size = c->reply.size,
                                 .seconds = c->seconds + c->transfer.seconds};
    delist(c);
    c->done(c->arg, status, status == MPROXY_OK ? &reply : NULL, error);
    call_free(c);
}

static bool on_body(struct mpx_transfer *t, const char *bytes, size_t length)
{
    mproxy_remote_call *c = (mproxy_remote_call *)(void *)t;
    if (length > c->max_reply - c->reply.size)
        return false;
    mpx_buf_add(&c->reply, bytes, length);
    return !c->reply.failed;
}

static mproxy_status follow(mproxy_remote_call *c, mproxy_error *err)
{
    struct mpx_transfer *t = &c->transfer;
    if (!mpx_url_same_server(c->url, t->redirect))
        return mpx_fail(err, MPROXY_E_INVALID,
                        "%.200s: redirected to another server: %.200s", c->url,
                        t->redirect);
    if (++c->redirects > REDIRECTS_MAX)
        return mpx_fail(err, MPROXY_E_INVALID, "%.200s: redirected more than %d times",
                        c->url, REDIRECTS_MAX);
    char *url = strdup(t->redirect);
    if (!url)
        return mpx_fail(err, MPROXY_E_NOMEM, "%.200s: no memory", c->url);
    free(c->url);
    t->url = c->url = url;
    c->seconds += t->seconds;
    mpx_buf_clear(&c->reply);
    return mpx_transfer_start(c->remote->engine, t, err);
}

static void on_end(struct mpx_transfer *t, mproxy_status status, const char *why)
{
    mproxy_remote_call *c = (mproxy_remote_call *)(void *)t;
    mproxy_error error;
    if (status == MPROXY_E_LIMIT && c->reply.failed)
        status =
            mpx_fail(&error, MPROXY_E_NOMEM, "%.200s: no memory for the reply", c->url);
    else if (status == MPROXY_E_LIMIT)
        mpx_fail(&error, status, "%.200s: the reply is longer than %zu bytes", c->url,
                 c->max_reply);
    else if (status != MPROXY_OK)
        mpx_fail(&error, status, "%.200s: %s", c->url, why);
    else if (t->redirect) {
        status = follow(c, &error);
        if (status == MPROXY_OK)
            return;
    } else if (!mpx_buf_text(&c->reply))
        status =
            mpx_fail(&error, MPROXY_E_NOMEM, "%.200s: no memory for the reply", c->url);
    conclude(c, status, status == MPROXY_OK ? NULL : &error);
}

// The beginning of a call.

static bool is_header_text(const char *text)
{
    for (; text && *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

static mproxy_status check(const mproxy_remote_request *q, mproxy_error *err)
{
    char whole[MPROXY_REMOTE_URL_MAX];
    if (!q->url)
        return mpx_fail(err, MPROXY_E_INVALID, "request: a URL was expected");
    mproxy_status status = mproxy_remote_url(q->url, 80, "", whole, err);
    if (status != MPROXY_OK)
        return status;
    const char *const texts[] = {q->method, q->body_type, q->accept, q->token};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!is_header_text(texts[i])) // the token must not be told to anybody
            return mpx_fail(err, MPROXY_E_INVALID,
                            "%.200s: a control character in a header", q->url);
    return MPROXY_OK;
}

static bool add_header(mproxy_remote_call *c, const char *name, const char *value)
{
    size_t i = 0;
    while (c->headers[i])
        i++;
    struct mpx_buf line = MPX_BUF_INIT;
    mpx_buf_addf(&line, "%s%s", name, value);
    c->headers[i] = mpx_buf_take(&line);
    return c->headers[i] != NULL;
}

static bool add_headers(mproxy_remote_call *c, const mproxy_remote_request *q)
{
    const char *body_type = q->body_type ? q->body_type : "application/json";
    // Without this line libcurl would wait for leave to send a larger body.
    return add_header(c, "Expect:", "") &&
           (!q->body || add_header(c, "Content-Type: ", body_type)) &&
           (!q->accept || add_header(c, "Accept: ", q->accept)) &&
           (!q->token || add_header(c, "Authorization: Bearer ", q->token));
}

static mproxy_remote_call *call_new(mproxy_remote *r, const mproxy_remote_request *q)
{
    mproxy_remote_call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->remote = r;
    c->max_reply = q->max_reply ? q->max_reply : REPLY_MAX;
    c->url = strdup(q->url);
    c->method = strdup(q->method ? q->method : q->body ? "POST" : "GET");
    if (q->body) {
        c->body = malloc(q->body_size + 1);
        if (c->body)
            memcpy(c->body, q->body, q->body_size);
    }
    if (!c->url || !c->method || (q->body && !c->body) || !add_headers(c, q)) {
        call_free(c);
        return NULL;
    }
    c->transfer =
        (struct mpx_transfer){.url = c->url,
                              .method = c->method,
                              .body = c->body,
                              .body_size = q->body_size,
                              .headers = (const char *const *)c->headers,
                              .timeout_ms = q->timeout_ms ? q->timeout_ms : TIMEOUT_MS,
                              .on_body = on_body,
                              .on_end = on_end};
    return c;
}

mproxy_status mproxy_remote_start(mproxy_remote *r, const mproxy_remote_request *request,
                                  mproxy_remote_done done, void *arg,
                                  mproxy_remote_call **call, mproxy_error *err)
{
    MPX_REQUIRE(r && request && done, err);
    mproxy_remote_request q;
    mproxy_status status =
        MPX_OPTIONS_TAKE(mproxy_remote_request, max_reply, &q, request, err);
    if (status == MPROXY_OK)
        status = check(&q, err);
    if (status != MPROXY_OK)
        return status;
    mproxy_remote_call *c = call_new(r, &q);
    if (!c)
        return mpx_fail(err, MPROXY_E_NOMEM, "%.200s: no memory for a request", q.url);
    c->done = done;
    c->arg = arg;
    status = mpx_transfer_start(r->engine, &c->transfer, err);
    if (status != MPROXY_OK) {
        call_free(c);
        return status;
    }
    enlist(c);
    if (call)
        *call = c;
    return MPROXY_OK;
}

// Waiting for one.

struct waiter {
    mproxy_remote *remote;
    bool over;
    mproxy_status status;
    mproxy_remote_reply *reply;
    mproxy_error *err;
};

static mproxy_status keep_answer(mproxy_remote *r, const mproxy_remote_reply *reply,
                                 mproxy_remote_reply *out, mproxy_error *err)
{
    char *type = strdup(reply->type);
    mpx_buf_clear(&r->answer);
    mpx_buf_add(&r->answer, reply->body, reply->body_size);
    if (!type || !mpx_buf_text(&r->answer)) {
        free(type);
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for a reply");
    }
    free(r->answer_type);
    r->answer_type = type;
    mproxy_remote_reply answer = *reply;
    answer.type = type;
    answer.body = r->answer.data;
    return MPX_STRUCT_GIVE(mproxy_remote_reply, seconds, out, &answer, err);
}

static void on_answer(void *arg, mproxy_status status, const mproxy_remote_reply *reply,
                      const mproxy_error *error)
{
    struct waiter *w = arg;
    w->over = true;
    w->status = status;
    if (status == MPROXY_OK)
        w->status = keep_answer(w->remote, reply, w->reply, w->err);
    else if (w->err)
        *w->err = *error;
}

mproxy_status mproxy_remote_ask(mproxy_remote *r, const mproxy_remote_request *request,
                                mproxy_remote_reply *reply, mproxy_error *err)
{
    MPX_REQUIRE(r && request && reply, err);
    struct waiter w = {.remote = r, .reply = reply, .err = err};
    mproxy_status status = MPX_STRUCT_TAKES(mproxy_remote_reply, seconds, reply, err);
    if (status == MPROXY_OK)
        status = mproxy_remote_start(r, request, on_answer, &w, NULL, err);
    if (status != MPROXY_OK)
        return status;
    while (!w.over) {
        // The timeout of the request ends this at the latest.
        poll(&(struct pollfd){.fd = mproxy_remote_fd(r), .events = POLLIN}, 1, -1);
        mproxy_remote_dispatch(r);
    }
    return w.status;
}

int mproxy_remote_fd(const mproxy_remote *r)
{
    return mpx_engine_fd(r->engine);
}

void mproxy_remote_dispatch(mproxy_remote *r)
{
    mpx_engine_dispatch(r->engine);
}

size_t mproxy_remote_count(const mproxy_remote *r)
{
    return r->count;
}
