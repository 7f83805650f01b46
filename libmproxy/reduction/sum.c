#include "reduction/sum.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define GAUGE_BIT UINT32_C(0x80000000)

static bool grow_order(struct mpx_order *o, size_t count)
{
    size_t room = count + count / 4 + 64, words = room / 64 + 1;
    uint32_t *rank = malloc(room * sizeof *rank);
    uint32_t *slots = malloc(room * sizeof *slots);
    uint64_t *marks = calloc(words, sizeof *marks);
    if (!rank || !slots || !marks) {
        free(rank);
        free(slots);
        free(marks);
        return false;
    }
    free(o->rank);
    free(o->slots);
    free(o->marks);
    o->rank = rank;
    o->slots = slots;
    o->marks = marks;
    return true;
}

bool mpx_order_refresh(struct mpx_order *o)
{
    size_t count = mproxy_store_metric_count(o->store);
    const mproxy_metric *const *metrics = mproxy_store_metric_order(o->store);
    if (!metrics && count > 0)
        return false;
    o->metrics = metrics;
    if (o->filled && count == o->count)
        return true;
    if (!grow_order(o, count))
        return false;
    for (size_t i = 0; i < count; i++)
        o->rank[metrics[i]->id] = (uint32_t)i;
    o->count = count;
    o->filled = true;
    return true;
}

void mpx_order_fini(struct mpx_order *o)
{
    free(o->rank);
    free(o->slots);
    free(o->marks);
    free(o->values);
    free(o->ranks);
    *o = (struct mpx_order){.store = o->store};
}

bool mpx_sum_add_term(struct mpx_sum *sum, struct mpx_held *held, bool node)
{
    if (sum->part_count == sum->part_room) {
        uint32_t room = sum->part_room ? sum->part_room * 2 : 4;
        struct mpx_term *parts = realloc(sum->parts, room * sizeof *parts);
        if (!parts)
            return false;
        sum->parts = parts;
        sum->part_room = room;
    }
    sum->parts[sum->part_count++] = (struct mpx_term){.held = held, .node = node};
    return true;
}

bool mpx_sum_same_terms(const struct mpx_sum *a, const struct mpx_sum *b)
{
    if (a->part_count != b->part_count)
        return false;
    for (uint32_t i = 0; i < a->part_count; i++)
        if (a->parts[i].held != b->parts[i].held || a->parts[i].node != b->parts[i].node)
            return false;
    return true;
}

bool mpx_sum_is_dirty(const struct mpx_sum *sum)
{
    if (sum->stale || !sum->view)
        return true;
    for (uint32_t i = 0; i < sum->part_count; i++)
        if (sum->parts[i].held->changed)
            return true;
    return false;
}

static size_t part_size(const struct mpx_term *part)
{
    return part->node ? part->held->source.node_count : part->held->source.count;
}

static const mproxy_metric *const *part_metrics(const struct mpx_term *part)
{
    return part->node ? part->held->source.node_metrics : part->held->source.metrics;
}

static const mproxy_value *part_values(const struct mpx_term *part)
{
    return part->node ? part->held->source.node_values : part->held->source.values;
}

static void mark_metrics(const struct mpx_sum *sum, struct mpx_order *o)
{
    for (uint32_t p = 0; p < sum->part_count; p++) {
        const mproxy_metric *const *metrics = part_metrics(&sum->parts[p]);
        size_t count = part_size(&sum->parts[p]);
        for (size_t i = 0; i < count; i++) {
            uint32_t rank = o->rank[metrics[i]->id];
            o->marks[rank / 64] |= UINT64_C(1) << rank % 64;
        }
    }
}

static uint32_t count_marks(const struct mpx_order *o)
{
    uint32_t count = 0;
    for (size_t w = 0; w <= o->count / 64; w++)
        count += (uint32_t)__builtin_popcountll(o->marks[w]);
    return count;
}

// Slots in order of display for all marked metrics, and clear marks.
static void take_marks(struct mpx_sum *sum, struct mpx_order *o)
{
    uint32_t slot = 0;
    for (size_t w = 0; w <= o->count / 64; w++) {
        for (uint64_t bits = o->marks[w]; bits; bits &= bits - 1) {
            size_t rank = w * 64 + (size_t)__builtin_ctzll(bits);
            o->slots[rank] = slot;
            if (sum->metrics)
                sum->metrics[slot] = o->metrics[rank];
            slot++;
        }
        o->marks[w] = 0;
    }
}

static bool plan_part(struct mpx_term *part, const struct mpx_order *o)
{
    size_t count = part_size(part);
    const mproxy_metric *const *metrics = part_metrics(part);
    part->slots = malloc((count + 1) * sizeof *part->slots);
    for (size_t i = 0; part->slots && i < count; i++)
        part->slots[i] = o->slots[o->rank[metrics[i]->id]] |
                         (metrics[i]->type == MPROXY_GAUGE ? GAUGE_BIT : 0);
    return part->slots != NULL;
}

static void unplan(struct mpx_sum *sum)
{
    for (uint32_t i = 0; i < sum->part_count; i++) {
        free(sum->parts[i].slots);
        sum->parts[i].slots = NULL;
    }
    free(sum->metrics);
    sum->metrics = NULL;
    sum->count = 0;
    sum->planned = false;
}

static bool plan(struct mpx_sum *sum, struct mpx_order *o)
{
    unplan(sum);
    mark_metrics(sum, o);
    uint32_t count = count_marks(o);
    sum->metrics = calloc(count + 1u, sizeof *sum->metrics);
    take_marks(sum, o);
    bool ok = sum->metrics != NULL;
    for (uint32_t i = 0; ok && i < sum->part_count; i++)
        ok = plan_part(&sum->parts[i], o);
    if (!ok) {
        unplan(sum);
        return false;
    }
    sum->count = count;
    sum->planned = true;
    return true;
}

// Metrics that came in between move no slots: a plan holds as long as its sources' metrics.
static bool needs_plan(const struct mpx_sum *sum)
{
    if (!sum->planned)
        return true;
    for (uint32_t i = 0; i < sum->part_count; i++)
        if (sum->parts[i].held->reshaped)
            return true;
    return false;
}

static void add_part(const struct mpx_term *part, mproxy_value *sums)
{
    const mproxy_value *values = part_values(part);
    size_t count = part_size(part);
    for (size_t i = 0; i < count; i++) {
        uint32_t slot = part->slots[i];
        if (slot & GAUGE_BIT) {
            mproxy_value_merge(MPROXY_GAUGE, &sums[slot & ~GAUGE_BIT], &values[i]);
            continue;
        }
        mproxy_value *into = &sums[slot];
        into->total += values[i].total;
        if (into->ts_us < values[i].ts_us)
            into->ts_us = values[i].ts_us;
    }
}

// The spread over ranks is that of the whole job, or it is not shown.
static bool knows_ranks(const struct mpx_sum *sum)
{
    if (sum->kind != MPX_SUM_JOB)
        return false;
    for (uint32_t i = 0; i < sum->part_count; i++)
        if (!sum->parts[i].node && !sum->parts[i].held->source.ranks)
            return false;
    return true;
}

static void add_ranks(const struct mpx_sum *sum, mproxy_ranks *ranks)
{
    memset(ranks, 0, sum->count * sizeof *ranks);
    if (!knows_ranks(sum))
        return;
    for (uint32_t p = 0; p < sum->part_count; p++) {
        const struct mpx_term *part = &sum->parts[p];
        for (size_t i = 0; !part->node && i < part->held->source.count; i++)
            if (!(part->slots[i] & GAUGE_BIT))
                mproxy_ranks_merge(&ranks[part->slots[i]], &part->held->source.ranks[i]);
    }
}

static void compare(mproxy_value *now, const mproxy_value *before, uint64_t *steps_back)
{
    if (now->total >= before->total)
        return;
    if (before->total - now->total > before->total * 1e-12) {
        ++*steps_back;
        return;
    }
    now->total = before->total;
}

static void compare_with_shown(const struct mpx_sum *sum, const struct mpx_order *o,
                               uint64_t *steps_back)
{
    if (!sum->view || sum->other)
        return;
    const mproxy_entry *shown = mproxy_view_entries(sum->view);
    size_t size = mproxy_view_size(sum->view), at = 0;
    for (uint32_t i = 0; i < sum->count; i++) {
        uint32_t rank = o->rank[sum->metrics[i]->id];
        while (at < size && o->rank[shown[at].metric->id] < rank)
            at++;
        if (at < size && shown[at].metric == sum->metrics[i] &&
            sum->metrics[i]->type == MPROXY_COUNTER)
            compare(&o->values[i], &shown[at].value, steps_back);
    }
}

static mproxy_status build_view(const struct mpx_sum *sum, const struct mpx_order *o,
                                mproxy_view **out, mproxy_error *err)
{
    mproxy_view *view;
    mproxy_status status = mproxy_view_new(sum->key, &sum->desc, sum->count, &view, err);
    for (uint32_t i = 0; status == MPROXY_OK && i < sum->count; i++) {
        mproxy_entry entry = {sum->metrics[i], o->values[i], o->ranks[i]};
        status = mproxy_view_add(view, &entry);
        if (status != MPROXY_OK) {
            mproxy_view_unref(view);
            return mpx_fail(err, status, "view '%.100s': no memory", sum->key);
        }
    }
    if (status == MPROXY_OK)
        *out = view;
    return status;
}

static bool reserve_values(struct mpx_order *o, size_t count)
{
    if (count <= o->value_room && o->values)
        return true;
    size_t room = count + count / 4 + 64;
    mproxy_value *values = realloc(o->values, room * sizeof *values);
    if (!values)
        return false;
    o->values = values;
    mproxy_ranks *ranks = realloc(o->ranks, room * sizeof *ranks);
    if (!ranks)
        return false;
    o->ranks = ranks;
    o->value_room = room;
    return true;
}

mproxy_status mpx_sum_build(struct mpx_sum *sum, struct mpx_order *o, mproxy_view **out,
                            uint64_t *steps_back, mproxy_error *err)
{
    if ((needs_plan(sum) && !plan(sum, o)) || !reserve_values(o, sum->count))
        return mpx_fail(err, MPROXY_E_NOMEM, "view '%.100s': no memory", sum->key);
    memset(o->values, 0, sum->count * sizeof *o->values);
    for (uint32_t i = 0; i < sum->part_count; i++)
        add_part(&sum->parts[i], o->values);
    add_ranks(sum, o->ranks);
    compare_with_shown(sum, o, steps_back);
    return build_view(sum, o, out, err);
}

void mpx_sum_fini(struct mpx_sum *sum)
{
    unplan(sum);
    mproxy_job_clear(&sum->desc);
    mproxy_view_unref(sum->view);
    free(sum->parts);
    free(sum->key);
    free(sum->jobid);
    *sum = (struct mpx_sum){0};
}
