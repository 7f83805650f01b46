#include "base/options.h"

#include <string.h>

#include "base/err.h"

static size_t size_of(const void *given)
{
    size_t size;
    memcpy(&size, given, sizeof size);
    return size;
}

static mproxy_status check_size(size_t given, size_t first_size, const char *name,
                                mproxy_error *err)
{
    if (given >= first_size)
        return MPROXY_OK;
    return mpx_fail(err, MPROXY_E_INVALID,
                    "%s: struct_size is %zu, sizeof(%s) was expected", name, given, name);
}

mproxy_status mpx_struct_check(size_t size, size_t first_size, const void *told,
                               const char *name, mproxy_error *err)
{
    size_t given = size_of(told);
    for (size_t i = size; i < given; i++)
        if (((const char *)told)[i])
            return mpx_fail(err, MPROXY_E_VERSION,
                            "%s: byte %zu is set, which this release does not know", name,
                            i);
    return check_size(given, first_size, name, err);
}

mproxy_status mpx_options_take(void *out, size_t out_size, size_t first_size,
                               const void *options, const char *name, mproxy_error *err)
{
    size_t given = 0;
    if (options) {
        mproxy_status status = mpx_struct_check(out_size, first_size, options, name, err);
        if (status != MPROXY_OK)
            return status;
        given = size_of(options);
    }
    size_t taken = given < out_size ? given : out_size;
    memset(out, 0, out_size);
    if (taken)
        memcpy(out, options, taken);
    memcpy(out, &out_size, sizeof out_size);
    return MPROXY_OK;
}

mproxy_status mpx_struct_takes(const void *out, size_t first_size, const char *name,
                               mproxy_error *err)
{
    return check_size(size_of(out), first_size, name, err);
}

mproxy_status mpx_struct_give(void *out, const void *from, size_t size, size_t first_size,
                              const char *name, mproxy_error *err)
{
    size_t given = size_of(out);
    mproxy_status status = check_size(given, first_size, name, err);
    if (status != MPROXY_OK)
        return status;
    memcpy(out, from, given < size ? given : size);
    if (given > size)
        memset((char *)out + size, 0, given - size);
    memcpy(out, &given, sizeof given);
    return MPROXY_OK;
}
