// The keeper's parts: runs (keeper_runs.c), plans made of them (keeper_plan.c), and their
// execution by the keeper's thread (keeper_store.c).
#ifndef MPX_PROFILE_KEEPER_PRIVATE_H
#define MPX_PROFILE_KEEPER_PRIVATE_H

#include "profile/archive_private.h"
#include "profile/keeper.h"

// ---- runs

struct mpx_share_id {
    char directory[33];
    uint64_t number;
};

// One thing known of a job: a share held as a source, or a stored profile.
struct mpx_known {
    const mproxy_source *source;           // or NULL
    const struct mpx_archive_entry *entry; // or NULL
    int64_t start_ms, end_ms;
    const char *command;
    size_t run; // of mpx_runs_group(): equal for what is one run
};

struct mpx_share_id mpx_source_id(const mproxy_source *source);
// Say which of these, all of one user and job id, are one run. Reorders them: what is one
// run stands together. False when there is no memory.
bool mpx_runs_group(struct mpx_known *known, size_t count, int64_t continue_ms);

// ---- plans

// One run to be written, with copies of all it takes.
struct mpx_plan {
    struct mpx_plan *next;
    int64_t boot_ms; // of the round that made it
    uint32_t uid;
    mproxy_job desc; // of the source that started first
    int64_t start_ms;
    size_t known_runs; // profiles of the job id that there were
    size_t stored_count;
    struct mpx_share_id *stored; // one share of each stored profile of the run
    size_t share_count;
    mproxy_profile_share *shares; // of the sources
};

// What a round needs to judge a run.
struct mpx_round {
    int64_t boot_ms, wait_ms;
    bool
        stored_are_lost; // unsealed shares that are stored only will not be heard of again
};

// Whether a run is complete enough and has something that is not stored yet.
bool mpx_run_is_due(const struct mpx_round *round, const struct mpx_known *known,
                    size_t count);
// The stored state of a source's share in a run; NULL if there is none.
const mproxy_archive_share *mpx_run_stored(const struct mpx_known *known, size_t count,
                                           const mproxy_source *source);
// NULL when there is no memory.
struct mpx_plan *mpx_plan_new(const struct mpx_known *known, size_t count,
                              int64_t boot_ms);
void mpx_plan_free(struct mpx_plan *plan); // accepts NULL

// Write the run: what is stored of it with what the plan adds. Takes shares out of the plan.
// @return MPROXY_E_EXISTS: another process has stored a run of the job meanwhile, so that
//         the plan is out of date
mproxy_status mpx_plan_store(mproxy_archive *archive, struct mpx_plan *plan,
                             mproxy_error *err);

#endif
