// A source that the reduction holds: its newest state, in place, and when which slot of it
// changed.
#ifndef MPX_REDUCTION_HELD_H
#define MPX_REDUCTION_HELD_H

#include <stdbool.h>

#include <mproxy/source.h>

#include "store/numbers.h"

enum { MPX_STEPS_MAX = 8 }; // of the reduction's history that a source remembers

struct mpx_directory;
struct mpx_job;

// The reduction was at `at` when the source had come to `sequence`.
struct mpx_step {
    uint64_t at, sequence;
};

struct mpx_held {
    mproxy_source source; // without values; what it points to is ours
    struct mpx_directory *directory;
    struct mpx_job *of; // shares
    size_t job_place;   // among the job's shares
    mproxy_job job;
    mproxy_span *absorbed;
    struct mpx_numbers *own, *node; // NULL: no metrics
    // Changes: `marks` has, for each slot, the sequence of its last change less `first`.
    uint32_t *marks;
    uint64_t first;     // the state of this sequence was taken whole
    uint64_t described; // sequence of the last change of the description
    uint64_t remade; // states up to this sequence are not what the one held follows from
    bool is_remade;
    struct mpx_step steps[MPX_STEPS_MAX];
    uint32_t step_count;
    int64_t read_ms;  // when its state was read, by the reduction's time
    int64_t alive_ms; // when it last gave a sign of life
    uint64_t heard;   // publication before which it was last told
    uint64_t stamp;   // scratch of those who compare sets of sources
    bool moved;       // its directory's host is another than was told with its state
    bool dropped;     // forgotten, and freed once no sum has it
    bool stored;      // a profile holds all of it
    bool retired;     // counts, but its job has left the list
};

// What taking a state has done.
struct mpx_taken {
    bool changed;   // some value is another, or how it spreads over ranks
    bool lowered;   // some counter is lower
    bool reshaped;  // its metrics are others, or their ranks are known now
    bool described; // its description is another
    uint64_t dropped_values;
};

// What taking a state needs, got before anything is changed.
struct mpx_taking {
    struct mpx_numbers *own, *node;
    bool is_own_new, is_node_new; // not the ones held
    uint32_t *marks;              // NULL: those held
    mproxy_job job;
    mproxy_span *absorbed;
    bool describes;
    bool is_twice; // refused: a metric is named twice
};

static inline bool mpx_held_is_share(const struct mpx_held *h)
{
    return h->source.kind == MPROXY_SOURCE_SHARE;
}

// Two descriptions are equal; either may be NULL.
bool mpx_same_job(const mproxy_job *a, const mproxy_job *b);

// Nothing but an identity. NULL: no memory.
struct mpx_held *mpx_held_new(const mproxy_source *source);
void mpx_held_free(struct mpx_held *h); // accepts NULL

// Take a later whole state: prepare, then commit, which can't fail, or discard. False: no
// memory, or taking->is_twice, and nothing has changed.
bool mpx_held_prepare(const struct mpx_held *h, const mproxy_source *source,
                      struct mpx_shapes *shapes, struct mpx_taking *taking);
struct mpx_taken mpx_held_commit(struct mpx_held *h, const mproxy_source *source,
                                 struct mpx_taking *taking);
void mpx_held_discard(const struct mpx_held *h, struct mpx_taking *taking);

// Take a change that stands on the state held. False: no memory, and nothing has changed.
bool mpx_held_apply(struct mpx_held *h, const mproxy_change *change,
                    struct mpx_taken *taken);
// The sequence held is now at `at` of the reduction's history.
void mpx_held_step(struct mpx_held *h, uint64_t at);
// The state held, of whatever order, follows from none before: it is told whole. It is now at
// `at` of the reduction's history.
void mpx_held_restart(struct mpx_held *h, uint64_t at);

#endif
