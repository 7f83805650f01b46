// The inside of the push gateway.
//
// Files call downwards only: push.c -> take.c, load.c -> plan.c, keep.c -> table.c -> labels.c, and
// keep.c -> journal.c -> record.c.
#ifndef MPX_PUSH_PRIVATE_H
#define MPX_PUSH_PRIVATE_H

#include <mproxy/push.h>

#include "base/log.h"
#include "ingest/ingest.h"
#include "push/journal.h"
#include "push/table.h"

// A group that is gone, and that the reduction is still to be told of.
struct mpx_push_gone {
    uint64_t number, sequence;
};

// What a page brings to a group: rising by key.
struct mpx_push_carried {
    uint64_t *keys;
    double *values;
    size_t count, key_room, value_room;
};

// What becomes of a group: values of some of its slots, or all of it anew.
struct mpx_push_plan {
    bool is_same;    // its series stay as they are
    size_t count;    // of slots that change, or of all
    uint32_t *slots; // is_same; rising
    uint64_t *keys;  // else; rising
    double *values;
    uint64_t *changed_us; // else
    size_t slot_room, key_room, value_room, time_room;
};

struct mproxy_push {
    mproxy_push_options o;
    char *host;
    struct mpx_logger logger;
    struct mpx_push_table table;
    struct mpx_push_journal *journal;
    mproxy_parser *parser;
    uint32_t *known; // by the parser's index: our series, plus 1; 0: not looked at
    size_t known_room;
    uint32_t *stale; // indices of the parser that are to be forgotten
    size_t stale_count, stale_room;
    uint32_t *made; // series that the page being taken has brought
    size_t made_count, made_room;
    struct mpx_ingest_label off[MPX_PUSH_LABELS_MAX]; // without a value in the path
    size_t off_count;
    struct mpx_push_carried carried;
    struct mpx_push_plan plan;
    struct mpx_buf frames; // scratch
    struct mpx_push_group **dirty;
    size_t dirty_count, dirty_room;
    struct mpx_push_gone *gone;
    size_t gone_count, gone_room;
    mproxy_value *told; // scratch
    size_t told_room;
    int64_t reshape_ms; // until then groups wait whose series are others
    int64_t shown_ns;
    bool is_reshaped;   // the round tells such groups
    int64_t expires_ms; // the earliest of any group; INT64_MAX: none
    size_t to_copy;     // groups that the newest file has not whole
    size_t copy_at;
    mproxy_input input;
    mproxy_push_stats stats;
};

// take.c: a page becomes a group's. On failure nothing has changed; a group that the page
// would have been the first of is there, empty.
mproxy_status mpx_push_page(struct mproxy_push *p, const struct mpx_push_labels *labels,
                            const mproxy_pushed *pushed, mproxy_error *err);

// plan.c

// What a group is to be when it is given what is carried. The plan's arrays hold it.
// @return MPROXY_OK; MPROXY_E_INVALID: a sum would not be finite; MPROXY_E_TYPE: a histogram
//         has other bounds; MPROXY_E_NOMEM
mproxy_status
mpx_push_plan_make(struct mpx_push_plan *plan, const struct mpx_push_table *t,
                   const struct mpx_push_group *g, const struct mpx_push_carried *carried,
                   mproxy_push_verb verb, uint64_t now_us, mproxy_error *err);
void mpx_push_plan_fini(struct mpx_push_plan *plan);

// load.c: open the journal, and take up the groups that are in it.
mproxy_status mpx_push_load(struct mproxy_push *p, mproxy_error *err);

// keep.c: groups and their files.

// Write a group's new state down, whole or as the plan's change; its slots are not taken yet.
// `slots` NULL: the group's.
mproxy_status mpx_push_write(struct mproxy_push *p, struct mpx_push_group *g,
                             const struct mpx_push_slots *slots,
                             const struct mpx_push_times *times,
                             const struct mpx_push_plan *change, mproxy_error *err);
// Delete groups: all, or none.
mproxy_status mpx_push_drop(struct mproxy_push *p, struct mpx_push_group *const *groups,
                            size_t count, mproxy_error *err);
// Without a word in the file: of a group that is in none.
void mpx_push_remove(struct mproxy_push *p, struct mpx_push_group *g);
// Go on with what is to be copied into a newer file, of some `bytes`.
void mpx_push_copy(struct mproxy_push *p, size_t bytes);
// All groups are to be written anew.
void mpx_push_copy_all(struct mproxy_push *p);
void mpx_push_touch(struct mproxy_push *p, struct mpx_push_group *g); // to be told
// A series that is perhaps used no more: the parser forgets it with us.
void mpx_push_release(struct mproxy_push *p, uint32_t series);
// Room for touching and dropping one more. False: no memory.
bool mpx_push_reserve(struct mproxy_push *p, size_t more);

#endif
