#include "metric/escape.h"

#include "base/utf8.h"

static void escape_prometheus(struct mpx_buf *out, const char *text, size_t length,
                              bool quotes)
{
    for (size_t at = 0; at < length; at++) {
        char c = text[at];
        if (c == '\n')
            mpx_buf_add(out, "\\n", 2);
        else if (c == '\\' || (quotes && c == '"'))
            mpx_buf_add(out, (const char[]){'\\', c}, 2);
        else
            mpx_buf_add(out, &c, 1);
    }
}

void mpx_escape_help(struct mpx_buf *out, const char *text, size_t length)
{
    escape_prometheus(out, text, length, false);
}

void mpx_escape_label(struct mpx_buf *out, const char *text, size_t length)
{
    escape_prometheus(out, text, length, true);
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c == ':';
}

bool mpx_is_plain_base(const char *base, size_t length)
{
    for (size_t at = 0; at < length; at++)
        if (!is_name_char(base[at]))
            return false;
    return true;
}

void mpx_sanitise_base(struct mpx_buf *out, const char *base, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t step = mpx_utf8_char(base + at, length - at);
        mpx_buf_add(out, is_name_char(base[at]) ? base + at : "_", 1);
        at += step ? step : 1;
    }
}
