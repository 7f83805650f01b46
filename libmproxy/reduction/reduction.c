// The reduction's front: what is told of sources, and the publication of their sums.
//
// It owns all that is held: directories with their sources (directory.c, held.c), hosts and
// jobs with their sums (group.c, sum.c), and what is remembered of sources that are gone
// (gone.c). Whatever a source is and wherever it comes from, it comes in here.
//
// Telling marks what it touches and adds nothing up; a publication groups what must be
// grouped anew, builds the views of the sums that are dirty, hands all views to the store and
// only then takes note that they are shown. So one that fails leaves all marks, and the next
// one makes up for it.
//
// Invariants:
// * Of two states of one source the later stays, by (epoch, sequence), whatever order they
//   come in and however often. Being told the same again only makes ages younger.
// * A share that the base of its directory has absorbed is not held, whichever of the two
//   comes first.
// * A directory that was absorbed here, as lost, takes its base and shares whole or not at all
//   (lost.c): a base of its own lacks what was added here.
// * A call that fails has changed nothing, but for telling several sources one by one.
// * Each change of what is held raises `sequence`, the cursor of those who ask for changes.
//
// Files call downwards only: lost.c -> reduction.c -> change.c and group.c -> directory.c ->
// gone.c, held.c, sum.c -> map.c.

#include "reduction/reduction.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "base/options.h"
#include "source/spans.h"

enum {
    DEFAULT_CONTINUE_MS = 600000,
    SWEEP_ROUNDS =
        16, // after which shapes are looked at in any case: a reader let go of one
};

mproxy_status mproxy_reduction_new(mproxy_store *store, mproxy_reduction **out,
                                   mproxy_error *err)
{
    MPX_REQUIRE(store && out, err);
    struct mproxy_reduction *r = calloc(1, sizeof *r);
    if (!r)
        return mpx_fail(err, MPROXY_E_NOMEM, "reduction: no memory");
    r->bench.order.store = store;
    r->continue_ms = DEFAULT_CONTINUE_MS;
    r->regroup = true;
    *out = r;
    return MPROXY_OK;
}

void mproxy_reduction_free(mproxy_reduction *r)
{
    if (!r)
        return;
    mpx_sum_fini(&r->main, &r->bench);
    mpx_directories_fini(r);
    mpx_maps_fini(&r->bench.maps);
    mpx_shapes_fini(&r->bench.shapes);
    mpx_order_fini(&r->bench.order);
    free(r->host_order);
    free(r->job_order);
    free(r->views);
    free(r->list);
    free(r->values);
    free(r->slots);
    mpx_gone_fini(r);
    free(r);
}

void mproxy_reduction_set_continue(mproxy_reduction *r, int64_t continue_ms)
{
    r->continue_ms = continue_ms;
    r->regroup = true;
    for (size_t i = 0; i < r->job_count; i++)
        r->jobs[i]->regroup = true;
}

void mproxy_reduction_set_time(mproxy_reduction *r, int64_t now_ms)
{
    r->now_ms = now_ms;
}

static mproxy_status no_memory(mproxy_error *err)
{
    return mpx_fail(err, MPROXY_E_NOMEM, "reduction: no memory for a source");
}

mproxy_status mpx_reduction_check(struct mproxy_reduction *r, const mproxy_source *s,
                                  mproxy_error *err)
{
    mproxy_status status = MPX_STRUCT_CHECK(mproxy_source, node_numbers, s, err);
    if (status != MPROXY_OK) {
        r->stats.refused_sources++;
        return status;
    }
    if (s->kind < MPROXY_SOURCE_BASE || s->kind > MPROXY_SOURCE_TARGET) {
        r->stats.refused_sources++;
        return mpx_fail(err, MPROXY_E_INVALID, "a source of kind %d", (int)s->kind);
    }
    bool is_share = s->kind == MPROXY_SOURCE_SHARE;
    if (s->scope < MPROXY_SCOPE_ALL || s->scope > MPROXY_SCOPE_JOB ||
        (s->scope != MPROXY_SCOPE_ALL && is_share != (s->scope == MPROXY_SCOPE_JOB))) {
        r->stats.refused_sources++;
        return mpx_fail(err, MPROXY_E_INVALID, "a source of kind %d and scope %d",
                        (int)s->kind, (int)s->scope);
    }
    if (!is_share && s->ranks) {
        r->stats.refused_sources++;
        return mpx_fail(err, MPROXY_E_INVALID, "a source of kind %d with ranks",
                        (int)s->kind);
    }
    if (!is_share)
        return MPROXY_OK;
    if (s->job && mproxy_job_check_id(s->job->jobid, err) == MPROXY_OK)
        return MPROXY_OK;
    r->stats.refused_sources++;
    return s->job ? MPROXY_E_INVALID
                  : mpx_fail(err, MPROXY_E_INVALID, "a share without a job");
}

static mproxy_status refuse_lost(mproxy_error *err)
{
    return mpx_fail(err, MPROXY_E_GAP,
                    "the directory was absorbed as lost: its state is needed whole");
}

static bool is_part_of_node(const mproxy_source *s)
{
    return s->kind == MPROXY_SOURCE_BASE || s->kind == MPROXY_SOURCE_SHARE;
}

int mpx_compare_order(const mproxy_source *told, const struct mpx_held *h)
{
    if (told->epoch != h->source.epoch)
        return told->epoch < h->source.epoch ? -1 : 1;
    return told->sequence < h->source.sequence ? -1 : told->sequence > h->source.sequence;
}

// It was told once more: only ages may be younger.
static void hear_again(struct mproxy_reduction *r, const mproxy_source *s,
                       struct mpx_held *h)
{
    int64_t read_ms = r->now_ms - s->age_ms;
    h->heard = r->round;
    if (read_ms < h->read_ms)
        return;
    h->read_ms = read_ms;
    h->source.idle = s->idle;
    h->alive_ms = r->now_ms - s->silent_ms;
}

void mpx_reduction_hear(struct mproxy_reduction *r, const mproxy_source *s,
                        struct mpx_held *h)
{
    if (mpx_compare_order(s, h) == 0)
        hear_again(r, s, h);
    h->heard = r->round;
}

static void took(struct mproxy_reduction *r, const mproxy_source *s, struct mpx_held *h,
                 const struct mpx_taken *taken)
{
    h->heard = r->round;
    h->read_ms = r->now_ms - s->age_ms;
    h->alive_ms = r->now_ms - s->silent_ms;
    mpx_held_step(h, ++r->sequence);
    r->stats.dropped_values += taken->dropped_values;
    r->is_loose |= taken->reshaped;
    mpx_directory_touch(r, h, taken);
    if (s->kind == MPROXY_SOURCE_BASE)
        mpx_directory_drop_absorbed(r, h->directory);
}

void mpx_reduction_commit(struct mproxy_reduction *r, const mproxy_source *s,
                          struct mpx_held *h, struct mpx_taking *taking)
{
    struct mpx_taken taken = mpx_held_commit(h, s, taking);
    took(r, s, h, &taken);
}

mproxy_status mpx_reduction_refuse(struct mproxy_reduction *r, const mproxy_source *s,
                                   const struct mpx_taking *taking, mproxy_error *err)
{
    if (!taking->is_twice)
        return no_memory(err);
    r->stats.refused_sources++;
    return mpx_fail(err, MPROXY_E_INVALID,
                    "source %llu of kind %d has a metric of one name twice",
                    (unsigned long long)s->number, (int)s->kind);
}

mproxy_status mpx_reduction_take(struct mproxy_reduction *r, const mproxy_source *s,
                                 mproxy_error *err)
{
    struct mpx_taking taking;
    bool is_new;
    struct mpx_held *h = mpx_directory_join(r, s, &is_new);
    if (!h)
        return no_memory(err);
    if (!mpx_held_prepare(h, s, &r->bench.shapes, &taking)) {
        if (is_new)
            mpx_directory_drop(r, h);
        return mpx_reduction_refuse(r, s, &taking, err);
    }
    mpx_reduction_commit(r, s, h, &taking);
    return MPROXY_OK;
}

// Whether a source is to be taken at all; MPROXY_OK with *h: it is one that is held.
static mproxy_status look_up(struct mproxy_reduction *r, const mproxy_source *s,
                             struct mpx_held **h, bool *is_absorbed, mproxy_error *err)
{
    struct mpx_directory *d = mpx_directory_find(r, s->directory);
    *h = d ? mpx_directory_source(d, s->kind, s->number) : NULL;
    *is_absorbed =
        d && s->kind == MPROXY_SOURCE_SHARE && mpx_directory_has_absorbed(d, s->number);
    mproxy_status status = mpx_reduction_check(r, s, err);
    if (status != MPROXY_OK || !d || !d->absorbed_here || !is_part_of_node(s))
        return status;
    if (*h && mpx_compare_order(s, *h) <= 0)
        return MPROXY_OK;
    return refuse_lost(err);
}

mproxy_status mproxy_reduction_put(mproxy_reduction *r, const mproxy_source *source,
                                   mproxy_error *err)
{
    MPX_REQUIRE(r && source, err);
    struct mpx_held *h;
    bool is_absorbed;
    mproxy_source s;
    mproxy_status status = look_up(r, source, &h, &is_absorbed, err);
    if (status != MPROXY_OK || is_absorbed)
        return status;
    int order = h ? mpx_compare_order(source, h) : 1;
    if (order > 0)
        return mpx_lay_out(r, source, &s) ? mpx_reduction_take(r, &s, err)
                                          : no_memory(err);
    mpx_reduction_hear(r, source, h);
    return MPROXY_OK;
}

static mproxy_status check_change(const struct mpx_held *h, const mproxy_change *c,
                                  mproxy_error *err)
{
    const mproxy_source *s = c->source;
    if (!h || s->epoch != h->source.epoch || h->source.sequence < c->from)
        return mpx_fail(
            err, MPROXY_E_GAP,
            "a change from %llu of epoch %llu: what is held is at %llu of %llu",
            (unsigned long long)c->from, (unsigned long long)s->epoch,
            (unsigned long long)(h ? h->source.sequence : 0),
            (unsigned long long)(h ? h->source.epoch : 0));
    uint64_t slots = h->source.count + h->source.node_count;
    for (size_t i = 0; i < c->count; i++)
        if (c->slots[i] >= slots || (i > 0 && c->slots[i] <= c->slots[i - 1]))
            return mpx_fail(err, MPROXY_E_INVALID, "a change of slot %u of %llu",
                            c->slots[i], (unsigned long long)slots);
    return MPROXY_OK;
}

// What a change does not tell is as held.
static mproxy_source fill(const mproxy_change *change, const struct mpx_held *h)
{
    mproxy_source s = *change->source;
    if (change->described)
        return s;
    s.job = h->source.job;
    s.uid = h->source.uid;
    s.host = h->source.host;
    s.absorbed = h->source.absorbed;
    s.absorbed_count = h->source.absorbed_count;
    return s;
}

// Shares that the base had absorbed when it was forgotten: it can't say so any more.
static void forget_absorbed(struct mproxy_reduction *r, struct mpx_directory *d,
                            const mproxy_source *base)
{
    for (size_t i = 0; i < d->count; i++) {
        struct mpx_held *h = d->items[i];
        if (!h->dropped && mpx_held_is_share(h) && h->source.epoch <= base->epoch &&
            mpx_spans_have(base->absorbed, base->absorbed_count, h->source.number))
            mpx_directory_forget(r, h);
    }
}

// A state that is later than what was forgotten stays.
static mproxy_status forget(struct mproxy_reduction *r, const mproxy_source *s,
                            mproxy_error *err)
{
    struct mpx_directory *d = mpx_directory_find(r, s->directory);
    struct mpx_held *h = d ? mpx_directory_source(d, s->kind, s->number) : NULL;
    if (!d || (h && mpx_compare_order(s, h) < 0))
        return MPROXY_OK;
    if (d->absorbed_here && is_part_of_node(s))
        return h ? refuse_lost(err) : MPROXY_OK;
    if (h)
        mpx_directory_forget(r, h);
    if (s->kind == MPROXY_SOURCE_BASE)
        forget_absorbed(r, d, s);
    return MPROXY_OK;
}

mproxy_status mproxy_reduction_apply(mproxy_reduction *r, const mproxy_change *change,
                                     mproxy_error *err)
{
    MPX_REQUIRE(r && change, err);
    const mproxy_source *s = change->source;
    mproxy_status status = MPX_STRUCT_CHECK(mproxy_change, values, change, err);
    if (status != MPROXY_OK)
        return status;
    MPX_REQUIRE(s, err);
    if (change->whole)
        return mproxy_reduction_put(r, s, err);
    status = MPX_STRUCT_CHECK(mproxy_source, node_numbers, s, err);
    if (status != MPROXY_OK)
        return status;
    if (change->gone)
        return forget(r, s, err);
    struct mpx_directory *d = mpx_directory_find(r, s->directory);
    struct mpx_held *h = d ? mpx_directory_source(d, s->kind, s->number) : NULL;
    if (d && s->kind == MPROXY_SOURCE_SHARE && mpx_directory_has_absorbed(d, s->number) &&
        !d->absorbed_here)
        return MPROXY_OK;
    if (h && mpx_compare_order(s, h) <= 0) {
        if (mpx_compare_order(s, h) == 0)
            hear_again(r, s, h);
        return MPROXY_OK;
    }
    if (d && d->absorbed_here && is_part_of_node(s))
        return refuse_lost(err);
    status = check_change(h, change, err);
    if (status != MPROXY_OK)
        return status;
    mproxy_source filled = fill(change, h);
    status = mpx_reduction_check(r, &filled, err);
    if (status != MPROXY_OK)
        return status;
    mproxy_change c = *change;
    c.source = &filled;
    bool is_new;
    struct mpx_taken taken;
    if (!mpx_directory_join(r, &filled, &is_new) || !mpx_held_apply(h, &c, &taken))
        return no_memory(err);
    took(r, s, h, &taken);
    return MPROXY_OK;
}

void mproxy_reduction_heard(mproxy_reduction *r, const uint8_t directory[16],
                            int64_t age_ms)
{
    struct mpx_directory *d = mpx_directory_find(r, directory);
    int64_t heard_ms = r->now_ms - age_ms;
    if (!d || (d->is_heard && heard_ms <= d->heard_ms))
        return;
    d->heard_ms = heard_ms;
    d->is_heard = true;
    for (size_t i = 0; i < d->count; i++)
        d->items[i]->heard = r->round;
}

void mproxy_reduction_stored(mproxy_reduction *r, const uint8_t directory[16],
                             uint64_t number)
{
    struct mpx_directory *d = mpx_directory_find(r, directory);
    struct mpx_held *h = d ? mpx_directory_source(d, MPROXY_SOURCE_SHARE, number) : NULL;
    if (!h)
        return;
    h->stored = true;
    // It counts nowhere else, so no base takes it.
    if (h->source.scope == MPROXY_SCOPE_JOB && h->source.sealed)
        mpx_directory_forget(r, h);
}

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static bool is_in(const uint64_t *numbers, size_t count, uint64_t number)
{
    for (size_t i = 0; i < count; i++)
        if (numbers[i] == number)
            return true;
    return false;
}

void mproxy_reduction_retain(mproxy_reduction *r, const uint8_t directory[16],
                             mproxy_source_kind kind, const uint64_t *numbers,
                             size_t count)
{
    struct mpx_directory *d = mpx_directory_find(r, directory);
    if (!d)
        return;
    uint64_t *sorted = count ? malloc(count * sizeof *sorted) : NULL;
    if (sorted) {
        memcpy(sorted, numbers, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, compare_numbers);
    }
    for (size_t i = 0; i < d->count; i++) {
        struct mpx_held *h = d->items[i];
        if (h->dropped || h->source.kind != kind)
            continue;
        // Slow, but needs no memory.
        if (!(sorted ? mpx_numbers_have(sorted, count, h->source.number)
                     : is_in(numbers, count, h->source.number)))
            mpx_directory_forget(r, h);
    }
    free(sorted);
}

static void look_at_rivals(struct mproxy_reduction *r)
{
    if (r->round % (MPX_NODE_SILENT_MAX + 1) != 0)
        return;
    for (size_t i = 0; i < r->host_count; i++)
        if (r->hosts[i]->has_rivals)
            r->hosts[i]->regroup = r->regroup = true;
}

static bool group(struct mproxy_reduction *r)
{
    look_at_rivals(r);
    if (!r->regroup)
        return true;
    if (!mpx_regroup(r))
        return false;
    mpx_directories_sweep(r);
    r->regroup = false;
    r->is_loose = true;
    return true;
}

static size_t count_views(const struct mproxy_reduction *r)
{
    return 1 + r->host_order_count + r->job_order_count;
}

static struct mpx_sum *sum_at(struct mproxy_reduction *r, size_t i)
{
    if (i == 0)
        return &r->main;
    if (i <= r->host_order_count)
        return &r->host_order[i - 1]->sum;
    return &r->job_order[i - 1 - r->host_order_count]->sum;
}

// The views that are to be published, each with a reference of its own.
static mproxy_status build(struct mproxy_reduction *r, bool *any, mproxy_error *err)
{
    uint64_t steps_back = 0;
    for (size_t i = 0; i < count_views(r); i++) {
        struct mpx_sum *sum = sum_at(r, i);
        if (!mpx_sum_is_dirty(sum)) {
            r->views[i] = mproxy_view_ref(sum->view);
            continue;
        }
        *any = true;
        mproxy_status status =
            mpx_sum_build(sum, &r->bench, &r->views[i], &steps_back, err);
        if (status != MPROXY_OK) {
            while (i-- > 0)
                mproxy_view_unref(r->views[i]);
            return status;
        }
    }
    r->stats.steps_back += steps_back;
    return MPROXY_OK;
}

mproxy_status mproxy_reduction_publish(mproxy_reduction *r, mproxy_error *err)
{
    MPX_REQUIRE(r, err);
    r->round++;
    size_t before = count_views(r);
    bool any = !r->published || r->regroup;
    if (!mpx_order_refresh(&r->bench.order) || !group(r) ||
        !MPX_RESERVE(r->views, r->view_room, count_views(r)))
        return mpx_fail(err, MPROXY_E_NOMEM, "reduction: no memory for %zu views",
                        before);
    mproxy_status status = build(r, &any, err);
    if (status != MPROXY_OK)
        return status;
    if (any)
        status =
            mproxy_store_publish(r->bench.order.store, r->views, count_views(r), err);
    for (size_t i = 0; i < count_views(r); i++) {
        if (status == MPROXY_OK)
            mpx_sum_settle(sum_at(r, i), r->views[i]);
        else
            mproxy_view_unref(r->views[i]);
    }
    if (r->is_loose || r->round % SWEEP_ROUNDS == 0)
        mpx_shapes_sweep(&r->bench.shapes);
    else
        mpx_shapes_tidy(&r->bench.shapes);
    r->is_loose &= status != MPROXY_OK;
    r->published |= status == MPROXY_OK;
    return status;
}

mproxy_status mproxy_reduction_get_stats(const mproxy_reduction *r,
                                         mproxy_reduction_stats *out)
{
    MPX_REQUIRE(r && out, NULL);
    mproxy_reduction_stats stats = r->stats;
    stats.views = count_views(r);
    stats.sources = r->source_count;
    return MPX_STRUCT_GIVE(mproxy_reduction_stats, steps_back, out, &stats, NULL);
}
