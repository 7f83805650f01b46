/**
 * @file mproxy/profile.h
 * Finished jobs on disk: one JSON file per run under a directory, each replaced whole by one
 * rename, listed from an index in memory.
 *
 * Threads: an archive is used by one thread at a time, except the functions that say
 *          otherwise. A mproxy_profile is a plain value of its owner.
 * Memory:  a profile owns all it points to; release with mproxy_profile_free().
 */
#ifndef MPROXY_PROFILE_H
#define MPROXY_PROFILE_H

#include <mproxy/exposition.h>
#include <mproxy/job.h>
#include <mproxy/metric.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mproxy_archive mproxy_archive;

/** One metric of a profile or of one of its shares. */
typedef struct mproxy_profile_entry {
    char *name;
    char *doc;
    mproxy_type type;
    mproxy_value value;
    mproxy_ranks ranks;
} mproxy_profile_entry;

/** One share of the run: the part that one node (directory) counted. */
typedef struct mproxy_profile_share {
    uint8_t directory[16]; /**< id of the rendezvous directory */
    uint64_t number;       /**< of the share in its directory */
    char *node;            /**< host name */
    char *command;         /**< of its processes; NULL: the profile's */
    uint64_t epoch;        /**< order of the state, with sequence */
    uint64_t sequence;
    int sealed;       /**< no later state will come */
    int incomplete;   /**< some process could not count, wholly or in part */
    int64_t start_ms; /**< UNIX milliseconds: first process */
    int64_t end_ms;   /**< UNIX milliseconds: last sign of life */
    size_t count;
    mproxy_profile_entry *entries; /**< mproxy_profile_sum() puts them in order */
} mproxy_profile_share;

typedef struct mproxy_profile {
    mproxy_job desc;
    uint32_t uid;    /**< owner of the job's processes */
    int provisional; /**< made of what is known now; not as it will be stored */
    size_t share_count;
    mproxy_profile_share *shares; /**< ordered by (directory, number) */
    size_t count;
    mproxy_profile_entry *entries; /**< the sum of the shares; see mproxy_profile_sum() */
    size_t partial_count;
    char **partial; /**< nodes whose share was not sealed or is incomplete */
    size_t unheard_count;
    char **unheard; /**< nodes that were silent and of which no share was seen */
} mproxy_profile;

MPROXY_API void mproxy_profile_free(mproxy_profile *profile); /**< accepts NULL */

/**
 * Recompute `entries`, `partial` and the description's times from the shares, in their
 * order. Of a name that two shares give different types, the first type is kept. Entries of
 * shares come into the order of views, each name once.
 *
 * @return MPROXY_OK, or MPROXY_E_NOMEM and no sum has changed
 */
MPROXY_API mproxy_status mproxy_profile_sum(mproxy_profile *profile, mproxy_error *err);

/**
 * Write a profile as the JSON of `GET /profiles/get` (docs: spec/http-api): desc, counters
 * with ranks, partial, unheard, nodes (derived from the shares), shares. The archive keeps the
 * same text: the first line, closed with `}` in place of its comma, is an
 * object of all but the values, and the last key is a checksum of the text before it.
 *
 * Gauges have no times and no ranks there; values that are not finite are left out.
 *
 * @return MPROXY_OK, MPROXY_E_NOMEM or what `write` returned
 */
MPROXY_API mproxy_status mproxy_profile_render(const mproxy_profile *profile,
                                               mproxy_write_fn write, void *arg);

/**
 * Parse that JSON. Every number, length and name is checked, and the checksum where the text
 * ends in one. Of the keys only `desc` and `counters` must be there.
 *
 * @param out  set on success; release with mproxy_profile_free()
 * @return MPROXY_OK, MPROXY_E_CORRUPT (err has line and column where it is no JSON),
 *         MPROXY_E_LIMIT (over 256 MiB), MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_profile_parse(const char *text, size_t length,
                                              mproxy_profile **out, mproxy_error *err);

/**
 * Open the archive in `dir` (made at the first store if missing, mode 0700) and index it.
 * Damaged files are left alone, with a line to `log` (may be NULL) that names them; leftovers
 * of writes that never finished are removed. Several processes may have one archive open, on one host or on
 * several that share a file system: each write is made under a lock.
 *
 * @return MPROXY_OK, MPROXY_E_SYSTEM (it is there and can't be read) or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_archive_open(const char *dir, mproxy_log_fn log,
                                             void *log_arg, mproxy_archive **out,
                                             mproxy_error *err);
MPROXY_API void mproxy_archive_close(mproxy_archive *archive); /**< accepts NULL */

/**
 * Write a profile crash-safely (aside, fsync, rename, fsync of the directory). The key is
 * ID for the newest run of that id; when another run of ID (another start time) is there,
 * the older of the two is kept as ID@START_TIME.
 *
 * Stored profiles of the id all of whose shares are in `profile` are the same run (one
 * without shares: of the same user and start time), and are replaced by it.
 *
 * @return MPROXY_OK, MPROXY_E_SYSTEM, MPROXY_E_BUSY (another process is writing there) or
 *         MPROXY_E_NOMEM; on failure every profile stored before is still there, whole
 */
MPROXY_API mproxy_status mproxy_archive_store(mproxy_archive *archive,
                                              const mproxy_profile *profile,
                                              mproxy_error *err);
/** Remove a profile by key. @return MPROXY_OK, MPROXY_E_NOTFOUND, _SYSTEM, _BUSY, _NOMEM */
MPROXY_API mproxy_status mproxy_archive_remove(mproxy_archive *archive, const char *key,
                                               mproxy_error *err);
/** Read a profile by key. Any thread.
 *  @return MPROXY_OK, MPROXY_E_NOTFOUND, _CORRUPT, _SYSTEM, _LIMIT, _NOMEM */
MPROXY_API mproxy_status mproxy_archive_load(mproxy_archive *archive, const char *key,
                                             mproxy_profile **out, mproxy_error *err);
/**
 * See what other processes have stored or removed since. Costs next to nothing when there is
 * nothing to see. Used by the thread that stores.
 *
 * @return MPROXY_OK, MPROXY_E_SYSTEM or MPROXY_E_NOMEM; on failure, of one file even, the
 *         index stays as it was, and the next call looks again
 */
MPROXY_API mproxy_status mproxy_archive_refresh(mproxy_archive *archive,
                                                mproxy_error *err);

/** A share as the index keeps it: enough to release it and to see a newer state. */
typedef struct mproxy_archive_share {
    uint8_t directory[16];
    uint64_t number, epoch, sequence;
    int sealed;
    int64_t start_ms, end_ms;
    const char *command; /**< of its processes */
} mproxy_archive_share;

/** A stored profile as the index knows it. */
typedef struct mproxy_archive_item {
    const char *key; /**< ID or ID@START_TIME */
    const mproxy_job *desc;
    uint32_t uid;
    size_t share_count;
    const mproxy_archive_share *shares; /**< ordered by (directory, number) */
} mproxy_archive_item;

/** Number of profiles stored. Any thread. */
MPROXY_API size_t mproxy_archive_size(mproxy_archive *archive);
/** Call `visit` for each profile, ordered by key; borrowed for the call. No lock is held.
 *  Any thread. */
MPROXY_API void
mproxy_archive_each(mproxy_archive *archive,
                    void (*visit)(void *arg, const mproxy_archive_item *item), void *arg);

/** As mproxy_archive_each(), ordered by command (trimmed), then by key. Any thread.
 *  @return MPROXY_OK or MPROXY_E_NOMEM */
MPROXY_API mproxy_status mproxy_archive_each_by_command(
    mproxy_archive *archive, void (*visit)(void *arg, const mproxy_archive_item *item),
    void *arg, mproxy_error *err);
/** A command without the white space around it: where it begins, and its length. */
MPROXY_API const char *mproxy_command_trim(const char *command, size_t *length);

/**
 * Write a profile's metrics as JSON lines for Extra-P, with the number of ranks as the
 * parameter: `{"params":{"size":4},"callpath":"mpi->hits->mpi_send","metric":"hits",
 * "value":1}`. The call path and the metric's short name are those of a name of three parts,
 * `A___B___C`; others have no call path. A gauge's value is its mean.
 *
 * @return MPROXY_OK, MPROXY_E_NOMEM or what `write` returned
 */
MPROXY_API mproxy_status mproxy_profile_render_extrap(const mproxy_profile *profile,
                                                      mproxy_write_fn write, void *arg);
/**
 * The same for all runs of the command of profile `key`. A profile that is damaged, or
 * gone since it was listed, is left out. Reads files. Any thread.
 *
 * @return MPROXY_OK, MPROXY_E_NOTFOUND (no such key), MPROXY_E_NOMEM or what `write` returned
 */
MPROXY_API mproxy_status mproxy_archive_render_extrap(mproxy_archive *archive,
                                                      const char *key,
                                                      mproxy_write_fn write, void *arg,
                                                      mproxy_error *err);

#ifdef __cplusplus
}
#endif
#endif
