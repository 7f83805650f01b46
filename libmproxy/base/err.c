#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/libc.h"
#include "base/text.h"

// Texts quote what came from outside: keep a log to one printable line.
static void make_printable(mproxy_error *err)
{
    for (char *c = err->text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}

static void fill(mproxy_error *err, mproxy_error place, const char *format, va_list args)
{
    if (!err)
        return;
    *err = place;
    mpx_format_list(err->text, sizeof err->text, format, args);
    make_printable(err);
}

mproxy_status mpx_fail(mproxy_error *err, mproxy_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, (mproxy_error){.status = status}, format, args);
    va_end(args);
    return status;
}

mproxy_status mpx_fail_at(mproxy_error *err, mproxy_status status, int line, int column,
                          const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, (mproxy_error){.status = status, .line = line, .column = column}, format,
         args);
    va_end(args);
    return status;
}

mproxy_status mpx_fail_errno(mproxy_error *err, const char *format, ...)
{
    int saved = errno;
    mproxy_status status = saved == ENOMEM ? MPROXY_E_NOMEM : MPROXY_E_SYSTEM;
    va_list args;
    va_start(args, format);
    fill(err, (mproxy_error){.status = status}, format, args);
    va_end(args);
    if (!err)
        return status;
    size_t used = strlen(err->text);
    char words[64];
    if (mpx_strerror(saved, words, sizeof words) != 0)
        mpx_format(words, sizeof words, "error %d", saved);
    mpx_format(err->text + used, sizeof err->text - used, ": %s", words);
    make_printable(err);
    errno = saved;
    return status;
}
