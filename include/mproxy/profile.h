/**
 * @file mproxy/profile.h
 * Finished jobs on disk: one JSON file per run under a directory, each replaced whole by one
 * rename, listed from an index in memory.
 *
 * Threads: one thread opens, stores, removes, refreshes and closes an archive; functions that
 *          say "any thread" may be called beside it. A profile belongs to whoever got it.
 * Memory:  a profile owns all that its functions return; release with mproxy_profile_free().
 * Times:   start and end of a job are UNIX seconds.
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
typedef struct mproxy_profile mproxy_profile; /**< opaque: one run, whole */

/** One metric of a profile; texts are the profile's. */
typedef struct mproxy_profile_entry {
    size_t struct_size; /**< sizeof(mproxy_profile_entry), set before it is filled in */
    const char *name;   /**< labels included */
    const char *doc;
    mproxy_type type;
    mproxy_value value;
    mproxy_ranks ranks; /**< n is 0 where they are not known */
} mproxy_profile_entry;

MPROXY_API void mproxy_profile_free(mproxy_profile *profile); /**< accepts NULL */

/** The run's job; borrowed from the profile, like all texts below. */
MPROXY_API const mproxy_job *mproxy_profile_job(const mproxy_profile *profile);
/** The owner of the job's processes. */
MPROXY_API uint32_t mproxy_profile_uid(const mproxy_profile *profile);
/** Nonzero: made of what was known when it was asked for, and not as it will be stored. */
MPROXY_API int mproxy_profile_is_provisional(const mproxy_profile *profile);
/** Number of metrics: the sum over all nodes. */
MPROXY_API size_t mproxy_profile_size(const mproxy_profile *profile);
/**
 * A metric by its place, from 0, in the order of views: by base name, then by whole name.
 *
 * @return MPROXY_OK, MPROXY_E_NOTFOUND (past the last), MPROXY_E_INVALID (struct_size)
 */
MPROXY_API mproxy_status mproxy_profile_at(const mproxy_profile *profile, size_t index,
                                           mproxy_profile_entry *out);
/** Number of nodes whose part of the run may be incomplete. */
MPROXY_API size_t mproxy_profile_partial_count(const mproxy_profile *profile);
/** The host name of one of them; NULL past the last. */
MPROXY_API const char *mproxy_profile_partial_at(const mproxy_profile *profile,
                                                 size_t index);

/**
 * Write a profile as the JSON of `GET /profiles/get` (docs/http-api.md): desc, counters
 * with ranks, partial, unheard, nodes (derived from the shares), shares. The archive stores the
 * same text. Its first line, with `}` in place of the comma at its end, is an object of all
 * but the values; its last key is a checksum of the text before it.
 *
 * Gauges have neither times nor ranks there; values that are not finite are left out.
 *
 * @return MPROXY_OK, MPROXY_E_NOMEM or what `write` returned
 */
MPROXY_API mproxy_status mproxy_profile_render(const mproxy_profile *profile,
                                               mproxy_write_fn write, void *arg);

/**
 * Parse that JSON. Every number, length and name is checked, and so is the checksum where the
 * text ends with one. Only the keys `desc` and `counters` are required.
 *
 * @param out  set on success; release with mproxy_profile_free()
 * @return MPROXY_OK, MPROXY_E_CORRUPT (err has line and column where it is no JSON),
 *         MPROXY_E_LIMIT (over 256 MiB), MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_profile_parse(const char *text, size_t length,
                                              mproxy_profile **out, mproxy_error *err);

/**
 * Open the archive in `dir` (made at the first store if missing, mode 0700) and index it.
 * Damaged files are left alone, and a line that names each goes to `log` (may be NULL), on the
 * thread that found it. Leftovers of writes that never finished are removed. Several processes
 * may have one archive open, on one host or on several that share a file system: each write is
 * made under a lock.
 *
 * @param out  set on success; release with mproxy_archive_close()
 * @return MPROXY_OK, MPROXY_E_SYSTEM (it is there and can't be read) or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_archive_open(const char *dir, mproxy_log_fn log,
                                             void *log_arg, mproxy_archive **out,
                                             mproxy_error *err);
MPROXY_API void mproxy_archive_close(mproxy_archive *archive); /**< accepts NULL */

/**
 * Write a profile crash-safely (aside, fsync, rename, fsync of the directory). The newest run
 * of a job id has the key ID; older runs, with other start times, have ID@START_TIME.
 *
 * The profile replaces stored ones of the same run: those of its id all of whose shares it
 * has, or, of profiles without shares, those of the same user and start time.
 *
 * @return MPROXY_OK, MPROXY_E_SYSTEM, MPROXY_E_BUSY (another process is writing there) or
 *         MPROXY_E_NOMEM; on failure every profile stored before is still there, whole
 */
MPROXY_API mproxy_status mproxy_archive_store(mproxy_archive *archive,
                                              const mproxy_profile *profile,
                                              mproxy_error *err);
/**
 * Remove a profile by key.
 *
 * @return MPROXY_OK, MPROXY_E_NOTFOUND, MPROXY_E_SYSTEM, MPROXY_E_BUSY (another process is
 *         writing there) or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_archive_remove(mproxy_archive *archive, const char *key,
                                               mproxy_error *err);
/**
 * Read a profile by key. Any thread.
 *
 * @param out  set on success; release with mproxy_profile_free()
 * @return MPROXY_OK, MPROXY_E_NOTFOUND, MPROXY_E_CORRUPT, MPROXY_E_SYSTEM, MPROXY_E_LIMIT (as
 *         mproxy_profile_parse()) or MPROXY_E_NOMEM
 */
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

/** A stored profile as the index knows it; made by the library only, and may grow. */
typedef struct mproxy_archive_item {
    const char *key; /**< ID or ID@START_TIME */
    const mproxy_job *desc;
    uint32_t uid; /**< owner of the job's processes */
} mproxy_archive_item;

/** Number of profiles stored. Any thread. */
MPROXY_API size_t mproxy_archive_size(mproxy_archive *archive);
/** Call `visit` for each profile, in the order of keys, on this thread. An item is borrowed for
 *  the call; no lock is held. Any thread. */
MPROXY_API void
mproxy_archive_each(mproxy_archive *archive,
                    void (*visit)(void *arg, const mproxy_archive_item *item), void *arg);

/** As mproxy_archive_each(), ordered by command (trimmed), then by key. Any thread.
 *  @return MPROXY_OK or MPROXY_E_NOMEM */
MPROXY_API mproxy_status mproxy_archive_each_by_command(
    mproxy_archive *archive, void (*visit)(void *arg, const mproxy_archive_item *item),
    void *arg, mproxy_error *err);
/** Where a command begins without the white space around it, and its length in bytes. */
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
