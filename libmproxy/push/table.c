// Groups, series and families, and who owns which metric.
//
// Everything is found by hash and costs what it is about. Places of series and families are
// used again; a key in a group's slots means what it does for as long as the group has it,
// since a series stays while it is used.
//
// A metric of the store (the series' name with the group's labels) belongs to one group at
// most: two groups that would show one and the same series would be added up, which nobody who
// pushes means. `owners` tells by the metric's id whose it is. A family is of one kind in all
// groups, since its TYPE can be told once only.
//
// New slots are prepared with the owners of what leaves and comes exchanged, and dropped by
// exchanging them back; so all checks are look-ups, and what does not change is not looked at.

#include "push/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "ingest/name.h"
#include "metric/escape.h"
#include "store/exempt.h"
#include "store/names.h"

// Above all numbers of targets that are scraped.
#define NUMBER_BASE (UINT64_C(1) << 63)

enum { GROUP_BYTES = 96, SERIES_BYTES = 40 };

static mproxy_status no_memory(mproxy_error *err)
{
    return mpx_fail(err, MPROXY_E_NOMEM, "no memory for what is pushed");
}

// ---- families

static uint32_t find_family(const struct mpx_push_table *t, const char *name,
                            uint32_t hash)
{
    for (uint32_t at = mpx_index_start(&t->family_index, hash), i;
         mpx_index_next(&t->family_index, hash, &at, &i);)
        if (strcmp(t->families[i].name, name) == 0)
            return i;
    return UINT32_MAX;
}

static uint32_t join_family(struct mpx_push_table *t, const char *name)
{
    uint32_t hash = mpx_hash_text(name), place = find_family(t, name, hash);
    if (place != UINT32_MAX)
        return place;
    if (!MPX_RESERVE(t->families, t->family_room, t->family_count + 1) ||
        !MPX_RESERVE(t->free_families, t->free_family_room, t->family_count + 1) ||
        !mpx_index_reserve(&t->family_index, (uint32_t)t->family_count + 1))
        return UINT32_MAX;
    char *copy = strdup(name);
    if (!copy)
        return UINT32_MAX;
    place = t->free_family_count > 0 ? t->free_families[--t->free_family_count]
                                     : (uint32_t)t->family_count++;
    t->families[place] = (struct mpx_push_family){.name = copy};
    mpx_index_put(&t->family_index, hash, place);
    return place;
}

static void leave_family(struct mpx_push_table *t, uint32_t place)
{
    struct mpx_push_family *f = &t->families[place];
    if (f->series > 0)
        return;
    mpx_index_remove(&t->family_index, mpx_hash_text(f->name), place);
    free(f->name);
    *f = (struct mpx_push_family){0};
    t->free_families[t->free_family_count++] = place;
}

// ---- series

static size_t text_bytes(const struct mpx_push_series *s)
{
    return strlen(s->name) + strlen(s->help) + SERIES_BYTES;
}

static uint32_t find_series(const struct mpx_push_table *t, const char *name,
                            uint32_t family, mproxy_type type, mproxy_family_kind kind,
                            uint32_t hash)
{
    for (uint32_t at = mpx_index_start(&t->series_index, hash), i;
         mpx_index_next(&t->series_index, hash, &at, &i);) {
        const struct mpx_push_series *s = &t->series[i];
        if (s->family == family && s->type == type && s->kind == kind &&
            strcmp(s->name, name) == 0)
            return i;
    }
    return UINT32_MAX;
}

static uint32_t add_series(struct mpx_push_table *t, const char *name, const char *help,
                           uint32_t hash)
{
    size_t length = strlen(name) + 1, help_length = strlen(help) + 1;
    if (!MPX_RESERVE(t->series, t->series_room, t->series_count + 1) ||
        !MPX_RESERVE(t->free_series, t->free_series_room, t->series_count + 1) ||
        !mpx_index_reserve(&t->series_index, (uint32_t)t->series_count + 1))
        return UINT32_MAX;
    char *texts = malloc(length + help_length);
    if (!texts)
        return UINT32_MAX;
    memcpy(texts, name, length);
    memcpy(texts + length, help, help_length);
    uint32_t place = t->free_series_count > 0 ? t->free_series[--t->free_series_count]
                                              : (uint32_t)t->series_count++;
    t->series[place] = (struct mpx_push_series){.name = texts, .help = texts + length};
    mpx_index_put(&t->series_index, hash, place);
    t->live_bytes += text_bytes(&t->series[place]);
    return place;
}

uint32_t mpx_push_series_find(const struct mpx_push_table *t, const char *name,
                              uint32_t family, mproxy_type type, mproxy_family_kind kind)
{
    return find_series(t, name, family, type, kind, mpx_hash_text(name));
}

mproxy_status mpx_push_series_join(struct mpx_push_table *t, const char *name,
                                   const char *family, const char *help, mproxy_type type,
                                   mproxy_family_kind kind, uint32_t *out)
{
    uint32_t hash = mpx_hash_text(name), of = join_family(t, family);
    if (of == UINT32_MAX)
        return MPROXY_E_NOMEM;
    uint32_t place = find_series(t, name, of, type, kind, hash);
    bool is_new = place == UINT32_MAX;
    if (is_new)
        place = add_series(t, name, help, hash);
    if (place == UINT32_MAX) {
        leave_family(t, of);
        return MPROXY_E_NOMEM;
    }
    struct mpx_push_series *s = &t->series[place];
    if (is_new) {
        s->type = type;
        s->kind = kind;
        s->family = of;
        t->families[of].series++;
    }
    *out = place;
    return MPROXY_OK;
}

bool mpx_push_series_leave(struct mpx_push_table *t, uint32_t series)
{
    struct mpx_push_series *s = &t->series[series];
    if (!s->name || s->uses > 0 || s->is_pinned)
        return false;
    uint32_t family = s->family;
    t->live_bytes -= text_bytes(s);
    mpx_index_remove(&t->series_index, mpx_hash_text(s->name), series);
    free(s->name);
    *s = (struct mpx_push_series){0};
    t->free_series[t->free_series_count++] = series;
    t->families[family].series--;
    leave_family(t, family);
    return true;
}

// ---- groups

static uint32_t hash_labels(const struct mpx_push_labels *labels)
{
    return mpx_hash_bytes(labels->texts.data, labels->texts.size);
}

struct mpx_push_group *mpx_push_group_find(const struct mpx_push_table *t,
                                           const struct mpx_push_labels *labels)
{
    uint32_t hash = hash_labels(labels);
    for (uint32_t at = mpx_index_start(&t->group_index, hash), i;
         mpx_index_next(&t->group_index, hash, &at, &i);) {
        const struct mpx_buf *texts = &t->groups[i]->labels.texts;
        if (texts->size == labels->texts.size &&
            memcmp(texts->data, labels->texts.data, texts->size) == 0)
            return t->groups[i];
    }
    return NULL;
}

// The name of a series with the labels of a group. NULL: no memory.
static const char *name_of(struct mpx_push_table *t, const char *name,
                           mproxy_family_kind kind, const struct mpx_push_labels *labels)
{
    struct mpx_ingest_label own[MPX_PUSH_LABELS_MAX + 1]; // one that is none
    size_t count = 0;
    for (size_t at = 0;
         mpx_push_label_next(labels, &at, &own[count].name, &own[count].value);)
        count++;
    return mpx_ingest_name(&t->name, name, kind, own, count);
}

static mproxy_status intern(struct mpx_push_table *t,
                            const struct mpx_push_labels *labels, const char *name,
                            mproxy_type type, mproxy_family_kind kind, const char *help,
                            const mproxy_metric **out, mproxy_error *err)
{
    const char *whole = name_of(t, name, kind, labels);
    if (!whole)
        return no_memory(err);
    mproxy_status status =
        t->is_loading ? mpx_store_metric_exempt(t->store, whole, type, help, out, err)
                      : mproxy_store_metric(t->store, whole, type, help, out, err);
    if (status == MPROXY_OK)
        (void)mproxy_metric_ref(*out);
    return status;
}

static mproxy_status intern_times(struct mpx_push_table *t, struct mpx_push_group *g,
                                  mproxy_error *err)
{
    mproxy_status status =
        intern(t, &g->labels, "push_time_seconds", MPROXY_GAUGE, MPROXY_FAMILY_GAUGE,
               "Last Unix time when changing this group succeeded.", &g->pushed, err);
    if (status == MPROXY_OK)
        status = intern(
            t, &g->labels, "push_failure_time_seconds", MPROXY_GAUGE, MPROXY_FAMILY_GAUGE,
            "Last Unix time when changing this group failed.", &g->failed, err);
    return status;
}

static void free_group(struct mpx_push_group *g)
{
    mproxy_metric_unref(g->pushed);
    mproxy_metric_unref(g->failed);
    mpx_push_labels_fini(&g->labels);
    free(g->slots);
    free(g);
}

mproxy_status mpx_push_group_add(struct mpx_push_table *t, struct mpx_push_labels *labels,
                                 uint64_t number, struct mpx_push_group **out,
                                 mproxy_error *err)
{
    if (!MPX_RESERVE(t->groups, t->group_room, t->group_count + 1) ||
        !mpx_index_reserve(&t->group_index, (uint32_t)t->group_count + 1))
        return no_memory(err);
    struct mpx_push_group *g = calloc(1, sizeof *g);
    if (!g)
        return no_memory(err);
    g->labels = *labels;
    g->is_reshaped = true;
    mproxy_status status = intern_times(t, g, err);
    if (status != MPROXY_OK) {
        g->labels = (struct mpx_push_labels){.count = 0};
        free_group(g);
        return status;
    }
    *labels = (struct mpx_push_labels){.count = 0};
    g->number = number ? number : (t->last_number | NUMBER_BASE) + 1;
    if (g->number > t->last_number)
        t->last_number = g->number;
    g->place = (uint32_t)t->group_count;
    mpx_index_put(&t->group_index, hash_labels(&g->labels), g->place);
    t->groups[t->group_count++] = g;
    t->live_bytes += g->labels.texts.size + GROUP_BYTES;
    *out = g;
    return MPROXY_OK;
}

static void release(struct mpx_push_table *t, uint64_t key, const mproxy_metric *metric)
{
    uint32_t series = mpx_push_series_of(key);
    t->series[series].uses--;
    t->families[mpx_push_family_of(key)].uses--;
    mproxy_metric_unref(metric);
}

// ---- slots

size_t mpx_push_slot_from(const struct mpx_push_slots *slots, uint64_t key)
{
    size_t low = 0, high = slots ? slots->count : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (slots->keys[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct mpx_push_slots *slots_new(const struct mpx_push_group *g,
                                        const struct mpx_push_state *state)
{
    size_t count = state->count;
    struct mpx_push_slots *s =
        malloc(sizeof *s + count * (3 * sizeof(uint64_t)) + (count + 2) * sizeof(void *));
    if (!s)
        return NULL;
    s->count = count;
    s->keys = (uint64_t *)(s + 1);
    s->values = (void *)(s->keys + count);
    s->changed_us = (void *)(s->values + count);
    s->metrics = (const mproxy_metric **)(s->changed_us + count);
    if (count > 0) {
        memcpy(s->keys, state->keys, count * sizeof *s->keys);
        memcpy(s->values, state->values, count * sizeof *s->values);
        memcpy(s->changed_us, state->changed_us, count * sizeof *s->changed_us);
    }
    memset(s->metrics, 0, count * sizeof(const mproxy_metric *));
    s->metrics[count] = g->pushed;
    s->metrics[count + 1] = g->failed;
    return s;
}

// Walks two lists of slots by key: what both have, what leaves and what comes.
struct walk {
    const struct mpx_push_slots *before, *now;
    size_t b, n; // of the step; of one that lacks it, the slot behind
    bool in_before, in_now;
};

static struct walk walk_from(const struct mpx_push_slots *before,
                             const struct mpx_push_slots *now)
{
    return (struct walk){.before = before, .now = now};
}

static bool step(struct walk *w)
{
    w->b += w->in_before;
    w->n += w->in_now;
    bool has_b = w->before && w->b < w->before->count;
    bool has_n = w->now && w->n < w->now->count;
    uint64_t b = has_b ? w->before->keys[w->b] : UINT64_MAX;
    uint64_t n = has_n ? w->now->keys[w->n] : UINT64_MAX;
    w->in_before = has_b && (!has_n || b <= n);
    w->in_now = has_n && (!has_b || n <= b);
    return has_b || has_n;
}

static bool reserve_owner(struct mpx_push_table *t, const mproxy_metric *metric)
{
    return MPX_RESERVE_ZEROED(t->owners, t->owner_room, (size_t)metric->id + 1);
}

static struct mpx_push_group *owner_of(const struct mpx_push_table *t,
                                       const mproxy_metric *metric)
{
    return metric->id < t->owner_room ? t->owners[metric->id] : NULL;
}

// For people: `{instance="i",job="a"}`. False: no memory.
static bool write_labels(const struct mpx_push_labels *labels, struct mpx_buf *out)
{
    const char *name, *value;
    size_t begin = out->size;
    mpx_buf_add_text(out, "{");
    for (size_t at = 0; mpx_push_label_next(labels, &at, &name, &value);) {
        mpx_buf_addf(out, "%s%s=\"", out->size > begin + 1 ? "," : "", name);
        mpx_escape_label(out, value, strlen(value));
        mpx_buf_add_text(out, "\"");
    }
    mpx_buf_add_text(out, "}");
    return !out->failed;
}

static mproxy_status refuse_series(const struct mpx_push_table *t,
                                   const mproxy_metric *metric,
                                   const struct mpx_push_group *g, mproxy_error *err)
{
    const struct mpx_push_group *owner = owner_of(t, metric);
    struct mpx_buf text = MPX_BUF_INIT;
    if (owner == g)
        return mpx_fail(err, MPROXY_E_INVALID,
                        "metric '%.200s' is given twice once it has the labels of the "
                        "group",
                        metric->name);
    if (!write_labels(&owner->labels, &text))
        mpx_buf_clear(&text);
    const char *of = mpx_buf_text(&text);
    mproxy_status status =
        mpx_fail(err, MPROXY_E_EXISTS, "metric '%.150s' is of the group %.100s already",
                 metric->name, of ? of : "");
    mpx_buf_free(&text);
    return status;
}

static const char *word_of(mproxy_type type)
{
    return type == MPROXY_COUNTER ? "counter" : "gauge";
}

// The name is used as the other type by another group, or by somebody who does not push.
// What of it was this group's own is on its way out.
static bool clashes(const struct mpx_push_table *t, const struct mpx_push_group *g,
                    const mproxy_metric *metric)
{
    const mproxy_metric *twin = mpx_metric_twin(metric);
    if (!twin || mpx_metric_of(twin)->references == 0)
        return false;
    bool was_own = false;
    for (size_t i = 0; g->slots && i < g->slots->count && !was_own; i++)
        was_own = g->slots->metrics[i] == twin;
    return !was_own || owner_of(t, twin) != NULL;
}

static mproxy_status come(struct mpx_push_table *t, struct mpx_push_group *g,
                          struct mpx_push_slots *now, size_t at, mproxy_error *err)
{
    const struct mpx_push_series *s = &t->series[mpx_push_series_of(now->keys[at])];
    const mproxy_metric *metric;
    mproxy_status status =
        intern(t, &g->labels, s->name, s->type, s->kind, s->help, &metric, err);
    if (status != MPROXY_OK)
        return status;
    if (!reserve_owner(t, metric))
        status = no_memory(err);
    else if (owner_of(t, metric))
        status = refuse_series(t, metric, g, err);
    else if (clashes(t, g, metric))
        status = mpx_fail(err, MPROXY_E_TYPE,
                          "metric '%.200s' is known as a %s, not as a %s", metric->name,
                          word_of(mpx_metric_twin(metric)->type), word_of(metric->type));
    if (status != MPROXY_OK) {
        mproxy_metric_unref(metric);
        return status;
    }
    t->owners[metric->id] = g;
    now->metrics[at] = metric;
    return MPROXY_OK;
}

static const char *kind_word(mproxy_family_kind kind)
{
    static const char *const words[] = {"",        "untyped",   "counter",
                                        "gauge",   "histogram", "gaugehistogram",
                                        "summary", "info",      "stateset"};
    return words[kind];
}

// A neighbour of the same family and another kind.
static const mproxy_family_kind *other_kind(const struct mpx_push_table *t,
                                            const struct mpx_push_slots *now, size_t at)
{
    const struct mpx_push_series *s = &t->series[mpx_push_series_of(now->keys[at])];
    for (size_t i = at > 0 ? at - 1 : 0; i < now->count && i <= at + 1; i++) {
        const struct mpx_push_series *o = &t->series[mpx_push_series_of(now->keys[i])];
        if (o->family == s->family && o->kind != s->kind)
            return &o->kind;
    }
    return NULL;
}

// Its own slots of the family that stay or leave do not count: they are all replaced.
static mproxy_status check_kind(struct mpx_push_table *t, const struct mpx_push_group *g,
                                const struct mpx_push_slots *now, size_t at,
                                mproxy_error *err)
{
    const struct mpx_push_series *s = &t->series[mpx_push_series_of(now->keys[at])];
    const struct mpx_push_family *f = &t->families[s->family];
    uint64_t first = (uint64_t)s->family << 32;
    size_t own = mpx_push_slot_from(g->slots, first + (UINT64_C(1) << 32)) -
                 mpx_push_slot_from(g->slots, first);
    if (f->uses > own && f->kind != s->kind)
        return mpx_fail(err, MPROXY_E_TYPE,
                        "metric '%.200s' is of type %s in other groups, not %s", f->name,
                        kind_word(f->kind), kind_word(s->kind));
    const mproxy_family_kind *other = other_kind(t, now, at);
    if (other)
        return mpx_fail(err, MPROXY_E_TYPE,
                        "metric '%.200s' is of type %s in this group, not %s", f->name,
                        kind_word(*other), kind_word(s->kind));
    return MPROXY_OK;
}

mproxy_status mpx_push_slots_prepare(struct mpx_push_table *t, struct mpx_push_group *g,
                                     const struct mpx_push_state *state,
                                     struct mpx_push_slots **out, mproxy_error *err)
{
    struct mpx_push_slots *now = slots_new(g, state);
    mproxy_status status = now ? MPROXY_OK : no_memory(err);
    if (!now)
        return status;
    for (struct walk w = walk_from(g->slots, now); step(&w);)
        if (w.in_before && w.in_now)
            now->metrics[w.n] = g->slots->metrics[w.b];
        else if (w.in_before)
            t->owners[g->slots->metrics[w.b]->id] = NULL;
    for (struct walk w = walk_from(g->slots, now); status == MPROXY_OK && step(&w);) {
        if (w.in_before || !w.in_now)
            continue;
        status = check_kind(t, g, now, w.n, err);
        if (status == MPROXY_OK)
            status = come(t, g, now, w.n, err);
    }
    if (status == MPROXY_OK)
        *out = now;
    else
        mpx_push_slots_drop(t, g, now);
    return status;
}

void mpx_push_slots_drop(struct mpx_push_table *t, struct mpx_push_group *g,
                         struct mpx_push_slots *slots)
{
    if (!slots)
        return;
    for (struct walk w = walk_from(g->slots, slots); step(&w);) {
        if (w.in_before || !slots->metrics[w.n])
            continue;
        t->owners[slots->metrics[w.n]->id] = NULL;
        mproxy_metric_unref(slots->metrics[w.n]);
    }
    for (struct walk w = walk_from(g->slots, slots); step(&w);)
        if (w.in_before && !w.in_now)
            t->owners[g->slots->metrics[w.b]->id] = g;
    free(slots);
}

struct mpx_push_slots *mpx_push_slots_take(struct mpx_push_table *t,
                                           struct mpx_push_group *g,
                                           struct mpx_push_slots *slots)
{
    struct mpx_push_slots *before = g->slots;
    for (struct walk w = walk_from(before, slots); step(&w);) {
        if (w.in_before || !w.in_now)
            continue;
        // cppcheck-suppress nullPointer ; nothing is in_now where there are no slots
        struct mpx_push_series *s = &t->series[mpx_push_series_of(slots->keys[w.n])];
        s->uses++;
        t->families[s->family].uses++;
        t->families[s->family].kind = s->kind;
        t->slot_count++;
        t->live_bytes += MPX_PUSH_SLOT_BYTES;
    }
    for (struct walk w = walk_from(before, slots); step(&w);) {
        if (!w.in_before || w.in_now)
            continue;
        const mproxy_metric *metric = before->metrics[w.b];
        if (owner_of(t, metric) == g && !slots)
            t->owners[metric->id] = NULL;
        release(t, before->keys[w.b], metric);
        t->slot_count--;
        t->live_bytes -= MPX_PUSH_SLOT_BYTES;
    }
    g->slots = slots;
    g->is_reshaped = true;
    return before;
}

struct mpx_push_slots *mpx_push_group_remove(struct mpx_push_table *t,
                                             struct mpx_push_group *g)
{
    struct mpx_push_slots *slots = mpx_push_slots_take(t, g, NULL);
    struct mpx_push_group *last = t->groups[--t->group_count];
    mpx_index_remove(&t->group_index, hash_labels(&g->labels), g->place);
    if (last != g) {
        mpx_index_move(&t->group_index, hash_labels(&last->labels), last->place,
                       g->place);
        last->place = g->place;
        t->groups[g->place] = last;
    }
    t->live_bytes -= g->labels.texts.size + GROUP_BYTES;
    free_group(g);
    return slots;
}

void mpx_push_table_fini(struct mpx_push_table *t)
{
    while (t->group_count > 0)
        free(mpx_push_group_remove(t, t->groups[t->group_count - 1]));
    for (size_t i = 0; i < t->series_count; i++)
        free(t->series[i].name);
    for (size_t i = 0; i < t->family_count; i++)
        free(t->families[i].name);
    free(t->series);
    free(t->families);
    free(t->free_series);
    free(t->free_families);
    free(t->groups);
    free(t->owners);
    mpx_index_fini(&t->series_index);
    mpx_index_fini(&t->family_index);
    mpx_index_fini(&t->group_index);
    mpx_buf_free(&t->name);
}
