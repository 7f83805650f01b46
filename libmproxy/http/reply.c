// Building replies. Nothing here knows of connections.

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <zlib.h>

#include "base/utf8.h"
#include "http/internal.h"

enum { GZIP_FROM = 1024 }; // smaller bodies fit one packet as they are

// What is sent when there is no memory for the reply itself.
static const char no_memory[] =
    "{\"operation\":\"the proxy has no memory to answer\",\"success\":false}";

void mpx_http_reply_clear(struct mpx_http_reply *reply)
{
    if (reply->release)
        reply->release(reply->release_arg);
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

static void add_json_char(struct mpx_buf *b, const char *at, size_t step)
{
    unsigned char c = (unsigned char)*at;
    if (step == 0)
        mpx_buf_add_text(b, "\xef\xbf\xbd");
    else if (c == '"' || c == '\\')
        mpx_buf_add(b, (char[]){'\\', *at}, 2);
    else if (c < 0x20)
        mpx_buf_addf(b, "\\u%04x", c);
    else
        mpx_buf_add(b, at, step);
}

void mpx_json_add_string(struct mpx_buf *b, const char *text)
{
    const char *end = text + strlen(text);
    mpx_buf_add(b, "\"", 1);
    while (text < end) {
        size_t step = mpx_utf8_char(text, (size_t)(end - text));
        add_json_char(b, text, step);
        text += step ? step : 1;
    }
    mpx_buf_add(b, "\"", 1);
}

static void reply_operation(struct mpx_request *rq, int code, const char *format,
                            va_list args)
{
    char text[1024];
    vsnprintf(text, sizeof text, format, args);
    struct mpx_buf body = MPX_BUF_INIT;
    mpx_buf_add_text(&body, "{\"operation\":");
    mpx_json_add_string(&body, text);
    mpx_buf_add_text(&body, code == 200 ? ",\"success\":true}" : ",\"success\":false}");
    mpx_reply_buf(rq, code, MPX_TYPE_JSON, &body);
}

void mpx_reply_done(struct mpx_request *rq, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    reply_operation(rq, 200, format, args);
    va_end(args);
}

void mpx_reply_refuse(struct mpx_request *rq, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    reply_operation(rq, code, format, args);
    va_end(args);
}

// What is said of an item behind its name: ";version=1.0.0;q=0.5".
static double quality_of(const char *at, const char *end)
{
    for (; (at = memchr(at, ';', (size_t)(end - at))) != NULL;) {
        do
            at++;
        while (at < end && (*at == ' ' || *at == '\t'));
        if (end - at >= 2 && (*at == 'q' || *at == 'Q') && at[1] == '=')
            return strtod(at + 2, NULL);
    }
    return 1;
}

static bool is_named(const char *at, const char *end, const char *name)
{
    size_t length = strlen(name);
    return (size_t)(end - at) >= length && strncasecmp(at, name, length) == 0 &&
           (at + length == end || strchr("; \t", at[length]));
}

double mpx_http_quality(const char *header, const char *name)
{
    double best = 0;
    for (const char *at = header ? header : ""; *at;) {
        at += strspn(at, ", \t");
        const char *end = at + strcspn(at, ",");
        if (is_named(at, end, name) && quality_of(at, end) > best)
            best = quality_of(at, end);
        at = end;
    }
    return best;
}

bool mpx_http_wants_gzip(const char *accept_encoding)
{
    return mpx_http_quality(accept_encoding, "gzip") > 0;
}

bool mpx_request_packs(const struct mpx_request *rq, size_t length)
{
    return length >= GZIP_FROM && length <= UINT32_MAX &&
           mpx_http_wants_gzip(mpx_request_header(rq, "Accept-Encoding"));
}

void mpx_reply_is_packed(struct mpx_request *rq)
{
    rq->reply.gzipped = true;
}

mproxy_status mpx_gzip(const char *bytes, size_t length, mproxy_write_fn write, void *arg)
{
    z_stream z = {.zalloc = Z_NULL};
    if (deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return MPROXY_E_NOMEM;
    char packed[8192];
    z.next_in = (unsigned char *)(uintptr_t)bytes;
    z.avail_in = (unsigned)length;
    mproxy_status status = MPROXY_OK;
    int result = Z_OK;
    while (status == MPROXY_OK && result == Z_OK) {
        z.next_out = (unsigned char *)packed;
        z.avail_out = sizeof packed;
        result = deflate(&z, Z_FINISH);
        status = write(arg, packed, sizeof packed - z.avail_out);
    }
    deflateEnd(&z);
    return status;
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
