// Bodies that were sent packed: one gzip member or several, bounded by what comes out.

#include <zlib.h>

#include "base/err.h"
#include "http/internal.h"

static mproxy_status no_gzip(mproxy_error *err)
{
    return mpx_fail(err, MPROXY_E_INVALID,
                    "header Content-Encoding: gzip, and the body is none, or not whole");
}

// One more byte than may come out shows that more would.
static mproxy_status inflate_all(z_stream *z, size_t max, struct mpx_buf *out,
                                 mproxy_error *err)
{
    enum { STEP = 64 * 1024 };
    for (;;) {
        if (!mpx_buf_reserve(out, STEP))
            return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the body");
        z->next_out = (unsigned char *)out->data + out->size;
        z->avail_out = STEP;
        int result = inflate(z, Z_NO_FLUSH);
        out->size += STEP - z->avail_out;
        if (out->size > max)
            return mpx_fail(err, MPROXY_E_LIMIT,
                            "the body, unpacked, is over the limit of %zu bytes", max);
        if (result == Z_STREAM_END && z->avail_in == 0)
            return MPROXY_OK;
        if (result == Z_STREAM_END)
            result = inflateReset(z);
        if (result == Z_MEM_ERROR)
            return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the body");
        if (result != Z_OK || (z->avail_in == 0 && z->avail_out > 0))
            return no_gzip(err);
    }
}

mproxy_status mpx_gunzip(const char *bytes, size_t length, size_t max,
                         struct mpx_buf *out, mproxy_error *err)
{
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)bytes,
                  .avail_in = (unsigned)length};
    if (inflateInit2(&z, 15 + 16) != Z_OK)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the body");
    mproxy_status status = length > 0 ? inflate_all(&z, max, out, err) : no_gzip(err);
    inflateEnd(&z);
    return status;
}
