// Taking a caller's options struct, which may be of another release of its header.
//
// Every options struct begins with `size_t struct_size`, which the caller sets to its sizeof.
// A field that is zero means its default, so a shorter struct of an older release is filled
// up with zeros. The struct never had fewer fields than in its first release, so a smaller
// size is a mistake: most often 0, of a caller that forgot it and whose options would all be
// dropped in silence.
//
// The same holds for other structs that a caller allocates: what it tells about a process or a
// node, which is read where it lies, and statistics that it is given.
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

// As mpx_options_take() without the copy, for a struct that is told often; it must be given.
mproxy_status mpx_struct_check(size_t size, size_t first_size, const void *told,
                               const char *name, mproxy_error *err);

// A struct of this release's size only: once it has grown this does not compile, and a
// struct of an older release must be filled up with zeros first.
#define MPX_STRUCT_CHECK(type, last, told, err)                                          \
    (MPX_NOT_GROWN(type, last),                                                          \
     mpx_struct_check(sizeof(type), sizeof(type), (const type *)(told), #type, (err)))
#define MPX_END_OF(type, last) (offsetof(type, last) + sizeof(((type *)0)->last))
#define MPX_NOT_GROWN(type, last)                                                        \
    ((void)sizeof(struct {                                                               \
        _Static_assert(sizeof(type) - MPX_END_OF(type, last) < _Alignof(type),           \
                       #type " has grown: an older one must be filled up");              \
        int unused;                                                                      \
    }))

// Element `i` of a caller's array of structs of his release, whose size the first one tells.
#define MPX_STRUCT_AT(array, i)                                                          \
    ((const void *)((const char *)(array) + (i) * *(const size_t *)(const void *)(array)))

// Copy *from to *out as far as that reaches, but for its struct_size, and zero the rest of it.
//
// @return MPROXY_OK or MPROXY_E_INVALID (struct_size below first_size)
mproxy_status mpx_struct_give(void *out, const void *from, size_t size, size_t first_size,
                              const char *name, mproxy_error *err);

// As above for a struct whose last field in its first release was `last`.
#define MPX_STRUCT_GIVE(type, last, out, from, err)                                      \
    mpx_struct_give((type *)(out), (const type *)(from), sizeof(type),                   \
                    offsetof(type, last) + sizeof(((type *)0)->last), #type, (err))

// Whether *out can be given, asked before anything is done for it.
mproxy_status mpx_struct_takes(const void *out, size_t first_size, const char *name,
                               mproxy_error *err);
#define MPX_STRUCT_TAKES(type, last, out, err)                                           \
    mpx_struct_takes((const type *)(out), MPX_END_OF(type, last), #type, (err))

#endif
