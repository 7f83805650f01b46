// Text is UTF-8 as RFC 3629 has it; everything else is bytes.
#ifndef MPX_BASE_UTF8_H
#define MPX_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

// Bytes of the character at `text`, of which `left` bytes are there; 0 when it is none:
// cut short, overlong, a surrogate, above U+10FFFF. NUL is a character of one byte.
size_t mpx_utf8_char(const char *text, size_t left);

// Whether all `length` bytes are UTF-8 without control characters (C0, DEL, C1).
bool mpx_utf8_is_printable(const char *text, size_t length);

// Put '?' in the place of each byte that is not of such text.
void mpx_utf8_make_printable(char *text, size_t length);

// The greatest length, at most `max`, at which `text` can be cut between two characters.
size_t mpx_utf8_cut(const char *text, size_t length, size_t max);

#endif
