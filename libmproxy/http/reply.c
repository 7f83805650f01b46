// Building replies. Nothing here knows of connections.

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "http/internal.h"

// Sent when there is no memory for the reply itself, so nothing can write it.
static const char no_memory[] =
    "{\"operation\":\"the proxy has no memory to answer\",\"success\":false}";

void mpx_http_reply_clear(struct mpx_http_reply *reply)
{
    if (reply->release)
        reply->release(reply->release_arg);
    mpx_buf_free(&reply->headers);
    *reply = (struct mpx_http_reply){.code = 0};
}

void mpx_reply_held(struct mpx_request *rq, int code, const char *type, const char *bytes,
                    size_t length, void (*release)(void *arg), void *arg)
{
    mpx_http_reply_clear(&rq->reply);
    rq->reply = (struct mpx_http_reply){.code = code,
                                        .type = type,
                                        .bytes = bytes,
                                        .length = length,
                                        .release = release,
                                        .release_arg = arg};
}

void mpx_reply_buf(struct mpx_request *rq, int code, const char *type,
                   struct mpx_buf *body)
{
    size_t length = body->size;
    char *text = mpx_buf_take(body);
    mpx_buf_free(body);
    if (text)
        mpx_reply_held(rq, code, type, text, length, free, text);
    else
        mpx_reply_held(rq, 503, MPX_TYPE_JSON, no_memory, sizeof no_memory - 1, NULL,
                       NULL);
}

void mpx_reply_stream(struct mpx_request *rq, const char *type, mpx_produce_fn produce,
                      void (*release)(void *arg), void *arg)
{
    mpx_reply_held(rq, 200, type, NULL, 0, release, arg);
    rq->reply.produce = produce;
}

void mpx_http_put_operation(struct mpx_buf *out, const char *text, bool success)
{
    struct mpx_json j = {.out = out};
    mpx_json_begin(&j, '{');
    mpx_json_member(&j, "operation", text);
    mpx_json_member_bool(&j, "success", success);
    mpx_json_end(&j, '}');
}

static void reply_operation(struct mpx_request *rq, int code, const char *format,
                            va_list args)
{
    char text[1024];
    vsnprintf(text, sizeof text, format, args);
    struct mpx_buf body = MPX_BUF_INIT;
    mpx_http_put_operation(&body, text, code < 300);
    mpx_reply_buf(rq, code, MPX_TYPE_JSON, &body);
}

void mpx_reply_done(struct mpx_request *rq, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    reply_operation(rq, 200, format, args);
    va_end(args);
}

void mpx_reply_accept(struct mpx_request *rq, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    reply_operation(rq, 202, format, args);
    va_end(args);
}

void mpx_reply_refuse(struct mpx_request *rq, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    reply_operation(rq, code, format, args);
    va_end(args);
}

void mpx_reply_events(struct mpx_request *rq, unsigned topics)
{
    if (topics == 0) {
        mpx_reply_refuse(rq, 500, "this route has no events to tell");
        return;
    }
    mpx_reply_held(rq, 200, "text/event-stream", NULL, 0, NULL, NULL);
    rq->reply.topics = topics;
}

void mpx_reply_is_packed(struct mpx_request *rq)
{
    rq->reply.gzipped = true;
}

bool mpx_request_is_answered(const struct mpx_request *rq)
{
    return rq->reply.code != 0;
}

bool mpx_reply_header(struct mpx_request *rq, const char *name, const char *value)
{
    struct mpx_buf *b = &rq->reply.headers;
    size_t before = b->size;
    mpx_buf_add(b, name, strlen(name) + 1);
    mpx_buf_add(b, value, strlen(value) + 1);
    if (!b->failed)
        return true;
    b->size = before; // the reply is sent without it
    return false;
}

const char *mpx_http_reply_header(const struct mpx_http_reply *reply, const char *name)
{
    const char *at = reply->headers.data, *end = at + reply->headers.size;
    while (at < end) {
        const char *value = at + strlen(at) + 1;
        if (strcasecmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

// If-None-Match: a list of versions, each perhaps marked as weak, or "*".
static bool has_version(const char *list, const char *etag)
{
    size_t length = strlen(etag);
    for (const char *at = list ? list : ""; *at;) {
        at += strspn(at, ", \t");
        if (strncmp(at, "W/", 2) == 0)
            at += 2;
        size_t step = strcspn(at, ", \t");
        if ((step == length && memcmp(at, etag, length) == 0) ||
            (step == 1 && *at == '*'))
            return true;
        at += step;
    }
    return false;
}

void mpx_reply_etag(struct mpx_request *rq, const char *etag)
{
    if (has_version(mpx_request_header(rq, "If-None-Match"), etag)) {
        if (rq->reply.release)
            rq->reply.release(rq->reply.release_arg);
        rq->reply.release = NULL;
        rq->reply.code = 304;
        rq->reply.length = 0;
        rq->reply.gzipped = false;
    }
    mpx_reply_header(rq, "ETag", etag);
}

static mproxy_status add_packed(void *buf, const char *bytes, size_t length)
{
    struct mpx_buf *b = buf;
    mpx_buf_add(b, bytes, length);
    return b->failed ? MPROXY_E_NOMEM : MPROXY_OK;
}

void mpx_http_reply_gzip(struct mpx_http_reply *reply)
{
    struct mpx_buf packed = MPX_BUF_INIT;
    size_t length = 0;
    char *bytes = NULL;
    if (mpx_gzip(reply->bytes, reply->length, add_packed, &packed) == MPROXY_OK) {
        length = packed.size;
        bytes = mpx_buf_take(&packed);
    }
    mpx_buf_free(&packed);
    if (!bytes)
        return;
    if (reply->release)
        reply->release(reply->release_arg);
    reply->bytes = bytes;
    reply->length = length;
    reply->release = free;
    reply->release_arg = bytes;
    reply->gzipped = true;
}
