// Numbers as text with a decimal point, whatever locale the program has set: the library runs
// inside programs that call setlocale(), and what it writes is read elsewhere.
#ifndef MPX_BASE_DECIMAL_H
#define MPX_BASE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

// As strtod().
double mpx_decimal_read(const char *text, char **end);

// The decimal that reads back as the same number, in the form of `%g`, which from 1e+06 on has an
// exponent.
void mpx_decimal_shortest(char *out, size_t room, double value);

// Integers, of at most MPX_INTEGER_MAX bytes; both return their end, no NUL is added.
#define MPX_INTEGER_MAX 20
char *mpx_write_u64(char *out, uint64_t value);
char *mpx_write_i64(char *out, int64_t value);

#endif
