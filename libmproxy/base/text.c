#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

// What snprintf() would have written so far, and the room for it.
struct text {
    char *out;
    size_t size, used;
};

static void add(struct text *t, const char *part, size_t length)
{
    if (t->used < t->size) {
        size_t room = t->size - t->used;
        memcpy(t->out + t->used, part, length < room ? length : room);
    }
    t->used += length;
}

static void add_number(struct text *t, uint64_t number, unsigned base, int width)
{
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number || sizeof digits - at < (size_t)width);
    add(t, digits + at, sizeof digits - at);
}

static void add_signed(struct text *t, int64_t number)
{
    if (number < 0)
        add(t, "-", 1);
    add_number(t, number < 0 ? -(uint64_t)number : (uint64_t)number, 10, 1);
}

// One conversion: `%`, `0N` for octal numbers, a precision, l, ll or z, and what it is.
struct conversion {
    int width, precision; // precision -1: none; -2: an argument
    bool is_long;
    char what;
};

static const char *parse_number(const char *at, int *out)
{
    *out = 0;
    for (; *at >= '0' && *at <= '9' && *out < 100000; at++)
        *out = *out * 10 + (*at - '0');
    return at;
}

static const char *parse(const char *at, struct conversion *c)
{
    *c = (struct conversion){.width = 1, .precision = -1};
    if (*at == '0')
        at = parse_number(at, &c->width);
    if (*at == '.' && at[1] == '*') {
        c->precision = -2;
        at += 2;
    } else if (*at == '.') {
        at = parse_number(at + 1, &c->precision);
    }
    for (; *at == 'l' || *at == 'z'; at++)
        c->is_long = true;
    c->what = *at;
    return *at ? at + 1 : at;
}

static bool is_known(const struct conversion *c)
{
    if (!c->what || !strchr("duxocs%", c->what) || c->width > 20)
        return false;
    if (c->what == 's' || c->what == 'd')
        return c->width == 1 && (c->what == 's' || c->precision == -1);
    return c->precision == -1;
}

static bool all_are_known(const char *format)
{
    while ((format = strchr(format, '%'))) {
        struct conversion c;
        format = parse(format + 1, &c);
        if (!is_known(&c))
            return false;
    }
    return true;
}

// Of the same size on the machines we build for: long, long long and size_t.
_Static_assert(sizeof(long) == sizeof(long long) && sizeof(size_t) == sizeof(long),
               "64 bits");

static void format_known(struct text *t, const char *format, va_list list)
{
    for (;;) {
        const char *percent = strchrnul(format, '%');
        add(t, format, (size_t)(percent - format));
        if (!*percent)
            return;
        struct conversion c;
        format = parse(percent + 1, &c);
        if (c.what == '%') {
            add(t, "%", 1);
        } else if (c.what == 'c') {
            char one = (char)va_arg(list, int);
            add(t, &one, 1);
        } else if (c.what == 's') {
            size_t most = c.precision == -2   ? (size_t)va_arg(list, int)
                          : c.precision == -1 ? SIZE_MAX
                                              : (size_t)c.precision;
            const char *part = va_arg(list, const char *);
            add(t, part, strnlen(part, most));
        } else if (c.what == 'd') {
            add_signed(t, c.is_long ? va_arg(list, long) : va_arg(list, int));
        } else {
            add_number(t,
                       c.is_long ? va_arg(list, unsigned long) : va_arg(list, unsigned),
                       c.what == 'u'   ? 10
                       : c.what == 'x' ? 16
                                       : 8,
                       c.width);
        }
    }
}

__attribute__((cold, noinline)) static int
format_by_stdio(char *out, size_t size, const char *format, va_list list)
{
    return vsnprintf(out, size, format, list);
}

int mpx_format_list(char *out, size_t size, const char *format, va_list list)
{
    if (!all_are_known(format))
        return format_by_stdio(out, size, format, list);
    struct text t = {.out = out, .size = size};
    format_known(&t, format, list);
    if (size)
        out[t.used < size ? t.used : size - 1] = '\0';
    return (int)t.used;
}

int mpx_format(char *out, size_t size, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int length = mpx_format_list(out, size, format, list);
    va_end(list);
    return length;
}
