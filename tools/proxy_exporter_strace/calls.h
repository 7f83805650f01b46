// Which system calls are counted: their numbers on this processor, and their names.
#ifndef PROXY_EXPORTER_STRACE_CALLS_H
#define PROXY_EXPORTER_STRACE_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CALLS_MAX = 1024 }; // numbers are below

enum call_moves { MOVES_NOTHING = 0, MOVES_IN = 1, MOVES_OUT = 2 };

struct calls {
    bool wanted[CALLS_MAX];
};

// `text` is `all`, `default` or names separated by commas, of which any may be one of these
// two. False, with the reason in `why`, when a name is that of no system call.
bool calls_choose(struct calls *calls, const char *text, char *why, size_t room);

// Calls that stop even when they are not wanted: see follow.h.
enum { CALLS_WATCHED = 7 };
extern const int calls_watched[CALLS_WATCHED]; // CALLS_MAX: not on this processor

// AUDIT_ARCH_... of the calls that are counted.
uint32_t calls_arch(void);

// Valid until the next call.
const char *call_name(int number);

// What the result of the call says when it is positive.
enum call_moves call_moves(int number);

#endif
