// Output on its way to a mproxy_write_fn, 64 KiB at a time.
//
// `out` is a buffer that hands over what it holds instead of growing, so whatever appends to a
// buffer, base/json.h's writer first, writes to a sink. A failure is remembered in `status` and
// makes all later output go nowhere, so that a renderer writes freely and looks now and then.
#ifndef MPX_EXPOSITION_SINK_H
#define MPX_EXPOSITION_SINK_H

#include <mproxy/base.h>

#include "base/buf.h"

#define MPX_SINK_SIZE ((size_t)64 * 1024)

struct mpx_sink {
    struct mpx_buf out; // first: see sink.c
    mproxy_status status;
    mproxy_write_fn write;
    void *arg;
};

// @return MPROXY_OK or MPROXY_E_NOMEM
mproxy_status mpx_sink_init(struct mpx_sink *s, mproxy_write_fn write, void *arg);
// Hand over the rest. @return the first failure, or MPROXY_OK
mproxy_status mpx_sink_fini(struct mpx_sink *s);
void mpx_sink_flush(struct mpx_sink *s);

// A mproxy_write_fn that appends to a struct mpx_buf.
mproxy_status mpx_write_to_buf(void *buf, const char *bytes, size_t length);

static inline void mpx_sink_add(struct mpx_sink *s, const char *bytes, size_t length)
{
    mpx_buf_add(&s->out, bytes, length);
}

static inline void mpx_sink_text(struct mpx_sink *s, const char *text)
{
    mpx_buf_add_text(&s->out, text);
}

// Room for `length` bytes, at most MPX_SINK_SIZE; mpx_sink_wrote() says how much is used.
static inline char *mpx_sink_room(struct mpx_sink *s, size_t length)
{
    if (s->out.room - s->out.size < length)
        mpx_sink_flush(s);
    return s->out.data + s->out.size;
}

static inline void mpx_sink_wrote(struct mpx_sink *s, const char *end)
{
    s->out.size = (size_t)(end - s->out.data);
}

static inline char *mpx_put(char *at, const char *bytes, size_t length)
{
    memcpy(at, bytes, length);
    return at + length;
}

#define MPX_PUT_LITERAL(at, literal) mpx_put(at, literal, sizeof(literal) - 1)

#endif
