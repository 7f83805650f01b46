// Counters that people raise over HTTP: one segment for `main`, one for each job addressed.
//
// Such a segment does not keep its job alive; it is ended when the job has no other process
// left, so that what it counted is folded before the job is sealed.
//
// Threads: one thread at a time, the event loop's.
#ifndef MPX_OWN_DIRECT_H
#define MPX_OWN_DIRECT_H

#include <stdbool.h>

#include <mproxy/job.h>

#include <mproxy/round.h>

struct mpx_direct;
struct mpx_segments;

struct mpx_direct_options {
    const char *dir_path; // rendezvous directory; copied
    // Whether a job is kept open by segments of ours alone, and they are to end.
    bool (*is_over)(void *arg, const char *jobid, uint32_t uid);
    void *arg;
    const struct mpx_segments *segments; // that rounds read; outlives us
};

mproxy_status mpx_direct_open(const struct mpx_direct_options *options,
                              struct mpx_direct **out, mproxy_error *err);
void mpx_direct_close(struct mpx_direct *d); // accepts NULL

// The job and user that counters belong to; NULL job: `main`.
struct mpx_direct_key {
    const mproxy_job *job;
    uint32_t uid;
};

// Each returns when the value is in a segment.
// @return MPROXY_OK, MPROXY_E_INVALID (name), MPROXY_E_LIMIT, MPROXY_E_NOMEM,
//         MPROXY_E_SYSTEM (no room in shared memory)
mproxy_status mpx_direct_declare(struct mpx_direct *d, const struct mpx_direct_key *key,
                                 const char *name, const char *doc, mproxy_error *err);
mproxy_status mpx_direct_add(struct mpx_direct *d, const struct mpx_direct_key *key,
                             const char *name, const char *doc, double value,
                             mproxy_error *err);
// `shown`: the counter's total as it was last shown.
mproxy_status mpx_direct_set(struct mpx_direct *d, const struct mpx_direct_key *key,
                             const char *name, const char *doc, double value,
                             double shown, mproxy_error *err);

// After a round: values of ours that were read and shown make up the next totals, segments
// that were removed go on in a new file, and those of jobs that are over end.
const mproxy_input *mpx_direct_input(const struct mpx_direct *d);

#endif
