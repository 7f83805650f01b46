#include "base/codec.h"

#include <stdlib.h>

void mpx_put_u64(struct mpx_buf *b, uint64_t value)
{
    unsigned char bytes[10];
    size_t n = 0;
    while (value >= 0x80) {
        bytes[n++] = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    bytes[n++] = (unsigned char)value;
    mpx_buf_add(b, bytes, n);
}

void mpx_put_i64(struct mpx_buf *b, int64_t value)
{
    mpx_put_u64(b, ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0));
}

void mpx_put_double(struct mpx_buf *b, double value)
{
    mpx_buf_add(b, &value, sizeof value);
}

void mpx_put_bytes(struct mpx_buf *b, const void *bytes, size_t length)
{
    mpx_buf_add(b, bytes, length);
}

void mpx_put_string(struct mpx_buf *b, const char *text)
{
    size_t length = strlen(text);
    mpx_put_u64(b, length);
    mpx_buf_add(b, text, length);
}

uint64_t mpx_get_u64(struct mpx_cursor *c)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (c->bad || c->at == c->end)
            break;
        unsigned char byte = *c->at++;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    c->bad = true;
    return 0;
}

int64_t mpx_get_i64(struct mpx_cursor *c)
{
    uint64_t value = mpx_get_u64(c);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

const void *mpx_get_bytes(struct mpx_cursor *c, size_t length)
{
    if (c->bad || (size_t)(c->end - c->at) < length) {
        c->bad = true;
        return NULL;
    }
    const void *bytes = c->at;
    c->at += length;
    return bytes;
}

double mpx_get_double(struct mpx_cursor *c)
{
    double value = 0;
    const void *bytes = mpx_get_bytes(c, sizeof value);
    if (bytes)
        memcpy(&value, bytes, sizeof value);
    return value;
}

char *mpx_get_string(struct mpx_cursor *c, size_t max)
{
    uint64_t length = mpx_get_u64(c);
    if (length > max) {
        c->bad = true;
        return NULL;
    }
    const char *bytes = mpx_get_bytes(c, (size_t)length);
    if (!bytes || memchr(bytes, 0, (size_t)length)) {
        c->bad = true;
        return NULL;
    }
    char *text = malloc((size_t)length + 1);
    if (!text) {
        c->bad = c->no_memory = true;
        return NULL;
    }
    memcpy(text, bytes, (size_t)length);
    text[length] = '\0';
    return text;
}

size_t mpx_get_count(struct mpx_cursor *c, size_t item_bytes)
{
    uint64_t count = mpx_get_u64(c);
    if (c->bad || count > (size_t)(c->end - c->at) / item_bytes) {
        c->bad = true;
        return 0;
    }
    return (size_t)count;
}
