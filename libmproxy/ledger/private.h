// The ledger's inside, shared by the files that make it up.
//
// A round is prepared (everything that needs memory), then counted (nothing can fail), then
// made durable (sealing and absorption are undone if that fails, folds are kept in memory
// and the names of their segments with them).
//
// Files call downwards only: ledger.c (open, close, the round) -> assign.c, room.c and commit.c
// -> state_encode.c, state_decode.c -> shares.c (the list) -> share.c (one of them) ->
// columns.c, slots.c, ranks.c, pending.c.
#ifndef MPX_LEDGER_PRIVATE_H
#define MPX_LEDGER_PRIVATE_H

#include "base/array.h"
#include "base/buf.h"
#include "ledger/pending.h"
#include "ledger/share.h"

enum {
    MPX_MISSING_ROUNDS_MAX = 3 // a process not heard of keeps its share as it is so long
};

// A live process, so that it stays in the share that it was put in first.
struct mpx_tracked {
    uint64_t key;
    struct mpx_share *share;
    uint32_t missing; // rounds in which it was not heard of
    bool seen;        // in this round
};

struct mproxy_ledger {
    // fixed after open
    mproxy_store *store;
    char *host;
    int64_t linger_ms, continue_ms;
    int dir_fd;
    const mproxy_metric *walltime;
    // state
    uint8_t directory[16];
    uint64_t epoch;
    uint64_t next_number;
    uint64_t refused, refused_seen; // processes; size of the file when last told
    struct mpx_share *base;
    struct mpx_share **shares; // rising by number
    uint32_t share_count;
    size_t share_room;
    mproxy_span *absorbed; // numbers of shares, rising
    size_t absorbed_count;
    struct mpx_pending pending;
    uint32_t pending_on_disk;
    bool dirty;         // the state file is behind
    bool is_behind;     // it could not be written in the round before
    bool is_base_loose; // it may have gauges that no process counts any more
    bool whole;         // this round was told of every process that there is
    uint32_t *unread;   // users of whom something waits to be read
    size_t unread_count, unread_room;
    bool all_unread;
    int64_t lost_ms; // what was folded before is lost
    bool rebooted;   // the file's boot times are of another boot
    // of metrics in the file: position + 1 by store id, and the encoded table, as long as no
    // name was given back
    uint64_t file_forgotten;
    uint32_t *file_index;
    size_t file_index_room;
    uint32_t file_metrics;
    struct mpx_buf table;
    struct mpx_buf encoded;
    // processes and the round
    struct mpx_columns_set columns;
    struct mpx_tracked *tracked;
    uint32_t tracked_count;
    size_t tracked_room;
    struct mpx_index tracked_index;
    struct mpx_member *members, **order;
    size_t member_count, member_room;
    struct mpx_columns **member_columns;
    size_t member_columns_room;
    char **names; // of segments folded in this round
    size_t name_count, name_room;
    mproxy_value *next; // scratch
    size_t next_room;
    const mproxy_metric *reasons[32];
    const mproxy_metric *refused_metric;
    const mproxy_layout *node_layout;
    const mproxy_value *node_values; // of this round
    int64_t boot_ms;
    uint64_t wall_us;
    uint64_t sequence;
    bool ready; // a round was written
    mproxy_ledger_stats stats;
    // sources
    const mproxy_layout *node_source_layout;
    mproxy_value *node_source;
    size_t node_source_room;
    uint64_t node_sequence;
    mproxy_source *sources;
    const mproxy_source **source_list;
    size_t source_room;
};

// room.c: which of the processes that are final are folded in this round.
void mpx_ledger_choose_folds(struct mproxy_ledger *l);
// assign.c: which process belongs to which share. False: no memory, no count has changed.
bool mpx_ledger_prepare(struct mproxy_ledger *l);
void mpx_ledger_track(struct mproxy_ledger *l); // after the counting
// commit.c: seal, absorb, write.
// Whether files of this user wait that may belong to any of his jobs.
bool mpx_ledger_is_unread(const struct mproxy_ledger *l, uint32_t uid);
void mpx_ledger_mark_seals(struct mproxy_ledger *l);
mproxy_status mpx_ledger_commit(struct mproxy_ledger *l, mproxy_error *err);

// shares.c: the list of them.
uint32_t mpx_job_hash(uint32_t uid, const char *jobid);
// Room for one more share; room in `next` for the sum of a share with so many slots.
bool mpx_ledger_reserve_shares(struct mproxy_ledger *l);
bool mpx_ledger_reserve_next(struct mproxy_ledger *l, uint32_t count);
// What a share shows, computed again if a process of it or what is folded has changed.
void mpx_ledger_sum_share(struct mproxy_ledger *l, struct mpx_share *s);
void mpx_ledger_sum_base(struct mproxy_ledger *l);

static inline bool mpx_share_is_open(const struct mpx_share *s)
{
    return s->state == MPX_SHARE_OPEN;
}

#endif
