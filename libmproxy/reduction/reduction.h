// The reduction's inside: directories with their sources, hosts and jobs with their sums.
#ifndef MPX_REDUCTION_REDUCTION_H
#define MPX_REDUCTION_REDUCTION_H

#include <mproxy/reduction.h>

#include "base/index.h"
#include "reduction/sum.h"

enum {
    MPX_NODE_SILENT_MAX = 3 // publications after which a rival's node metrics are taken
};

// All sources of one rendezvous directory.
struct mpx_directory {
    uint8_t id[16];
    struct mpx_host *host;
    size_t host_place;       // among the host's directories
    struct mpx_held **items; // rising by kind and number, dropped ones among them
    size_t count, room;
    int64_t heard_ms; // when all of it was last known to be as held
    bool is_heard;
    bool has_dropped;
    bool absorbed_here; // it was lost: its base has more than it knows itself
};

// Of one name, with the directories on it.
struct mpx_host {
    char *name;
    struct mpx_directory **directories;
    size_t count, room;
    struct mpx_sum sum;
    bool regroup;
    bool has_rivals; // several directories with node metrics
};

// A job id of one user, with all shares of it that are held.
struct mpx_job {
    char *jobid;
    uint32_t uid;
    struct mpx_held **shares;
    size_t count, room;
    struct mpx_sum sum; // without terms: it is not listed
    char *key;          // of the view; NULL: it has none
    int64_t start_ms;   // of the run that is shown
    size_t place;       // scratch: among all jobs
    bool regroup;
};

// A source that was forgotten when the reduction's sequence came to `at`.
struct mpx_gone {
    uint8_t directory[16];
    mproxy_source_kind kind;
    uint64_t number, epoch, sequence, at;
    mproxy_span *absorbed; // a base's
    size_t absorbed_count;
};

struct mproxy_reduction {
    struct mpx_bench bench;
    int64_t continue_ms, now_ms;
    struct mpx_directory **directories; // rising by id, once sorted
    size_t directory_count, directory_room;
    struct mpx_index directory_index;
    struct mpx_host **hosts;
    size_t host_count, host_room;
    struct mpx_index host_index;
    struct mpx_job **jobs;
    size_t job_count, job_room;
    struct mpx_index job_index,
        key_index; // positions of jobs; keys of those that have one
    struct mpx_sum main;
    bool unsorted; // directories
    bool regroup;  // members or descriptions of some sum may have changed
    bool published;
    bool is_loose;                // shapes may be held that nothing is of any more
    struct mpx_host **host_order; // as shown, by name
    size_t host_order_room, host_order_count;
    struct mpx_job **job_order; // as shown, by start and id
    size_t job_order_room, job_order_count;
    mproxy_view **views; // scratch of publish
    size_t view_room;
    uint64_t round;    // publications
    uint64_t sequence; // changes of what is held
    uint64_t stamp;
    struct mpx_gone *gone; // rising by `at`
    size_t gone_count, gone_room;
    uint64_t gone_before; // what went up to here is remembered no more
    size_t source_count;
    const mproxy_source **list;
    size_t list_room;
    mproxy_source told;   // scratch: of a change that is whole
    mproxy_value *values; // scratch: a state laid out
    size_t value_room;
    uint32_t *slots; // scratch: of a change
    size_t slot_room;
    mproxy_reduction_stats stats;
};

// directory.c: what is held. None of these has effect when it runs out of memory.

struct mpx_directory *mpx_directory_find(const struct mproxy_reduction *r,
                                         const uint8_t id[16]);
struct mpx_held *mpx_directory_source(const struct mpx_directory *d,
                                      mproxy_source_kind kind, uint64_t number);
// The source of this identity, found or made, on its host and, if it is a share, of its job.
// *is_new: nothing has been taken yet. NULL: no memory.
struct mpx_held *mpx_directory_join(struct mproxy_reduction *r,
                                    const mproxy_source *source, bool *is_new);
// Hold it no more; it is freed by mpx_directories_sweep() once no sum has it.
void mpx_directory_drop(struct mproxy_reduction *r, struct mpx_held *h);
// The same, and it is told as gone.
void mpx_directory_forget(struct mproxy_reduction *r, struct mpx_held *h);
// Whether a share is among those that the base of its directory holds.
bool mpx_directory_has_absorbed(const struct mpx_directory *d, uint64_t number);
void mpx_directory_drop_absorbed(struct mproxy_reduction *r, struct mpx_directory *d);
// The sums that a source counts in are to be computed again.
void mpx_directory_touch(struct mproxy_reduction *r, struct mpx_held *h,
                         const struct mpx_taken *taken);
void mpx_directories_sort(struct mproxy_reduction *r);
void mpx_directories_sweep(struct mproxy_reduction *r);
void mpx_directories_fini(struct mproxy_reduction *r);

// reduction.c

mproxy_status mpx_reduction_check(struct mproxy_reduction *r, const mproxy_source *s,
                                  mproxy_error *err);
// Negative: the state told is older than the one held; 0: it is the same.
int mpx_compare_order(const mproxy_source *told, const struct mpx_held *h);
// It was told in a state that is not later than the one held.
void mpx_reduction_hear(struct mproxy_reduction *r, const mproxy_source *s,
                        struct mpx_held *h);
// Hold a state, which has `values`, in place of any that is held.
mproxy_status mpx_reduction_take(struct mproxy_reduction *r, const mproxy_source *s,
                                 mproxy_error *err);
// Why a state could not be prepared.
mproxy_status mpx_reduction_refuse(struct mproxy_reduction *r, const mproxy_source *s,
                                   const struct mpx_taking *taking, mproxy_error *err);
void mpx_reduction_commit(struct mproxy_reduction *r, const mproxy_source *s,
                          struct mpx_held *h, struct mpx_taking *taking);

// group.c: make the terms and titles of all sums whose members may have changed, and the
// orders in which they are shown. False: no memory; what is left to do is done next time.
bool mpx_regroup(struct mproxy_reduction *r);
// The job whose view has this key; NULL: none.
const struct mpx_job *mpx_job_of_key(const struct mproxy_reduction *r, const char *key);

// gone.c
void mpx_gone_note(struct mproxy_reduction *r, const struct mpx_held *h);
void mpx_gone_fini(struct mproxy_reduction *r);
mproxy_status mpx_gone_tell(const struct mproxy_reduction *r, uint64_t since,
                            mproxy_status (*fn)(void *arg, const mproxy_change *change),
                            void *arg);

// change.c
// The source with `values` whatever form it is held in. False: no memory.
bool mpx_lay_out(struct mproxy_reduction *r, const mproxy_source *source,
                 mproxy_source *out);
// What is held, with its ages as of now.
const mproxy_source *mpx_held_show(const struct mproxy_reduction *r, struct mpx_held *h);

#endif
