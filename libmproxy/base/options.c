#include "base/options.h"

#include <string.h>

#include "base/err.h"

mproxy_status mpx_options_take(void *out, size_t out_size, size_t first_size,
                               const void *options, const char *name, mproxy_error *err)
{
    size_t given = 0;
    if (options)
        memcpy(&given, options, sizeof given);
    if (options && given < first_size)
        return mpx_fail(err, MPROXY_E_INVALID,
                        "%s: struct_size is %zu, sizeof(%s) was expected", name, given,
                        name);
    for (size_t i = out_size; i < given; i++)
        if (((const char *)options)[i])
            return mpx_fail(err, MPROXY_E_VERSION,
                            "%s: byte %zu is set, which this release does not know", name,
                            i);
    size_t taken = given < out_size ? given : out_size;
    memset(out, 0, out_size);
    if (taken)
        memcpy(out, options, taken);
    memcpy(out, &out_size, sizeof out_size);
    return MPROXY_OK;
}
