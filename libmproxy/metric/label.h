// Walking the labels of a metric's name.
#ifndef MPX_METRIC_LABEL_H
#define MPX_METRIC_LABEL_H

#include <stdbool.h>
#include <stddef.h>

struct mpx_label {
    const char *name;
    size_t name_length;
    const char *value; // between the quotes, still escaped
    size_t value_length;
};

// Take the next label of a name that mproxy_metric_check_name() has accepted.
//
// `at` starts as the name's first byte behind its base, where the `{` is, and is moved on.
// False when there are no more.
bool mpx_label_next(const char **at, struct mpx_label *out);

// Whether a label has this name.
bool mpx_label_is(const struct mpx_label *label, const char *name);

#endif
