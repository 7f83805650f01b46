#include "exposition/sink.h"

#include <stdlib.h>

mproxy_status mpx_sink_init(struct mpx_sink *s, mproxy_write_fn write, void *arg)
{
    *s = (struct mpx_sink){.write = write, .arg = arg};
    s->data = malloc(MPX_SINK_SIZE);
    if (!s->data)
        return MPROXY_E_NOMEM;
    s->at = s->data;
    s->end = s->data + MPX_SINK_SIZE;
    return MPROXY_OK;
}

void mpx_sink_flush(struct mpx_sink *s)
{
    size_t length = (size_t)(s->at - s->data);
    s->at = s->data;
    if (!s->status && length > 0)
        s->status = s->write(s->arg, s->data, length);
}

mproxy_status mpx_sink_fini(struct mpx_sink *s)
{
    mpx_sink_flush(s);
    free(s->data);
    mpx_buf_free(&s->scratch);
    return s->status;
}

void mpx_sink_add(struct mpx_sink *s, const char *bytes, size_t length)
{
    while (length > 0) {
        size_t piece = (size_t)(s->end - s->at);
        if (piece > length)
            piece = length;
        s->at = mpx_put(s->at, bytes, piece);
        bytes += piece;
        length -= piece;
        if (s->at == s->end)
            mpx_sink_flush(s);
    }
}

void mpx_sink_text(struct mpx_sink *s, const char *text)
{
    mpx_sink_add(s, text, strlen(text));
}

void mpx_sink_scratch(struct mpx_sink *s)
{
    if (s->scratch.failed && !s->status)
        s->status = MPROXY_E_NOMEM;
    if (!s->scratch.failed)
        mpx_sink_add(s, s->scratch.data, s->scratch.size);
    mpx_buf_clear(&s->scratch);
}

mproxy_status mpx_write_to_buf(void *buf, const char *bytes, size_t length)
{
    mpx_buf_add(buf, bytes, length);
    return ((struct mpx_buf *)buf)->failed ? MPROXY_E_NOMEM : MPROXY_OK;
}
