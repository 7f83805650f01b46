// Reading a mapping whose file may lose its pages at any moment.
//
// A fault inside the mapping that this thread has entered puts zeroes in place of the whole
// mapping and is remembered; any other SIGBUS goes where it went before.
#ifndef MPX_READER_GUARD_H
#define MPX_READER_GUARD_H

#include <stdbool.h>

#include <mproxy/base.h>

// The handler is one per process, counted: installed at the first, removed at the last.
mproxy_status mpx_guard_install(mproxy_error *err);
void mpx_guard_remove(void);

// Between the two this thread may touch [base, base + length), page-aligned. Not nested.
void mpx_guard_enter(const void *base, size_t length);
bool mpx_guard_hit(void);   // whether a page was missing since enter
bool mpx_guard_leave(void); // the same, and the end of it

#endif
