// Output on its way to a mproxy_write_fn, 64 KiB at a time.
//
// A failure is remembered in `status` and makes all later output go nowhere, so that a
// renderer writes freely and looks now and then.
#ifndef MPX_EXPOSITION_SINK_H
#define MPX_EXPOSITION_SINK_H

#include <string.h>

#include <mproxy/exposition.h>

#include "base/buf.h"

#define MPX_SINK_SIZE ((size_t)64 * 1024)

struct mpx_sink {
    char *at;  // where the next byte goes
    char *end; // of the buffer
    char *data;
    mproxy_status status;
    mproxy_write_fn write;
    void *arg;
    struct mpx_buf scratch; // for a text that is made before its length is known
};

// @return MPROXY_OK or MPROXY_E_NOMEM
mproxy_status mpx_sink_init(struct mpx_sink *s, mproxy_write_fn write, void *arg);
// Hand over the rest. @return the first failure, or MPROXY_OK
mproxy_status mpx_sink_fini(struct mpx_sink *s);
void mpx_sink_flush(struct mpx_sink *s);
void mpx_sink_add(struct mpx_sink *s, const char *bytes, size_t length); // any length
void mpx_sink_text(struct mpx_sink *s, const char *text);
// The content of scratch, which is emptied.
void mpx_sink_scratch(struct mpx_sink *s);

// A mproxy_write_fn that appends to a struct mpx_buf.
mproxy_status mpx_write_to_buf(void *buf, const char *bytes, size_t length);

// Room for `length` bytes, at most MPX_SINK_SIZE; what is used ends at the new `s->at`.
static inline char *mpx_sink_room(struct mpx_sink *s, size_t length)
{
    if ((size_t)(s->end - s->at) < length)
        mpx_sink_flush(s);
    return s->at;
}

static inline char *mpx_put(char *at, const char *bytes, size_t length)
{
    memcpy(at, bytes, length);
    return at + length;
}

#define MPX_PUT_LITERAL(at, literal) mpx_put(at, literal, sizeof(literal) - 1)

#endif
