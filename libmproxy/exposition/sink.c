#include "exposition/sink.h"

static void drain(struct mpx_buf *out)
{
    mpx_sink_flush((struct mpx_sink *)out); // its first member
}

mproxy_status mpx_sink_init(struct mpx_sink *s, mproxy_write_fn write, void *arg)
{
    *s = (struct mpx_sink){.write = write, .arg = arg};
    if (!mpx_buf_reserve(&s->out, MPX_SINK_SIZE))
        return MPROXY_E_NOMEM;
    s->out.drain = drain;
    return MPROXY_OK;
}

// More than MPX_SINK_SIZE is held where one text was longer than that.
void mpx_sink_flush(struct mpx_sink *s)
{
    for (size_t at = 0; at < s->out.size && !s->status; at += MPX_SINK_SIZE) {
        size_t left = s->out.size - at;
        s->status = s->write(s->arg, s->out.data + at,
                             left < MPX_SINK_SIZE ? left : MPX_SINK_SIZE);
    }
    s->out.size = 0;
}

mproxy_status mpx_sink_fini(struct mpx_sink *s)
{
    if (s->out.failed && !s->status)
        s->status = MPROXY_E_NOMEM;
    mpx_sink_flush(s);
    mpx_buf_free(&s->out);
    return s->status;
}

mproxy_status mpx_write_to_buf(void *buf, const char *bytes, size_t length)
{
    mpx_buf_add(buf, bytes, length);
    return ((struct mpx_buf *)buf)->failed ? MPROXY_E_NOMEM : MPROXY_OK;
}
