// Views as the JSON of the HTTP API.
#ifndef MPX_EXPOSITION_JSON_VIEW_H
#define MPX_EXPOSITION_JSON_VIEW_H

#include <mproxy/exposition.h>

#include "exposition/sink.h"

void mpx_json_view(struct mpx_sink *s, const mproxy_view *view,
                   const mproxy_render_options *o);
void mpx_json_snapshot(struct mpx_sink *s, const mproxy_snapshot *snapshot,
                       const mproxy_render_options *o);
void mpx_json_nodes(struct mpx_sink *s, const mproxy_view *view,
                    const mproxy_node_part *parts, size_t count,
                    const mproxy_render_options *o);

#endif
