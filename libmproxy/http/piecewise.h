// A body that comes piece by piece, as long as it takes. One thread at a time reads it;
// whoever has more for it wakes that reader from any other thread.
#ifndef MPX_HTTP_PIECEWISE_H
#define MPX_HTTP_PIECEWISE_H

#include <stdbool.h>
#include <stddef.h>

enum { MPX_PIECE_NONE = 0, MPX_PIECE_END = -1, MPX_PIECE_BROKEN = -2 };

struct mpx_piecewise {
    // Up to `room` bytes. @return how many, or one of the above
    long (*read)(void *arg, char *bytes, size_t room);
    // Ask to be woken, once. False when there is something to read: no wake will come.
    bool (*wait)(void *arg);
    // Nobody waits any more, and `arg` is gone afterwards.
    void (*close)(void *arg);
    void *arg;
};

struct mpx_waker {
    void (*wake)(void *arg);
    void *arg;
};

#endif
