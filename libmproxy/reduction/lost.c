// Directories that are lost, and directories that come whole.
//
// A node that does not come back leaves its sources behind. The shares of it that a profile
// holds go into the base that is held for it, as the node itself would have done: counters
// are added, gauges leave, the numbers go among those that the base has absorbed. From then on
// the base held is more than the node's own base, which knows nothing of it. If the node comes
// back after all, a later state of its base alone would step everybody back until its shares
// had come again; so such a directory is taken whole and at once, or refused.
//
// A whole state is all sources of a directory as of one report. It is prepared source by
// source (all memory, and whether each may be taken), then committed, which can't fail. What
// it does not mention is forgotten, unless it is younger than the report: a share that began
// while the report was on its way. A proxy numbers the states of its base, shares and node in
// one row, so a share whose sequence is above all that were told is younger.
//
// Whole states come late and twice, like others: none takes the place of a younger one, source
// by source. The base of an absorbed directory is the exception: it was made here and has to
// go.
//
// Both the base that is made here and the one that comes in its place have the order that the
// one before had, or may have it. So to those who ask for changes the base before is gone, and
// the new one is told whole.
//
// Instead of this the lost shares could be kept for ever, each under its identity. That costs
// a root the memory of every job that ever ran on a node which is gone.

#include "reduction/reduction.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "source/spans.h"
#include "store/metric.h"

static mproxy_status no_memory(mproxy_error *err)
{
    return mpx_fail(err, MPROXY_E_NOMEM, "reduction: no memory for a directory");
}

// A base in the making.
struct sum_base {
    mproxy_source source;
    const mproxy_metric **metrics;
    mproxy_value *values;
    mproxy_span *spans;
};

static bool is_absorbable(const struct mpx_held *h)
{
    return !h->dropped && mpx_held_is_share(h) && h->stored;
}

static bool make_room(struct sum_base *b, const struct mpx_directory *d)
{
    size_t metrics = b->source.count, spans = b->source.absorbed_count;
    for (size_t i = 0; i < d->count; i++)
        if (is_absorbable(d->items[i])) {
            metrics += d->items[i]->source.count;
            spans++;
        }
    b->metrics = malloc((metrics + 1) * sizeof(const mproxy_metric *));
    b->values = malloc((metrics + 1) * sizeof *b->values);
    b->spans = malloc((spans + 1) * sizeof *b->spans);
    return b->metrics && b->values && b->spans;
}

// The slot of a metric; one that is not among them yet gets one with the value 0.
static mproxy_value *value_of(struct sum_base *b, struct mpx_order *o,
                              const mproxy_metric *metric)
{
    uint32_t place = o->places[metric->id];
    uint64_t bit = UINT64_C(1) << place % 64;
    if (!(o->marks[place / 64] & bit)) {
        o->marks[place / 64] |= bit;
        o->slots[metric->id] = (uint32_t)b->source.count;
        b->metrics[b->source.count] = metric;
        b->values[b->source.count++] = (mproxy_value){0};
    }
    return &b->values[o->slots[metric->id]];
}

// All of a base, a share's counters.
static void add(struct sum_base *b, struct mpx_order *o, const mproxy_source *s)
{
    for (size_t i = 0; i < s->count; i++) {
        mproxy_type type = s->metrics[i]->type;
        if (s->kind == MPROXY_SOURCE_SHARE && type != MPROXY_COUNTER)
            continue;
        mproxy_value value = mproxy_source_value(s, i);
        mproxy_value_merge(type, value_of(b, o, s->metrics[i]), &value);
    }
}

static void sum_up(struct sum_base *b, struct mpx_order *o, const struct mpx_directory *d)
{
    mproxy_source *s = &b->source;
    const struct mpx_held *base = mpx_directory_source(d, MPROXY_SOURCE_BASE, 0);
    if (s->absorbed_count)
        memcpy(b->spans, s->absorbed, s->absorbed_count * sizeof *b->spans);
    s->count = 0;
    if (base)
        add(b, o, &base->source);
    for (size_t i = 0; i < d->count; i++) {
        const struct mpx_held *h = d->items[i];
        if (!is_absorbable(h))
            continue;
        add(b, o, &h->source);
        mpx_spans_add(b->spans, &s->absorbed_count, h->source.number);
        if (!base && h->source.epoch > s->epoch)
            s->epoch = h->source.epoch;
    }
    mpx_order_clear(o);
    s->metrics = b->metrics;
    s->values = b->values;
    s->absorbed = b->spans;
    s->ranks = NULL;
    s->numbers = s->node_numbers = NULL;
    s->node_count = 0;
}

static bool has_absorbable(const struct mpx_directory *d)
{
    for (size_t i = 0; i < d->count; i++)
        if (is_absorbable(d->items[i]))
            return true;
    return false;
}

static struct mpx_held *base_of(const struct mpx_directory *d)
{
    return mpx_directory_source(d, MPROXY_SOURCE_BASE, 0);
}

mproxy_status mproxy_reduction_absorb(mproxy_reduction *r, const uint8_t directory[16],
                                      mproxy_error *err)
{
    MPX_REQUIRE(r && directory, err);
    struct mpx_directory *d = mpx_directory_find(r, directory);
    if (!d)
        return mpx_fail(err, MPROXY_E_NOTFOUND, "nothing is held of the directory");
    if (!has_absorbable(d))
        return MPROXY_OK;
    struct mpx_held *base = mpx_directory_source(d, MPROXY_SOURCE_BASE, 0);
    struct sum_base b = {.source = {.struct_size = sizeof b.source,
                                    .kind = MPROXY_SOURCE_BASE,
                                    .host = d->host->name}};
    memcpy(b.source.directory, d->id, sizeof d->id);
    if (base)
        b.source = *mpx_held_show(r, base);
    mproxy_status status = MPROXY_E_NOMEM;
    if (mpx_order_refresh(&r->bench.order) && make_room(&b, d)) {
        sum_up(&b, &r->bench.order, d);
        status = mpx_reduction_take(r, &b.source, err);
        if (status == MPROXY_OK) {
            mpx_gone_note(r, base_of(d));
            mpx_held_restart(base_of(d), r->sequence);
            d->absorbed_here = true;
        }
    }
    free(b.metrics);
    free(b.values);
    free(b.spans);
    return status == MPROXY_OK ? status : no_memory(err);
}

// A source of a whole directory, until all of them can be taken.
struct coming {
    mproxy_source source;
    mproxy_value *values; // ours, if it came in the form in which sources are held
    struct mpx_held *held;
    bool is_new, is_prepared;
    bool is_kept; // what is held is not older
    struct mpx_taking taking;
};

static int compare_identities(const void *a, const void *b)
{
    const mproxy_source *x = *(const mproxy_source *const *)a;
    const mproxy_source *y = *(const mproxy_source *const *)b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static bool is_rising(const mproxy_source *const *sources, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (compare_identities(&sources[i - 1], &sources[i]) >= 0)
            return false;
    return true;
}

// Nothing comes twice. Proxies tell their sources in order: the rest is for those that don't.
static mproxy_status check_identities(const mproxy_source *const *sources, size_t count,
                                      mproxy_error *err)
{
    if (is_rising(sources, count))
        return MPROXY_OK;
    const mproxy_source **sorted = malloc(count * sizeof *sorted);
    if (!sorted)
        return no_memory(err);
    memcpy(sorted, sources, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_identities);
    bool ok = is_rising(sorted, count);
    free(sorted);
    return ok ? MPROXY_OK
              : mpx_fail(err, MPROXY_E_INVALID, "a whole directory has a source twice");
}

static mproxy_status check_all(struct mproxy_reduction *r,
                               const mproxy_source *const *sources, size_t count,
                               const mproxy_source **base, mproxy_error *err)
{
    *base = NULL;
    for (size_t i = 0; i < count; i++) {
        mproxy_status status = mpx_reduction_check(r, sources[i], err);
        if (status != MPROXY_OK)
            return status;
        if (memcmp(sources[i]->directory, sources[0]->directory, 16) != 0)
            return mpx_fail(err, MPROXY_E_INVALID, "sources of two directories");
        if (sources[i]->kind == MPROXY_SOURCE_BASE)
            *base = sources[i];
    }
    return *base ? check_identities(sources, count, err)
                 : mpx_fail(err, MPROXY_E_INVALID, "a whole directory without its base");
}

static bool lay_out(struct coming *c, const mproxy_source *source)
{
    size_t count = source->count + source->node_count;
    c->source = *source;
    if (!source->numbers && !source->node_numbers)
        return true;
    c->values = malloc((count + 1) * sizeof *c->values);
    for (size_t i = 0; c->values && i < count; i++)
        c->values[i] = mproxy_source_value(source, i);
    c->source.values = c->values;
    c->source.node_values = c->values ? c->values + source->count : NULL;
    return c->values != NULL;
}

static mproxy_status prepare(struct mproxy_reduction *r, struct coming *c,
                             const mproxy_source *source, mproxy_error *err)
{
    if (!lay_out(c, source))
        return no_memory(err);
    c->held = mpx_directory_join(r, &c->source, &c->is_new);
    if (!c->held)
        return no_memory(err);
    c->is_prepared = mpx_held_prepare(c->held, &c->source, &r->bench.shapes, &c->taking);
    return c->is_prepared ? MPROXY_OK : mpx_reduction_refuse(r, source, &c->taking, err);
}

// The base of an absorbed directory has been made here: the one that is told comes in its place.
static bool is_kept(const struct mpx_directory *d, const struct mpx_held *h,
                    const mproxy_source *s)
{
    if (!h || (s->kind == MPROXY_SOURCE_BASE && d->absorbed_here))
        return false;
    return mpx_compare_order(s, h) <= 0;
}

// Take it, or see that what is held is as new.
static mproxy_status receive(struct mproxy_reduction *r, struct coming *c,
                             const mproxy_source *source, mproxy_error *err)
{
    const struct mpx_directory *d = mpx_directory_find(r, source->directory);
    struct mpx_held *h = d ? mpx_directory_source(d, source->kind, source->number) : NULL;
    if (!is_kept(d, h, source))
        return prepare(r, c, source, err);
    c->source = *source;
    c->held = h;
    c->is_kept = true;
    return MPROXY_OK;
}

// Shares that the base has absorbed don't come.
static mproxy_status prepare_all(struct mproxy_reduction *r, struct coming *coming,
                                 const mproxy_source *const *sources, size_t count,
                                 const mproxy_source *base, mproxy_error *err)
{
    mproxy_status status = MPROXY_OK;
    for (size_t i = 0; i < count && status == MPROXY_OK; i++) {
        const mproxy_source *s = sources[i];
        bool is_absorbed =
            s->kind == MPROXY_SOURCE_SHARE &&
            mpx_spans_have(base->absorbed, base->absorbed_count, s->number);
        if (!is_absorbed)
            status = receive(r, &coming[i], s, err);
    }
    return status;
}

// Shares that began after the report was made: a proxy numbers the states of its base, shares
// and node in one row.
static bool is_younger(const struct mpx_held *h, const struct coming *coming,
                       size_t count, const mproxy_source *base)
{
    if (!mpx_held_is_share(h) ||
        mpx_spans_have(base->absorbed, base->absorbed_count, h->source.number))
        return false;
    for (size_t i = 0; i < count; i++)
        if (coming[i].held && coming[i].source.kind != MPROXY_SOURCE_TARGET &&
            mpx_compare_order(&coming[i].source, h) >= 0)
            return false;
    return true;
}

static void commit_all(struct mproxy_reduction *r, struct mpx_directory *d,
                       struct coming *coming, size_t count, const mproxy_source *base)
{
    uint64_t stamp = ++r->stamp;
    bool was_absorbed = d->absorbed_here;
    if (was_absorbed)
        mpx_gone_note(r, base_of(d)); // with what was absorbed here
    d->absorbed_here = false;
    for (size_t i = 0; i < count; i++) {
        struct coming *c = &coming[i];
        if (!c->held)
            continue;
        c->held->stamp = stamp;
        if (c->is_kept)
            mpx_reduction_hear(r, &c->source, c->held);
        else
            mpx_reduction_commit(r, &c->source, c->held, &c->taking);
    }
    if (was_absorbed)
        mpx_held_restart(base_of(d), r->sequence);
    for (size_t i = 0; i < d->count; i++) {
        struct mpx_held *h = d->items[i];
        if (!h->dropped && h->stamp != stamp && !is_younger(h, coming, count, base))
            mpx_directory_forget(r, h);
    }
}

static void discard_all(struct mproxy_reduction *r, struct coming *coming, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (coming[i].is_prepared)
            mpx_held_discard(coming[i].held, &coming[i].taking);
        if (coming[i].held && coming[i].is_new)
            mpx_directory_drop(r, coming[i].held);
    }
}

mproxy_status mproxy_reduction_replace(mproxy_reduction *r,
                                       const mproxy_source *const *sources, size_t count,
                                       mproxy_error *err)
{
    MPX_REQUIRE(r && (sources || count == 0), err);
    const mproxy_source *base;
    mproxy_status status = check_all(r, sources, count, &base, err);
    if (status != MPROXY_OK)
        return status;
    struct mpx_directory *d = mpx_directory_find(r, base->directory);
    struct mpx_held *held = d ? mpx_directory_source(d, MPROXY_SOURCE_BASE, 0) : NULL;
    if (held && mpx_compare_order(base, held) < 0)
        return MPROXY_OK;
    struct coming *coming = calloc(count, sizeof *coming);
    if (!coming)
        return no_memory(err);
    status = prepare_all(r, coming, sources, count, base, err);
    if (status == MPROXY_OK)
        commit_all(r, mpx_directory_find(r, base->directory), coming, count, base);
    else
        discard_all(r, coming, count);
    for (size_t i = 0; i < count; i++)
        free(coming[i].values);
    free(coming);
    return status;
}
