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

struct mpx_direct;
struct mpx_segments;

mproxy_status mpx_direct_open(const char *dir_path, struct mpx_direct **out,
                              mproxy_error *err);
void mpx_direct_close(struct mpx_direct *d); // accepts NULL

// Whose counters: NULL job is `main`.
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
// `shown`: the counter's total as of the last mark.
mproxy_status mpx_direct_set(struct mpx_direct *d, const struct mpx_direct_key *key,
                             const char *name, const char *doc, double value,
                             double shown, mproxy_error *err);

// After `by` has read the segments: what it knows of ours makes up the next totals, and what
// was removed goes on in a new file.
void mpx_direct_mark(struct mpx_direct *d, const struct mpx_segments *by);
// End the segments of jobs for which `is_over` says so.
void mpx_direct_end(struct mpx_direct *d,
                    bool (*is_over)(void *arg, const char *jobid, uint32_t uid),
                    void *arg);

#endif
