// System calls counted in the kernel: from its sums to segments of the jobs.
//
// Once a round what was added since the last one is written into a segment of the group's
// job, made by the proxy like those of the gateway's clients. What is in a segment outlives
// the proxy; with it, though, the kernel stops counting.
//
// Threads: one thread at a time, the event loop's.
#ifndef MPX_COLLECT_SYSCALLS_H
#define MPX_COLLECT_SYSCALLS_H

#include <stdint.h>

#include <mproxy/base.h>

struct mpx_segments;
struct mpx_syscalls;

// Load the programs and say in the rendezvous directory that they are there.
// @param dir_path  rendezvous directory, whose lock the caller holds; must stay
// @return MPROXY_OK, MPROXY_E_NOMEM, MPROXY_E_SYSTEM (not built, no privilege, too old a
//         kernel; the text says which)
mproxy_status mpx_syscalls_open(const char *dir_path, int dir_fd,
                                struct mpx_syscalls **out, mproxy_error *err);
// Reads a last time; all segments become final. Accepts NULL.
void mpx_syscalls_close(struct mpx_syscalls *s);

// Before segments are read.
void mpx_syscalls_round(struct mpx_syscalls *s);
// Right after `by` has read them: what of ours was removed before that goes on where it can
// be read.
void mpx_syscalls_keep(struct mpx_syscalls *s, const struct mpx_segments *by);

// The directory was removed and is there again.
void mpx_syscalls_move(struct mpx_syscalls *s, int dir_fd);
// Say in a directory that none are: a proxy that was here before may have said otherwise.
void mpx_syscalls_renounce(int dir_fd);

struct mpx_syscalls_stats {
    uint64_t groups; // that live
    uint64_t lost;   // calls that there was no room to count
};
void mpx_syscalls_get_stats(const struct mpx_syscalls *s, struct mpx_syscalls_stats *out);

#endif
