/**
 * @file mproxy/textfile.h
 * Metrics from files: `*.prom` of a directory, as node_exporter's textfile collector reads them,
 * so that scripts of a site (a job's prolog and epilog, cron) need no curl.
 *
 * It is an input of rounds (<mproxy/round.h>). Each round has a helper look at the directory,
 * which may be on a file server that does not answer; a file is read when it has changed. A
 * file is taken whole or refused whole, with line and column in the log, and then shows
 * nothing. See docs/pushing.md.
 *
 * Threads: the loop's, the writer of the store.
 */
#ifndef MPROXY_TEXTFILE_H
#define MPROXY_TEXTFILE_H

#include <mproxy/round.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mproxy_textfiles mproxy_textfiles;

/** Fields behind `path` may be zero. Strings are copied. */
typedef struct mproxy_textfiles_options {
    size_t struct_size;  /**< sizeof(mproxy_textfiles_options) */
    mproxy_store *store; /**< outlives it */
    mproxy_loop *loop;   /**< outlives it */
    const char *path;    /**< of the directory, which may be made later */
    const char *host;    /**< of the node; NULL: "" */
    size_t max_bytes;    /**< of a file; default 16 MiB */
    size_t max_series;   /**< of a file; default 100,000 */
    mproxy_log_fn log;   /**< NULL: silence */
    void *log_arg;
} mproxy_textfiles_options;

/**
 * @param out  set on success; release with mproxy_textfiles_close()
 * @return MPROXY_OK, MPROXY_E_INVALID (options), MPROXY_E_NOMEM or MPROXY_E_SYSTEM
 */
MPROXY_API mproxy_status mproxy_textfiles_open(const mproxy_textfiles_options *options,
                                               mproxy_textfiles **out, mproxy_error *err);
/** Before its loop is closed; not from a callback. Accepts NULL. */
MPROXY_API void mproxy_textfiles_close(mproxy_textfiles *files);
/** What rounds ask; valid until close. */
MPROXY_API const mproxy_input *mproxy_textfiles_input(const mproxy_textfiles *files);

#ifdef __cplusplus
}
#endif
#endif
