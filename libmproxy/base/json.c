#include "base/json.h"

#include <string.h>

#include "base/decimal.h"
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

static void add_string(struct mpx_buf *out, const char *text)
{
    mpx_buf_add(out, "\"", 1);
    mpx_json_escape(out, text, strlen(text));
    mpx_buf_add(out, "\"", 1);
}

// ---- the writer

static void put(struct mpx_json *j, const char *bytes, size_t length)
{
    if (j->wants_comma)
        mpx_buf_add(j->out, ",", 1);
    mpx_buf_add(j->out, bytes, length);
    j->wants_comma = true;
}

void mpx_json_begin(struct mpx_json *j, char bracket)
{
    put(j, &bracket, 1);
    j->wants_comma = false;
}

void mpx_json_end(struct mpx_json *j, char bracket)
{
    j->wants_comma = false;
    put(j, &bracket, 1);
}

void mpx_json_key(struct mpx_json *j, const char *key)
{
    mpx_json_put_string(j, key);
    mpx_buf_add(j->out, ":", 1);
    j->wants_comma = false;
}

void mpx_json_put_string(struct mpx_json *j, const char *text)
{
    put(j, "", 0);
    add_string(j->out, text);
}

void mpx_json_put_u64(struct mpx_json *j, uint64_t value)
{
    char *at = mpx_json_room(j, MPX_INTEGER_MAX);
    if (at)
        mpx_json_wrote(j, mpx_write_u64(at, value));
}

void mpx_json_put_i64(struct mpx_json *j, int64_t value)
{
    char *at = mpx_json_room(j, MPX_INTEGER_MAX);
    if (at)
        mpx_json_wrote(j, mpx_write_i64(at, value));
}

void mpx_json_put_bool(struct mpx_json *j, bool value)
{
    mpx_json_put_raw(j, value ? "true" : "false");
}

void mpx_json_put_raw(struct mpx_json *j, const char *json)
{
    put(j, json, strlen(json));
}

void mpx_json_line(struct mpx_json *j)
{
    put(j, "\n", 1);
    j->wants_comma = false;
}

// ---- keys with values

void mpx_json_member(struct mpx_json *j, const char *key, const char *text)
{
    mpx_json_key(j, key);
    mpx_json_put_string(j, text);
}

void mpx_json_member_u64(struct mpx_json *j, const char *key, uint64_t value)
{
    mpx_json_key(j, key);
    mpx_json_put_u64(j, value);
}

void mpx_json_member_i64(struct mpx_json *j, const char *key, int64_t value)
{
    mpx_json_key(j, key);
    mpx_json_put_i64(j, value);
}

void mpx_json_member_bool(struct mpx_json *j, const char *key, bool value)
{
    mpx_json_key(j, key);
    mpx_json_put_bool(j, value);
}
