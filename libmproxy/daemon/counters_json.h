// The body of /push, /accumulate and /set.
#ifndef MPX_DAEMON_COUNTERS_JSON_H
#define MPX_DAEMON_COUNTERS_JSON_H

#include <mproxy/base.h>

struct mpx_counter_body {
    const char *key, *doc, *job; // NULL: not there; borrowed from `tree`
    char value[64];              // a number in text; "": not there
    void *tree;
};

// @return MPROXY_OK or MPROXY_E_INVALID; the text names the field and what was expected
mproxy_status mpx_counter_body_parse(const char *text, size_t length,
                                     struct mpx_counter_body *out, mproxy_error *err);
void mpx_counter_body_clear(struct mpx_counter_body *body);

#endif
