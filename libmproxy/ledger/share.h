// A share, and the base, which is one without a job: what ended and what lives in it.
//
// Calls that prepare may fail for want of memory and change no count; those that count
// cannot fail.
#ifndef MPX_LEDGER_SHARE_H
#define MPX_LEDGER_SHARE_H

#include "ledger/columns.h"
#include "ledger/ranks.h"
#include "ledger/slots.h"

enum mpx_share_state {
    MPX_SHARE_OPEN = 0,
    MPX_SHARE_SEALING = 1, // until the state file says so
    MPX_SHARE_SEALED = 2
};

// A process as the round has given it.
struct mpx_member {
    const mproxy_process *process;
    bool final; // is folded in this round
    struct mpx_share *share;
    struct mpx_columns **columns; // one per part
    uint32_t uncounted;           // of the process, and what the share refuses of it
    struct mpx_member *next;      // of the same share
};

struct mpx_share {
    uint64_t number; // from 1; 0: the base
    mproxy_job job;
    uint32_t uid;
    uint32_t job_hash; // of uid and job id
    enum mpx_share_state state;
    bool durable;    // the state file knows it: it may be shown
    bool incomplete; // some process could not count, wholly or in part
    bool expired;    // a later run of its job has begun: takes nothing, seals at once
    bool released;   // to be absorbed at the end of this round
    // Live processes that the state file names: it is a lower bound, for a process that joins
    // others is no reason to write it. Those that an earlier ledger had when it was killed are
    // expected until the directory was seen whole; who is not there lost its segment.
    uint32_t durable_live, expected;
    int64_t start_boot_ms, end_boot_ms; // first start; last sign of life
    int64_t start_ms, end_ms;           // the same, UNIX time
    // Walltime: time with live processes, counted up to covered_boot_ms.
    int64_t walltime_ms, covered_boot_ms;
    uint32_t walltime_slot; // MPX_NO_SLOT in the base
    uint64_t sequence;      // of the last change of what is shown
    struct mpx_slots slots;
    struct mpx_rank_table ranks; // until sealed
    mproxy_ranks *spread;        // per slot, from sealing on
    uint32_t **maps;             // by id of columns: slots of its columns
    size_t map_room;
    struct mpx_slots node; // the node's metrics; folded holds baselines
    const mproxy_layout *node_layout;
    uint32_t *node_map;
    bool node_sampled;
    // of this round
    struct mpx_member *first, **last;
    uint32_t live, passive, missing; // not final and not passive; passive; not heard of
    uint64_t live_key; // of the processes and versions that live values are of
    bool folded;       // values were added to `folded` since the last sum
    bool changed;      // something shown is not as in the round before
};

struct mpx_share *mpx_share_new(uint64_t number, const mproxy_metric *walltime);
void mpx_share_free(struct mpx_share *s); // accepts NULL

void mpx_share_begin(struct mpx_share *s); // a round
void mpx_share_join(struct mpx_share *s, struct mpx_member *m);
// Prepare: slots for all columns but `but`, which no process may count. In a share the first
// type of a name wins: a column of the other is refused. The base has both, and sums decide.
bool mpx_share_map(struct mpx_share *s, const struct mpx_columns *columns,
                   const mproxy_metric *but);
// Whether some of these columns, which are mapped, are refused.
bool mpx_share_refuses(const struct mpx_share *s, const struct mpx_columns *columns);
// The columns will not be used any more.
void mpx_share_unmap(struct mpx_share *s, const struct mpx_columns *columns);
// Let go of gauges of the base that no columns lead to: it shows those of the living only, so
// nobody sees them. Before columns are mapped. False: no memory, and nothing has changed.
bool mpx_share_drop_gauges(struct mpx_share *base, const struct mpx_columns_set *columns);
bool mpx_share_map_node(struct mpx_share *s, const mproxy_layout *layout);
// Prepare: rows for the ranks of final processes; after all slots are there.
bool mpx_share_map_ranks(struct mpx_share *s);

// Add the final processes of the round to what is folded. `reasons`: one slot per bit of
// `uncounted`, MPX_NO_SLOT where it is not used.
void mpx_share_fold(struct mpx_share *s, const mproxy_metric *const reasons[32]);
// Compute what is shown from what is folded and the live processes of the round. `next` is
// scratch of slots.count values.
void mpx_share_sum(struct mpx_share *s, const mproxy_metric *const reasons[32],
                   mproxy_value *next, uint64_t wall_us);
// What the state file is to say of live processes.
uint32_t mpx_share_durable_live(const struct mpx_share *s);
// Count, in a whole round: who was expected and has not come counts as `reason`, which has a
// slot. In another one those that end are not expected any more.
void mpx_share_count_lost(struct mpx_share *s, bool whole, const mproxy_metric *reason);
// Only walltime has changed.
void mpx_share_show_walltime(struct mpx_share *s, uint64_t wall_us);
// A job shorter than a period has no round in which it lives: it gets the sample there is.
static inline bool mpx_share_wants_node(const struct mpx_share *s)
{
    return s->state == MPX_SHARE_OPEN && (s->live > 0 || !s->node_sampled);
}
// The node's metrics count in the share from a baseline. True if a baseline is new.
bool mpx_share_count_node(struct mpx_share *s, const mproxy_value *values);

#endif
