/**
 * @file mproxy/processes.h
 * The programs that count on this node, of one proxy socket: their segments, and the ledger
 * that keeps what they counted. Programs find it as they find proxy-v2, by the socket's path;
 * older clients, which talk over the socket itself, are the daemon's (<mproxy/daemon.h>).
 *
 * A round:
 *     mproxy_ledger_round_begin(ledger, ...); mproxy_processes_read(processes, ...);
 *     [mproxy_ledger_node(ledger, ...); mproxy_ledger_release(ledger, ...);]
 *     mproxy_ledger_round_end(ledger, ...);
 *     sources of the ledger into a reduction, which publishes;
 *     mproxy_processes_settle(processes), if the round ended well.
 *
 * Threads: one thread at a time, the writer of the store.
 */
#ifndef MPROXY_PROCESSES_H
#define MPROXY_PROCESSES_H

#include <mproxy/ledger.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mproxy_processes mproxy_processes;

/** Strings are copied. */
typedef struct mproxy_processes_options {
    size_t struct_size;      /**< sizeof(mproxy_processes_options) */
    const char *socket_path; /**< names the rendezvous directory; `proxy_run -u` */
    mproxy_store *store;     /**< metrics are interned here; must outlive this */
    const mproxy_ledger_options *ledger; /**< host and times of the ledger */
    mproxy_log_fn log; /**< called by read, about bad files; NULL: silence */
    void *log_arg;
} mproxy_processes_options;

/**
 * Take the rendezvous directory, and open the ledger that lies in it. The process's limit of
 * open descriptors should be high: each segment of a live program takes one.
 *
 * @param out  set on success; release with mproxy_processes_close()
 * @return MPROXY_OK, MPROXY_E_BUSY (another proxy lives there; the text names its pid),
 *         MPROXY_E_INVALID (options, path), MPROXY_E_SYSTEM, MPROXY_E_NOMEM, or what
 *         mproxy_ledger_open() returned
 */
MPROXY_API mproxy_status mproxy_processes_open(const mproxy_processes_options *options,
                                               mproxy_processes **out, mproxy_error *err);
/** Programs go on counting, for the next proxy. Accepts NULL. */
MPROXY_API void mproxy_processes_close(mproxy_processes *processes);

/** The ledger that the processes are told to; borrowed until close. */
MPROXY_API mproxy_ledger *mproxy_processes_ledger(mproxy_processes *processes);

/**
 * Inside a round of the ledger: look for new segments, read all, and tell the ledger. A
 * directory that somebody removed is made again first. Times are those of the round.
 *
 * @return MPROXY_OK; MPROXY_E_BUSY: another proxy has taken the directory after it was
 *         removed, and the only thing left to do is mproxy_processes_close(), without ending
 *         the round; MPROXY_E_SYSTEM, MPROXY_E_NOMEM: it has told what it could
 */
MPROXY_API mproxy_status mproxy_processes_read(mproxy_processes *processes,
                                               int64_t boot_ms, uint64_t wall_us,
                                               mproxy_error *err);
/** After a round that ended with MPROXY_OK: unlink the segments that are folded. */
MPROXY_API void mproxy_processes_settle(mproxy_processes *processes);

#ifdef __cplusplus
}
#endif
#endif
