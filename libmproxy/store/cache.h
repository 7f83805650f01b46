// Bodies rendered from a snapshot, kept with it: one rendering per snapshot, however many
// ask. Any thread that holds the snapshot.
#ifndef MPX_STORE_CACHE_H
#define MPX_STORE_CACHE_H

#include <mproxy/store.h>

#define MPX_BODY_MAX (8u << 20)    // a longer body is not kept: stream it
#define MPX_BODIES_MAX (32u << 20) // all bodies of one snapshot
#define MPX_BODY_KEYS_MAX 64       // and their number
#define MPX_BODY_KEY_MAX 128       // a longer key is not kept

// Renders into `body` by mpx_body_write(), which has the form of a mproxy_write_fn, and
// passes its failure on. Called without a lock held.
typedef mproxy_status (*mpx_body_fn)(void *arg, const mproxy_snapshot *snapshot,
                                     void *body);

// @return MPROXY_OK, MPROXY_E_LIMIT past MPX_BODY_MAX, MPROXY_E_NOMEM
mproxy_status mpx_body_write(void *body, const char *bytes, size_t length);

struct mpx_cache;
struct mpx_cache *mpx_cache_new(void);
void mpx_cache_free(struct mpx_cache *cache); // accepts NULL
// The snapshot's own, which goes with it.
struct mpx_cache *mpx_snapshot_cache(const mproxy_snapshot *snapshot);

// The body that `key` names, rendered by the first who asks; others wait for it.
//
// `key` must say all that the bytes depend on (path, format, options).
// @param bytes  borrowed, as long as the cache lives
// @return MPROXY_OK; MPROXY_E_LIMIT: too long or too many, render it for yourself;
//         MPROXY_E_NOMEM, or what `render` returned: not kept, the next caller tries again
mproxy_status mpx_cache_get(struct mpx_cache *cache, const mproxy_snapshot *snapshot,
                            const char *key, mpx_body_fn render, void *arg,
                            const char **bytes, size_t *length);

static inline mproxy_status mpx_snapshot_body(const mproxy_snapshot *snapshot,
                                              const char *key, mpx_body_fn render,
                                              void *arg, const char **bytes,
                                              size_t *length)
{
    return mpx_cache_get(mpx_snapshot_cache(snapshot), snapshot, key, render, arg, bytes,
                         length);
}

#endif
