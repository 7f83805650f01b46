// Reading groups back.
//
// Records are taken in the order in which they were written, into groups that stand apart
// (`staged`): with slots in the order of the records, since changes are told by slot. Only when
// all files are read do they become groups of the table, in the order of our keys. Of two with
// the same labels, which only damage can leave, the later one counts.
//
// A record that names what is not there is damage, too: it is refused, and the journal tells
// of it and reads on. Nothing of a record is believed before it is checked, ids included, which
// would otherwise decide how much memory is taken.

#include "push/private.h"

#include <stdlib.h>
#include <string.h>

#include <mproxy/client.h>

#include "base/array.h"
#include "base/err.h"
#include "metric/order.h"

struct slot {
    uint64_t key, changed_us;
    double value;
};

struct staged {
    uint64_t number;
    struct mpx_push_labels labels;
    struct mpx_push_times times;
    struct slot *slots; // in the order of the record
    size_t count;
    bool is_gone;
};

struct loading {
    struct mproxy_push *p;
    uint32_t *ids; // of this file: our series, plus 1; 0: not told
    size_t id_room;
    struct staged *groups;
    size_t group_count, group_room;
    struct mpx_index index; // of groups, by number
};

static struct staged *find(const struct loading *l, uint64_t number)
{
    uint32_t hash = mpx_hash_u64(number), at = mpx_index_start(&l->index, hash);
    for (uint32_t i; mpx_index_next(&l->index, hash, &at, &i);)
        if (l->groups[i].number == number)
            return &l->groups[i];
    return NULL;
}

static mproxy_status load_series(struct loading *l, const struct mpx_push_record *r)
{
    enum { AHEAD_MAX = 1 << 24 }; // ids are small
    struct mpx_push_table *t = &l->p->table;
    uint32_t series;
    if (mproxy_metric_check_name(r->name, strlen(r->name), NULL) != MPROXY_OK ||
        !mpx_name_is_ordered(r->name) || !r->family[0] ||
        strlen(r->help) > MPROXY_DOC_MAX || r->id > t->series_count + AHEAD_MAX)
        return MPROXY_E_CORRUPT;
    if (!MPX_RESERVE_ZEROED(l->ids, l->id_room, (size_t)r->id + 1))
        return MPROXY_E_NOMEM;
    mproxy_status status = mpx_push_series_join(t, r->name, r->family, r->help, r->type,
                                                r->family_kind, &series);
    if (status == MPROXY_OK)
        l->ids[r->id] = series + 1;
    return status;
}

static int compare_slots(const void *a, const void *b)
{
    const struct slot *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

static bool has_twice(struct slot *slots, size_t count)
{
    if (count > 1)
        qsort(slots, count, sizeof *slots, compare_slots);
    for (size_t i = 1; i < count; i++)
        if (slots[i - 1].key == slots[i].key)
            return true;
    return false;
}

// False: they name no series, or one twice.
static bool fill_slots(const struct loading *l, const struct mpx_push_record *r,
                       struct slot *out, struct slot *scratch)
{
    for (size_t i = 0; i < r->count; i++) {
        uint32_t id = r->ids[i];
        if (id >= l->id_room || l->ids[id] == 0)
            return false;
        out[i] = (struct slot){.key = mpx_push_key(&l->p->table, l->ids[id] - 1),
                               .changed_us = r->changed_us[i],
                               .value = r->values[i]};
    }
    memcpy(scratch, out, r->count * sizeof *out);
    return !has_twice(scratch, r->count);
}

static mproxy_status make_slots(const struct loading *l, const struct mpx_push_record *r,
                                struct slot **out)
{
    struct slot *slots = malloc((r->count + 1) * sizeof *slots);
    struct slot *scratch = malloc((r->count + 1) * sizeof *slots);
    mproxy_status status = !slots || !scratch                 ? MPROXY_E_NOMEM
                           : fill_slots(l, r, slots, scratch) ? MPROXY_OK
                                                              : MPROXY_E_CORRUPT;
    free(scratch);
    if (status == MPROXY_OK)
        *out = slots;
    else
        free(slots);
    return status;
}

static struct staged *stage(struct loading *l, uint64_t number)
{
    struct staged *g = find(l, number);
    if (g)
        return g;
    if (!MPX_RESERVE(l->groups, l->group_room, l->group_count + 1) ||
        !mpx_index_reserve(&l->index, (uint32_t)l->group_count + 1))
        return NULL;
    mpx_index_put(&l->index, mpx_hash_u64(number), (uint32_t)l->group_count);
    g = &l->groups[l->group_count++];
    *g = (struct staged){.number = number, .is_gone = true};
    return g;
}

static void unload(struct staged *g)
{
    mpx_push_labels_fini(&g->labels);
    free(g->slots);
    *g = (struct staged){.number = g->number, .is_gone = true};
}

static mproxy_status load_group(struct loading *l, const struct mpx_push_record *r)
{
    struct mpx_push_labels labels;
    struct slot *slots;
    if (!(r->number >> 63) || r->number == UINT64_MAX)
        return MPROXY_E_CORRUPT;
    mproxy_status status =
        mpx_push_labels_of_texts(r->labels, r->labels_length, &labels, NULL);
    if (status != MPROXY_OK)
        return status;
    status = make_slots(l, r, &slots);
    if (status != MPROXY_OK) {
        mpx_push_labels_fini(&labels);
        return status;
    }
    struct staged *g = stage(l, r->number);
    if (!g) {
        mpx_push_labels_fini(&labels);
        free(slots);
        return MPROXY_E_NOMEM;
    }
    unload(g);
    *g = (struct staged){.number = r->number,
                         .labels = labels,
                         .times = r->times,
                         .slots = slots,
                         .count = r->count};
    return MPROXY_OK;
}

static mproxy_status load_change(struct loading *l, const struct mpx_push_record *r)
{
    struct staged *g = find(l, r->number);
    if (!g || g->is_gone || (r->count > 0 && r->slots[r->count - 1] >= g->count))
        return MPROXY_E_CORRUPT;
    g->times = r->times;
    for (size_t i = 0; i < r->count; i++) {
        struct slot *slot = &g->slots[r->slots[i]];
        slot->value = r->values[i];
        slot->changed_us = r->times.pushed_us;
    }
    return MPROXY_OK;
}

static mproxy_status load_record(void *arg, const struct mpx_push_record *r,
                                 bool is_first)
{
    struct loading *l = arg;
    struct staged *g;
    if (is_first && l->ids)
        memset(l->ids, 0, l->id_room * sizeof *l->ids);
    switch (r->kind) {
    case MPX_PUSH_SERIES:
        return load_series(l, r);
    case MPX_PUSH_GROUP:
        return load_group(l, r);
    case MPX_PUSH_CHANGE:
        return load_change(l, r);
    case MPX_PUSH_GONE:
        // The group may have been told in a file that is no more.
        if ((g = find(l, r->number)) != NULL)
            unload(g);
        return MPROXY_OK;
    case MPX_PUSH_HEAD:
        break;
    }
    return MPROXY_OK;
}

// ---- staged groups become groups

static mproxy_status fill(struct mproxy_push *p, struct mpx_push_group *g,
                          struct staged *s, mproxy_error *err)
{
    struct mpx_push_state state = {.count = s->count};
    uint64_t *words = malloc((2 * s->count + 1) * sizeof *words);
    double *values = malloc((s->count + 1) * sizeof *values);
    struct mpx_push_slots *slots;
    mproxy_status status = MPROXY_E_NOMEM;
    if (words && values) {
        (void)has_twice(s->slots, s->count); // it puts them in order
        for (size_t i = 0; i < s->count; i++) {
            words[i] = s->slots[i].key;
            words[s->count + i] = s->slots[i].changed_us;
            values[i] = s->slots[i].value;
        }
        state.keys = words;
        state.changed_us = words + s->count;
        state.values = values;
        status = mpx_push_slots_prepare(&p->table, g, &state, &slots, err);
    }
    if (status == MPROXY_OK)
        mpx_push_slots_take(&p->table, g, slots);
    free(words);
    free(values);
    return status;
}

static mproxy_status take_up(struct mproxy_push *p, struct staged *s)
{
    mproxy_error why = {.text = "no memory"};
    struct mpx_push_group *g = mpx_push_group_find(&p->table, &s->labels);
    if (g)
        free(mpx_push_group_remove(&p->table, g));
    mproxy_status status = mpx_push_group_add(&p->table, &s->labels, s->number, &g, &why);
    if (status == MPROXY_OK) {
        g->times = s->times;
        status = fill(p, g, s, &why);
    }
    if (status == MPROXY_OK || status == MPROXY_E_NOMEM)
        return status;
    mpx_say(&p->logger, MPROXY_LOG_WARNING, "a group that was pushed before is lost: %s",
            why.text);
    if (g)
        free(mpx_push_group_remove(&p->table, g));
    return MPROXY_OK;
}

static int compare_numbers(const void *a, const void *b)
{
    const struct staged *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static mproxy_status take_all(struct loading *l)
{
    struct mproxy_push *p = l->p;
    mproxy_status status = MPROXY_OK;
    if (l->group_count > 1)
        qsort(l->groups, l->group_count, sizeof *l->groups, compare_numbers);
    for (size_t i = 0; i < l->group_count && status == MPROXY_OK; i++) {
        if (l->groups[i].number > p->table.last_number)
            p->table.last_number = l->groups[i].number; // nobody's again
        if (!l->groups[i].is_gone)
            status = take_up(p, &l->groups[i]);
    }
    for (uint32_t i = 0; i < p->table.series_count; i++)
        mpx_push_series_leave(&p->table, i);
    return status;
}

mproxy_status mpx_push_load(struct mproxy_push *p, mproxy_error *err)
{
    struct loading l = {.p = p};
    const struct mpx_push_journal_options options = {
        .dir_fd = p->o.state_fd, .logger = &p->logger, .take = load_record, .arg = &l};
    p->table.is_loading = true;
    mproxy_status status = mpx_push_journal_open(&options, &p->journal, err);
    if (status == MPROXY_OK) {
        status = take_all(&l);
        if (status != MPROXY_OK)
            mpx_fail(err, status, "no memory for %zu groups that were pushed before",
                     l.group_count);
    }
    p->table.is_loading = false;
    for (size_t i = 0; i < l.group_count; i++)
        unload(&l.groups[i]);
    free(l.groups);
    free(l.ids);
    mpx_index_fini(&l.index);
    return status;
}
