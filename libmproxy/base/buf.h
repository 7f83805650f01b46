// The one growing byte buffer of the library.
//
// Failed growth is remembered in `failed` and makes every later append do nothing, so that
// a caller appends freely and looks once at the end.
//
// A buffer with `drain` is a window on something longer, such as exposition/sink.h: instead of
// growing it hands over what it holds. Those who append to it need not know.
#ifndef MPX_BASE_BUF_H
#define MPX_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct mpx_buf {
    char *data;
    size_t size; // bytes used
    size_t room; // bytes allocated
    bool failed;
    // Takes all that is held and leaves size 0; NULL: the buffer grows.
    void (*drain)(struct mpx_buf *b);
};

#define MPX_BUF_INIT                                                                     \
    {                                                                                    \
        0                                                                                \
    }

void mpx_buf_free(struct mpx_buf *b); // frees and zeroes; accepts a zeroed one
// Make room for `more` bytes beyond size. False, and `failed` set, when there is no memory.
bool mpx_buf_reserve(struct mpx_buf *b, size_t more);
void mpx_buf_add(struct mpx_buf *b, const void *bytes, size_t length);
void mpx_buf_add_text(struct mpx_buf *b, const char *text);
void mpx_buf_addf(struct mpx_buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// The content with a NUL behind it that does not count; NULL when `failed`.
char *mpx_buf_text(struct mpx_buf *b);
// As mpx_buf_text(), but the caller owns it (free()) and the buffer is empty again.
char *mpx_buf_take(struct mpx_buf *b);

static inline void mpx_buf_clear(struct mpx_buf *b)
{
    b->size = 0;
    b->failed = false;
}

#endif
