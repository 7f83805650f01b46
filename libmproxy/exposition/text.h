// Views in the text formats of Prometheus.
#ifndef MPX_EXPOSITION_TEXT_H
#define MPX_EXPOSITION_TEXT_H

#include <stdbool.h>

#include <mproxy/exposition.h>

#include "exposition/sink.h"

// One exposition of all views, each family once. With `label_views` every sample carries
// its view's key as job_id; otherwise o->job_label, if there is one.
void mpx_text_views(struct mpx_sink *s, const mproxy_view *const *views, size_t count,
                    mproxy_format format, const mproxy_render_options *o,
                    bool label_views);

#endif
