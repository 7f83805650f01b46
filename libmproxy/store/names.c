// Metrics, families and docs live in one arena, each found by a hash table of its own.
//
// An intern that runs out of memory may leave a family or a doc behind that nothing uses;
// the next one with that name takes it.

#include "store/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/utf8.h"
#include "metric/escape.h"
#include "metric/label.h"
#include "metric/order.h"
#include "store/arena.h"
#include "store/table.h"

#define DOC_MAX 4096

struct mpx_names {
    unsigned references; // atomic
    uint64_t seed;
    size_t max_metrics;
    struct mpx_arena arena;
    struct mpx_buf scratch;
    struct mpx_table metrics, families, docs;
    const mproxy_metric **by_id;
    size_t count;
    size_t room; // of by_id
    const mproxy_metric **order;
    size_t ordered; // metrics that `order` holds, sorted
};

static const struct mpx_doc no_doc = {.text = "", .help = "", .json = ""};

static const struct {
    const char *text;
    enum mpx_suffix suffix;
} suffixes[] = {{"_total", MPX_SUFFIX_TOTAL},
                {"_bucket", MPX_SUFFIX_BUCKET},
                {"_sum", MPX_SUFFIX_SUM},
                {"_count", MPX_SUFFIX_COUNT}};

struct mpx_names *mpx_names_new(size_t max_metrics)
{
    struct mpx_names *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->references = 1;
    n->max_metrics = max_metrics;
    n->seed = (uint64_t)mpx_clock_ns(CLOCK_REALTIME) ^ (uint64_t)(uintptr_t)n << 20;
    return n;
}

struct mpx_names *mpx_names_ref(struct mpx_names *names)
{
    __atomic_add_fetch(&names->references, 1, __ATOMIC_RELAXED);
    return names;
}

void mpx_names_unref(struct mpx_names *names)
{
    if (!names || __atomic_sub_fetch(&names->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    mpx_table_fini(&names->metrics);
    mpx_table_fini(&names->families);
    mpx_table_fini(&names->docs);
    mpx_arena_fini(&names->arena);
    mpx_buf_free(&names->scratch);
    free(names->by_id);
    free(names->order);
    free(names);
}

// The scratch buffer's content in the arena, or `same` if that is the same text.
static const char *keep_scratch(struct mpx_names *n, const char *same, size_t same_length)
{
    const struct mpx_buf *b = &n->scratch;
    if (b->failed)
        return NULL;
    if (b->size == same_length && memcmp(b->data, same, same_length) == 0)
        return same;
    return mpx_arena_text(&n->arena, b->data, b->size);
}

// A doc of one line's worth: what is not UTF-8 or is a control character is replaced.
static void clean_doc(struct mpx_buf *out, const char *doc)
{
    size_t length = strnlen(doc, DOC_MAX + 4);
    if (length > DOC_MAX)
        length = mpx_utf8_cut(doc, length, DOC_MAX);
    mpx_buf_clear(out);
    for (size_t at = 0; at < length;) {
        unsigned char c = (unsigned char)doc[at];
        size_t step = mpx_utf8_char(doc + at, length - at);
        if (step == 0)
            mpx_buf_add(out, "?", 1);
        else if ((c < 0x20 && c != '\n') || c == 0x7f)
            mpx_buf_add(out, " ", 1);
        else
            mpx_buf_add(out, doc + at, step);
        at += step ? step : 1;
    }
}

static struct mpx_doc *doc_new(struct mpx_names *n)
{
    struct mpx_doc *doc = mpx_arena_alloc(&n->arena, sizeof *doc);
    size_t length = n->scratch.size;
    const char *text = mpx_arena_text(&n->arena, n->scratch.data, length);
    if (!doc || !text)
        return NULL;
    mpx_buf_clear(&n->scratch);
    mpx_escape_help(&n->scratch, text, length);
    const char *help = keep_scratch(n, text, length);
    uint32_t help_length = (uint32_t)n->scratch.size;
    mpx_buf_clear(&n->scratch);
    mpx_json_escape(&n->scratch, text, length);
    const char *json = keep_scratch(n, text, length);
    if (!help || !json)
        return NULL;
    *doc = (struct mpx_doc){.text = text,
                            .help = help,
                            .json = json,
                            .help_length = help_length,
                            .json_length = (uint32_t)n->scratch.size};
    return doc;
}

static const struct mpx_doc *doc_intern(struct mpx_names *n, const char *text)
{
    if (!text || !*text)
        return &no_doc;
    clean_doc(&n->scratch, text);
    if (n->scratch.failed)
        return NULL;
    uint64_t hash = mpx_table_hash(n->seed, n->scratch.data, n->scratch.size);
    struct mpx_doc *doc =
        mpx_table_find(&n->docs, hash, n->scratch.data, n->scratch.size);
    if (doc)
        return doc;
    if (!mpx_table_reserve(&n->docs))
        return NULL;
    doc = doc_new(n);
    if (doc)
        mpx_table_add(&n->docs, hash, doc);
    return doc;
}

// A family by its base, with neither text nor stem when it is new.
static struct mpx_family *family_find(struct mpx_names *n, const char *base,
                                      size_t length)
{
    uint64_t hash = mpx_table_hash(n->seed, base, length);
    struct mpx_family *family = mpx_table_find(&n->families, hash, base, length);
    if (family)
        return family;
    if (!mpx_table_reserve(&n->families))
        return NULL;
    family = mpx_arena_alloc(&n->arena, sizeof *family);
    const char *copy = mpx_arena_text(&n->arena, base, length);
    if (!family || !copy)
        return NULL;
    *family = (struct mpx_family){
        .base = copy, .length = (uint32_t)length, .id = (uint32_t)n->families.used};
    mpx_table_add(&n->families, hash, family);
    return family;
}

static bool family_set_stem(struct mpx_names *n, struct mpx_family *family)
{
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        size_t length = strlen(suffixes[i].text);
        if (family->length <= length ||
            memcmp(family->base + family->length - length, suffixes[i].text, length) != 0)
            continue;
        family->stem = family_find(n, family->base, family->length - length);
        if (family->stem)
            family->suffix = suffixes[i].suffix;
        return family->stem != NULL;
    }
    return true;
}

// A family that metrics are in. A stem alone gets no stem of its own: a hostile
// `a_sum_sum_sum...` makes two families, not hundreds.
static const struct mpx_family *family_intern(struct mpx_names *n, const char *base,
                                              size_t length)
{
    struct mpx_family *family = family_find(n, base, length);
    if (!family || family->text)
        return family;
    struct mpx_family *text = family;
    if (!mpx_is_plain_base(base, length)) {
        mpx_buf_clear(&n->scratch);
        mpx_sanitise_base(&n->scratch, base, length);
        text =
            n->scratch.failed ? NULL : family_find(n, n->scratch.data, n->scratch.size);
    }
    if (!text)
        return NULL;
    if (!text->text) {
        if (!family_set_stem(n, text))
            return NULL;
        text->text = text;
    }
    family->text = text;
    return family;
}

// What text formats make of the name: they reserve the label __name__.
static bool set_text(struct mpx_names *n, struct mpx_metric *m)
{
    const char *labels = m->public.name + m->public.base_length;
    size_t length = m->name_length - m->public.base_length;
    struct mpx_label label;
    for (const char *at = labels; mpx_label_next(&at, &label);) {
        if (mpx_label_is(&label, "__name__"))
            return true;
        if (mpx_label_is(&label, "job_id"))
            m->has_job_id = true;
    }
    const struct mpx_family *text = m->family->text;
    mpx_buf_clear(&n->scratch);
    mpx_buf_add(&n->scratch, text->base, text->length);
    mpx_buf_add(&n->scratch, labels, length);
    m->text = keep_scratch(n, m->public.name, m->name_length);
    m->text_length = (uint32_t)n->scratch.size;
    return m->text != NULL;
}

static bool set_json(struct mpx_names *n, struct mpx_metric *m)
{
    mpx_buf_clear(&n->scratch);
    mpx_json_escape(&n->scratch, m->public.name, m->name_length);
    m->json = keep_scratch(n, m->public.name, m->name_length);
    m->json_length = (uint32_t)n->scratch.size;
    return m->json != NULL;
}

static bool ids_reserve(struct mpx_names *n)
{
    if (n->count < n->room)
        return true;
    size_t room = n->room ? n->room * 2 : 256;
    const mproxy_metric **by_id = realloc(n->by_id, room * sizeof *by_id);
    if (!by_id)
        return false;
    n->by_id = by_id;
    n->room = room;
    return true;
}

static struct mpx_metric *metric_new(struct mpx_names *n, const char *name, size_t length,
                                     mproxy_type type, const char *doc)
{
    if (!ids_reserve(n) || !mpx_table_reserve(&n->metrics))
        return NULL;
    struct mpx_metric *m = mpx_arena_alloc(&n->arena, sizeof *m);
    const char *copy = mpx_arena_text(&n->arena, name, length);
    if (!m || !copy)
        return NULL;
    *m = (struct mpx_metric){.name_length = (uint32_t)length};
    m->public.name = copy;
    m->public.type = type;
    m->public.base_length = mproxy_metric_base_length(copy);
    m->public.id = (uint32_t)n->count;
    m->doc = doc_intern(n, doc);
    m->family = family_intern(n, copy, m->public.base_length);
    if (!m->doc || !m->family || !set_text(n, m) || !set_json(n, m))
        return NULL;
    m->public.doc = m->doc->text;
    return m;
}

static mproxy_status metric_add(struct mpx_names *n, uint64_t hash, const char *name,
                                mproxy_type type, const char *doc, size_t most,
                                const mproxy_metric **out, mproxy_error *err)
{
    size_t length = strlen(name);
    mproxy_status status = mproxy_metric_check_name(name, length, err);
    if (status)
        return status;
    if (n->count >= most)
        return mpx_fail(err, MPROXY_E_LIMIT,
                        "metric '%.100s': %zu names are known, "
                        "no more are taken",
                        name, n->count);
    struct mpx_metric *m = metric_new(n, name, length, type, doc);
    if (!m)
        return mpx_fail(err, MPROXY_E_NOMEM, "metric '%.100s': no memory", name);
    mpx_table_add(&n->metrics, hash, m);
    n->by_id[n->count++] = &m->public;
    *out = &m->public;
    return MPROXY_OK;
}

static mproxy_status metric_set_doc(struct mpx_names *n, struct mpx_metric *m,
                                    const char *text, mproxy_error *err)
{
    const struct mpx_doc *doc = doc_intern(n, text);
    if (!doc)
        return mpx_fail(err, MPROXY_E_NOMEM, "metric '%.100s': no memory",
                        m->public.name);
    __atomic_store_n(&m->public.doc, doc->text, __ATOMIC_RELEASE);
    __atomic_store_n(&m->doc, doc, __ATOMIC_RELEASE);
    return MPROXY_OK;
}

static struct mpx_metric *metric_find(const struct mpx_names *n, const char *name,
                                      uint64_t *hash)
{
    size_t length = strlen(name);
    *hash = mpx_table_hash(n->seed, name, length);
    return mpx_table_find(&n->metrics, *hash, name, length);
}

// The one spelling of a name that is not known as it is written: itself, or in `room` with
// its labels in order. What is no name stays as it is.
static const char *respell(const char *name, char room[MPX_NAME_ROOM])
{
    size_t length = strnlen(name, MPX_NAME_ROOM);
    if (!strchr(name, '{') || mproxy_metric_check_name(name, length, NULL))
        return name;
    return mpx_name_ordered(name, room);
}

mproxy_status mpx_names_intern(struct mpx_names *names, const char *name,
                               mproxy_type type, const char *doc, bool bounded,
                               const mproxy_metric **out, mproxy_error *err)
{
    char room[MPX_NAME_ROOM];
    uint64_t hash;
    struct mpx_metric *m = metric_find(names, name, &hash);
    if (!m && (name = respell(name, room)) == room)
        m = metric_find(names, name, &hash);
    if (!m)
        return metric_add(names, hash, name, type, doc,
                          bounded ? names->max_metrics : UINT32_MAX, out, err);
    if (m->public.type != type) {
        *out = &m->public;
        return mpx_fail(err, MPROXY_E_TYPE, "metric '%.100s': is a %s", name,
                        m->public.type == MPROXY_GAUGE ? "gauge" : "counter");
    }
    if (m->doc == &no_doc && doc && *doc) {
        mproxy_status status = metric_set_doc(names, m, doc, err);
        if (status)
            return status;
    }
    *out = &m->public;
    return MPROXY_OK;
}

const mproxy_metric *mpx_names_lookup(const struct mpx_names *names, const char *name)
{
    char room[MPX_NAME_ROOM];
    uint64_t hash;
    const struct mpx_metric *m = metric_find(names, name, &hash);
    if (!m && (name = respell(name, room)) == room)
        m = metric_find(names, name, &hash);
    return m ? &m->public : NULL;
}

size_t mpx_names_count(const struct mpx_names *names)
{
    return names->count;
}

const mproxy_metric *mpx_names_at(const struct mpx_names *names, uint32_t id)
{
    return id < names->count ? names->by_id[id] : NULL;
}

int mpx_metric_compare(const mproxy_metric *a, const mproxy_metric *b)
{
    size_t shorter = a->base_length < b->base_length ? a->base_length : b->base_length;
    int order = memcmp(a->name, b->name, shorter);
    if (order)
        return order;
    if (a->base_length != b->base_length)
        return a->base_length < b->base_length ? -1 : 1;
    return strcmp(a->name + a->base_length, b->name + b->base_length);
}

static int compare_pointers(const void *a, const void *b)
{
    return mpx_metric_compare(*(const mproxy_metric *const *)a,
                              *(const mproxy_metric *const *)b);
}

// Merge from the back: `fresh` is sorted, so is the first part of `order`.
static void merge_fresh(const mproxy_metric **order, size_t old,
                        const mproxy_metric **fresh, size_t count)
{
    for (size_t at = old + count; count > 0;) {
        if (old > 0 && mpx_metric_compare(order[old - 1], fresh[count - 1]) > 0)
            order[--at] = order[--old];
        else
            order[--at] = fresh[--count];
    }
}

const mproxy_metric *const *mpx_names_order(struct mpx_names *names)
{
    struct mpx_names *n = names;
    size_t count = n->count - n->ordered;
    if (n->order && count == 0)
        return n->order;
    const mproxy_metric **fresh = malloc((count + 1) * sizeof *fresh);
    const mproxy_metric **order = realloc(n->order, (n->count + 1) * sizeof *order);
    if (order)
        n->order = order;
    if (fresh && order && count > 0) {
        memcpy(fresh, n->by_id + n->ordered, count * sizeof *fresh);
        qsort(fresh, count, sizeof *fresh, compare_pointers);
        merge_fresh(order, n->ordered, fresh, count);
        n->ordered = n->count;
    }
    bool ok = fresh && order;
    free(fresh);
    return ok ? n->order : NULL;
}
