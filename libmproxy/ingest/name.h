// What a series of a page is called here.
#ifndef MPX_INGEST_NAME_H
#define MPX_INGEST_NAME_H

#include "base/buf.h"
#include "ingest/ingest.h"

// A name that the parser gave, with these labels in place of those of their names, in order,
// and the bound of a histogram's bucket written as programs' buckets have it, so that `1.0` of
// OpenMetrics and `1` of the text format are one series. Not checked: labels may have made it
// too long.
//
// @return `name` itself or what is in `scratch`; NULL: no memory
const char *mpx_ingest_name(struct mpx_buf *scratch, const char *name,
                            mproxy_family_kind kind,
                            const struct mpx_ingest_label *labels, size_t label_count);

#endif
