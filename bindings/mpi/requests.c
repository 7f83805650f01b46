// Not base/index: that belongs to one thread and grows by malloc(), while here any thread adds
// and takes inside of its MPI call, without a lock or an allocation, in a fixed table.
#include "requests.h"

#include <stdatomic.h>
#include <stddef.h>

enum { BUCKETS = 8192, DEPTH = 4, TRIES = 8 };

// In .bss: only the pages in use take memory.
static struct mpx_request table[BUCKETS][DEPTH];
// A bucket that was ever full: handles of it may lie in the next ones.
static _Atomic unsigned char spilled[BUCKETS];

#define TAKEN UINT64_MAX // being filled in or completed; no handle has all bits set

static uint32_t bucket_of(uint64_t key)
{
    return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 40) % BUCKETS;
}

static struct mpx_request *take_slot(uint32_t bucket)
{
    for (int i = 0; i < DEPTH; i++) {
        struct mpx_request *r = &table[bucket][i];
        uint64_t empty = 0;
        if (atomic_load_explicit(&r->key, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong_explicit(
                &r->key, &empty, TAKEN, memory_order_acquire, memory_order_relaxed))
            return r;
    }
    return NULL;
}

int mpx_request_add(uint64_t key, uint32_t fn, uint32_t flags, uint64_t out, uint64_t in)
{
    uint32_t bucket = bucket_of(key);
    for (int i = 0; i < TRIES; i++, bucket = (bucket + 1) % BUCKETS) {
        struct mpx_request *r = take_slot(bucket);
        if (!r) {
            atomic_store_explicit(&spilled[bucket], 1, memory_order_relaxed);
            continue;
        }
        r->handle = key;
        r->fn = fn;
        r->flags = flags;
        r->out = out;
        r->in = in;
        atomic_store_explicit(&r->active, 0, memory_order_relaxed);
        atomic_store_explicit(&r->key, key, memory_order_release);
        return 1;
    }
    return 0;
}

struct mpx_request *mpx_request_find(uint64_t key)
{
    if (key == 0)
        return NULL;
    uint32_t bucket = bucket_of(key);
    for (int i = 0; i < TRIES; i++, bucket = (bucket + 1) % BUCKETS) {
        for (int j = 0; j < DEPTH; j++)
            if (atomic_load_explicit(&table[bucket][j].key, memory_order_acquire) == key)
                return &table[bucket][j];
        if (!atomic_load_explicit(&spilled[bucket], memory_order_relaxed))
            break;
    }
    return NULL;
}

struct mpx_request *mpx_request_take(uint64_t key)
{
    struct mpx_request *r = mpx_request_find(key);
    return r && atomic_compare_exchange_strong_explicit(
                    &r->key, &key, TAKEN, memory_order_acquire, memory_order_relaxed)
               ? r
               : NULL;
}

void mpx_request_give_back(struct mpx_request *r)
{
    atomic_store_explicit(&r->key, r->handle, memory_order_release);
}

void mpx_request_clear(struct mpx_request *r)
{
    atomic_store_explicit(&r->key, 0, memory_order_release);
}
