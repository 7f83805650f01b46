// The gateway: the socket of older clients, which push JSON messages
// (docs/migration.md). Their values are written into segments of the rendezvous directory
// before anything else happens, so that they outlive the proxy like the counters of any
// process.
//
// Threads: one thread at a time, the event loop's.
#ifndef MPX_GATEWAY_GATEWAY_H
#define MPX_GATEWAY_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

#include <mproxy/base.h>

#include <mproxy/loop.h>
#include "source/input.h"

struct mpx_gateway;

struct mpx_gateway_options {
    mproxy_loop *loop;       // whose guests the socket and its clients are; outlives us
    const char *socket_path; // copied
    const char *dir_path;    // rendezvous directory, whose lock the caller holds; copied
    mproxy_log_fn log;       // may be NULL
    void *log_arg;
    unsigned max_clients; // 0: 2048
    size_t max_message;   // bytes without a NUL; 0: 4 MiB
    size_t max_buffered;  // of all clients together; 0: 64 MiB
};

// Bind the socket. A file that a dead proxy left is replaced.
// @return MPROXY_OK, MPROXY_E_BUSY (somebody answers there; the text names the pid),
//         MPROXY_E_INVALID (path), MPROXY_E_NOMEM, MPROXY_E_SYSTEM
mproxy_status mpx_gateway_open(const struct mpx_gateway_options *options,
                               struct mpx_gateway **out, mproxy_error *err);
// The clients' segments become final. The socket file is removed if it is still ours.
void mpx_gateway_close(struct mpx_gateway *gw); // accepts NULL

// Before a round: bind again if the socket file has vanished, try again where room was
// missing. After it: clients whose segment was removed go on in a new file.
extern const struct mpx_input mpx_gateway_input;

// Refusals, by reason.
enum mpx_gateway_refusal {
#define MPX_REFUSAL(id, reason, meaning)
#define MPX_GATEWAY_REFUSAL(id, reason, meaning) MPX_GATEWAY_##id,
#include "tables/refusals.def"
#undef MPX_GATEWAY_REFUSAL
#undef MPX_REFUSAL
    MPX_GATEWAY_REFUSALS
};

struct mpx_gateway_stats {
    uint64_t clients; // connected now
    uint64_t accepted, messages;
    uint64_t buffered; // bytes of messages not yet whole
    uint64_t refused[MPX_GATEWAY_REFUSALS];
};
void mpx_gateway_get_stats(const struct mpx_gateway *gw, struct mpx_gateway_stats *out);

#endif
