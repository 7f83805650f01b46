#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/text.h"

static void write_text(mproxy_error *err, const char *format, va_list args)
{
    mpx_format_list(err->text, sizeof err->text, format, args);
}

// Texts quote what came from outside: keep a log to one printable line.
static void make_printable(mproxy_error *err)
{
    for (char *c = err->text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}

mproxy_status mpx_fail(mproxy_error *err, mproxy_status status, const char *format, ...)
{
    if (!err)
        return status;
    *err = (mproxy_error){.status = status};
    va_list args;
    va_start(args, format);
    write_text(err, format, args);
    va_end(args);
    make_printable(err);
    return status;
}

mproxy_status mpx_fail_at(mproxy_error *err, mproxy_status status, int line, int column,
                          const char *format, ...)
{
    if (!err)
        return status;
    *err = (mproxy_error){.status = status, .line = line, .column = column};
    va_list args;
    va_start(args, format);
    write_text(err, format, args);
    va_end(args);
    make_printable(err);
    return status;
}

mproxy_status mpx_fail_errno(mproxy_error *err, const char *format, ...)
{
    int saved = errno;
    mproxy_status status = saved == ENOMEM ? MPROXY_E_NOMEM : MPROXY_E_SYSTEM;
    if (!err)
        return status;
    *err = (mproxy_error){.status = status};
    va_list args;
    va_start(args, format);
    write_text(err, format, args);
    va_end(args);
    size_t used = strlen(err->text);
    char words[64];
    // The GNU form is used where it is there; both leave `text` usable.
    const char *text = strerror_r(saved, words, sizeof words);
    mpx_format(err->text + used, sizeof err->text - used, ": %s", text);
    make_printable(err);
    errno = saved;
    return status;
}
