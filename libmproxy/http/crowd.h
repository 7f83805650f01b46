// The crowd: all connections, and the rule which of them must go when there are too many.
// One client, however many connections it holds, never keeps others out. Any thread may
// call any function; one guest is moved by one thread at a time.
#ifndef MPX_HTTP_CROWD_H
#define MPX_HTTP_CROWD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { MPX_CROWD_GROUPS = 1024 };

// A connection; the caller's memory, untouched by him between enter and leave.
struct mpx_guest {
    struct mpx_crowd *crowd; // the one it is in
    struct mpx_guest *before, *after;
    int fd;
    uint16_t group;
    bool busy;  // being answered
    bool going; // cut off, not closed yet
};

struct mpx_crowd {
    pthread_mutex_t lock; // guards all below
    struct mpx_guest *oldest, *newest;
    unsigned max, count, going;
    unsigned sizes[MPX_CROWD_GROUPS];
    uint64_t cut;
};

void mpx_crowd_init(struct mpx_crowd *crowd, unsigned max);
void mpx_crowd_fini(struct mpx_crowd *crowd);

// A connection was accepted. When more than `max` are there, the socket of another is shut
// down: one of the address with the most, of those that wait for a request the one that
// waits longest; only without such one that is being answered. The descriptor must stay
// open until mpx_crowd_leave().
void mpx_crowd_enter(struct mpx_crowd *crowd, struct mpx_guest *guest, int fd,
                     const struct sockaddr *address);
// A whole request was received (busy), or it was answered (not busy): waiting starts anew.
void mpx_crowd_set_busy(struct mpx_guest *guest, bool busy);
// Go over to another crowd. When that is full, the oldest of the address with the most in it
// is shut down. False, and nothing changed, when the guest's own address is that one, or the
// guest was shut down itself.
bool mpx_crowd_move(struct mpx_crowd *to, struct mpx_guest *guest);
void mpx_crowd_leave(struct mpx_guest *guest);
uint64_t mpx_crowd_cut(struct mpx_crowd *crowd); // how many were shut down

#endif
