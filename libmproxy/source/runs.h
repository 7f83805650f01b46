// What is one run of a job id: the one rule, for what is shown live and for what is archived.
//
// Two shares of one user and job id are of one run when they overlap in time, or when their
// command is the same and one starts no more than `continue` after the other's end. What is
// linked through others is one run, too; the newest run is that of the share which started
// last. See docs/decisions/0018-one-rule-of-runs.md.
//
// So the order in which shares become known does not matter, another one never parts two that
// are linked, and commands that take turns under one id are a run each.
#ifndef MPX_SOURCE_RUNS_H
#define MPX_SOURCE_RUNS_H

#include <stdbool.h>
#include <stdint.h>

// A share, as far as the rule looks at it. An end before the start is taken for the start.
struct mpx_run_share {
    int64_t start_ms, end_ms;
    const char *command;
};

// Shares by number, 0 to count - 1, and which of them are one run.
struct mpx_runs {
    uint32_t *parent, count;
};

// Each is a run of its own at first. False: no memory.
bool mpx_runs_init(struct mpx_runs *runs, uint32_t count);
void mpx_runs_fini(struct mpx_runs *runs);
// Say that two are one run, whatever the rule says: a profile has both, or they are states of
// one share.
void mpx_runs_join(struct mpx_runs *runs, uint32_t a, uint32_t b);
// Apply the rule to the `count` shares, in n log n. A negative `continue_ms`: only what
// overlaps is linked. False: no memory.
bool mpx_runs_link(struct mpx_runs *runs, const struct mpx_run_share *shares,
                   int64_t continue_ms);
// A number that all shares of a run have in common: that of its first in order of numbers.
uint32_t mpx_runs_of(struct mpx_runs *runs, uint32_t share);
// The run of the share that started last (of several, of the one with the highest number).
uint32_t mpx_runs_newest(struct mpx_runs *runs, const struct mpx_run_share *shares);

#endif
