/**
 * @file mproxy/self.h
 * What a proxy tells of itself: the metrics `mproxy_*` (docs: metrics.md, "The proxy"), as an
 * input of rounds (<mproxy/round.h>). They are a source of kind MPROXY_SOURCE_TARGET, number
 * 0, of the ledger's directory: in `main` and `Node: HOST`, in no job and no profile.
 *
 * Parts that a proxy does not have count 0.
 *
 * Threads: one thread at a time, the writer of the store.
 */
#ifndef MPROXY_SELF_H
#define MPROXY_SELF_H

#include <mproxy/gateway.h>
#include <mproxy/http.h>
#include <mproxy/processes.h>
#include <mproxy/profile.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mproxy_self mproxy_self;

/** All fields but struct_size and store may be zero. What is given must outlive this. */
typedef struct mproxy_self_options {
    size_t struct_size;  /**< sizeof(mproxy_self_options) */
    mproxy_store *store; /**< metrics are interned here */
    const char *host;    /**< of the source; NULL: what the kernel says. Copied */
    mproxy_processes *processes;
    mproxy_gateway *gateway;
    mproxy_http *http;
    mproxy_archive *archive;
} mproxy_self_options;

/**
 * @param out  set on success; release with mproxy_self_close()
 * @return MPROXY_OK, MPROXY_E_INVALID (options) or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_self_open(const mproxy_self_options *options,
                                          mproxy_self **out, mproxy_error *err);
MPROXY_API void mproxy_self_close(mproxy_self *self); /**< accepts NULL */
/** What rounds ask, added last: it counts what the other inputs did. Valid until close. */
MPROXY_API const mproxy_input *mproxy_self_input(const mproxy_self *self);

#ifdef __cplusplus
}
#endif
#endif
