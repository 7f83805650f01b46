// The binary encoding of state files and tree frames: varints, doubles, strings, and a
// reader that stops at the first fault and never reads past its end.
#ifndef MPX_BASE_CODEC_H
#define MPX_BASE_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

void mpx_put_u64(struct mpx_buf *b, uint64_t value);  // LEB128, 1 to 10 bytes
void mpx_put_i64(struct mpx_buf *b, int64_t value);   // zigzag
void mpx_put_double(struct mpx_buf *b, double value); // 8 bytes, little-endian
void mpx_put_bytes(struct mpx_buf *b, const void *bytes, size_t length); // raw
void mpx_put_string(struct mpx_buf *b, const char *text);                // length, bytes

struct mpx_cursor {
    const unsigned char *at, *end;
    bool bad;       // once set it stays, and every get returns zero
    bool no_memory; // it is bad for want of memory, not of the bytes
};

uint64_t mpx_get_u64(struct mpx_cursor *c);
int64_t mpx_get_i64(struct mpx_cursor *c);
double mpx_get_double(struct mpx_cursor *c);
const void *mpx_get_bytes(struct mpx_cursor *c, size_t length); // borrowed; NULL if bad
// A string of at most `max` bytes without NULs inside; a copy the caller frees; NULL if bad
// from then on.
char *mpx_get_string(struct mpx_cursor *c, size_t max);
// A count of items that take at least `item_bytes` each: bad if they can't all be there.
size_t mpx_get_count(struct mpx_cursor *c, size_t item_bytes);

#endif
