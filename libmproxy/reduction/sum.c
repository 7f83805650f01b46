// Sums: what a view shows of the sources that it is of.
//
// A sum has terms, each the own metrics of a source or the node's metrics that count in a
// share. Its plan says how a view comes of them. Terms whose metrics no other term has need
// no adding: the view shows their very arrays, beside what is added up. So `Node: HOST` of an
// ordinary node is the array of its node metrics and that of its one share, and costs a few
// pointers each round however many metrics there are. All others are added up into one array
// of numbers that becomes the view's, in a straight loop over each term by a map that all
// terms of one shape share.
//
// Nothing is kept by difference: a sum that is dirty is added up anew from all its terms, in
// their order, so the same sources give the same bits. A plan holds until terms or their
// shapes change.
//
// A counter shown is never lower than it was. What a sum in another order differs by in the
// last bits is levelled out here; an array shown as it is can't be changed, so a sum one of
// whose sources went back adds up all of its terms from then on (`plain`).
//
// All is built beside what is published; when memory runs out what is shown stays.

#include "reduction/sum.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/names.h"

static struct mpx_numbers *numbers_of(const struct mpx_term *t)
{
    return t->node ? t->held->node : t->held->own;
}

static void unplan(struct mpx_sum *sum, struct mpx_bench *bench)
{
    for (uint32_t i = 0; i < sum->term_count; i++) {
        mpx_maps_leave(&bench->maps, sum->terms[i].map);
        sum->terms[i].map = NULL;
    }
    mpx_shape_unref(sum->shape);
    mpx_shape_unref(sum->left_out);
    sum->left_out = NULL;
    mpx_display_unref(sum->display);
    sum->shape = NULL;
    sum->display = NULL;
    sum->single_count = 0;
    sum->planned = sum->reshaped = false;
}

// Whether counters may be lower than what was shown: a job's sum that lost a share is that
// of another run.
static bool lost_a_term(const struct mpx_sum *sum, const struct mpx_term *terms,
                        uint32_t count, uint64_t stamp)
{
    if (sum->kind != MPX_SUM_JOB)
        return false;
    for (uint32_t i = 0; i < count; i++)
        terms[i].held->stamp = stamp;
    for (uint32_t i = 0; i < sum->term_count; i++)
        if (sum->terms[i].held->stamp != stamp)
            return true;
    return false;
}

static bool same_terms(const struct mpx_sum *sum, const struct mpx_term *terms,
                       uint32_t count)
{
    if (sum->term_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (sum->terms[i].held != terms[i].held || sum->terms[i].node != terms[i].node)
            return false;
    return true;
}

void mpx_sum_take_terms(struct mpx_sum *sum, struct mpx_bench *bench,
                        struct mpx_term *terms, uint32_t count, uint64_t stamp)
{
    if (sum->terms && same_terms(sum, terms, count)) {
        free(terms);
        return;
    }
    sum->other |= lost_a_term(sum, terms, count, stamp);
    sum->plain &= !sum->other;
    sum->stale = true;
    unplan(sum, bench);
    free(sum->terms);
    sum->terms = terms;
    sum->term_count = count;
}

bool mpx_sum_describe(struct mpx_sum *sum, const char *key, const mproxy_job *desc)
{
    if (sum->title && strcmp(sum->title->key, key) == 0 &&
        mpx_same_job(&sum->title->job, desc))
        return true;
    struct mpx_title *title = mpx_title_new(key, desc);
    if (!title)
        return false;
    mpx_title_unref(sum->title);
    sum->title = title;
    sum->stale = true;
    return true;
}

bool mpx_sum_is_dirty(const struct mpx_sum *sum)
{
    return sum->dirty || sum->stale || !sum->view;
}

static uint32_t filled_terms(const struct mpx_sum *sum)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < sum->term_count; i++)
        count += numbers_of(&sum->terms[i]) != NULL;
    return count;
}

// Terms that could stand for themselves: a node's own metrics and its targets; of a job both
// parts of its share if it has but one.
static bool may_be_single(const struct mpx_sum *sum, const struct mpx_term *t)
{
    if (sum->plain || sum->kind == MPX_SUM_MAIN || !numbers_of(t) ||
        numbers_of(t)->shape->has_twins)
        return false;
    if (sum->kind == MPX_SUM_JOB)
        return sum->term_count == 2;
    return t->held->source.kind == MPROXY_SOURCE_NODE ||
           t->held->source.kind == MPROXY_SOURCE_TARGET;
}

// Mark what is added up, then see which of the others have metrics of their own only. How
// many are left to add.
static uint32_t choose_singles(struct mpx_sum *sum, struct mpx_order *o, bool *is_single)
{
    uint32_t added = 0;
    for (uint32_t i = 0; i < sum->term_count; i++)
        if (numbers_of(&sum->terms[i]) && !may_be_single(sum, &sum->terms[i])) {
            mpx_order_mark(o, numbers_of(&sum->terms[i])->shape);
            added++;
        }
    for (uint32_t i = 0; i < sum->term_count; i++) {
        if (!may_be_single(sum, &sum->terms[i]))
            continue;
        bool fits = sum->single_count < MPX_PARTS_MAX - 1;
        if (mpx_order_mark(o, numbers_of(&sum->terms[i])->shape) == 0 && fits) {
            is_single[i] = true;
            sum->singles[sum->single_count++] = i;
        } else
            added++;
    }
    mpx_order_clear(o);
    return added;
}

// Whether a term that was added later has metrics of a single one before it. Then all are
// added up, which is right whatever they share.
static bool overlaps(const struct mpx_sum *sum, struct mpx_order *o,
                     const bool *is_single)
{
    bool overlap = false;
    for (uint32_t i = 0; i < sum->term_count; i++)
        if (numbers_of(&sum->terms[i]) && !is_single[i])
            mpx_order_mark(o, numbers_of(&sum->terms[i])->shape);
    for (uint32_t s = 0; s < sum->single_count; s++)
        overlap |= mpx_order_mark(o, numbers_of(&sum->terms[sum->singles[s]])->shape) > 0;
    mpx_order_clear(o);
    return overlap;
}

// The one term that is left to add may as well stand for itself.
static void choose_last(struct mpx_sum *sum, bool *is_single)
{
    for (uint32_t i = 0; i < sum->term_count; i++) {
        if (!numbers_of(&sum->terms[i]) || is_single[i])
            continue;
        is_single[i] = true;
        memmove(sum->singles + 1, sum->singles, sum->single_count * sizeof *sum->singles);
        sum->singles[0] = i;
        sum->single_count++;
    }
}

static bool has_twins(const struct mpx_sum *sum, const bool *is_single)
{
    for (uint32_t i = 0; i < sum->term_count; i++)
        if (!is_single[i] && numbers_of(&sum->terms[i]) &&
            numbers_of(&sum->terms[i])->shape->has_twins)
            return true;
    return false;
}

// Whether anything is to be added up.
static bool choose(struct mpx_sum *sum, struct mpx_order *o, bool *is_single)
{
    uint32_t added = choose_singles(sum, o, is_single);
    if (sum->single_count > 0 && overlaps(sum, o, is_single)) {
        memset(is_single, 0, sum->term_count * sizeof *is_single);
        sum->single_count = 0;
        added = filled_terms(sum);
    }
    if (added > 1 || sum->plain || sum->kind == MPX_SUM_MAIN || has_twins(sum, is_single))
        return added > 0;
    choose_last(sum, is_single);
    return false;
}

// Terms of a few shapes follow each other: one that was just seen is not marked again.
static void mark_added(const struct mpx_sum *sum, struct mpx_order *o,
                       const bool *is_single)
{
    const struct mpx_shape *seen[4] = {NULL};
    for (uint32_t i = 0, at = 0; i < sum->term_count; i++) {
        const struct mpx_numbers *n = numbers_of(&sum->terms[i]);
        if (!n || is_single[i] || n->shape == seen[0] || n->shape == seen[1] ||
            n->shape == seen[2] || n->shape == seen[3])
            continue;
        mpx_order_mark(o, n->shape);
        seen[at++ % 4] = n->shape;
    }
}

static bool plan_maps(struct mpx_sum *sum, struct mpx_bench *bench, const bool *is_single)
{
    mpx_maps_begin(&bench->order);
    for (uint32_t i = 0; i < sum->term_count; i++) {
        struct mpx_term *t = &sum->terms[i];
        const struct mpx_numbers *n = numbers_of(t);
        if (!n || is_single[i])
            continue;
        t->map = mpx_maps_use(&bench->maps, &bench->order, n->shape, sum->shape);
        if (!t->map)
            return false;
    }
    return true;
}

static bool plan_display(struct mpx_sum *sum, struct mpx_bench *bench)
{
    struct mpx_shape *shapes[MPX_PARTS_MAX];
    uint32_t count = 0;
    if (sum->shape)
        shapes[count++] = sum->shape;
    for (uint32_t i = 0; i < sum->single_count; i++)
        shapes[count++] = numbers_of(&sum->terms[sum->singles[i]])->shape;
    sum->display = mpx_shapes_display(&bench->shapes, shapes, count);
    return sum->display != NULL;
}

static bool plan(struct mpx_sum *sum, struct mpx_bench *bench)
{
    unplan(sum, bench);
    bool *is_single = calloc(sum->term_count + 1, sizeof *is_single);
    if (!is_single)
        return false;
    bool ok = true;
    if (choose(sum, &bench->order, is_single)) {
        mark_added(sum, &bench->order, is_single);
        ok = mpx_order_take(&bench->order, &bench->shapes, &sum->shape, &sum->left_out) &&
             plan_maps(sum, bench, is_single);
    }
    ok = ok && plan_display(sum, bench);
    free(is_single);
    if (!ok)
        unplan(sum, bench);
    sum->planned = ok;
    return ok;
}

static void add_counters(struct mpx_numbers *into, const struct mpx_numbers *n,
                         const struct mpx_map *map)
{
    const uint32_t *from = map->from_slots, *to = map->slots;
    for (uint32_t i = 0; i < map->counter_count; i++) {
        into->totals[to[i]] += n->totals[from[i]];
        if (into->times[to[i]] < n->times[from[i]])
            into->times[to[i]] = n->times[from[i]];
    }
}

static void add_gauge(struct mpx_numbers *into, uint32_t to, const mproxy_value *v)
{
    struct mpx_many *m = &into->many[into->shape->gauge_at[to]];
    if (v->hits <= 0)
        return;
    if (m->hits <= 0)
        *m = (struct mpx_many){v->min, v->max, 0};
    if (v->min < m->min)
        m->min = v->min;
    if (v->max > m->max)
        m->max = v->max;
    m->hits += v->hits;
    into->totals[to] += v->total;
    if (into->times[to] < v->ts_us)
        into->times[to] = v->ts_us;
}

static void add_gauges(struct mpx_numbers *into, const struct mpx_numbers *n,
                       const struct mpx_map *map)
{
    const uint32_t *from = map->from_slots;
    for (uint32_t i = map->counter_count; i < map->count; i++) {
        mproxy_value v = mpx_numbers_at(n, from[i]);
        add_gauge(into, map->slots[i], &v);
    }
}

// The spread over ranks is that of the whole job, or it is not shown.
static bool knows_ranks(const struct mpx_sum *sum)
{
    bool known = false;
    if (sum->kind != MPX_SUM_JOB)
        return false;
    for (uint32_t i = 0; i < sum->term_count; i++) {
        const struct mpx_numbers *n = numbers_of(&sum->terms[i]);
        if (sum->terms[i].node || !n)
            continue;
        if (!n->ranks)
            return false;
        known = true;
    }
    return known;
}

static void add_ranks(struct mpx_numbers *into, const struct mpx_numbers *n,
                      const struct mpx_map *map)
{
    for (uint32_t i = 0; i < map->counter_count; i++)
        mproxy_ranks_merge(&into->ranks[map->slots[i]], &n->ranks[map->from_slots[i]]);
}

static struct mpx_numbers *add_up(const struct mpx_sum *sum)
{
    struct mpx_numbers *into =
        mpx_numbers_new(sum->shape, mpx_shape_gauges(sum->shape) > 0, knows_ranks(sum));
    for (uint32_t i = 0; into && i < sum->term_count; i++) {
        const struct mpx_term *t = &sum->terms[i];
        if (!t->map)
            continue;
        const struct mpx_numbers *n = numbers_of(t);
        add_counters(into, n, t->map);
        if (into->many)
            add_gauges(into, n, t->map);
        if (into->ranks && !t->node)
            add_ranks(into, n, t->map);
    }
    return into;
}

static bool is_rounding(double now, double before)
{
    return before - now <= before * 1e-12;
}

// The same metrics as before, all of them added up.
static void level(struct mpx_numbers *now, const struct mpx_numbers *before,
                  uint64_t *steps_back)
{
    for (uint32_t i = 0; i < now->shape->counter_count; i++) {
        uint32_t slot = now->shape->by_type[i];
        if (now->totals[slot] >= before->totals[slot])
            continue;
        if (is_rounding(now->totals[slot], before->totals[slot]))
            now->totals[slot] = before->totals[slot];
        else
            ++*steps_back;
    }
}

// Whatever the two show. False: a counter that is shown as its source has it went back.
static bool level_views(const mproxy_view *now, const mproxy_view *before, bool has_sum,
                        uint64_t *steps_back)
{
    const struct mpx_display *a = now->display, *b = before->display;
    for (uint32_t i = 0, k = 0; i < a->count; i++) {
        while (k < b->count && b->metrics[k] != a->metrics[i] &&
               mpx_metric_compare(b->metrics[k], a->metrics[i]) < 0)
            k++;
        if (k == b->count || b->metrics[k] != a->metrics[i] ||
            a->metrics[i]->type != MPROXY_COUNTER)
            continue;
        double is = mpx_view_value(now, i).total, was = mpx_view_value(before, k).total;
        if (is >= was)
            continue;
        if (!has_sum || a->places[i] >> MPX_SLOT_BITS != 0)
            return false;
        if (is_rounding(is, was))
            now->parts[0]->totals[a->places[i] & MPX_SLOT_MASK] = was;
        else
            ++*steps_back;
    }
    return true;
}

static mproxy_view *make_view(const struct mpx_sum *sum)
{
    struct mpx_numbers *parts[MPX_PARTS_MAX], *added = NULL;
    uint32_t count = 0;
    if (sum->shape && !(parts[count++] = added = add_up(sum)))
        return NULL;
    for (uint32_t i = 0; i < sum->single_count; i++)
        parts[count++] = numbers_of(&sum->terms[sum->singles[i]]);
    bool ranks = count > 0 && parts[0]->ranks && knows_ranks(sum);
    mproxy_view *view =
        mpx_view_of(sum->title, sum->display, parts, ranks, sum->left_out);
    mpx_numbers_unref(added);
    return view;
}

// False: it must be made again, with all terms added up.
static bool compare(struct mpx_sum *sum, const mproxy_view *view, uint64_t *steps_back)
{
    if (!sum->view || sum->other)
        return true;
    bool is_as_before = view->display == sum->view->display &&
                        (sum->single_count == 0 || (!sum->lowered && !sum->stale));
    if (is_as_before) {
        if (sum->shape)
            level(view->parts[0], sum->view->parts[0], steps_back);
        return true;
    }
    uint64_t steps = 0;
    if (!level_views(view, sum->view, sum->shape != NULL, &steps))
        return false;
    *steps_back += steps;
    return true;
}

mproxy_status mpx_sum_build(struct mpx_sum *sum, struct mpx_bench *bench,
                            mproxy_view **out, uint64_t *steps_back, mproxy_error *err)
{
    for (;;) {
        mproxy_view *view =
            (sum->planned && !sum->reshaped) || plan(sum, bench) ? make_view(sum) : NULL;
        if (!view)
            return mpx_fail(err, MPROXY_E_NOMEM, "view '%.100s': no memory",
                            sum->title->key);
        if (compare(sum, view, steps_back)) {
            *out = view;
            return MPROXY_OK;
        }
        mproxy_view_unref(view);
        sum->plain = true;
        unplan(sum, bench);
    }
}

void mpx_sum_settle(struct mpx_sum *sum, mproxy_view *view)
{
    mproxy_view_unref(sum->view);
    sum->view = view;
    sum->dirty = sum->stale = sum->lowered = sum->other = false;
}

void mpx_sum_fini(struct mpx_sum *sum, struct mpx_bench *bench)
{
    unplan(sum, bench);
    mproxy_view_unref(sum->view);
    mpx_title_unref(sum->title);
    free(sum->terms);
    *sum = (struct mpx_sum){.kind = sum->kind};
}
