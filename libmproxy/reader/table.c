// A table keeps a copy of the records it was made of; definitions point into that copy.
// Programs of one kind write the same records in the same order, so that 128 ranks share
// one table, and what the collector derives from it.
//
// A table never changes. When a program defines more, the table of what it has then is
// looked up or made, by the hash of the old one continued over the new records; so two
// programs that arrive at the same definitions share again, however many steps each
// took. The hash has a seed, and equality is judged by the bytes.
//
// Tables are per user: what is refused to one, because he has too many names, must not
// be missing in another's.
//
// A definition that is malformed in its shape makes the whole segment bad, for nothing
// behind it can be trusted to be where it says. One whose name, scale or bounds are none
// is kept with an empty name, so that numbering stays, and is refused by name later.

#include "reader/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/array.h"
#include "base/err.h"
#include "base/index.h"
#include "base/utf8.h"

struct table {
    struct mpx_def_table shown; // first, so that one address is both
    uint32_t place;
    uint64_t hash; // seeded, and continued by what is added
    uint32_t uid;
    size_t refs;
    size_t size; // of bytes
    unsigned char *bytes;
    struct mpx_def *defs;
    uint32_t double_count;
    uint32_t *doubles;
};

struct mpx_def_tables {
    uint64_t seed; // so that nobody can choose records that meet in one bucket
    void (*free_user)(void *user);
    struct table **tables; // in no order
    size_t count, room;
    struct mpx_index index;
};

struct mpx_def_tables *mpx_def_tables_new(void (*free_user)(void *user))
{
    struct mpx_def_tables *cache = calloc(1, sizeof *cache);
    if (!cache)
        return NULL;
    if (getrandom(&cache->seed, sizeof cache->seed, GRND_NONBLOCK) < 0)
        cache->seed = (uintptr_t)cache;
    cache->free_user = free_user;
    return cache;
}

void mpx_def_tables_free(struct mpx_def_tables *cache)
{
    if (!cache)
        return;
    free(cache->tables);
    mpx_index_fini(&cache->index);
    free(cache);
}

// Records are multiples of 8 bytes, and so is every piece that is hashed.
static uint64_t hash_more(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, at + i, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 32;
    }
    return hash;
}

static bool has_name(const char *name, uint32_t length)
{
    return length > 0 && length <= MPX_SEG_NAME_MAX &&
           mpx_utf8_is_printable(name, length);
}

// A doc may be cut into lines; what else is not text makes it empty.
static bool has_doc(const char *doc, uint32_t length)
{
    if (length > MPX_SEG_DOC_MAX)
        return false;
    for (size_t i = 0; i < length;) {
        size_t size = mpx_utf8_char(doc + i, length - i);
        if (size == 0 || doc[i] == '\0')
            return false;
        i += size;
    }
    return true;
}

static bool has_numbers(const struct mpx_def *def)
{
    // Far beyond any unit, and far from an overflow of a sum times the scale.
    if (!(def->scale > 0) || def->scale > 1e100)
        return false;
    for (uint32_t i = 0; i < def->bound_count; i++)
        if (!isfinite(def->bounds[i]) || (i > 0 && def->bounds[i] <= def->bounds[i - 1]))
            return false;
    return true;
}

static uint32_t slots_of(const struct mpx_rec_metric *m)
{
    switch (m->kind) {
    case MPX_DEF_COUNTER:
    case MPX_DEF_FCOUNTER:
        return 1;
    case MPX_DEF_GAUGE:
        return 2;
    case MPX_DEF_HISTOGRAM:
        return m->bound_count + 2;
    default:
        return 0;
    }
}

static mproxy_status check_record(const struct mpx_rec_metric *m, uint32_t number,
                                  mproxy_error *err)
{
    if (m->bound_count > MPX_SEG_BOUNDS_MAX || slots_of(m) == 0 ||
        m->slot_count != slots_of(m))
        return mpx_fail(err, MPROXY_E_CORRUPT,
                        "definition %u: kind %u with %u slots and %u bounds", number,
                        m->kind, m->slot_count, m->bound_count);
    if (m->slot > MPX_SEG_SLOTS_MAX || m->slot_count > MPX_SEG_SLOTS_MAX - m->slot)
        return mpx_fail(err, MPROXY_E_CORRUPT, "definition %u: slots %u + %u, at most %d",
                        number, m->slot, m->slot_count, MPX_SEG_SLOTS_MAX);
    uint64_t need = sizeof *m + m->bound_count * UINT64_C(8) + m->name_length +
                    UINT64_C(1) + m->doc_length + UINT64_C(1);
    if (need > m->head.size)
        return mpx_fail(err, MPROXY_E_CORRUPT,
                        "definition %u: %llu bytes in a record of %u", number,
                        (unsigned long long)need, m->head.size);
    return MPROXY_OK;
}

static mproxy_status read_def(unsigned char *record, uint32_t number, struct mpx_def *def,
                              mproxy_error *err)
{
    struct mpx_rec_metric m;
    memcpy(&m, record, sizeof m);
    mproxy_status status = check_record(&m, number, err);
    if (status != MPROXY_OK)
        return status;
    const double *bounds = (const void *)(record + sizeof m);
    char *name = (char *)(record + sizeof m + m.bound_count * sizeof *bounds);
    char *doc = name + m.name_length + 1;
    *def = (struct mpx_def){.kind = (enum mpx_def_kind)m.kind,
                            .slot = m.slot,
                            .slot_count = m.slot_count,
                            .bound_count = m.bound_count,
                            .scale = m.scale,
                            .name = name,
                            .doc = doc,
                            .bounds = bounds};
    if (name[m.name_length] != '\0' || !has_name(name, m.name_length) ||
        !has_numbers(def))
        def->name = "";
    if (doc[m.doc_length] != '\0' || !has_doc(doc, m.doc_length))
        def->doc = "";
    return MPROXY_OK;
}

static void mark_doubles(struct table *t)
{
    for (uint32_t i = 0; i < t->shown.count; i++) {
        const struct mpx_def *def = &t->defs[i];
        if (def->kind == MPX_DEF_FCOUNTER || def->kind == MPX_DEF_GAUGE)
            t->doubles[t->double_count++] = def->slot;
        else if (def->kind == MPX_DEF_HISTOGRAM)
            t->doubles[t->double_count++] = def->slot + def->bound_count + 1;
    }
}

static int compare_slots(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

// Definitions that share a slot are a hostile writer's; once is enough to read it.
static void sort_doubles(struct table *t)
{
    qsort(t->doubles, t->double_count, sizeof *t->doubles, compare_slots);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < t->double_count; i++)
        if (kept == 0 || t->doubles[kept - 1] != t->doubles[i])
            t->doubles[kept++] = t->doubles[i];
    t->double_count = kept;
}

static mproxy_status read_defs(struct table *t, mproxy_error *err)
{
    uint32_t count = 0;
    for (size_t at = 0; at < t->size; count++) {
        struct mpx_rec_head head;
        memcpy(&head, t->bytes + at, sizeof head);
        at += head.size;
    }
    if (count > MPX_SEG_DEFS_MAX)
        return mpx_fail(err, MPROXY_E_CORRUPT, "%u definitions, at most %d", count,
                        MPX_SEG_DEFS_MAX);
    t->defs = calloc(count ? count : 1, sizeof *t->defs);
    t->doubles = calloc(count ? count : 1, sizeof *t->doubles);
    if (!t->defs || !t->doubles)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for %u definitions", count);
    t->shown.defs = t->defs;
    for (size_t at = 0; at < t->size;) {
        struct mpx_def *def = &t->defs[t->shown.count];
        struct mpx_rec_head head;
        memcpy(&head, t->bytes + at, sizeof head);
        mproxy_status status = read_def(t->bytes + at, t->shown.count, def, err);
        if (status != MPROXY_OK)
            return status;
        if (def->slot + def->slot_count > t->shown.slot_end)
            t->shown.slot_end = def->slot + def->slot_count;
        t->shown.count++;
        at += head.size;
    }
    mark_doubles(t);
    sort_doubles(t);
    return MPROXY_OK;
}

static void free_table(struct table *t)
{
    free(t->bytes);
    free(t->defs);
    free(t->doubles);
    free(t);
}

static struct table *find(struct mpx_def_tables *cache, uint64_t hash, uint32_t uid,
                          const struct table *old, const struct mpx_buf *added)
{
    size_t before = old ? old->size : 0;
    uint32_t at = mpx_index_start(&cache->index, mpx_hash_u64(hash));
    for (uint32_t i; mpx_index_next(&cache->index, mpx_hash_u64(hash), &at, &i);) {
        struct table *t = cache->tables[i];
        if (t->hash == hash && t->uid == uid && t->size == before + added->size &&
            (before == 0 || memcmp(t->bytes, old->bytes, before) == 0) &&
            (added->size == 0 ||
             memcmp(t->bytes + before, added->data, added->size) == 0))
            return t;
    }
    return NULL;
}

static bool reserve(struct mpx_def_tables *cache)
{
    return MPX_RESERVE(cache->tables, cache->room, cache->count + 1) &&
           mpx_index_reserve(&cache->index, (uint32_t)cache->count + 1);
}

static mproxy_status make(const struct table *old, const struct mpx_buf *added,
                          struct table **out, mproxy_error *err)
{
    size_t before = old ? old->size : 0;
    struct table *t = calloc(1, sizeof *t);
    if (!t)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for definitions");
    t->size = before + added->size;
    t->bytes = malloc(t->size ? t->size : 1);
    mproxy_status status = MPROXY_E_NOMEM;
    if (!t->bytes) {
        mpx_fail(err, status, "no memory for %zu bytes of definitions", t->size);
        goto fail;
    }
    if (before > 0)
        memcpy(t->bytes, old->bytes, before);
    if (added->size > 0)
        memcpy(t->bytes + before, added->data, added->size);
    status = read_defs(t, err);
    if (status != MPROXY_OK)
        goto fail;
    *out = t;
    return MPROXY_OK;

fail:
    free_table(t);
    return status;
}

mproxy_status mpx_def_table_extend(struct mpx_def_tables *cache, uint32_t uid,
                                   const struct mpx_def_table *old_shown,
                                   const struct mpx_buf *added,
                                   struct mpx_def_table **out, mproxy_error *err)
{
    const struct table *old = (const struct table *)old_shown;
    uint64_t hash =
        hash_more(old ? old->hash : cache->seed ^ uid, added->data, added->size);
    struct table *t = find(cache, hash, uid, old, added);
    if (!t) {
        if (!reserve(cache))
            return mpx_fail(err, MPROXY_E_NOMEM, "no memory for definitions");
        mproxy_status status = make(old, added, &t, err);
        if (status != MPROXY_OK)
            return status;
        t->hash = hash;
        t->uid = uid;
        t->place = (uint32_t)cache->count;
        cache->tables[cache->count++] = t;
        mpx_index_put(&cache->index, mpx_hash_u64(hash), t->place);
    }
    t->refs++;
    *out = &t->shown;
    return MPROXY_OK;
}

void mpx_def_table_unref(struct mpx_def_tables *cache, struct mpx_def_table *shown)
{
    struct table *t = (struct table *)shown;
    if (!t || --t->refs > 0)
        return;
    mpx_index_remove(&cache->index, mpx_hash_u64(t->hash), t->place);
    struct table *last = cache->tables[--cache->count];
    if (last != t) {
        mpx_index_move(&cache->index, mpx_hash_u64(last->hash), last->place, t->place);
        last->place = t->place;
        cache->tables[last->place] = last;
    }
    if (t->shown.user && cache->free_user)
        cache->free_user(t->shown.user);
    free_table(t);
}

uint32_t mpx_def_table_doubles(const struct mpx_def_table *shown, const uint32_t **slots)
{
    const struct table *t = (const struct table *)shown;
    *slots = t->doubles;
    return t->double_count;
}
