// System calls counted in the kernel: from its sums to segments of the jobs.
//
// Once a round the sums of each group, since it began, are written into a segment of the
// group's job, made by the proxy like those of the gateway's clients. For as long as the
// kernel has a group, its sums there are the truth: a proxy that finds groups of one that was
// killed removes their segments, and writes new ones. A group leaves the kernel when its
// segment has all, and before that is final.
//
// Threads: one thread at a time, the event loop's.
#ifndef MPX_SYSCALLS_SYSCALLS_H
#define MPX_SYSCALLS_SYSCALLS_H

#include <stdbool.h>
#include <stdint.h>

#include <mproxy/round.h>

struct mpx_syscalls;

// Load the programs, or go on with those that an earlier proxy left, and say in the
// rendezvous directory that they are there. Before segments are first read.
// @param dir_path  rendezvous directory, whose lock the caller holds; must stay
// @return MPROXY_OK, MPROXY_E_NOMEM, MPROXY_E_SYSTEM (not built, no privilege, too old a
//         kernel; the text says which)
mproxy_status mpx_syscalls_open(const char *dir_path, int dir_fd,
                                struct mpx_syscalls **out, mproxy_error *err);
// Whether an earlier proxy left some.
bool mpx_syscalls_are_left(int dir_fd);
// Why what is counted between two rounds is lost if the proxy is killed; "" if it is not.
const char *mpx_syscalls_why_brief(const struct mpx_syscalls *s);
// Reads a last time; all segments become final, and counting ends. dir_fd: the directory,
// which is told so; -1: it is another's. Accepts NULL.
void mpx_syscalls_close(struct mpx_syscalls *s, int dir_fd);

// Before a round the sums are written into the segments; after it segments that were removed
// go on in new files.
const mproxy_input *mpx_syscalls_input(const struct mpx_syscalls *s);

// The directory was removed and is there again.
void mpx_syscalls_move(struct mpx_syscalls *s, int dir_fd);
// Say in a directory that none are: a proxy that was here before may have said otherwise.
void mpx_syscalls_renounce(int dir_fd);

struct mpx_syscalls_stats {
    uint64_t trees; // of processes, that are counted
    // Not counted for want of room.
    uint64_t lost_trees, lost_threads, lost_calls;
};
void mpx_syscalls_get_stats(const struct mpx_syscalls *s, struct mpx_syscalls_stats *out);

#endif
