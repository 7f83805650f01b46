// The name of a function from its address, from the symbol tables of the file that holds it.
//
// No other program is started, nothing is allocated with malloc, and instrumented code may
// come back into it. Static functions are found too, where the file is not stripped.
#ifndef MPX_BINDINGS_FINSTRUMENT_SYMBOLS_H
#define MPX_BINDINGS_FINSTRUMENT_SYMBOLS_H

#include <stddef.h>

// Writes SYMBOL_DSO (characters outside [A-Za-z0-9_] as '_'); the address in hexadecimal
// stands for a symbol that is not known.
void mpx_symbol_name(const void *address, char *out, size_t size);

#endif
