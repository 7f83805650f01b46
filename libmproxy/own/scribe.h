// A segment that the proxy writes on behalf of somebody: metrics by name.
//
// Values are doubles in row 0, written by one thread. The names outlive a change of the
// job, the values do not: they belong to the segment that was left behind.
#ifndef MPX_OWN_SCRIBE_H
#define MPX_OWN_SCRIBE_H

#include <stdbool.h>

#include <mproxy/job.h>
#include <mproxy/metric.h>

#include "segment/layout.h"

struct mpx_scribe;
struct mpx_segments;

// @param dir_path  rendezvous directory; must stay
mproxy_status mpx_scribe_new(const char *dir_path, enum mpx_seg_kind kind,
                             struct mpx_scribe **out, mproxy_error *err);
void mpx_scribe_free(struct mpx_scribe *s); // the segment becomes final; accepts NULL

// Count for this job from now on (NULL: for none); the segment before becomes final. It is
// made here, so that the job is seen, and made again later if there was no room.
mproxy_status mpx_scribe_begin(struct mpx_scribe *s, const mproxy_job *job, uint32_t uid,
                               mproxy_error *err);
// Of segments begun from now on. One with a group holds all of the group's values.
struct mpx_scribe_origin {
    uint32_t rank;
    uint32_t group;         // 0: none
    uint64_t birth_boot_ns; // 0: the segment's own
};
void mpx_scribe_set_origin(struct mpx_scribe *s, const struct mpx_scribe_origin *origin);
bool mpx_scribe_has_begun(const struct mpx_scribe *s);
// Whether it counts for this job already.
bool mpx_scribe_is_for(const struct mpx_scribe *s, const mproxy_job *job);
// Room may be there again: let the next use try.
void mpx_scribe_retry(struct mpx_scribe *s);

// Make a metric known; defined in the segment once there is one.
// @return MPROXY_OK, MPROXY_E_TYPE, MPROXY_E_INVALID (name), MPROXY_E_LIMIT, MPROXY_E_NOMEM,
//         MPROXY_E_SYSTEM (no room)
mproxy_status mpx_scribe_declare(struct mpx_scribe *s, const char *name, mproxy_type type,
                                 const char *doc, mproxy_error *err);
// Add to a counter, or set a gauge, declaring it if need be. Returns as declare does. When
// this returns, the value is in the segment.
mproxy_status mpx_scribe_write(struct mpx_scribe *s, const char *name, mproxy_type type,
                               const char *doc, double value, mproxy_error *err);
// As mpx_scribe_write(), but a counter becomes `value` if it is less.
mproxy_status mpx_scribe_raise(struct mpx_scribe *s, const char *name, const char *doc,
                               double value, mproxy_error *err);
// Set a counter's part of this segment so that a total of `shown`, as of the last mark,
// becomes `value`.
mproxy_status mpx_scribe_adjust(struct mpx_scribe *s, const char *name, const char *doc,
                                double value, double shown, mproxy_error *err);
// What was to be counted for this job was refused, for these reasons (MPX_OFF_*).
void mpx_scribe_refuse(struct mpx_scribe *s, uint32_t reasons);
// Once a round: where the file was removed, the values go on in a new one, which a proxy
// after this one will find.
void mpx_scribe_keep(struct mpx_scribe *s);
// `by` has read the segments and what it read is shown: it makes up the total.
void mpx_scribe_mark(struct mpx_scribe *s, const struct mpx_segments *by);

#endif
