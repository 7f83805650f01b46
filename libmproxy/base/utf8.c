#include "base/utf8.h"

static bool is_tail(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

// The second byte tells overlong forms, surrogates and what lies above U+10FFFF.
static bool second_is_good(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0 && second <= 0xbf;
    case 0xed:
        return second >= 0x80 && second <= 0x9f;
    case 0xf0:
        return second >= 0x90 && second <= 0xbf;
    case 0xf4:
        return second >= 0x80 && second <= 0x8f;
    }
    return is_tail(second);
}

size_t mpx_utf8_char(const char *text, size_t left)
{
    const unsigned char *t = (const unsigned char *)text;
    if (left == 0)
        return 0;
    if (t[0] < 0x80)
        return 1;
    size_t length = t[0] >= 0xc2 && t[0] <= 0xdf   ? 2
                    : t[0] >= 0xe0 && t[0] <= 0xef ? 3
                    : t[0] >= 0xf0 && t[0] <= 0xf4 ? 4
                                                   : 0;
    if (length == 0 || left < length || !second_is_good(t[0], t[1]))
        return 0;
    for (size_t i = 2; i < length; i++)
        if (!is_tail(t[i]))
            return 0;
    return length;
}

bool mpx_utf8_is_printable(const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        const unsigned char *t = (const unsigned char *)text + at;
        size_t step = mpx_utf8_char(text + at, length - at);
        if (step == 0 || t[0] < 0x20 || t[0] == 0x7f || (t[0] == 0xc2 && t[1] < 0xa0))
            return false;
        at += step;
    }
    return true;
}

void mpx_utf8_make_printable(char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t step = mpx_utf8_char(text + at, length - at);
        if (step == 0 || !mpx_utf8_is_printable(text + at, step))
            text[at] = '?';
        else
            at += step - 1;
        at++;
    }
}

size_t mpx_utf8_cut(const char *text, size_t length, size_t max)
{
    if (length <= max)
        return length;
    size_t at = max;
    // Four bytes are the longest character; what isn't UTF-8 at all is cut anywhere.
    for (int i = 0; i < 3 && at > 0 && is_tail((unsigned char)text[at]); i++)
        at--;
    return is_tail((unsigned char)text[at]) ? max : at;
}
