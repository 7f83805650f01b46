// Not base/index: that one grows by realloc(), which a declaration from inside malloc() or from
// a signal handler must not call, and frees its old cells, which others read here without a
// lock.
#include "client/names.h"

#include <stdatomic.h>
#include <string.h>

#include "base/sys.h"
#include "metric/order.h"

enum { FIRST_TABLE = 128, FIRST_CHUNK = 16 << 10, CHUNK = 256 << 10 };

struct table {
    uint32_t mask;
    uint32_t used;
    _Atomic(struct mpx_handle *) at[];
};

static _Atomic(struct table *) current;

// The stretch of memory that is handed out now; the lock guards it.
static char *chunk;
static size_t chunk_left;

static void *map_memory(size_t size)
{
    void *p =
        mpx_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void *take_memory(size_t size)
{
    size = (size + 15) / 16 * 16;
    if (size > chunk_left) {
        size_t length = chunk ? CHUNK : FIRST_CHUNK;
        if (size > length)
            return map_memory(size);
        char *fresh = map_memory(length);
        // Locked memory may be short.
        if (!fresh && size <= FIRST_CHUNK)
            fresh = map_memory(length = FIRST_CHUNK);
        if (!fresh)
            return NULL;
        chunk_left = 0;
        atomic_signal_fence(memory_order_seq_cst);
        chunk = fresh;
        atomic_signal_fence(memory_order_seq_cst);
        chunk_left = length;
    }
    // Whoever is stopped in between leaves a gap, and nothing that is given out twice.
    chunk_left -= size;
    atomic_signal_fence(memory_order_seq_cst);
    chunk += size;
    return chunk - size;
}

uint64_t mpx_names_hash(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 29;
}

struct mpx_handle *mpx_names_find(const char *name, uint64_t hash)
{
    struct table *t = atomic_load_explicit(&current, memory_order_acquire);
    if (!t)
        return NULL;
    for (uint64_t i = hash;; i++) {
        struct mpx_handle *h =
            atomic_load_explicit(&t->at[i & t->mask], memory_order_acquire);
        if (!h || (h->hash == hash && strcmp(h->name, name) == 0))
            return h;
    }
}

static void insert(struct table *t, struct mpx_handle *handle)
{
    uint64_t i = handle->hash;
    while (atomic_load_explicit(&t->at[i & t->mask], memory_order_relaxed))
        i++;
    atomic_store_explicit(&t->at[i & t->mask], handle, memory_order_release);
    t->used++;
}

// The old table stays: somebody may be reading it. All of them together are smaller than
// the last one.
static struct table *grow(struct table *old)
{
    uint32_t size = old ? (old->mask + 1) * 2 : FIRST_TABLE;
    struct table *t = take_memory(sizeof *t + size * sizeof t->at[0]);
    if (!t)
        return NULL;
    t->mask = size - 1;
    for (uint32_t i = 0; old && i <= old->mask; i++) {
        struct mpx_handle *h = atomic_load_explicit(&old->at[i], memory_order_relaxed);
        if (h)
            insert(t, h);
    }
    atomic_store_explicit(&current, t, memory_order_release);
    return t;
}

struct mpx_handle *mpx_names_make(const struct mpx_handle *handle)
{
    struct table *t = atomic_load_explicit(&current, memory_order_relaxed);
    if ((!t || t->used >= (t->mask + 1) / 4 * 3) && !grow(t))
        return NULL;
    size_t bounds_size = handle->bound_count * sizeof(double);
    size_t name_size = strlen(handle->name) + 1;
    struct mpx_handle *copy = take_memory(sizeof *copy + bounds_size + name_size);
    if (!copy)
        return NULL;
    *copy = *handle;
    double *bounds = (double *)(copy + 1);
    if (bounds_size)
        memcpy(bounds, handle->bounds, bounds_size);
    copy->bounds = bounds;
    char *name = memcpy((char *)bounds + bounds_size, handle->name, name_size);
    mpx_name_order(name);
    copy->name = name;
    copy->hash = mpx_names_hash(name);
    return copy;
}

void mpx_names_publish(struct mpx_handle *made)
{
    insert(atomic_load_explicit(&current, memory_order_relaxed), made);
}

// It is the last that was taken: a program that asks again and again for what cannot be had
// must not grow.
void mpx_names_discard(struct mpx_handle *made)
{
    size_t size = (size_t)(chunk - (char *)made);
    chunk = memset(made, 0, size); // a table is zero when it begins
    atomic_signal_fence(memory_order_seq_cst);
    chunk_left += size;
}

struct mpx_handle *mpx_names_complete(const struct mpx_handle *handle)
{
    struct mpx_handle *known = mpx_names_find(handle->name, handle->hash);
    if (known)
        return known;
    struct mpx_handle *made = mpx_names_make(handle);
    if (made)
        mpx_names_publish(made);
    return made;
}

void mpx_names_recount(void)
{
    struct table *t = atomic_load_explicit(&current, memory_order_relaxed);
    if (!t)
        return;
    t->used = 0;
    for (uint32_t i = 0; i <= t->mask; i++)
        t->used += atomic_load_explicit(&t->at[i], memory_order_relaxed) != NULL;
}

// Bounds 1, 2, 4, ..., however many: the bucket is found without a search.
bool mpx_bounds_are_powers(const double *bounds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (i >= MPX_POWERS || bounds[i] != (double)(UINT64_C(1) << i))
            return false;
    return true;
}
