// The gateway as other parts of the proxy see it; all else is in the public header.
#ifndef MPX_GATEWAY_GATEWAY_H
#define MPX_GATEWAY_GATEWAY_H

#include <mproxy/gateway.h>

// As mproxy_gateway_open() for a rendezvous directory whose lock the caller holds; copied.
mproxy_status mpx_gateway_open_at(const mproxy_gateway_options *options,
                                  const char *dir_path, mproxy_gateway **out,
                                  mproxy_error *err);

// Refusals, by reason.
enum mpx_gateway_refusal {
#define MPX_REFUSAL(id, reason, meaning)
#define MPX_GATEWAY_REFUSAL(id, reason, meaning) MPX_GATEWAY_##id,
#include "tables/refusals.def"
#undef MPX_GATEWAY_REFUSAL
#undef MPX_REFUSAL
    MPX_GATEWAY_REFUSALS
};

uint64_t mpx_gateway_refused(const mproxy_gateway *gw, enum mpx_gateway_refusal reason);

#endif
