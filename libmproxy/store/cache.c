#include "store/cache.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum state { RENDERING, READY, TOO_LONG, FAILED };

// One body. While RENDERING its bytes belong to the thread that renders; READY and TOO_LONG
// are final; FAILED is taken over by the next who asks.
struct body {
    struct body *next;
    enum state state; // guarded by the cache's lock
    struct mpx_buf bytes;
    char key[];
};

// The lock is a leaf: nothing is called with it held.
struct mpx_cache {
    pthread_mutex_t lock;
    pthread_cond_t rendered;
    struct body *bodies; // guarded by lock
    size_t count;        // guarded by lock
    size_t held;         // bytes of READY bodies; guarded by lock
};

struct mpx_cache *mpx_cache_new(void)
{
    struct mpx_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return NULL;
    pthread_mutex_init(&cache->lock, NULL);
    pthread_cond_init(&cache->rendered, NULL);
    return cache;
}

void mpx_cache_free(struct mpx_cache *cache)
{
    if (!cache)
        return;
    while (cache->bodies) {
        struct body *next = cache->bodies->next;
        mpx_buf_free(&cache->bodies->bytes);
        free(cache->bodies);
        cache->bodies = next;
    }
    pthread_cond_destroy(&cache->rendered);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

mproxy_status mpx_body_write(void *body, const char *bytes, size_t length)
{
    struct mpx_buf *b = &((struct body *)body)->bytes;
    if (length > MPX_BODY_MAX - b->size)
        return MPROXY_E_LIMIT;
    mpx_buf_add(b, bytes, length);
    return b->failed ? MPROXY_E_NOMEM : MPROXY_OK;
}

static struct body *find_or_add_locked(struct mpx_cache *cache, const char *key)
{
    for (struct body *body = cache->bodies; body; body = body->next)
        if (strcmp(body->key, key) == 0)
            return body;
    size_t length = strlen(key);
    if (cache->count == MPX_BODY_KEYS_MAX || length > MPX_BODY_KEY_MAX)
        return NULL;
    struct body *body = calloc(1, sizeof *body + length + 1);
    if (!body)
        return NULL;
    memcpy(body->key, key, length + 1);
    body->state = FAILED;
    body->next = cache->bodies;
    cache->bodies = body;
    cache->count++;
    return body;
}

// The body, FINAL, or RENDERING by the caller who shall do it; NULL if it can't be kept.
static struct body *claim(struct mpx_cache *cache, const char *key, bool *is_mine)
{
    pthread_mutex_lock(&cache->lock);
    struct body *body = find_or_add_locked(cache, key);
    while (body && body->state == RENDERING)
        pthread_cond_wait(&cache->rendered, &cache->lock);
    *is_mine = body && body->state == FAILED;
    if (*is_mine)
        body->state = RENDERING;
    pthread_mutex_unlock(&cache->lock);
    return body;
}

static mproxy_status settle(struct mpx_cache *cache, struct body *body,
                            mproxy_status status)
{
    pthread_mutex_lock(&cache->lock);
    if (!status && body->bytes.size > MPX_BODIES_MAX - cache->held)
        status = MPROXY_E_LIMIT;
    body->state = !status ? READY : status == MPROXY_E_LIMIT ? TOO_LONG : FAILED;
    if (!status)
        cache->held += body->bytes.size;
    else
        mpx_buf_free(&body->bytes);
    pthread_cond_broadcast(&cache->rendered);
    pthread_mutex_unlock(&cache->lock);
    return status;
}

mproxy_status mpx_cache_get(struct mpx_cache *cache, const mproxy_snapshot *snapshot,
                            const char *key, mpx_body_fn render, void *arg,
                            const char **bytes, size_t *length)
{
    bool is_mine;
    struct body *body = claim(cache, key, &is_mine);
    if (!body)
        return MPROXY_E_LIMIT;
    if (is_mine) {
        mproxy_status status = settle(cache, body, render(arg, snapshot, body));
        if (status)
            return status;
    } else if (body->state == TOO_LONG) {
        return MPROXY_E_LIMIT;
    }
    *bytes = body->bytes.data ? body->bytes.data : "";
    *length = body->bytes.size;
    return MPROXY_OK;
}
