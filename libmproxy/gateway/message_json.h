// One message of the legacy socket, parsed.
#ifndef MPX_GATEWAY_MESSAGE_JSON_H
#define MPX_GATEWAY_MESSAGE_JSON_H

#include <stdbool.h>

#include <mproxy/job.h>
#include <mproxy/metric.h>

enum mpx_message_kind { MPX_MESSAGE_JOB = 1, MPX_MESSAGE_DESC, MPX_MESSAGE_VALUE };

struct mpx_message {
    enum mpx_message_kind kind;
    mproxy_job job;         // kind JOB; times in seconds; strings borrowed from `tree`
    const char *name, *doc; // kinds DESC and VALUE; doc "" in a value
    mproxy_type type;
    bool has_value; // a gauge that nobody has set has none
    double value;   // a counter's increment, a gauge's current value
    void *tree;
};

// @return MPROXY_OK, MPROXY_E_CORRUPT (not JSON; err has line and column), MPROXY_E_INVALID
//         (another shape)
mproxy_status mpx_message_parse(const char *text, size_t length, struct mpx_message *out,
                                mproxy_error *err);
void mpx_message_clear(struct mpx_message *message);

#endif
