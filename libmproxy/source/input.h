// Inputs: where a proxy's values come from. Each is asked twice in every round, in the order
// of the daemon's table (daemon/inputs.c).
//
//   before_round  what there is to be counted now is brought to where this round reads it:
//                 into segments of the proxy's own, and, by the inputs behind them in the
//                 table, into the ledger
//   after_round   the ledger has it, and perhaps it was written and is shown: what is not
//                 needed any more goes, what is missing is made again
//
// Threads: the event loop's.
#ifndef MPX_SOURCE_INPUT_H
#define MPX_SOURCE_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include <mproxy/base.h>

struct mpx_segments;

struct mpx_input_round {
    int64_t boot_ms;                     // of the round's begin, on CLOCK_BOOTTIME
    uint64_t wall_us;                    // the same as UNIX time
    const struct mpx_segments *segments; // that this round reads
    // Known after the round.
    bool written; // the node's state file holds what was read
    bool shown;   // readers see it
};

struct mpx_input {
    const char *name; // for people: "NAME: why"
    // May be NULL. What fails has brought what it could, and the round goes on.
    mproxy_status (*before_round)(void *self, const struct mpx_input_round *round,
                                  mproxy_error *err);
    void (*after_round)(void *self, const struct mpx_input_round *round); // may be NULL
};

#endif
