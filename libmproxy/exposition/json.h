// The JSON of the HTTP API: views, and pieces for other replies and for profiles, beside what
// base/json.h writes.
#ifndef MPX_EXPOSITION_JSON_H
#define MPX_EXPOSITION_JSON_H

#include <mproxy/exposition.h>

#include "base/json.h"
#include "exposition/sink.h"

void mpx_json_put_number(struct mpx_json *j, double value); // finite
void mpx_json_member_number(struct mpx_json *j, const char *key, double value);
// The object of nine keys.
void mpx_json_put_desc(struct mpx_json *j, const mproxy_job *job);
// The same without its braces.
void mpx_json_desc_members(struct mpx_json *j, const mproxy_job *job);
// Whether a value can be shown: all its numbers are finite.
bool mpx_json_is_shown(mproxy_type type, const mproxy_value *value);
// {"Counter":…} or {"Gauge":…} of a value that is shown.
void mpx_json_put_value(struct mpx_json *j, mproxy_type type, const mproxy_value *value);

void mpx_json_view(struct mpx_sink *s, const mproxy_view *view,
                   const mproxy_render_options *o);
void mpx_json_snapshot(struct mpx_sink *s, const mproxy_snapshot *snapshot,
                       const mproxy_render_options *o);
void mpx_json_nodes(struct mpx_sink *s, const mproxy_view *view,
                    const mproxy_node_part *parts, size_t count,
                    const mproxy_render_options *o);

#endif
