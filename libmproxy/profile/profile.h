// Profiles in memory: what the parser, the renderer and the keeper share.
#ifndef MPX_PROFILE_PROFILE_H
#define MPX_PROFILE_PROFILE_H

#include <stdbool.h>

#include <mproxy/profile.h>

#include "base/index.h"

enum { MPX_PROFILE_VERSION = 1 };
// The year 5138: greater times are none, and one above a thousandth of it is in milliseconds.
#define MPX_PROFILE_MS_MAX INT64_C(100000000000000)
#define MPX_PROFILE_BYTES_MAX ((size_t)256 << 20)

// One metric of a profile or of one of its shares.
struct mpx_profile_entry {
    char *name;
    char *doc;
    mproxy_type type;
    mproxy_value value;
    mproxy_ranks ranks;
};

// One share of the run: the part that one node (directory) counted.
struct mpx_profile_share {
    uint8_t directory[16];
    uint64_t number; // of the share in its directory
    char *node;      // host name
    char *command;   // of its processes; NULL: the profile's
    uint64_t epoch;  // order of the state, with sequence
    uint64_t sequence;
    int sealed;       // no later state will come
    int incomplete;   // some process could not count, wholly or in part
    int64_t start_ms; // UNIX milliseconds: first process
    int64_t end_ms;   // UNIX milliseconds: last sign of life
    size_t count;
    struct mpx_profile_entry *entries; // mpx_profile_sum() puts them in order
};

struct mproxy_profile {
    mproxy_job desc;
    uint32_t uid;
    int provisional;
    size_t share_count;
    struct mpx_profile_share *shares; // ordered by (directory, number)
    size_t count;
    struct mpx_profile_entry *entries; // the sum of the shares
    size_t partial_count;
    char **partial; // nodes whose share was not sealed or is incomplete
    size_t unheard_count;
    char **unheard; // nodes that were silent and of which no share was seen
};

// Compute `entries`, `partial` and the description's times from the shares, in their order.
// A name that two shares give different types is left out, and these shares are incomplete.
// Entries of shares come into the order of views, each name once.
// @return MPROXY_OK, or MPROXY_E_NOMEM and no sum has changed
mproxy_status mpx_profile_sum(mproxy_profile *p, mproxy_error *err);

// Clocks of other hosts come in through segments: a time that is none would make a profile
// that can't be read.
static inline int64_t mpx_profile_clamp_ms(int64_t ms)
{
    if (ms < 0)
        return 0;
    return ms < MPX_PROFILE_MS_MAX ? ms : MPX_PROFILE_MS_MAX;
}

// A metric over several shares; strings are those of the first share that has it.
struct mpx_merged {
    const struct mpx_profile_entry *entry;
    mproxy_value value;
    mproxy_ranks ranks;
    bool is_left_out; // shares disagree about its type
};

// Add up the entries of shares, in their order. `*out` belongs to the caller.
mproxy_status mpx_profile_merge(const struct mpx_profile_share *const *shares,
                                size_t count, struct mpx_merged **out, size_t *out_count);

// The order of entries: by base name, then by the whole name.
int mpx_profile_compare_names(const char *a, const char *b);
// The order of shares: by directory, then by number.
int mpx_profile_compare_shares(const struct mpx_profile_share *a,
                               const struct mpx_profile_share *b);

bool mpx_profile_copy_entry(const struct mpx_profile_entry *from,
                            struct mpx_profile_entry *to);
void mpx_profile_clear_share(struct mpx_profile_share *share);
// Names of nodes, each once, in the order in which they came. Zeroed to begin with.
struct mpx_node_set {
    char **names;
    size_t count, room;
    struct mpx_index index; // of them
};

bool mpx_node_set_add(struct mpx_node_set *set, const char *node); // false: no memory
// Its names take the place of a profile's list; the set is empty again.
void mpx_node_set_give(struct mpx_node_set *set, char ***nodes, size_t *count);

// Parse the head of a stored profile: all but its values. MPROXY_E_UNSUPPORTED when the text
// is not laid out with a head and must be parsed whole.
mproxy_status mpx_profile_parse_head(const char *text, size_t length,
                                     mproxy_profile **out, mproxy_error *err);
// The checksum that a text ends in: 1 it fits, 0 there is none, -1 it does not fit.
int mpx_profile_check_sum(const char *text, size_t length);

#endif
