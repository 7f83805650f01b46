/**
 * @file mproxy/push.h
 * The push gateway: groups of metrics that programs push, as to Prometheus' Pushgateway.
 *
 * A group is known by its labels, `job` first among them, and holds what was pushed last:
 * each push replaces, adds up or deletes. What a call has answered with MPROXY_OK is on file
 * in the directory given, and the next one to open that directory goes on with it. Groups are
 * an input of rounds: each is a source of the kind MPROXY_SOURCE_TARGET of the ledger's
 * directory, with a number whose top bit is set. See docs/pushing.md.
 *
 * Threads: one thread at a time, the writer of the store.
 * Memory:  what is told is copied.
 */
#ifndef MPROXY_PUSH_H
#define MPROXY_PUSH_H

#include <mproxy/exposition.h>
#include <mproxy/round.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mproxy_push mproxy_push;

/** Fields behind `host` may be zero. */
typedef struct mproxy_push_options {
    size_t struct_size;  /**< sizeof(mproxy_push_options) */
    mproxy_store *store; /**< outlives it */
    const mproxy_ledger
        *ledger;       /**< whose directory and epoch its sources have; outlives it */
    int state_fd;      /**< directory, nobody else's; duplicated */
    const char *host;  /**< of the ledger; copied */
    size_t max_groups; /**< default 100,000 */
    size_t max_series; /**< of all groups together; default 2,000,000 */
    /** What all groups hold, as bytes on file; default 256 MiB. The files may be four times as
     * long while they are written anew. */
    size_t max_bytes;
    mproxy_log_fn log; /**< NULL: silence */
    void *log_arg;
} mproxy_push_options;

/**
 * Take up the groups that are on file. Files with damage are told of and kept aside; what is
 * whole in them counts.
 *
 * @param out  set on success; release with mproxy_push_close()
 * @return MPROXY_OK, MPROXY_E_INVALID (options), MPROXY_E_SYSTEM or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_push_open(const mproxy_push_options *options,
                                          mproxy_push **out, mproxy_error *err);
/** Its groups stay on file. Accepts NULL. */
MPROXY_API void mproxy_push_close(mproxy_push *push);
/** Shows the groups, drops those that have expired, and keeps the files short. */
MPROXY_API const mproxy_input *mproxy_push_input(const mproxy_push *push);
/**
 * The directory had been removed and was made anew: write all groups there.
 *
 * @return MPROXY_OK; MPROXY_E_SYSTEM: it stays where it was
 */
MPROXY_API mproxy_status mproxy_push_move(mproxy_push *push, int state_fd,
                                          mproxy_error *err);

/** What becomes of the group. */
typedef enum mproxy_push_verb {
    MPROXY_PUSH_ADD = 1, /**< POST: metrics of the names that are pushed are replaced */
    MPROXY_PUSH_REPLACE = 2, /**< PUT: all of the group is */
    MPROXY_PUSH_SUM = 3 /**< POST?aggregate=sum: counters are added to, gauges replaced */
} mproxy_push_verb;

typedef struct mproxy_pushed {
    size_t struct_size; /**< sizeof(mproxy_pushed) */
    const char *path;   /**< the group: `job/NAME[/LABEL/VALUE...]`, decoded */
    mproxy_push_verb verb;
    mproxy_format format; /**< of the text */
    const char *text;     /**< may be NULL when length is 0 */
    size_t length;
    int64_t ttl_ms; /**< the group goes when it was not pushed for so long; 0: stays */
} mproxy_pushed;

/**
 * Take a push: all of it or, on failure, nothing but the time of the failure.
 *
 * @return MPROXY_OK once it is on file; MPROXY_E_INVALID: the path, or the text, with line
 *         and column; MPROXY_E_TYPE, MPROXY_E_EXISTS: it contradicts what the group or
 *         another one holds; MPROXY_E_LIMIT: no room for more groups, series, names or bytes;
 *         MPROXY_E_SYSTEM: the file can't be written; MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_push_take(mproxy_push *push, const mproxy_pushed *pushed,
                                          mproxy_error *err);
/**
 * Delete the group of a path.
 *
 * @param deleted  0 when there was none; may be NULL
 * @return MPROXY_OK once that is on file, MPROXY_E_INVALID, MPROXY_E_SYSTEM, MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_push_delete(mproxy_push *push, const char *path,
                                            size_t *deleted, mproxy_error *err);
/**
 * Delete all groups whose labels fit one of these selectors, in Prometheus' syntax:
 * `{job="a",instance=~"h.*"}`. All go, or none.
 *
 * @return as mproxy_push_delete()
 */
MPROXY_API mproxy_status mproxy_push_delete_matching(mproxy_push *push,
                                                     const char *const *selectors,
                                                     size_t count, size_t *deleted,
                                                     mproxy_error *err);

typedef struct mproxy_push_stats {
    size_t struct_size; /**< sizeof(mproxy_push_stats), set before it is filled in */
    uint64_t groups;
    uint64_t series;         /**< of all groups */
    uint64_t bytes;          /**< of the files */
    uint64_t pushes;         /**< taken since it was opened, deletions among them */
    uint64_t refused;        /**< that were not */
    uint64_t dropped_values; /**< not finite */
    uint64_t expired;        /**< groups */
} mproxy_push_stats;
/** @return MPROXY_OK or MPROXY_E_INVALID (struct_size) */
MPROXY_API mproxy_status mproxy_push_get_stats(const mproxy_push *push,
                                               mproxy_push_stats *out);

#ifdef __cplusplus
}
#endif
#endif
