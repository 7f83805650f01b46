// The threads that are traced, by thread id.
#ifndef PROXY_EXPORTER_STRACE_TRACEES_H
#define PROXY_EXPORTER_STRACE_TRACEES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { NO_CALL = -1 };

struct loading;

struct tracee {
    struct tracee *next; // of its bucket
    pid_t tid;
    int call;          // that it is in; NO_CALL: none that is counted
    uint64_t begin_ns; // of the call
    bool in_call;      // its exit will be seen
    bool parked;       // in a group stop
    bool was_untraced; // the call had a flag that is taken out: untraced.h
    // See follow.h.
    uint32_t stops; // since window_ns
    uint64_t window_ns;
    uint64_t all_then; // stops of all threads until window_ns
    // See own.h.
    bool wants_result;       // of the call that it is in
    uint8_t own_depth;       // marks that are open
    uint8_t own_left;        // calls that they may still cover
    struct loading *loading; // NULL once its image has been loaded
    // See trace.c.
    uint64_t batch; // the last in which it stopped
    bool stale;     // a later stop is known: the one being served must not resume it
};

// NULL when there is none, or no memory for one.
struct tracee *tracee_find(pid_t tid);
struct tracee *tracee_find_or_add(pid_t tid);
void tracee_remove(pid_t tid);
// A thread that became another by exec.
void tracee_rename(pid_t from, pid_t to);

uint32_t tracee_count(void);
void tracee_each(void (*visit)(struct tracee *t, void *arg), void *arg);

#endif
