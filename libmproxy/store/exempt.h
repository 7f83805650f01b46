// Names that the most a store holds do not bind, and names that are not to be added.
#ifndef MPX_STORE_EXEMPT_H
#define MPX_STORE_EXEMPT_H

#include <mproxy/store.h>

// Find or intern a metric as mproxy_store_metric() does, past the most names too: for the
// proxy's own, and for what it has taken before, which must not be lost because others have
// filled the store. Never for names that programs choose now.
// @return MPROXY_OK, MPROXY_E_INVALID, MPROXY_E_TYPE (*out is set) or MPROXY_E_NOMEM
mproxy_status mpx_store_metric_exempt(mproxy_store *store, const char *name,
                                      mproxy_type type, const char *doc,
                                      const mproxy_metric **out, mproxy_error *err);

// A metric that is known; NULL: it is not, and is not interned.
const mproxy_metric *mpx_store_metric_find(const mproxy_store *store, const char *name);

#endif
