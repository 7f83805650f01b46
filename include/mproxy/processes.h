/**
 * @file mproxy/processes.h
 * The programs that count on this node, of one proxy socket: their segments, and the ledger
 * that keeps what they counted. Programs find this proxy by the socket's path, as they find
 * proxy-v2; older clients, which talk over the socket itself, are <mproxy/gateway.h>.
 *
 * It is an input of rounds (<mproxy/round.h>). A round looks for new segments, reads all,
 * and hands what they say to the ledger; once the ledger has that on disk, segments that are
 * final are unlinked. A directory that somebody removed is made again, with all that is known.
 *
 * Threads: one thread at a time, the writer of the store. A thread of its own tells programs
 * that the proxy is at work while a round is long; it touches nothing else.
 */
#ifndef MPROXY_PROCESSES_H
#define MPROXY_PROCESSES_H

#include <mproxy/round.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mproxy_processes mproxy_processes;

/** All fields but struct_size, socket_path and store may be zero. Strings are copied. */
typedef struct mproxy_processes_options {
    size_t struct_size;      /**< sizeof(mproxy_processes_options) */
    const char *socket_path; /**< names the rendezvous directory; `proxy_run -u` */
    mproxy_store *store;     /**< metrics are interned here; must outlive this */
    /** Host and times of the ledger. NULL: this host, 2 s of linger, runs go on for 10 min. */
    const mproxy_ledger_options *ledger;
    mproxy_log_fn log; /**< called by rounds, about bad files; NULL: silence */
    void *log_arg;
    const char *proc_root; /**< NULL: /proc; other roots for tests on fixture trees */
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

/** The ledger that the programs' counts go to, for mproxy_rounds_new(); borrowed. */
MPROXY_API mproxy_ledger *mproxy_processes_ledger(mproxy_processes *processes);
/**
 * What rounds ask; valid until close. Its rounds must be those of the ledger above: in others it
 * reads nothing, and that is the round's trouble.
 */
MPROXY_API const mproxy_input *mproxy_processes_input(const mproxy_processes *processes);

#ifdef __cplusplus
}
#endif
#endif
