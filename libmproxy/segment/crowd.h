// How much may lie in a rendezvous directory, told at a cost that does not grow with it.
//
// A proxy that attends to the directory takes away what is final, so nothing is bounded
// beside one. Its word is a line in the file `proxy`, written anew each round and while one is
// long: when, how long a period is, and how many entries and bytes there were. One that is
// stopped holds its lock and stays silent; then as many may come as without one.
#ifndef MPX_SEGMENT_CROWD_H
#define MPX_SEGMENT_CROWD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <mproxy/base.h>

// Bounds that hold while no proxy attends.
enum {
    MPX_CROWD_ENTRIES_MAX = 4096, // from here on no segment is born
    MPX_CROWD_NOTES_MAX = 1024,   // so many more may be links of those that do not count
    MPX_CROWD_BYTES_MAX = 64 << 20,
};

// Whether a segment, or with `more` a link beyond the bound, is one too many. `dir_size` is
// the st_size of the directory.
MPROXY_API bool mpx_crowd_is_full(const char *dir_path, off_t dir_size, long more);

// The same for the bytes of all segments, guessed from some of them where they are many.
MPROXY_API bool mpx_crowd_is_large(const char *dir_path);

// What the proxy says of itself.
struct mpx_crowd_word {
    unsigned period_ms;
    uint64_t bytes; // of the segments that it holds
    // By the clock since boot, when it began that first had the state which this one has; 0: not
    // known.
    int64_t since_ms;
};

// By the proxy: `lock_fd` is its file.
MPROXY_API void mpx_crowd_attend(int lock_fd, int dir_fd,
                                 const struct mpx_crowd_word *word);

// Whether a proxy lives there that was there at a time, or has the state of one that was: it holds
// a segment of then, or knows of it, although somebody has removed its file. One that says nothing
// of it counts as such.
MPROXY_API bool mpx_crowd_is_known(const char *dir_path, int64_t birth_boot_ns);

// Before a proxy takes the directory: whether one was at work there, and what it said of when.
MPROXY_API bool mpx_crowd_was_attended(const char *dir_path, int64_t *since_ms);

#endif
