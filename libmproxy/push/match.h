// Selectors of groups, in the syntax of Prometheus: `{job="a",instance=~"h.*"}`.
#ifndef MPX_PUSH_MATCH_H
#define MPX_PUSH_MATCH_H

#include "push/labels.h"

struct mpx_push_selector;

// A selector has one matcher at least that does not match the empty text, so that nobody
// selects all groups by mistake. Regular expressions are POSIX extended ones, anchored at both
// ends, without back references and counted repetitions, which take time and memory without
// bound. @param out  release with mpx_push_selector_free()
//
// @return MPROXY_OK, MPROXY_E_INVALID with the column, MPROXY_E_NOMEM
mproxy_status mpx_push_selector_new(const char *text, struct mpx_push_selector **out,
                                    mproxy_error *err);
void mpx_push_selector_free(struct mpx_push_selector *selector); // accepts NULL
bool mpx_push_selector_fits(const struct mpx_push_selector *selector,
                            const struct mpx_push_labels *labels);

#endif
