// Text in JSON, whoever wrote it: bytes that are not UTF-8 become U+FFFD.
#ifndef MPX_BASE_JSON_H
#define MPX_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

void mpx_json_escape(struct mpx_buf *out, const char *text, size_t length); // no quotes

// A writer that knows where commas stand:
//
//     struct mpx_json j = {.out = &body};
//     mpx_json_begin(&j, '{');
//     mpx_json_member_u64(&j, "jobs", jobs);
//     mpx_json_end(&j, '}');
//
// What fails for want of memory is seen by the buffer. A buffer that drains, as an
// exposition's sink does, takes texts of any length.
struct mpx_json {
    struct mpx_buf *out;
    bool wants_comma; // before the next key or value
};

void mpx_json_begin(struct mpx_json *j, char bracket); // '{' or '['
void mpx_json_end(struct mpx_json *j, char bracket);   // '}' or ']'
void mpx_json_key(struct mpx_json *j, const char *key);
void mpx_json_put_string(struct mpx_json *j, const char *text);
void mpx_json_put_u64(struct mpx_json *j, uint64_t value);
void mpx_json_put_i64(struct mpx_json *j, int64_t value);
void mpx_json_put_bool(struct mpx_json *j, bool value);
// A value that is JSON already, such as a number that mproxy_format_number() wrote.
void mpx_json_put_raw(struct mpx_json *j, const char *json);
// A key with its value.
void mpx_json_member(struct mpx_json *j, const char *key, const char *text);
void mpx_json_member_u64(struct mpx_json *j, const char *key, uint64_t value);
void mpx_json_member_i64(struct mpx_json *j, const char *key, int64_t value);
void mpx_json_member_bool(struct mpx_json *j, const char *key, bool value);
// The next key or value, or the bracket that ends, begins a line.
void mpx_json_line(struct mpx_json *j);

// Where to write a value of at most `length` bytes; NULL: no memory, nothing is written. What
// was written ends at mpx_json_wrote()'s `end`.
static inline char *mpx_json_room(struct mpx_json *j, size_t length)
{
    struct mpx_buf *b = j->out;
    if (b->room - b->size <= length && !mpx_buf_reserve(b, length + 1))
        return NULL;
    char *at = b->data + b->size;
    if (j->wants_comma)
        *at++ = ',';
    j->wants_comma = true;
    return at;
}

static inline void mpx_json_wrote(struct mpx_json *j, const char *end)
{
    j->out->size = (size_t)(end - j->out->data);
}

#endif
