// Samples of /proc/PID, kept in a mapped file so that they outlive the proxy: a
// process that is killed while no proxy lives still shows what was known of it.
//
// One entry per process, found by (user, PID namespace, pid, start): a segment may claim any
// pid, but no other user. When there is no room on the
// file system there is no entry, and the process's samples live in the proxy's memory only.
#ifndef MPX_PROCESSES_SAMPLES_H
#define MPX_PROCESSES_SAMPLES_H

#include "processes/procfs.h"

struct mpx_samples;

struct mpx_sample_key {
    uint64_t pid_ns, pid, start_ticks;
    uint32_t uid;
};

enum { MPX_SAMPLE_NONE = 0 }; // an entry's number is never 0

// Open or make the file `samples`. One that is damaged is made anew.
// @return MPROXY_OK, MPROXY_E_NOMEM, MPROXY_E_SYSTEM
mproxy_status mpx_samples_open(int state_fd, struct mpx_samples **out, mproxy_error *err);
void mpx_samples_close(struct mpx_samples *s); // accepts NULL

// The entry that an earlier proxy left for this process, which belongs to the caller from
// now on; MPX_SAMPLE_NONE if there is none.
uint32_t mpx_samples_claim(struct mpx_samples *s, const struct mpx_sample_key *key);
// Clear the entries of earlier proxies that nobody has claimed.
void mpx_samples_sweep(struct mpx_samples *s);

// A new entry; MPX_SAMPLE_NONE when there is no room.
uint32_t mpx_samples_add(struct mpx_samples *s, const struct mpx_sample_key *key);
void mpx_samples_drop(struct mpx_samples *s, uint32_t entry); // accepts MPX_SAMPLE_NONE

void mpx_samples_get(const struct mpx_samples *s, uint32_t entry,
                     struct mpx_process_values *out);
void mpx_samples_put(struct mpx_samples *s, uint32_t entry,
                     const struct mpx_process_values *values);

// Make the file in another directory, with the same entries under the same numbers. On
// failure everything is as before.
mproxy_status mpx_samples_move(struct mpx_samples *s, int state_fd, mproxy_error *err);

#endif
