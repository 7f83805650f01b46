// The keeper's parts, each calling those below it only: rounds (keeper.c), plans made in them
// and carried out by the keeper's worker (keeper_plan.c), runs (keeper_runs.c).
#ifndef MPX_PROFILE_KEEPER_PRIVATE_H
#define MPX_PROFILE_KEEPER_PRIVATE_H

#include "base/worker.h"
#include "profile/archive_private.h"
#include "profile/keeper.h"
#include "source/identity.h"

// ---- runs

// A share of a job: its state that is held, the one that is stored, or both.
struct mpx_known {
    struct mpx_share_id id;
    const mproxy_source *source;            // or NULL
    const struct mpx_archive_share *stored; // or NULL; of several the one that says most
    uint32_t run;                           // equal for what is one run
};

// A profile of the job.
struct mpx_known_profile {
    const struct mpx_archive_entry *entry; // borrowed from the index
    uint32_t run;                          // MPX_NO_RUN: it has no shares
};

enum { MPX_NO_RUN = UINT32_MAX };

// All that is known of one user's one job id.
struct mpx_job_known {
    struct mpx_known *shares; // by run, then as they started
    size_t count;
    struct mpx_known_profile *profiles;
    size_t profile_count;
    uint32_t newest; // run
};

// Put together what is held of a job, `count` sources from 1, and what the index has of it.
// False: no memory.
bool mpx_job_gather(struct mpx_job_known *job, const struct mpx_archive_index *index,
                    const mproxy_source *const *sources, size_t count,
                    int64_t continue_ms);
void mpx_job_clear(struct mpx_job_known *job);

// ---- plans

// One run to be written, with copies of all it takes.
struct mpx_plan {
    struct mpx_work work; // first; the keeper's
    struct mpx_keeper *keeper;
    struct mpx_plan *next; // of those handed over
    int64_t boot_ms;       // of the round that made it
    bool provisional;      // what is made of it is
    uint32_t uid;
    mproxy_job desc; // of the source that started first
    int64_t start_ms;
    size_t known_runs; // profiles of the job id that there were
    size_t stored_count;
    struct mpx_share_id *stored; // one share of each stored profile of the run
    size_t share_count;
    struct mpx_profile_share *shares; // of the sources
    // of its execution
    mproxy_status status;
    mproxy_error err;
};

// What a round needs to judge a run.
struct mpx_round {
    int64_t boot_ms, wait_ms;
    bool
        stored_are_lost; // unsealed shares that are stored only will not be heard of again
};

// A run: `count` shares beside each other.
// Whether it has something that is not stored yet.
bool mpx_run_has_news(const struct mpx_known *run, size_t count);
// Whether moreover it is complete enough to be stored.
bool mpx_run_is_due(const struct mpx_round *round, const struct mpx_known *run,
                    size_t count);
// Whether none of its processes lives.
bool mpx_run_is_over(const struct mpx_known *run, size_t count);
// NULL when there is no memory.
struct mpx_plan *mpx_plan_new(const struct mpx_job_known *job,
                              const struct mpx_known *run, size_t count, int64_t boot_ms);
// Write the profile of the run: what is stored of it with what the plan adds. Takes shares
// out of the plan.
// @return MPROXY_E_EXISTS: another process has stored a run of the job meanwhile, so that
//         the plan is out of date
mproxy_status mpx_plan_store(mproxy_archive *archive, struct mpx_plan *plan,
                             mproxy_error *err);

#endif
