/**
 * @file mproxy/launch.h
 * Starting a program so that the node's proxy sees it: which exporters there are, and
 * what a program finds in its environment.
 *
 * An exporter is a shared library that is preloaded into programs and counts what they
 * do: PREFIX/lib/libmetricproxy-exporter-NAME.so, found beside the running executable
 * (PREFIX/bin/...). Adding one means adding a file. `process` is always preloaded. Of the
 * others, those that cost a program too much to be the default carry an empty file
 * libmetricproxy-exporter-NAME.opt-in beside them, and are preloaded when asked for.
 *
 * An exporter may also be a program that watches the command from outside:
 * PREFIX/lib/libmetricproxy-exporter-NAME.tool, usually a link to ../bin. It is started as
 * `TOOL -- COMMAND...` with what is to be preloaded in MPROXY_PRELOAD, and becomes the
 * command with that in LD_PRELOAD. Such exporters are always opt-in.
 *
 * Threads: one thread at a time; mproxy_launch_prepare() changes the environment.
 * Memory:  what is borrowed from a list of exporters lives as long as the list, which
 *          mproxy_launch_exec() still reads. Options and `command` are borrowed for the call.
 * Errors:  texts name the option, the file or the program at fault.
 */
#ifndef MPROXY_LAUNCH_H
#define MPROXY_LAUNCH_H

#include <mproxy/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One exporter found. */
typedef struct mproxy_exporter {
    const char *name; /**< as mproxy_exporters_choose() takes it */
    const char *path; /**< absolute */
    int opt_in;       /**< 1: not in the default choice */
    int chosen;       /**< 1: will be preloaded, or started */
    int tool;         /**< 1: a program that watches the command */
} mproxy_exporter;

typedef struct mproxy_exporters mproxy_exporters; /**< exporters, sorted by name */

/**
 * Look for exporters. The default choice is made: all but those that are opt-in.
 *
 * @param dir  where to look; NULL: `lib` and `lib64` beside the directory of the running
 *             executable, the first file of a name wins
 * @param out  set on success, untouched on failure; release with mproxy_exporters_free().
 *             A directory that is not there has no exporters.
 * @return MPROXY_OK, MPROXY_E_NOMEM or MPROXY_E_SYSTEM
 */
MPROXY_API mproxy_status mproxy_exporters_find(const char *dir, mproxy_exporters **out,
                                               mproxy_error *err);

/** Release a list. Accepts NULL. */
MPROXY_API void mproxy_exporters_free(mproxy_exporters *exporters);

/** How many exporters there are. */
MPROXY_API size_t mproxy_exporters_count(const mproxy_exporters *exporters);

/** One of them, by its place from 0; borrowed. */
MPROXY_API const mproxy_exporter *mproxy_exporters_get(const mproxy_exporters *exporters,
                                                       size_t place);

/**
 * Choose exporters by name. The first call replaces the default choice, later calls add.
 *
 * @param names  separated by commas; empty names are passed over
 * @return MPROXY_OK, or MPROXY_E_NOTFOUND with a text that names the unknown one; then
 *         the choice is as before
 */
MPROXY_API mproxy_status mproxy_exporters_choose(mproxy_exporters *exporters,
                                                 const char *names, mproxy_error *err);

/** Options that a program is started with; zero means default. */
typedef struct mproxy_launch_options {
    size_t struct_size; /**< sizeof (mproxy_launch_options) */
    const char *jobid;  /**< NULL: as the environment says; see mproxy_job_check_id() */
    const char *socket; /**< of the proxy; NULL: PROXY_PATH, the user's or the node's */
    uint64_t period_ms; /**< sampling period wished for; 0: none */
    const mproxy_exporters *exporters; /**< NULL: none is preloaded */
    /** Called with each line that tells what is done; NULL: silence. */
    void (*say)(void *user, const char *line);
    void *user; /**< passed to `say` */
} mproxy_launch_options;

/**
 * Prepare the calling process to become `command`.
 *
 * Sets in its environment PROXY_JOB_ID (with options->jobid only), PROXY_PATH (absolute),
 * PROXY_PERIOD (with a period only), METRIC_PROXY_LAUNCHER_PPID, LD_PRELOAD (what it
 * held, then the exporters chosen; with a tool among them MPROXY_PRELOAD is set instead),
 * MPROXY_LAUNCHER_ID, MPROXY_COMMAND, MPROXY_CLOCK and MPROXY_FILTERS (which programs under
 * it can't find out, or not soon enough). Makes the rendezvous directory where no proxy has
 * made it, so that a proxy started later finds the program. Leaves a segment there that tells
 * of the process, so that a program that can't be preloaded belongs to its job all the same.
 *
 * Only a wrong option makes it fail: where nothing can be counted the program runs
 * uncounted, and `say` hears why.
 *
 * @param command  NULL-terminated words
 * @return MPROXY_OK, MPROXY_E_INVALID (job id, socket) or MPROXY_E_NOMEM; the environment
 *         may have been changed in part then
 */
MPROXY_API mproxy_status mproxy_launch_prepare(const mproxy_launch_options *options,
                                               char *const command[], mproxy_error *err);

/**
 * Become `command`, found as the shell finds it, or the tool that mproxy_launch_prepare()
 * found chosen and that becomes it. Returns on failure only. An environment too large for
 * the system together with what was added is cut down to what it was; a tool that can't be
 * started is left out.
 *
 * @param exit_status  set to what a shell would exit with: 127 when there is no such
 *                     program, 126 when it can't be run
 * @return MPROXY_E_NOTFOUND or MPROXY_E_SYSTEM
 */
MPROXY_API mproxy_status mproxy_launch_exec(char *const command[], int *exit_status,
                                            mproxy_error *err);

/**
 * Say beforehand, as far as that can be known, whether mproxy_launch_exec() would fail, so
 * that a mistyped name leaves no trace of a job.
 *
 * @return MPROXY_OK; else as mproxy_launch_exec()
 */
MPROXY_API mproxy_status mproxy_launch_check(char *const command[], int *exit_status,
                                             mproxy_error *err);

#ifdef __cplusplus
}
#endif
#endif
