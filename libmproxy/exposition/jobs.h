// What a proxy answers to GET /job, read: its jobs with their counters, of whatever make it is.
//
// Form is judged here and nothing else: names, ids and values are as they were told, and whether
// they may count is the caller's business.
#ifndef MPX_EXPOSITION_JOBS_H
#define MPX_EXPOSITION_JOBS_H

#include <stddef.h>

#include <mproxy/job.h>
#include <mproxy/metric.h>

struct mpx_jobs_entry {
    char *name, *doc;
    mproxy_type type;
    mproxy_value value; // finite; ts_us is 0 where it was not told
};

struct mpx_jobs_view {
    mproxy_job desc; // no text is too long; times are in seconds
    struct mpx_jobs_entry *entries;
    size_t count;
};

struct mpx_jobs {
    struct mpx_jobs_view *views;
    size_t count, room;
    size_t entries; // of all views, those without a value too
};

// Read an array of `{desc, counters}`. Keys that are not known are passed over; gauges that
// never received data are left out. Text of another form is refused whole: err has the line and
// column of the fault, or of the job that has it, whose place the text names then.
//
// @param out  set on success; release with mpx_jobs_fini()
// @return MPROXY_OK, MPROXY_E_CORRUPT or MPROXY_E_NOMEM
mproxy_status mpx_jobs_read(const char *text, size_t length, struct mpx_jobs *out,
                            mproxy_error *err);
void mpx_jobs_fini(struct mpx_jobs *jobs); // accepts zeroes

#endif
