// The word that a proxy attends to its directory (segment/crowd.h), also while a round is long.
#ifndef MPX_PROCESSES_ATTENDANCE_H
#define MPX_PROCESSES_ATTENDANCE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "processes/hold.h"

// A helper thread speaks up where the loop's thread has not for a while. Storage of the caller;
// one thread at a time.
struct mpx_attendance {
    int lock_fd, dir_fd; // borrowed
    int stop_fd;         // -1: without a helper
    pthread_t helper;
    int64_t since_ms;      // set by the caller before the first begin: see mpx_crowd_word
    atomic_uint period_ms; // 0: no round has begun
    _Atomic int64_t bytes; // that the last round left
    _Atomic int64_t said_ms;
    atomic_uint said_alone; // by the helper, since the loop's thread gave a sign
};

// Speaks at once. Until mpx_attendance_end() the hold's descriptors stay as they are. Without a thread the word
// is told between rounds alone; false then.
bool mpx_attendance_begin(struct mpx_attendance *a, const struct mpx_hold *hold);
void mpx_attendance_end(struct mpx_attendance *a); // may be called twice

// A round begins.
void mpx_attendance_at_work(struct mpx_attendance *a, unsigned period_ms);
// A round is over, with so many bytes of segments left.
void mpx_attendance_tell(struct mpx_attendance *a, unsigned period_ms, uint64_t bytes);

#endif
