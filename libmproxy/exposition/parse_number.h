// Numbers of an exposition. The text must have a newline at or behind `at`.
#ifndef MPX_EXPOSITION_PARSE_NUMBER_H
#define MPX_EXPOSITION_PARSE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MPX_NO_TIME INT64_MIN

static inline bool mpx_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

// The word at `at` up to a blank or newline.
static inline const char *mpx_word_end(const char *at)
{
    while (!mpx_is_blank(*at) && *at != '\n')
        at++;
    return at;
}

// Read the number that the word at `at` is: the decimal forms and words of both formats, and
// with `go` what else Go's ParseFloat() takes: hexadecimal with an exponent, underscores.
// Returns the word's end, or NULL when it is no number or too large for a double.
const char *mpx_number_read(const char *at, bool go, double *out);
// The same for a number of known length that no newline ends.
bool mpx_number_is(const char *text, size_t length, bool go, double *out);

// Read a timestamp as microseconds; what they can't hold becomes the nearest. NULL: it is none.
const char *mpx_time_read_ms(const char *at,
                             int64_t *out); // a whole number of milliseconds
const char *mpx_time_read_s(const char *at, int64_t *out); // a decimal number of seconds

#endif
