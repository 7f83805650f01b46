// What is pushed: groups, each with the series that it holds now, and what they share.
//
// A group is known by its labels and has a number that is never another group's. A *series* is
// a sample's name without the labels of its group, so ten thousand groups of one program share
// a hundred series. Series of one name without labels are a *family*; a histogram's or a
// summary's are all one. A group's slots are in the order of their keys, (family, series), so
// that a family of a group is a run of slots.
#ifndef MPX_PUSH_TABLE_H
#define MPX_PUSH_TABLE_H

#include <mproxy/exposition.h>

#include "base/index.h"
#include "push/labels.h"
#include "push/record.h"

struct mpx_push_family {
    char *name;              // NULL: the place is free
    mproxy_family_kind kind; // of those that are in use
    uint32_t uses;           // slots of groups
    uint32_t series;
};

struct mpx_push_series {
    char *name; // NULL: the place is free; the help stands behind it
    const char *help;
    mproxy_type type;
    mproxy_family_kind kind;
    uint32_t family;
    uint32_t uses;    // slots of groups
    uint32_t parsed;  // its index in the parser, plus 1; 0: none
    uint64_t written; // generation of the journal that tells it
    bool is_pinned;   // on the page that is being taken
};

// The state of a group's slots, in one block of memory.
struct mpx_push_slots {
    size_t count;
    uint64_t *keys; // rising
    double *values;
    uint64_t *changed_us;
    const mproxy_metric *
        *metrics; // referred to; behind them the two of the group's times
};

struct mpx_push_group {
    struct mpx_push_labels labels; // all with a value
    uint64_t number;
    uint32_t place;
    struct mpx_push_times times;
    struct mpx_push_slots *slots;
    const mproxy_metric *pushed, *failed; // the two, referred to
    uint64_t sequence;                    // of its state; 0: nobody was told of it
    uint64_t written;                     // generation of the journal that has it whole
    bool is_dirty;                        // its state is to be told
    bool is_reshaped;                     // its series are others than was told
};

enum { MPX_PUSH_SLOT_BYTES = 12 }; // of a group and series on file, about

struct mpx_push_table {
    mproxy_store *store;
    struct mpx_push_family *families;
    size_t family_count, family_room;
    uint32_t *free_families;
    size_t free_family_count, free_family_room;
    struct mpx_index family_index;
    struct mpx_push_series *series;
    size_t series_count, series_room;
    uint32_t *free_series;
    size_t free_series_count, free_series_room;
    struct mpx_index series_index;
    struct mpx_push_group **groups;
    size_t group_count, group_room;
    struct mpx_index group_index;
    struct mpx_push_group **owners; // by metric id; NULL: of no group
    size_t owner_room;
    uint64_t last_number;
    size_t slot_count;   // of all groups
    size_t live_bytes;   // what all would take in a journal, about
    bool is_loading;     // what comes was taken before: names of all have no bound
    struct mpx_buf name; // scratch
};

static inline uint32_t mpx_push_series_of(uint64_t key)
{
    return (uint32_t)key;
}

static inline uint32_t mpx_push_family_of(uint64_t key)
{
    return (uint32_t)(key >> 32);
}

static inline uint64_t mpx_push_key(const struct mpx_push_table *t, uint32_t series)
{
    return (uint64_t)t->series[series].family << 32 | series;
}

void mpx_push_table_fini(struct mpx_push_table *t);

// The series of this name, type, kind and family, found or made.
// @return MPROXY_OK or MPROXY_E_NOMEM
mproxy_status mpx_push_series_join(struct mpx_push_table *t, const char *name,
                                   const char *family, const char *help, mproxy_type type,
                                   mproxy_family_kind kind, uint32_t *out);
// UINT32_MAX: there is none.
uint32_t mpx_push_series_find(const struct mpx_push_table *t, const char *name,
                              uint32_t family, mproxy_type type, mproxy_family_kind kind);
// Free it if no group has it and no page pins it. @return whether it is gone
bool mpx_push_series_leave(struct mpx_push_table *t, uint32_t series);

struct mpx_push_group *mpx_push_group_find(const struct mpx_push_table *t,
                                           const struct mpx_push_labels *labels);
// A group without slots. Takes the labels on success. `number` 0: the next one.
// @return MPROXY_OK, MPROXY_E_INVALID, MPROXY_E_LIMIT (names of all), MPROXY_E_NOMEM
mproxy_status mpx_push_group_add(struct mpx_push_table *t, struct mpx_push_labels *labels,
                                 uint64_t number, struct mpx_push_group **out,
                                 mproxy_error *err);
// @return its slots, to be freed; NULL: it had none
struct mpx_push_slots *mpx_push_group_remove(struct mpx_push_table *t,
                                             struct mpx_push_group *g);

// The first slot whose key is not below this one.
size_t mpx_push_slot_from(const struct mpx_push_slots *slots, uint64_t key);

// What a group is to hold.
struct mpx_push_state {
    size_t count;
    const uint64_t *keys; // rising
    const double *values;
    const uint64_t *changed_us;
};

// A group's slots to be, with all that they need got and checked, and nothing changed that
// anybody sees: then take them, or drop them.
//
// @return MPROXY_OK; MPROXY_E_INVALID: the labels of the group make one of two series, or no
//         name; MPROXY_E_TYPE: a family is of another kind, or a series of another type, in
//         other groups or elsewhere; MPROXY_E_EXISTS: another group has a series;
//         MPROXY_E_LIMIT: names of all; MPROXY_E_NOMEM
mproxy_status mpx_push_slots_prepare(struct mpx_push_table *t, struct mpx_push_group *g,
                                     const struct mpx_push_state *state,
                                     struct mpx_push_slots **out, mproxy_error *err);
// @return those before, to be freed: their metrics are given back, their series may be unused
struct mpx_push_slots *mpx_push_slots_take(struct mpx_push_table *t,
                                           struct mpx_push_group *g,
                                           struct mpx_push_slots *slots);
void mpx_push_slots_drop(struct mpx_push_table *t, struct mpx_push_group *g,
                         struct mpx_push_slots *slots); // accepts NULL

#endif
