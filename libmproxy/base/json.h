// Text in JSON, whoever wrote it: bytes that are not UTF-8 become U+FFFD. Replies of a few keys
// are put together in a buffer; what may be large goes through exposition/json.h.
#ifndef MPX_BASE_JSON_H
#define MPX_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

void mpx_json_escape(struct mpx_buf *out, const char *text, size_t length); // no quotes
void mpx_json_string(struct mpx_buf *out, const char *text); // with its quotes

// A writer that knows where commas stand:
//
//     struct mpx_json j = {.out = &body};
//     mpx_json_begin(&j, '{');
//     mpx_json_member_u64(&j, "jobs", jobs);
//     mpx_json_end(&j, '}');
//
// What fails for want of memory is seen by the buffer. Values by the hundred thousand are
// written by exposition/json.c, which has its commas in literals.
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
// A key with its value.
void mpx_json_member(struct mpx_json *j, const char *key, const char *text);
void mpx_json_member_u64(struct mpx_json *j, const char *key, uint64_t value);
// A value that is JSON already, such as a number that mproxy_format_number() wrote.
void mpx_json_put_raw(struct mpx_json *j, const char *json);

#endif
