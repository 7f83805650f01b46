// The bounds of histograms that come from pages, by *set*: a histogram's name with its labels
// but for `le`. Buckets of several pages add up only if all of them have the same bounds; a
// bound that one lacks would be lower than the one before it. The first holder's bounds are
// the set's for as long as somebody holds it.
#ifndef MPX_STORE_BUCKETS_H
#define MPX_STORE_BUCKETS_H

#include <stdbool.h>

#include <mproxy/store.h>

struct mpx_names;
struct mpx_buckets;    // all sets of a store
struct mpx_bucket_set; // one of them, held

// The store's. By the writer, like all below.
struct mpx_buckets *mpx_store_buckets(mproxy_store *store);
struct mpx_buckets *mpx_buckets_new(struct mpx_names *names);
void mpx_buckets_free(struct mpx_buckets *all); // accepts NULL

// Hold a set, whose bounds are these, in no order and without +Inf. Where nobody holds it and
// the store has its buckets, of programs or of one who held it before, theirs are its bounds.
//
// @param set  `base` or `base{label="value",...}` with the labels in order
// @return MPROXY_OK, MPROXY_E_TYPE (it has others) or MPROXY_E_NOMEM
mproxy_status mpx_buckets_hold(struct mpx_buckets *all, const char *set,
                               const double *bounds, size_t count,
                               struct mpx_bucket_set **out, mproxy_error *err);
// Whether these are the bounds of a set that is held.
bool mpx_buckets_are(const struct mpx_bucket_set *set, const double *bounds,
                     size_t count);
void mpx_buckets_leave(struct mpx_buckets *all, struct mpx_bucket_set *set);

#endif
