// Texts as the output formats write them.
#ifndef MPX_METRIC_ESCAPE_H
#define MPX_METRIC_ESCAPE_H

#include <stdbool.h>

#include "base/buf.h"

// Text behind `# HELP name `: `\` and newline escaped.
void mpx_escape_help(struct mpx_buf *out, const char *text, size_t length);
// The inside of a label's value: `\`, `"` and newline escaped.
void mpx_escape_label(struct mpx_buf *out, const char *text, size_t length);
// A name that Prometheus takes: every other character becomes one `_`.
void mpx_sanitise_base(struct mpx_buf *out, const char *base, size_t length);
bool mpx_is_plain_base(const char *base, size_t length); // needs no sanitising

#endif
