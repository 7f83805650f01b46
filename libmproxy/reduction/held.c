// One source: how a state is taken in place of the one before.
//
// A source owns an array of numbers for its own metrics and one for the node's that count in
// its job. A view may show the very array, so one that is published is never written to: the
// first change after a publication goes into a copy, and later ones into the same copy.
// Which is which its reference count says: more than one, and a view has it.
//
// A state is taken in two steps. The first gets all memory that is needed and changes
// nothing; the second cannot fail. That lets a whole directory be taken at once, or not.
//
// For those who ask what has changed, each slot has the sequence of its last change, in four
// bytes since the state that was last taken whole. When the reduction's own history is asked
// about ("what has changed since you were at 17") the last few steps of the source translate
// between the two; who asks for more than it remembers gets the source whole.

#include "reduction/held.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct mpx_held *mpx_held_new(const mproxy_source *source)
{
    struct mpx_held *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    memcpy(h->source.directory, source->directory, sizeof h->source.directory);
    h->source.struct_size = sizeof h->source;
    h->source.kind = source->kind;
    h->source.number = source->number;
    h->source.scope = source->scope;
    return h;
}

void mpx_held_free(struct mpx_held *h)
{
    if (!h)
        return;
    mproxy_job_clear(&h->job);
    mpx_numbers_unref(h->own);
    mpx_numbers_unref(h->node);
    free(h->absorbed);
    free(h->marks);
    free(h);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || strcmp(a ? a : "", b ? b : "") == 0;
}

bool mpx_same_job(const mproxy_job *a, const mproxy_job *b)
{
    if (!a || !b)
        return a == b;
    return a->size == b->size && a->start_time == b->start_time &&
           a->end_time == b->end_time && same_text(a->jobid, b->jobid) &&
           same_text(a->command, b->command) && same_text(a->nodelist, b->nodelist) &&
           same_text(a->partition, b->partition) && same_text(a->cluster, b->cluster) &&
           same_text(a->run_dir, b->run_dir);
}

static bool same_absorbed(const mproxy_source *a, const mproxy_source *b)
{
    return a->absorbed_count == b->absorbed_count &&
           (a->absorbed_count == 0 ||
            memcmp(a->absorbed, b->absorbed, a->absorbed_count * sizeof *a->absorbed) ==
                0);
}

static bool same_description(const mproxy_source *a, const mproxy_source *b)
{
    return a->uid == b->uid && mpx_same_job(a->job, b->job) && same_absorbed(a, b);
}

// The sum is finite only if all are; the type's idle fields are zero.
static bool is_finite(const mproxy_value *v)
{
    return isfinite(v->total + v->min + v->max + v->hits);
}

static mproxy_value clean(const mproxy_value *v)
{
    return is_finite(v) ? *v : (mproxy_value){.ts_us = v->ts_us};
}

// As a slot without `many` has it.
static double single(const struct mpx_numbers *n, uint32_t slot, const mproxy_value *v)
{
    return n->shape->gauge_at[slot] != MPX_NO_GAUGE && v->hits == 0 ? NAN : v->total;
}

static bool same_double(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static bool is_same(const struct mpx_numbers *n, uint32_t slot, const mproxy_value *v)
{
    uint32_t gauge = n->shape->gauge_at[slot];
    if (n->times[slot] != v->ts_us)
        return false;
    if (gauge == MPX_NO_GAUGE || !n->many)
        return same_double(n->totals[slot], single(n, slot, v));
    const struct mpx_many *m = &n->many[gauge];
    return n->totals[slot] == v->total && m->min == v->min && m->max == v->max &&
           m->hits == v->hits;
}

static bool needs_many(const struct mpx_shape *shape, const mproxy_value *values)
{
    for (uint32_t i = shape->counter_count; i < shape->count; i++) {
        mproxy_value v = clean(&values[shape->by_type[i]]);
        if (!mpx_value_is_single(&v))
            return true;
    }
    return false;
}

static bool differs(const struct mpx_numbers *n, const mproxy_value *values)
{
    for (uint32_t i = 0; i < n->shape->count; i++) {
        if (n->times[i] == values[i].ts_us && n->totals[i] == values[i].total &&
            n->shape->gauge_at[i] == MPX_NO_GAUGE)
            continue;
        mproxy_value v = clean(&values[i]);
        if (!is_same(n, i, &v))
            return true;
    }
    return false;
}

// The same values where a gauge may have several contributors, or ranks are known.
static struct mpx_numbers *widen(const struct mpx_numbers *n, bool many, bool ranks)
{
    struct mpx_numbers *wide = mpx_numbers_new(n->shape, many, ranks);
    for (uint32_t i = 0; wide && i < n->shape->count; i++) {
        mproxy_value v = mpx_numbers_at(n, i);
        mpx_numbers_set(wide, i, &v);
    }
    return wide;
}

// The numbers that values of these metrics go into. NULL in *out: there are no metrics.
static bool prepare_numbers(struct mpx_numbers *held, struct mpx_shapes *shapes,
                            const mproxy_metric *const *metrics,
                            const mproxy_value *values, const mproxy_ranks *ranks,
                            size_t count, struct mpx_numbers **out)
{
    *out = NULL;
    if (count == 0)
        return true;
    if (!held || !mpx_shape_is(held->shape, metrics, count)) {
        struct mpx_shape *shape = mpx_shapes_get(shapes, metrics, count);
        if (shape)
            *out = mpx_numbers_new(shape, needs_many(shape, values), ranks != NULL);
        mpx_shape_unref(shape);
        return *out != NULL;
    }
    bool many = held->many || needs_many(held->shape, values);
    if (many != (held->many != NULL) || (ranks != NULL) != (held->ranks != NULL))
        *out = widen(held, many, ranks != NULL);
    else if (mpx_numbers_is_shared(held) && (ranks || differs(held, values)))
        *out = mpx_numbers_copy(held);
    else
        *out = held;
    return *out != NULL;
}

static bool copy_description(const mproxy_source *s, struct mpx_taking *t)
{
    t->describes = true;
    if (s->job && mproxy_job_copy(s->job, &t->job) != MPROXY_OK)
        return false;
    if (s->absorbed_count == 0)
        return true;
    t->absorbed = malloc(s->absorbed_count * sizeof *s->absorbed);
    if (t->absorbed)
        memcpy(t->absorbed, s->absorbed, s->absorbed_count * sizeof *s->absorbed);
    return t->absorbed != NULL;
}

static bool is_reshaped(const struct mpx_numbers *before, const struct mpx_numbers *now)
{
    if (!before || !now)
        return before != now;
    return before->shape != now->shape || (before->ranks != NULL) != (now->ranks != NULL);
}

// Ranks of the same metrics are others: no slot tells that, so it travels whole.
static bool moves_ranks(const struct mpx_numbers *before, const struct mpx_numbers *now,
                        const mproxy_ranks *ranks)
{
    return ranks && before && now && before->ranks && before->shape == now->shape &&
           memcmp(before->ranks, ranks, now->shape->count * sizeof *ranks) != 0;
}

// Sequences that four bytes don't tell apart, or of another epoch, begin anew.
static bool begins_anew(const struct mpx_held *h, const mproxy_source *s)
{
    return !h->marks || s->epoch != h->source.epoch ||
           s->sequence - h->first > UINT32_MAX;
}

static bool is_twice(const struct mpx_numbers *n)
{
    return n && n->shape->is_twice;
}

bool mpx_held_prepare(const struct mpx_held *h, const mproxy_source *s,
                      struct mpx_shapes *shapes, struct mpx_taking *t)
{
    *t = (struct mpx_taking){0};
    bool ok = prepare_numbers(h->own, shapes, s->metrics, s->values, s->ranks, s->count,
                              &t->own) &&
              prepare_numbers(h->node, shapes, s->node_metrics, s->node_values, NULL,
                              s->node_count, &t->node);
    t->is_own_new = t->own != h->own;
    t->is_node_new = t->node != h->node;
    t->is_twice = ok && (is_twice(t->own) || is_twice(t->node));
    ok = ok && !t->is_twice;
    if (ok && (begins_anew(h, s) || is_reshaped(h->own, t->own) ||
               is_reshaped(h->node, t->node) || moves_ranks(h->own, t->own, s->ranks)))
        ok = (t->marks = calloc(s->count + s->node_count + 1, sizeof *t->marks)) != NULL;
    if (ok && !same_description(&h->source, s))
        ok = copy_description(s, t);
    if (!ok)
        mpx_held_discard(h, t);
    return ok;
}

void mpx_held_discard(const struct mpx_held *h, struct mpx_taking *t)
{
    if (t->own != h->own)
        mpx_numbers_unref(t->own);
    if (t->node != h->node)
        mpx_numbers_unref(t->node);
    mproxy_job_clear(&t->job);
    free(t->absorbed);
    free(t->marks);
}

static void take_slot(struct mpx_numbers *n, uint32_t slot, const mproxy_value *told,
                      uint32_t mark, uint32_t *marks, struct mpx_taken *taken)
{
    mproxy_value v = *told;
    if (!is_finite(told)) {
        v = clean(told);
        taken->dropped_values++;
    }
    if (is_same(n, slot, &v))
        return;
    if (n->shape->gauge_at[slot] == MPX_NO_GAUGE && v.total < n->totals[slot])
        taken->lowered = true;
    mpx_numbers_set(n, slot, &v);
    marks[slot] = mark;
    taken->changed = true;
}

// The usual slot, of one double, that is as it was or is another finite number.
static void take_all(struct mpx_numbers *n, const mproxy_value *values, uint32_t mark,
                     uint32_t *marks, struct mpx_taken *taken)
{
    if (!n)
        return;
    for (uint32_t i = 0; i < n->shape->count; i++) {
        const mproxy_value *v = &values[i];
        if (n->times[i] == v->ts_us && n->totals[i] == v->total &&
            n->shape->gauge_at[i] == MPX_NO_GAUGE)
            continue;
        take_slot(n, i, v, mark, marks, taken);
    }
}

static void take_ranks(struct mpx_numbers *n, const mproxy_ranks *ranks)
{
    if (n && ranks)
        memcpy(n->ranks, ranks, n->shape->count * sizeof *ranks);
}

static void take_numbers(struct mpx_numbers **held, struct mpx_numbers *now)
{
    if (*held == now)
        return;
    mpx_numbers_unref(*held);
    *held = now;
}

static void take_description(struct mpx_held *h, const mproxy_source *s,
                             struct mpx_taking *t, struct mpx_taken *taken)
{
    if (!t->describes)
        return;
    mproxy_job_clear(&h->job);
    free(h->absorbed);
    h->job = t->job;
    h->absorbed = t->absorbed;
    h->source.job = s->job ? &h->job : NULL;
    h->source.absorbed = h->absorbed;
    h->source.absorbed_count = s->absorbed_count;
    h->source.uid = s->uid;
    taken->described = true;
}

// What a change and a whole state tell alike.
static void take_head(struct mpx_held *h, const mproxy_source *s, struct mpx_taken *taken)
{
    if (h->moved || h->source.start_ms != s->start_ms || h->source.sealed != s->sealed)
        taken->described = true;
    h->moved = false;
    h->source.epoch = s->epoch;
    h->source.sequence = s->sequence;
    h->source.sealed = s->sealed;
    h->source.idle = s->idle;
    h->source.incomplete = s->incomplete;
    h->source.start_ms = s->start_ms;
    h->source.end_ms = s->end_ms;
    if (taken->described)
        h->described = s->sequence;
}

static void point(struct mpx_held *h)
{
    mproxy_source *s = &h->source;
    s->count = h->own ? h->own->shape->count : 0;
    s->metrics = h->own ? h->own->shape->metrics : NULL;
    s->numbers = h->own;
    s->ranks = h->own ? h->own->ranks : NULL;
    s->node_count = h->node ? h->node->shape->count : 0;
    s->node_metrics = h->node ? h->node->shape->metrics : NULL;
    s->node_numbers = h->node;
}

struct mpx_taken mpx_held_commit(struct mpx_held *h, const mproxy_source *s,
                                 struct mpx_taking *t)
{
    struct mpx_taken taken = {.reshaped = is_reshaped(h->own, t->own) ||
                                          is_reshaped(h->node, t->node),
                              .changed = moves_ranks(h->own, t->own, s->ranks)};
    if (t->marks) {
        free(h->marks);
        h->marks = t->marks;
        h->first = s->sequence;
        h->step_count = 0;
        h->is_remade = false;
    }
    take_numbers(&h->own, t->own);
    take_numbers(&h->node, t->node);
    uint32_t mark = (uint32_t)(s->sequence - h->first);
    take_all(h->own, s->values, mark, h->marks, &taken);
    take_all(h->node, s->node_values, mark, h->marks + s->count, &taken);
    take_ranks(h->own, s->ranks);
    take_description(h, s, t, &taken);
    take_head(h, s, &taken);
    point(h);
    return taken;
}

static bool own_numbers(struct mpx_numbers *held, bool touched, bool many,
                        struct mpx_numbers **out)
{
    *out = held;
    if (!touched)
        return true;
    if (many && !held->many)
        *out = widen(held, true, held->ranks != NULL);
    else if (mpx_numbers_is_shared(held))
        *out = mpx_numbers_copy(held);
    if (*out && *out != held && many && !held->many && held->ranks)
        memcpy((*out)->ranks, held->ranks, held->shape->count * sizeof *held->ranks);
    return *out != NULL;
}

// Which arrays a change touches, and whether some gauge has several contributors in it.
struct reach {
    bool own, node, own_many, node_many;
};

static struct reach reach_of(const struct mpx_held *h, const mproxy_change *c)
{
    struct reach reach = {0};
    uint32_t own = (uint32_t)h->source.count;
    reach.own = c->count > 0 && c->slots[0] < own;
    reach.node = c->count > 0 && c->slots[c->count - 1] >= own;
    for (size_t i = 0; i < c->count; i++) {
        mproxy_value v = clean(&c->values[i]);
        uint32_t slot = c->slots[i];
        const struct mpx_numbers *n = slot < own ? h->own : h->node;
        uint32_t gauge = n->shape->gauge_at[slot < own ? slot : slot - own];
        if (gauge == MPX_NO_GAUGE || mpx_value_is_single(&v))
            continue;
        reach.own_many |= slot < own;
        reach.node_many |= slot >= own;
    }
    return reach;
}

bool mpx_held_apply(struct mpx_held *h, const mproxy_change *c, struct mpx_taken *taken)
{
    struct reach reach = reach_of(h, c);
    struct mpx_taking t = {0};
    bool ok = own_numbers(h->own, reach.own, reach.own_many, &t.own) &&
              own_numbers(h->node, reach.node, reach.node_many, &t.node);
    if (ok && c->source->sequence - h->first > UINT32_MAX)
        ok = (t.marks = calloc(h->source.count + h->source.node_count + 1,
                               sizeof *t.marks)) != NULL;
    if (ok && c->described && !same_description(&h->source, c->source))
        ok = copy_description(c->source, &t);
    if (!ok) {
        mpx_held_discard(h, &t);
        return false;
    }
    *taken = (struct mpx_taken){0};
    if (t.marks) {
        free(h->marks);
        h->marks = t.marks;
        h->first = c->source->sequence;
        h->step_count = 0;
        h->is_remade = false;
    }
    take_numbers(&h->own, t.own);
    take_numbers(&h->node, t.node);
    uint32_t own = (uint32_t)h->source.count,
             mark = (uint32_t)(c->source->sequence - h->first);
    for (size_t i = 0; i < c->count; i++) {
        uint32_t slot = c->slots[i];
        if (slot < own)
            take_slot(h->own, slot, &c->values[i], mark, h->marks, taken);
        else
            take_slot(h->node, slot - own, &c->values[i], mark, h->marks + own, taken);
    }
    take_description(h, c->source, &t, taken);
    take_head(h, c->source, taken);
    point(h);
    return true;
}

void mpx_held_step(struct mpx_held *h, uint64_t at)
{
    if (h->step_count == MPX_STEPS_MAX) {
        memmove(h->steps, h->steps + 1, (MPX_STEPS_MAX - 1) * sizeof *h->steps);
        h->step_count--;
    }
    h->steps[h->step_count++] = (struct mpx_step){at, h->source.sequence};
}

void mpx_held_restart(struct mpx_held *h, uint64_t at)
{
    h->is_remade = true;
    h->remade = h->source.sequence;
    h->step_count = 0;
    mpx_held_step(h, at);
}
