#include <zlib.h>

#include "http/request.h"

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
