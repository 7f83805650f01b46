/**
 * @file mproxy/job.h
 * A job's description: its name and where it runs. Every process of a job derives it from its
 * environment; replies and profiles show it.
 *
 * Threads: any thread; a description is a plain value.
 * Memory:  a mproxy_job owns its strings after copy; release with mproxy_job_clear().
 */
#ifndef MPROXY_JOB_H
#define MPROXY_JOB_H

#include <mproxy/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MPROXY_JOB_ID_MAX 512        /**< longest job id, in bytes */
#define MPROXY_JOB_COMMAND_MAX 65536 /**< a longer command is cut, in bytes */
#define MPROXY_JOB_FIELD_MAX 4096    /**< longest other field, in bytes */

/** The nine keys of a job description (docs/http-api.md). Strings are never NULL. */
typedef struct mproxy_job {
    char *jobid;
    char *command;
    char *nodelist;
    char *partition;
    char *cluster;
    char *run_dir;
    uint64_t size;      /**< number of ranks */
    int64_t start_time; /**< UNIX seconds; 0 unknown */
    int64_t end_time;   /**< UNIX seconds; 0 while it runs */
} mproxy_job;

/**
 * Copy a description. NULL strings become "".
 *
 * @param out  overwritten; must not hold strings yet
 * @return MPROXY_OK or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_job_copy(const mproxy_job *job, mproxy_job *out);

/** Free the strings of a description and zero it. Accepts NULL. */
MPROXY_API void mproxy_job_clear(mproxy_job *job);

enum {
    MPROXY_RANK_WORLD_SHIFT = 20, /**< a rank in its world is below 2^20 */
    MPROXY_RANK_MASK = (1 << 20) - 1,
    MPROXY_RANK_WORLDS = 1 << 12, /**< with more of them, numbers are used again */
};

/**
 * Describe the job that the calling process belongs to, from its environment: Slurm,
 * PMIx, PMI, hydra, or the launcher's host, pid and start time (docs/operations.md).
 *
 * @param out   set on success; release with mproxy_job_clear()
 * @param rank  set to the MPI rank, 0 where there is none. Processes that MPI_Comm_spawn()
 *              started are a world with a rank 0 of its own: its number stands above the rank, from bit
 *              MPROXY_RANK_WORLD_SHIFT on
 * @param err   may be NULL
 * @return MPROXY_OK or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_job_from_environment(mproxy_job *out, uint32_t *rank,
                                                     mproxy_error *err);

/**
 * Say whether an id may name a job: 1 to MPROXY_JOB_ID_MAX bytes of UTF-8 without control
 * characters, not "main", not starting with "Node: ". Any other character is allowed,
 * slashes and dots too: ids are escaped before they become file names.
 *
 * @return MPROXY_OK or MPROXY_E_INVALID, with a text that names the id
 */
MPROXY_API mproxy_status mproxy_job_check_id(const char *jobid, mproxy_error *err);

#ifdef __cplusplus
}
#endif
#endif
