/**
 * @file mproxy/gateway.h
 * The gateway: the socket of older clients, which push JSON messages (docs/migration.md).
 * Their values are written into segments of the rendezvous directory before anything else
 * happens, so that they outlive the proxy like the counters of any process.
 *
 * The socket and its clients are guests of a loop (<mproxy/loop.h>), and the gateway is an
 * input of rounds (<mproxy/round.h>), added before the one that reads the segments.
 *
 * Threads: the loop's.
 */
#ifndef MPROXY_GATEWAY_H
#define MPROXY_GATEWAY_H

#include <mproxy/loop.h>
#include <mproxy/processes.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mproxy_gateway mproxy_gateway;

/** All fields but struct_size, loop, processes and socket_path may be zero. */
typedef struct mproxy_gateway_options {
    size_t struct_size;          /**< sizeof(mproxy_gateway_options) */
    mproxy_loop *loop;           /**< must outlive the gateway */
    mproxy_processes *processes; /**< whose directory gets the segments; as above */
    const char *socket_path;     /**< copied */
    mproxy_log_fn log;           /**< called on the loop's thread; NULL: silence */
    void *log_arg;
    unsigned max_clients; /**< 0: 2048 */
    size_t max_message;   /**< bytes of one; 0: 4 MiB */
    size_t max_buffered;  /**< bytes of unfinished messages, of all clients; 0: 64 MiB */
} mproxy_gateway_options;

/**
 * Bind the socket. A file that a dead proxy left is replaced.
 *
 * @param out  set on success; release with mproxy_gateway_close()
 * @return MPROXY_OK, MPROXY_E_BUSY (somebody answers there; the text names the pid),
 *         MPROXY_E_INVALID (options, path), MPROXY_E_NOMEM, MPROXY_E_SYSTEM
 */
MPROXY_API mproxy_status mproxy_gateway_open(const mproxy_gateway_options *options,
                                             mproxy_gateway **out, mproxy_error *err);
/**
 * The clients' segments become final, so that a last round folds them; the socket file is
 * removed if it is still ours. Accepts NULL.
 */
MPROXY_API void mproxy_gateway_close(mproxy_gateway *gateway);
/** What rounds ask; valid until close. */
MPROXY_API const mproxy_input *mproxy_gateway_input(const mproxy_gateway *gateway);

typedef struct mproxy_gateway_stats {
    size_t struct_size; /**< sizeof(mproxy_gateway_stats), set before it is filled in */
    uint64_t clients;   /**< connected now */
    uint64_t accepted;
    uint64_t messages;
    uint64_t buffered; /**< bytes of messages that are not whole yet */
    uint64_t refused;  /**< clients, messages and values */
} mproxy_gateway_stats;
/** @return MPROXY_OK or MPROXY_E_INVALID (struct_size) */
MPROXY_API mproxy_status mproxy_gateway_get_stats(const mproxy_gateway *gateway,
                                                  mproxy_gateway_stats *out);

#ifdef __cplusplus
}
#endif
#endif
