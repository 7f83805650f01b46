// Doubles as text, straight into a buffer that has room for MPROXY_NUMBER_MAX bytes.
#ifndef MPX_EXPOSITION_NUMBER_H
#define MPX_EXPOSITION_NUMBER_H

#ifdef __cplusplus
extern "C" {
#endif

// Both return the end of what they wrote; no NUL is added. Integers: base/decimal.h.
char *mpx_write_number(char *out, double value);   // finite; shortest that reads back
char *mpx_write_shortest(char *out, double value); // the same without the integer path

#ifdef __cplusplus
}
#endif
#endif
