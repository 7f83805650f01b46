// Numbers as text, straight into a buffer that has room for MPROXY_NUMBER_MAX bytes.
#ifndef MPX_EXPOSITION_NUMBER_H
#define MPX_EXPOSITION_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// All return the end of what they wrote; no NUL is added.
char *mpx_write_u64(char *out, uint64_t value);
char *mpx_write_i64(char *out, int64_t value);
char *mpx_write_number(char *out, double value);   // finite; shortest that reads back
char *mpx_write_shortest(char *out, double value); // the same without the integer path

#ifdef __cplusplus
}
#endif
#endif
