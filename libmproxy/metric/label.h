// Walking the labels of a metric's name.
#ifndef MPX_METRIC_LABEL_H
#define MPX_METRIC_LABEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

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

// What a bucket of a histogram is told from the others by, and what it has in common with them:
// the number that its label `le` says, and its other labels.

// False: it is no number, or NaN.
bool mpx_label_bound(const struct mpx_label *le, double *bound);
// Append all labels but `le`, in braces where there are some. `labels` is as `at` above; *le gets
// that one, its name is NULL where there is none.
void mpx_labels_but_le(struct mpx_buf *out, const char *labels, struct mpx_label *le);

#endif
