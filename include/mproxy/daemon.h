/**
 * @file mproxy/daemon.h
 * A node's proxy as one object. It watches a rendezvous directory, serves HTTP, listens on the
 * gateway's socket and saves profiles. `proxy-v2` consists of it and an option parser.
 *
 * Threads: open, run and close by one thread; mproxy_daemon_stop() by any thread or signal
 *          handler. Signals are left to the program: block SIGPIPE, and call stop on SIGTERM.
 */
#ifndef MPROXY_DAEMON_H
#define MPROXY_DAEMON_H

#include <mproxy/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mproxy_daemon mproxy_daemon;

/** All fields may be zero. Strings are copied. */
typedef struct mproxy_daemon_options {
    size_t struct_size;          /**< sizeof(mproxy_daemon_options) */
    const char *listen_address;  /**< NULL: all interfaces, IPv4 and IPv6 */
    int port;                    /**< 0: 1337; -1: a free one */
    const char *advertise;       /**< HOST:PORT for others; NULL: hostname:port */
    const char *socket_path;     /**< NULL: /tmp/metric-proxy-<uid>.socket */
    const char *prefix;          /**< NULL: ~/.proxyprofiles */
    int no_profiles;             /**< do not save profiles */
    unsigned sampling_period_ms; /**< 0: 1000 */
    int64_t linger_ms;           /**< 0: 2000; negative: none */
    int64_t continue_s;          /**< longest gap in a run; 0: 600; negative: none */
    const char *proc_root;       /**< NULL: /proc; for tests on fixture trees */
    const char *sys_root;        /**< NULL: /sys */
    mproxy_log_fn log; /**< called from any of the daemon's threads; NULL: silence */
    void *log_arg;
    int ebpf; /**< count system calls of `proxy_run -e strace` in the kernel, if possible */
    const char *
        targets; /**< scraped from the start: `HOST:PORT[@MS],...`, or URLs; NULL: none */
    const char *textfile_dir; /**< whose *.prom are read; NULL: none */
} mproxy_daemon_options;

/**
 * Take over the rendezvous directory, bind socket and port. When this returns the port is
 * bound but nothing is served until mproxy_daemon_run(). The process's soft limit of open
 * descriptors is raised to its hard limit: each segment of a live program takes one.
 *
 * @return MPROXY_OK, MPROXY_E_BUSY (port or directory is held; the text names the pid),
 *         MPROXY_E_SYSTEM, MPROXY_E_INVALID, MPROXY_E_CORRUPT (state file)
 */
MPROXY_API mproxy_status mproxy_daemon_open(const mproxy_daemon_options *options,
                                            mproxy_daemon **out, mproxy_error *err);
/** The address of its routes, `http://HOST:PORT`; valid until close. */
MPROXY_API const char *mproxy_daemon_url(const mproxy_daemon *daemon);
/**
 * Serve until mproxy_daemon_stop(); ends with a last round that folds what is final.
 *
 * @return MPROXY_OK, MPROXY_E_SYSTEM, or MPROXY_E_BUSY when the rendezvous directory was
 *         removed and another proxy has taken it: nothing is written any more then
 */
MPROXY_API mproxy_status mproxy_daemon_run(mproxy_daemon *daemon, mproxy_error *err);
/** Make mproxy_daemon_run() return soon. May be called twice, and from a signal handler. */
MPROXY_API void mproxy_daemon_stop(mproxy_daemon *daemon);
MPROXY_API void mproxy_daemon_close(mproxy_daemon *daemon); /**< accepts NULL */

#ifdef __cplusplus
}
#endif
#endif
