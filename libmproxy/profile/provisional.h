// Runs that are over and not stored yet: what a round sees of them.
#ifndef MPX_PROFILE_PROVISIONAL_H
#define MPX_PROFILE_PROVISIONAL_H

#include "base/index.h"
#include "profile/keeper_private.h"

struct mpx_provisionals {
    struct mpx_provisional *runs;
    size_t count, room;
    struct mpx_index keys; // of runs, by key
};

// `known`: the shares of the run; at least one is held as a source. False: no memory.
bool mpx_provisional_add(struct mpx_provisionals *list, const struct mpx_job_known *job,
                         const struct mpx_known *known, size_t count);
void mpx_provisional_clear(struct mpx_provisionals *list); // keeps its room
void mpx_provisional_fini(struct mpx_provisionals *list);

// The run among what is known of its job now, and how many shares it has; or NULL.
const struct mpx_known *mpx_provisional_find(const struct mpx_provisional *run,
                                             const struct mpx_job_known *job,
                                             size_t *count);

#endif
