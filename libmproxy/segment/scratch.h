// Room that a thread's stack may lack. One thread at a time finds it ready; another, or the
// child of a fork that came meanwhile, maps its own.
#ifndef MPX_SEGMENT_SCRATCH_H
#define MPX_SEGMENT_SCRATCH_H

#include <dirent.h>
#include <limits.h>

union mpx_scratch {
    struct {
        char path[PATH_MAX];
        char target[600];
    } note;
    _Alignas(struct dirent64) char entries[4096];
};

union mpx_scratch *mpx_scratch_take(void);   // NULL when there is no memory
void mpx_scratch_give(union mpx_scratch *s); // accepts NULL

#endif
