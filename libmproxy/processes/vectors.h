// From a definition table to a vector of metrics, and from columns to their values.
#ifndef MPX_PROCESSES_VECTORS_H
#define MPX_PROCESSES_VECTORS_H

#include <stdbool.h>

#include <mproxy/ledger.h>

#include "reader/reader.h"

enum { MPX_LAYOUT_ENTRIES_MAX = 16 << 20 }; // of all layouts

// Layouts by content. They live while a table or an array of values follows them.
struct mpx_vectors;

struct mpx_vectors_stats {
    uint64_t layouts; // there are now
    uint64_t refused_names, refused_types, refused_values;
    uint64_t refused_limits; // names past what the store or the user may have
};
struct mpx_user;

struct mpx_vectors *mpx_vectors_new(mproxy_store *store); // NULL: no memory
void mpx_vectors_free(struct mpx_vectors *vs);            // accepts NULL
const struct mpx_vectors_stats *mpx_vectors_get_stats(const struct mpx_vectors *vs);

// Names and order of a fixed vector: has_started, has_finished, has_left, then
// tables/process.def.
enum { MPX_VALUE_STARTED = 0, MPX_VALUE_FINISHED, MPX_VALUE_LEFT, MPX_VALUE_PROCESS };
mproxy_status mpx_vectors_process(struct mpx_vectors *vs, const mproxy_layout **out,
                                  mproxy_error *err);
struct mpx_process_values;
// The values of that vector, MPX_SEG_FINAL_MAX + MPX_VALUE_PROCESS at most.
struct mpx_process_end {
    bool started, finished, left;
};
void mpx_vectors_fill_process(const struct mpx_process_values *from,
                              const struct mpx_process_end *end, double *values);

// Say that an array of values follows the layout, or does no longer. Both accept NULL.
void mpx_layout_use(const mproxy_layout *layout);
void mpx_layout_leave(const mproxy_layout *layout);
// Free the layouts that nothing follows, which the ledger forgets; before it is told of the
// processes of a round.
void mpx_vectors_sweep(struct mpx_vectors *vs, mproxy_ledger *ledger);

// A table's vector, for struct mpx_def_table.user.
struct mpx_vector_map;
void mpx_vector_map_free(void *map);

// The vector of a table, made once, and again when names that were refused for want of room
// may be taken. NULL layout: no metric of it is taken. `refusal` gets the
// text of the first definition refused when the vector is made, else stays. New names count
// for the user, whose table it is and who outlives the vectors.
// @return MPROXY_OK, MPROXY_E_LIMIT (too many vectors), MPROXY_E_NOMEM
mproxy_status mpx_vectors_of(struct mpx_vectors *vs, struct mpx_user *user,
                             struct mpx_def_table *table, const mproxy_layout **layout,
                             mproxy_error *refusal, mproxy_error *err);

// Whether names of the table, which may be NULL, had no room and may have some now:
// mpx_vectors_of() sees to it.
bool mpx_vectors_may_take_more(const struct mpx_vectors *vs,
                               const struct mpx_def_table *table);

// Why definitions of the table were refused, as bits of a segment's flags; 0: none was.
uint32_t mpx_vectors_uncounted(const struct mpx_def_table *table);

// Values from columns. One that is not finite, or a counter below zero, is refused: a counter
// keeps the value it has in `values`, a gauge counts as never set. False: some were refused.
bool mpx_vectors_compute(struct mpx_vectors *vs, const struct mpx_def_table *table,
                         const double *columns, double *values);
// Whether the next computations may leave counters below zero: the proxy's own segments
// hold differences, where somebody set a counter to less than what others count.
void mpx_vectors_allow_negative(struct mpx_vectors *vs, bool allow);
// Whether the next tables may define names of ours: the gateway's own segments hold the
// starts and ends of older programs.
void mpx_vectors_allow_reserved(struct mpx_vectors *vs, bool allow);

#endif
