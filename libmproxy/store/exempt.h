// What parts of the proxy ask of the store's names beyond <mproxy/store.h>.
#ifndef MPX_STORE_EXEMPT_H
#define MPX_STORE_EXEMPT_H

#include <stdbool.h>

#include <mproxy/store.h>

// Find or intern a metric as mproxy_store_metric() does, past the most names too: for the
// proxy's own, and for what it has taken before, which must not be lost because others have
// filled the store. Never for names that programs choose now.
// @return MPROXY_OK, MPROXY_E_INVALID or MPROXY_E_NOMEM
mproxy_status mpx_store_metric_exempt(mproxy_store *store, const char *name,
                                      mproxy_type type, const char *doc,
                                      const mproxy_metric **out, mproxy_error *err);

// Find or intern a metric as mproxy_store_metric() does. A new name raises `account` by one
// until it is given back, or until the account is closed, which its owner must do.
mproxy_status mpx_store_metric_for(mproxy_store *store, const char *name,
                                   mproxy_type type, const char *doc, size_t *account,
                                   const mproxy_metric **out, mproxy_error *err);
void mpx_store_close_account(mproxy_store *store, const size_t *account);

// Changes whenever a name comes or goes: until then an id is that of the same metric, and
// ids are below mpx_store_metric_bound().
uint64_t mpx_store_metric_version(const mproxy_store *store);
uint32_t mpx_store_metric_bound(const mproxy_store *store);
// How many names have been given back in all.
uint64_t mpx_store_metric_forgotten(const mproxy_store *store);
// Whether a metric of this base name is known.
bool mpx_store_has_family(const mproxy_store *store, const char *base, size_t length);

// A metric that is known; NULL: it is not, and is not interned.
const mproxy_metric *mpx_store_metric_find(const mproxy_store *store, const char *name,
                                           mproxy_type type);

#endif
