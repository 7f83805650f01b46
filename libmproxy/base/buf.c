#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void mpx_buf_free(struct mpx_buf *b)
{
    free(b->data);
    *b = (struct mpx_buf)MPX_BUF_INIT;
}

bool mpx_buf_reserve(struct mpx_buf *b, size_t more)
{
    if (b->failed)
        return false;
    if (b->drain && more > b->room - b->size)
        b->drain(b);
    if (more <= b->room - b->size)
        return true;
    size_t room = b->room ? b->room : 256;
    while (room - b->size < more) {
        if (room > SIZE_MAX / 2) {
            b->failed = true;
            return false;
        }
        room *= 2;
    }
    char *data = realloc(b->data, room);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->room = room;
    return true;
}

void mpx_buf_add(struct mpx_buf *b, const void *bytes, size_t length)
{
    if (length == 0 || !mpx_buf_reserve(b, length))
        return;
    memcpy(b->data + b->size, bytes, length);
    b->size += length;
}

void mpx_buf_add_text(struct mpx_buf *b, const char *text)
{
    mpx_buf_add(b, text, strlen(text));
}

void mpx_buf_addf(struct mpx_buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0 || !mpx_buf_reserve(b, (size_t)length + 1))
        return;
    va_start(args, format);
    vsnprintf(b->data + b->size, (size_t)length + 1, format, args);
    va_end(args);
    b->size += (size_t)length;
}

char *mpx_buf_text(struct mpx_buf *b)
{
    if (!mpx_buf_reserve(b, 1))
        return NULL;
    b->data[b->size] = '\0';
    return b->data;
}

char *mpx_buf_take(struct mpx_buf *b)
{
    char *text = mpx_buf_text(b);
    if (text)
        *b = (struct mpx_buf)MPX_BUF_INIT;
    return text;
}
