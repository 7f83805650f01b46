#include "metric/escape.h"

#include "base/utf8.h"

// What stands behind the backslash in JSON; 0: no short form.
static char json_short(unsigned char c)
{
    switch (c) {
    case '"':
    case '\\':
        return (char)c;
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    }
    return 0;
}

// One character, or one bad byte. @return the bytes of text that were taken
static size_t escape_one(struct mpx_buf *out, const char *text, size_t left)
{
    unsigned char c = (unsigned char)text[0];
    size_t step = mpx_utf8_char(text, left);
    if (step == 0) {
        mpx_buf_add(out, "\xef\xbf\xbd", 3);
        return 1;
    }
    char letter = json_short(c);
    if (letter)
        mpx_buf_add(out, (const char[]){'\\', letter}, 2);
    else if (c < 0x20)
        mpx_buf_addf(out, "\\u%04x", c);
    else
        mpx_buf_add(out, text, step);
    return step;
}

static bool needs_json_escape(char c)
{
    return (unsigned char)c < 0x20 || (unsigned char)c >= 0x80 || c == '"' || c == '\\';
}

void mpx_escape_json(struct mpx_buf *out, const char *text, size_t length)
{
    size_t at = 0;
    while (at < length) {
        size_t plain = at;
        while (plain < length && !needs_json_escape(text[plain]))
            plain++;
        mpx_buf_add(out, text + at, plain - at);
        at = plain;
        if (at < length)
            at += escape_one(out, text + at, length - at);
    }
}

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
