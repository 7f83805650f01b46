// Metrics by name and type: one object each, found by a hash index, that lives while something
// shows it and that is given back, with its place and its share of the limits, after that. A
// name that some jobs use for a counter and others for a gauge is two metrics, *twins*; what
// adds jobs up has to see to it (reduction/map.c).
//
// A metric is referred to by what shows it or will: shapes, and through them every array of
// values, view and snapshot; the slots of the ledger; the layouts of processes; whoever holds
// a handle (mproxy_metric_ref()). References are counted by atomics, because the last one to
// a shape may be a reader's, on any thread. Raising a count from zero is the writer's alone: a
// reader only comes by a metric through something that holds one already. So the writer may
// free what it finds without references, and no reader has to be waited for: one that still
// shows the metric is a reference.
//
// A count that falls to zero frees nothing by itself. It sets a flag in the pool, and the
// next sweep looks at all metrics, a bounded number in each call: names come in while a round
// is read, before anything holds them, so the sweep is called where the writer knows that
// all that it wants is held, between rounds. A metric that is interned again before that is
// the same one.
//
// Ids are places in an array, and given again: what is kept by id (the order of display, the
// table of the state file) goes by the pool's version, which changes whenever a name comes or
// goes. The order of display is kept sorted: what is new is sorted alone and merged in.
//
// What metrics share, families and docs, is counted likewise, by the writer alone
// (families.c). Two spellings of a name, with labels in another order, are one metric.

#include "store/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "base/json.h"
#include "metric/escape.h"
#include "metric/label.h"
#include "metric/order.h"

enum { SWEEP_MOST = 1 << 16 }; // metrics that one sweep looks at: some milliseconds

struct mpx_names {
    unsigned references; // atomic
    bool has_unused;     // atomic: a reference was the last of its metric
    size_t max_metrics;
    uint64_t version, forgotten;
    struct mpx_table metrics;
    struct mpx_families families;
    struct mpx_buf scratch;
    const mproxy_metric **order; // sorted
    size_t ordered, order_room;
    const mproxy_metric **fresh; // not in `order` yet
    size_t fresh_count, fresh_room;
    uint32_t sweep_at, sweep_left; // the next id to look at; how many are left to
};

struct mpx_names *mpx_names_new(size_t max_metrics)
{
    struct mpx_names *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->references = 1;
    n->max_metrics = max_metrics;
    return n;
}

static struct mpx_names *names_ref(struct mpx_names *names)
{
    __atomic_add_fetch(&names->references, 1, __ATOMIC_RELAXED);
    return names;
}

static void free_metric(struct mpx_metric *m)
{
    if (!m)
        return;
    if (m->text != m->public.name)
        free((void *)(uintptr_t)m->text);
    if (m->json != m->public.name)
        free((void *)(uintptr_t)m->json);
    free(m);
}

void mpx_names_unref(struct mpx_names *names)
{
    if (!names || __atomic_sub_fetch(&names->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (uint32_t i = 0; i < names->metrics.bound; i++)
        free_metric(names->metrics.items[i]);
    mpx_table_fini(&names->metrics);
    mpx_families_fini(&names->families);
    mpx_buf_free(&names->scratch);
    free(names->order);
    free(names->fresh);
    free(names);
}

// ---- references

static struct mpx_metric *own(const mproxy_metric *metric)
{
    return (struct mpx_metric *)(uintptr_t)metric;
}

const mproxy_metric *mproxy_metric_ref(const mproxy_metric *metric)
{
    __atomic_add_fetch(&own(metric)->references, 1, __ATOMIC_RELAXED);
    return metric;
}

// The metric may be gone once its count is zero; the pool may not.
static void leave(struct mpx_names *n, const mproxy_metric *metric)
{
    if (__atomic_sub_fetch(&own(metric)->references, 1, __ATOMIC_ACQ_REL) == 0)
        __atomic_store_n(&n->has_unused, true, __ATOMIC_RELEASE);
}

void mproxy_metric_unref(const mproxy_metric *metric)
{
    if (metric)
        leave(own(metric)->names, metric);
}

void mpx_metrics_ref(const mproxy_metric *const *metrics, size_t count)
{
    if (count > 0)
        names_ref(own(metrics[0])->names);
    for (size_t i = 0; i < count; i++)
        (void)mproxy_metric_ref(metrics[i]);
}

void mpx_metrics_unref(const mproxy_metric *const *metrics, size_t count)
{
    struct mpx_names *n = count > 0 ? own(metrics[0])->names : NULL;
    for (size_t i = 0; i < count; i++)
        leave(n, metrics[i]);
    mpx_names_unref(n);
}

// ---- a name comes

// The scratch buffer's content, or `same` if that is the same text.
static const char *keep_scratch(const struct mpx_names *n, const char *same,
                                size_t same_length)
{
    const struct mpx_buf *b = &n->scratch;
    if (b->failed)
        return NULL;
    if (b->size == same_length && memcmp(b->data, same, same_length) == 0)
        return same;
    return strndup(b->data, b->size);
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
            m->public.has_job_id = true;
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

static struct mpx_metric *metric_new(struct mpx_names *n, const char *name, size_t length,
                                     mproxy_type type, const char *doc)
{
    struct mpx_metric *m = calloc(1, sizeof *m + length + 1);
    if (!m)
        return NULL;
    char *copy = (char *)(m + 1);
    memcpy(copy, name, length);
    m->names = n;
    m->name_length = (uint32_t)length;
    m->public.name = copy;
    m->public.type = type;
    m->public.base_length = (uint32_t)mproxy_metric_base_length(copy);
    m->doc = mpx_doc_take(&n->families, doc);
    m->family = mpx_family_take(&n->families, copy, m->public.base_length);
    m->public.is_of_profiles = strcmp(copy, "walltime") == 0;
    if (m->doc && m->family && set_text(n, m) && set_json(n, m))
        return m;
    mpx_doc_leave(&n->families, m->doc);
    mpx_family_leave(&n->families, m->family);
    free_metric(m);
    return NULL;
}

static mproxy_status metric_add(struct mpx_names *n, uint32_t hash, const char *name,
                                mproxy_type type, const char *doc, size_t most,
                                struct mpx_metric **out, mproxy_error *err)
{
    size_t length = strlen(name);
    mproxy_status status = mproxy_metric_check_name(name, length, err);
    if (status)
        return status;
    if (n->metrics.used >= most)
        return mpx_fail(err, MPROXY_E_LIMIT,
                        "metric '%.100s': %u names are known, "
                        "no more are taken",
                        name, n->metrics.used);
    struct mpx_metric *m = NULL;
    if (mpx_table_reserve(&n->metrics) &&
        MPX_RESERVE(n->fresh, n->fresh_room, n->fresh_count + 1))
        m = metric_new(n, name, length, type, doc);
    if (!m)
        return mpx_fail(err, MPROXY_E_NOMEM, "metric '%.100s': no memory", name);
    m->public.id = mpx_table_add(&n->metrics, hash, m);
    n->fresh[n->fresh_count++] = &m->public;
    n->version++;
    __atomic_store_n(&n->has_unused, true,
                     __ATOMIC_RELEASE); // until somebody refers to it
    *out = m;
    return MPROXY_OK;
}

static mproxy_status metric_set_doc(struct mpx_names *n, struct mpx_metric *m,
                                    const char *text, mproxy_error *err)
{
    const struct mpx_doc *doc = mpx_doc_take(&n->families, text);
    if (!doc)
        return mpx_fail(err, MPROXY_E_NOMEM, "metric '%.100s': no memory",
                        m->public.name);
    __atomic_store_n(&m->doc, doc, __ATOMIC_RELEASE);
    return MPROXY_OK;
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

// A metric of this name; of this type, if there is one. NULL: neither is known.
static struct mpx_metric *find(const struct mpx_names *n, const char *name,
                               mproxy_type type, uint32_t *hash)
{
    size_t length = strlen(name);
    *hash = mpx_hash_bytes(name, length);
    struct mpx_metric *m = mpx_table_find(&n->metrics, *hash, name, length);
    return m && m->public.type != type && m->twin ? m->twin : m;
}

// The same, in whatever order its labels are: `name` becomes the one spelling of it.
static struct mpx_metric *find_spelled(const struct mpx_names *n, const char **name,
                                       char room[MPX_NAME_ROOM], mproxy_type type,
                                       uint32_t *hash)
{
    struct mpx_metric *m = find(n, *name, type, hash);
    if (m || (*name = respell(*name, room)) != room)
        return m;
    return find(n, *name, type, hash);
}

mproxy_status mpx_names_intern(struct mpx_names *names, const char *name,
                               mproxy_type type, const char *doc, bool bounded,
                               size_t *account, const mproxy_metric **out,
                               mproxy_error *err)
{
    char room[MPX_NAME_ROOM];
    uint32_t hash;
    struct mpx_metric *m = find_spelled(names, &name, room, type, &hash), *twin = NULL;
    mproxy_status status = MPROXY_OK;
    if (m && m->public.type != type) {
        twin = m;
        m = NULL;
    }
    if (!m) {
        status = metric_add(names, hash, name, type, doc,
                            bounded ? names->max_metrics : UINT32_MAX, &m, err);
        if (status != MPROXY_OK)
            return status;
        m->account = account;
        if (account)
            ++*account;
        m->twin = twin;
        if (twin)
            twin->twin = m;
    } else if (m->doc == &mpx_no_doc && doc && *doc) {
        status = metric_set_doc(names, m, doc, err);
        if (status != MPROXY_OK)
            return status;
    }
    *out = &m->public;
    return status;
}

const mproxy_metric *mpx_names_lookup(const struct mpx_names *names, const char *name,
                                      mproxy_type type)
{
    char room[MPX_NAME_ROOM];
    uint32_t hash;
    const struct mpx_metric *m = find_spelled(names, &name, room, type, &hash);
    return m && m->public.type == type ? &m->public : NULL;
}

bool mpx_names_have_family(const struct mpx_names *names, const char *base, size_t length)
{
    return mpx_families_have(&names->families, base, length);
}

size_t mpx_names_count(const struct mpx_names *names)
{
    return names->metrics.used;
}

uint32_t mpx_names_bound(const struct mpx_names *names)
{
    return names->metrics.bound;
}

uint64_t mpx_names_version(const struct mpx_names *names)
{
    return names->version;
}

uint64_t mpx_names_forgotten(const struct mpx_names *names)
{
    return names->forgotten;
}

const mproxy_metric *mpx_names_at(const struct mpx_names *names, uint32_t id)
{
    const struct mpx_metric *m =
        id < names->metrics.bound ? names->metrics.items[id] : NULL;
    return m ? &m->public : NULL;
}

// ---- the order of display

int mpx_metric_compare(const mproxy_metric *a, const mproxy_metric *b)
{
    size_t shorter = a->base_length < b->base_length ? a->base_length : b->base_length;
    int order = memcmp(a->name, b->name, shorter);
    if (order)
        return order;
    if (a->base_length != b->base_length)
        return a->base_length < b->base_length ? -1 : 1;
    order = strcmp(a->name + a->base_length, b->name + b->base_length);
    return order ? order : (a->type > b->type) - (a->type < b->type);
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
    if (!MPX_RESERVE(n->order, n->order_room, n->ordered + n->fresh_count + 1))
        return NULL;
    if (n->fresh_count > 1)
        qsort(n->fresh, n->fresh_count, sizeof *n->fresh, compare_pointers);
    merge_fresh(n->order, n->ordered, n->fresh, n->fresh_count);
    n->ordered += n->fresh_count;
    n->fresh_count = 0;
    return n->order;
}

// ---- a name goes

static struct mpx_metric *find_dead(struct mpx_names *n)
{
    struct mpx_metric *dead = NULL;
    for (int i = 0; i < SWEEP_MOST && n->sweep_left > 0; i++, n->sweep_left--) {
        if (n->sweep_at >= n->metrics.bound)
            n->sweep_at = 0;
        struct mpx_metric *m = n->metrics.items[n->sweep_at++];
        if (!m || __atomic_load_n(&m->references, __ATOMIC_ACQUIRE) > 0)
            continue;
        m->is_dead = true;
        m->next = dead;
        dead = m;
    }
    return dead;
}

static size_t filter_dead(const mproxy_metric **list, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (!mpx_metric_of(list[i])->is_dead)
            list[kept++] = list[i];
    return kept;
}

static void forget(struct mpx_names *n, struct mpx_metric *m)
{
    n->forgotten++;
    if (m->twin)
        m->twin->twin = NULL;
    mpx_table_remove(&n->metrics, mpx_hash_bytes(m->public.name, m->name_length),
                     m->public.id);
    mpx_doc_leave(&n->families, m->doc);
    mpx_family_leave(&n->families, m->family);
    if (m->account)
        --*m->account;
    free_metric(m);
}

void mpx_names_sweep(struct mpx_names *n)
{
    if (__atomic_exchange_n(&n->has_unused, false, __ATOMIC_ACQ_REL))
        n->sweep_left = n->metrics.bound;
    struct mpx_metric *dead = find_dead(n);
    if (!dead)
        return;
    n->ordered = filter_dead(n->order, n->ordered);
    n->fresh_count = filter_dead(n->fresh, n->fresh_count);
    n->version++;
    for (struct mpx_metric *next; dead; dead = next) {
        next = dead->next;
        forget(n, dead);
    }
}

void mpx_names_close_account(struct mpx_names *names, const size_t *account)
{
    for (uint32_t i = 0; i < names->metrics.bound; i++) {
        struct mpx_metric *m = names->metrics.items[i];
        if (m && m->account == account)
            m->account = NULL;
    }
}
