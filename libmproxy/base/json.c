#include "base/json.h"

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

void mpx_json_escape(struct mpx_buf *out, const char *text, size_t length)
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

void mpx_json_string(struct mpx_buf *out, const char *text)
{
    mpx_buf_add(out, "\"", 1);
    mpx_json_escape(out, text, strlen(text));
    mpx_buf_add(out, "\"", 1);
}
