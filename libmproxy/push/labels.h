// The labels of a group: what the path of a push says, `job/NAME[/LABEL/VALUE...]`.
#ifndef MPX_PUSH_LABELS_H
#define MPX_PUSH_LABELS_H

#include <stdbool.h>

#include <mproxy/base.h>

#include "base/buf.h"

enum {
    MPX_PUSH_LABELS_MAX = 32,
    MPX_PUSH_VALUE_MAX = 512 // bytes
};

// Rising by name; texts are NUL-terminated and not escaped.
struct mpx_push_labels {
    struct mpx_buf texts; // "NAME\0VALUE\0" of each
    size_t count;
};

// Walk them: `at` begins as 0. False when there are no more.
bool mpx_push_label_next(const struct mpx_push_labels *labels, size_t *at,
                         const char **name, const char **value);

// Take the labels from a path as libmicrohttpd decodes it, from `job` or `job@base64` on. As
// with the Pushgateway a label named `NAME@base64` has its value in base64 for URLs, with or
// without `=` at the end, so that it may have a slash or nothing in it. A slash at the end is
// no part of it. Labels without a value are among those that come out.
//
// @return MPROXY_OK, MPROXY_E_INVALID, MPROXY_E_NOMEM
mproxy_status mpx_push_labels_of_path(const char *path, struct mpx_push_labels *out,
                                      mproxy_error *err);
// Take them from the bytes of `texts`, which may be anything; without values in them it is no
// group's: MPROXY_E_CORRUPT.
mproxy_status mpx_push_labels_of_texts(const void *bytes, size_t length,
                                       struct mpx_push_labels *out, mproxy_error *err);
// Copy the labels that have a value; a group is known by these. False: no memory.
bool mpx_push_labels_filled(const struct mpx_push_labels *labels,
                            struct mpx_push_labels *out);
void mpx_push_labels_fini(struct mpx_push_labels *labels); // accepts zeroes

#endif
