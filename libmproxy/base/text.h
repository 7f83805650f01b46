// Text put together without stdio, whose functions take 2 KiB of stack for a single number:
// what runs inside other people's programs may run on a thread's smallest stack.
#ifndef MPX_BASE_TEXT_H
#define MPX_BASE_TEXT_H

#include <stdarg.h>
#include <stddef.h>

// As snprintf(). Without width, and of conversions d, u, x, o, c, s (with a precision, a
// number or `*`), with l, ll, z and width 04 for o; a format with others goes to vsnprintf().
int mpx_format(char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int mpx_format_list(char *out, size_t size, const char *format, va_list list)
    __attribute__((format(printf, 3, 0)));

#endif
