// Pages in protobuf, as Go's client library pushes them unless it is told otherwise: messages
// MetricFamily of io.prometheus.client, each behind its length.
#ifndef MPX_EXPOSITION_PROTOBUF_H
#define MPX_EXPOSITION_PROTOBUF_H

#include <mproxy/base.h>

#include "base/buf.h"

// Whether a Content-Type is that of such pages.
bool mpx_protobuf_is(const char *content_type); // may be NULL
// Append what they say in the text format 0.0.4, of at most `max` bytes. Native histograms lose
// their buckets, exemplars and times of creation are dropped. Names must be of the classic
// form.
//
// @return MPROXY_OK, MPROXY_E_INVALID, MPROXY_E_LIMIT, MPROXY_E_NOMEM
mproxy_status mpx_protobuf_text(const char *bytes, size_t length, size_t max,
                                struct mpx_buf *out, mproxy_error *err);

#endif
