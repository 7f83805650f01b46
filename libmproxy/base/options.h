// Taking a caller's options struct, which may be of another release of its header.
//
// Every options struct begins with `size_t struct_size`, which the caller sets to its sizeof.
// A field that is zero means its default, so a shorter struct of an older release is filled
// up with zeros. The struct never had fewer fields than in its first release, so a smaller
// size is a mistake: most often 0, of a caller that forgot it and whose options would all be
// dropped in silence.
#ifndef MPX_BASE_OPTIONS_H
#define MPX_BASE_OPTIONS_H

#include <stddef.h>

#include <mproxy/base.h>

// Copy *options to *out. NULL: all defaults.
//
// @param first_size  of the struct in its first release
// @return MPROXY_OK, MPROXY_E_INVALID (struct_size below first_size) or MPROXY_E_VERSION (of
//         a newer release, and a field that this library does not know is set)
mproxy_status mpx_options_take(void *out, size_t out_size, size_t first_size,
                               const void *options, const char *name, mproxy_error *err);

// As above for a struct whose last field in its first release was `last`.
#define MPX_OPTIONS_TAKE(type, last, out, options, err)                                  \
    mpx_options_take((out), sizeof(type),                                                \
                     offsetof(type, last) + sizeof(((type *)0)->last),                   \
                     (const type *)(options), #type, (err))

#endif
