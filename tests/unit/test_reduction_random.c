// The same history held as whole states, and as changes that two holders pass on: in each step
// sources of four directories change, and each holder asks the one below what has changed.
// Replies are lost, repeated and come late and in another order; a holder in the middle dies
// and begins anew. Whatever happens nothing is shown twice or steps back, and when it is quiet
// the root shows what the leaf shows, to the last bit.

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mproxy/reduction.h>

#include "../support/dice.h"
#include "../support/suite.h"

enum {
    HOPS = 3,
    DIRECTORIES = 4,
    SHARES = 3,
    METRICS = 24,
    LATE = 4,
    STEPS = 150,
    QUIET = 6
};

// What happens at the leaf.

struct state {
    bool is;
    mproxy_source_kind kind;
    uint64_t number, epoch, sequence;
    bool sealed, absorbed;
    size_t count, node_count;
    uint32_t metrics[METRICS]; // ids
    mproxy_value values[METRICS];
    mproxy_ranks ranks[METRICS];
};

static struct {
    struct state sources[DIRECTORIES][2 + SHARES]; // base, node, shares
    mproxy_span absorbed[DIRECTORIES][SHARES];
    uint64_t now;
} world;

// Holder 0 is the leaf: it is told whole states. The others ask the one below.
struct holder {
    mproxy_store *store;
    mproxy_reduction *reduction;
    const mproxy_metric *metrics[METRICS];
    uint64_t life;
    uint64_t cursor_life, cursor; // of the holder below
    bool wants_all;
    double main;
};

static struct holder holders[HOPS];

static void begin(struct holder *h)
{
    static uint64_t lives;
    ck_assert_int_eq(mproxy_store_open(NULL, &h->store, NULL), MPROXY_OK);
    for (int i = 0; i < METRICS; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%02d", (i * 7) % METRICS);
        mproxy_store_metric(h->store, name, i % 3 ? MPROXY_COUNTER : MPROXY_GAUGE, "",
                            &h->metrics[i], NULL);
    }
    ck_assert_int_eq(mproxy_reduction_new(h->store, &h->reduction, NULL), MPROXY_OK);
    h->life = ++lives;
    h->cursor_life = h->cursor = 0;
    h->main = 0;
}

static void end(struct holder *h)
{
    mproxy_reduction_free(h->reduction);
    mproxy_store_close(h->store);
}

static mproxy_value fresh_value(uint32_t metric)
{
    mproxy_value v = {.total = roll(1000) / 8.0, .ts_us = ++world.now};
    if (metric % 3)
        return v;
    if (chance(10))
        return (mproxy_value){0};
    v.hits = chance(70) ? 1 : 1 + roll(4);
    v.min = v.hits == 1 ? v.total : v.total / 8;
    v.max = v.hits == 1 ? v.total : v.total / 2;
    return v;
}

static void grow(struct state *s)
{
    uint32_t first = s->count ? roll(METRICS) : (uint32_t)s->number * 5 % METRICS;
    for (uint32_t i = 0; i < METRICS && s->count + s->node_count < METRICS; i++) {
        uint32_t metric = (first + i) % METRICS;
        bool known = false;
        for (size_t k = 0; k < s->count; k++)
            known |= s->metrics[k] == metric;
        if (known || s->node_count)
            continue;
        s->metrics[s->count] = metric;
        s->values[s->count++] = fresh_value(metric);
        if (chance(30))
            return;
    }
}

static void change(struct state *s)
{
    for (size_t i = 0; i < s->count + s->node_count; i++) {
        if (!chance(30))
            continue;
        mproxy_value v = fresh_value(s->metrics[i]);
        if (s->metrics[i] % 3)
            v.total += s->values[i].total;
        s->values[i] = v;
    }
    s->sequence++;
}

static void seal(struct state *s)
{
    memset(s->ranks, 0, sizeof s->ranks);
    for (size_t i = 0; i < s->count; i++)
        if (s->metrics[i] % 3)
            mproxy_ranks_add(&s->ranks[i], (uint32_t)s->number, s->values[i].total);
    s->sealed = true;
    s->sequence++;
}

// The base takes the share's counters; its gauges leave.
static void absorb(int d, struct state *share)
{
    struct state *base = &world.sources[d][0];
    for (size_t i = 0; i < share->count; i++) {
        size_t k = 0;
        if (share->metrics[i] % 3 == 0)
            continue;
        while (k < base->count && base->metrics[k] != share->metrics[i])
            k++;
        if (k == METRICS)
            return;
        if (k == base->count) {
            base->metrics[base->count] = share->metrics[i];
            base->values[base->count++] = (mproxy_value){0};
        }
        mproxy_value_merge(MPROXY_COUNTER, &base->values[k], &share->values[i]);
    }
    share->absorbed = true;
    base->sequence++;
}

// The proxy of a directory starts again: a greater epoch, sequences from 1.
static void restart(int d)
{
    for (int i = 0; i < 2 + SHARES; i++) {
        world.sources[d][i].epoch++;
        world.sources[d][i].sequence = 1;
    }
}

static void happen(void)
{
    int d = (int)roll(DIRECTORIES), i = (int)roll(2 + SHARES);
    struct state *s = &world.sources[d][i];
    if (i == 1 && d % 2) // rivals are another test's
        return;
    if (!s->is) {
        *s = (struct state){
            .is = true, .epoch = world.sources[d][0].epoch + !i, .sequence = 1};
        s->kind = i == 0   ? MPROXY_SOURCE_BASE
                  : i == 1 ? MPROXY_SOURCE_NODE
                           : MPROXY_SOURCE_SHARE;
        s->number = i < 2 ? 0 : (uint64_t)i - 1;
        grow(s);
        if (i >= 2 && chance(50) && s->count < METRICS) {
            s->metrics[s->count] = s->metrics[0];
            s->values[s->count] = fresh_value(s->metrics[0]);
            s->node_count = 1;
        }
        return;
    }
    if (s->absorbed)
        return;
    if (chance(3))
        restart(d);
    else if (i >= 2 && s->sealed && world.sources[d][0].is)
        absorb(d, s);
    else if (i >= 2 && !s->sealed && chance(10))
        seal(s);
    else if (!s->sealed) {
        if (chance(10))
            grow(s);
        change(s);
    }
}

static void tell_state(struct holder *h, int d, struct state *s)
{
    const mproxy_metric *metrics[METRICS];
    char host[8], jobid[8];
    mproxy_job job = {.jobid = jobid, .command = "./a"};
    size_t spans = 0;
    snprintf(host, sizeof host, "h%d", d / 2); // two directories a host
    snprintf(jobid, sizeof jobid, "j%d", (int)s->number);
    for (size_t i = 0; i < s->count + s->node_count; i++)
        metrics[i] = h->metrics[s->metrics[i]];
    for (int i = 2; i < 2 + SHARES; i++)
        if (world.sources[d][i].absorbed)
            world.absorbed[d][spans++] =
                (mproxy_span){world.sources[d][i].number, world.sources[d][i].number + 1};
    mproxy_source source = {.struct_size = sizeof(mproxy_source),
                            .directory = {(uint8_t)(d + 1)},
                            .kind = s->kind,
                            .number = s->number,
                            .epoch = s->epoch,
                            .sequence = s->sequence,
                            .host = host,
                            .sealed = s->sealed,
                            .start_ms = 1000,
                            .end_ms = 1000 + (int64_t)s->sequence,
                            .count = s->count,
                            .metrics = metrics,
                            .values = s->values,
                            .ranks = s->sealed ? s->ranks : NULL,
                            .node_count = s->node_count,
                            .node_metrics = metrics + s->count,
                            .node_values = s->values + s->count};
    if (s->kind == MPROXY_SOURCE_SHARE)
        source.job = &job;
    if (s->kind == MPROXY_SOURCE_BASE) {
        source.absorbed = world.absorbed[d];
        source.absorbed_count = spans;
    }
    ck_assert_int_eq(mproxy_reduction_put(h->reduction, &source, NULL), MPROXY_OK);
}

static void tell_leaf(void)
{
    for (int d = 0; d < DIRECTORIES; d++)
        for (int i = 0; i < 2 + SHARES; i++) {
            struct state *s = &world.sources[d][i];
            if (s->is && !s->absorbed)
                tell_state(&holders[0], d, s);
        }
}

// A reply on its way: copies of changes, with metrics by their id.

struct item {
    mproxy_change change;
    mproxy_source source; // of it
    mproxy_job job;
    mproxy_span absorbed[SHARES];
    uint32_t metrics[METRICS], slots[METRICS];
    mproxy_value values[METRICS];
    mproxy_ranks ranks[METRICS];
    char host[8];
    bool has_ranks;
};

struct reply {
    uint64_t life, since, to;
    size_t count;
    struct item items[DIRECTORIES * (2 + SHARES)];
};

static mproxy_status pack(void *arg, const mproxy_change *c)
{
    struct reply *reply = arg;
    struct item *item = &reply->items[reply->count++];
    const mproxy_source *s = c->source;
    *item = (struct item){.change = *c, .source = *s, .has_ranks = s->ranks != NULL};
    snprintf(item->host, sizeof item->host, "%s", s->host);
    for (size_t i = 0; c->described && i < s->absorbed_count; i++)
        item->absorbed[i] = s->absorbed[i];
    if (c->described && s->job)
        ck_assert_int_eq(mproxy_job_copy(s->job, &item->job), MPROXY_OK);
    for (size_t i = 0; c->whole && i < s->count + s->node_count; i++) {
        const mproxy_metric *m =
            i < s->count ? s->metrics[i] : s->node_metrics[i - s->count];
        item->metrics[i] = mproxy_metric_id(m);
        item->values[i] = mproxy_source_value(s, i);
        if (i < s->count && s->ranks)
            item->ranks[i] = s->ranks[i];
    }
    for (size_t i = 0; !c->whole && i < c->count; i++) {
        item->slots[i] = c->slots[i];
        item->values[i] = c->values[i];
    }
    return MPROXY_OK;
}

static void discard(struct reply *reply)
{
    for (size_t i = 0; reply && i < reply->count; i++)
        mproxy_job_clear(&reply->items[i].job);
    free(reply);
}

static struct reply *ask(const struct holder *h, struct holder *below)
{
    bool is_known = h->cursor_life == below->life && !h->wants_all;
    struct reply *reply = calloc(1, sizeof *reply);
    reply->life = below->life;
    reply->since = is_known ? h->cursor : 0;
    reply->to = mproxy_reduction_sequence(below->reduction);
    ck_assert_int_eq(
        mproxy_reduction_changes(below->reduction, reply->since, pack, reply), MPROXY_OK);
    return reply;
}

static mproxy_status take_item(struct holder *h, const struct item *item)
{
    const mproxy_metric *metrics[METRICS];
    mproxy_change c = item->change;
    mproxy_source s = item->source;
    c.source = &s;
    for (size_t i = 0; c.whole && i < s.count + s.node_count; i++)
        metrics[i] = h->metrics[item->metrics[i]];
    s.host = item->host;
    s.job = c.described && item->job.jobid ? &item->job : NULL;
    s.absorbed = item->absorbed;
    s.metrics = metrics;
    s.values = item->values;
    s.ranks = item->has_ranks ? item->ranks : NULL;
    s.node_metrics = metrics + s.count;
    s.node_values = item->values + s.count;
    s.numbers = s.node_numbers = NULL;
    c.slots = item->slots;
    c.values = item->values;
    return mproxy_reduction_apply(h->reduction, &c, NULL);
}

static void take(struct holder *h, const struct reply *reply)
{
    bool is_ahead =
        reply->since == 0 || (h->cursor_life == reply->life && h->cursor >= reply->since);
    bool gap = false;
    for (size_t i = 0; i < reply->count; i++) {
        mproxy_status status = take_item(h, &reply->items[i]);
        ck_assert_msg(status == MPROXY_OK || status == MPROXY_E_GAP, "seed %u: %d", seed,
                      status);
        gap |= status == MPROXY_E_GAP;
    }
    if (gap) {
        h->wants_all = true;
        return;
    }
    if (!is_ahead)
        return;
    bool same = h->cursor_life == reply->life;
    h->cursor = same && h->cursor > reply->to ? h->cursor : reply->to;
    h->cursor_life = reply->life;
    h->wants_all &= reply->since != 0;
}

static void show(struct holder *h)
{
    mproxy_reduction_stats stats = {.struct_size = sizeof stats};
    ck_assert_int_eq(mproxy_reduction_publish(h->reduction, NULL), MPROXY_OK);
    mproxy_reduction_get_stats(h->reduction, &stats);
    ck_assert_msg(stats.steps_back == 0, "seed %u: a counter stepped back", seed);
    mproxy_snapshot *s = mproxy_store_snapshot(h->store);
    const mproxy_view *view = mproxy_snapshot_find(s, "main");
    double total = 0;
    for (size_t i = 0; i < mproxy_view_size(view); i++) {
        mproxy_entry e = mproxy_view_at(view, i);
        total += mproxy_metric_type(e.metric) == MPROXY_COUNTER ? e.value.total : 0;
    }
    mproxy_snapshot_unref(s);
    ck_assert_msg(total >= h->main, "seed %u: main steps back", seed);
    ck_assert_msg(h == holders || total <= holders[0].main, "seed %u: counted twice",
                  seed);
    h->main = total;
}

// Replies that have not arrived, oldest first; one that arrives may do so again.
struct wire {
    struct reply *late[LATE];
    size_t count;
};

static void deliver(struct wire *w, struct holder *h)
{
    for (size_t n = roll(3); n > 0 && w->count > 0; n--)
        take(h, w->late[roll((uint32_t)w->count)]);
    while (w->count > 0 && chance(40)) {
        discard(w->late[0]);
        memmove(w->late, w->late + 1, --w->count * sizeof *w->late);
    }
}

static void pass_on(struct wire *w, int i, bool lossy)
{
    struct holder *h = &holders[i];
    if (w->count == LATE) {
        discard(w->late[0]);
        memmove(w->late, w->late + 1, --w->count * sizeof *w->late);
    }
    struct reply *reply = ask(h, &holders[i - 1]);
    if (!lossy)
        take(h, reply);
    else if (chance(5)) { // worse than any wire: it believes to have what it has not
        h->cursor = reply->to;
        h->cursor_life = reply->life;
    }
    w->late[w->count++] = reply;
    if (lossy)
        deliver(w, h);
}

static bool same_value(const mproxy_entry *a, const mproxy_entry *b)
{
    return a->value.total == b->value.total && a->value.min == b->value.min &&
           a->value.max == b->value.max && a->value.hits == b->value.hits &&
           a->value.ts_us == b->value.ts_us &&
           strcmp(mproxy_metric_name(a->metric), mproxy_metric_name(b->metric)) == 0;
}

static bool same_ranks(const mproxy_ranks *a, const mproxy_ranks *b)
{
    if (!a || !b)
        return a == b;
    return a->n == b->n && a->sum == b->sum && a->min == b->min && a->max == b->max &&
           a->min_rank == b->min_rank && a->max_rank == b->max_rank;
}

static void compare_views(const mproxy_view *a, const mproxy_view *b)
{
    ck_assert_msg(strcmp(mproxy_view_key(a), mproxy_view_key(b)) == 0 &&
                      mproxy_view_size(a) == mproxy_view_size(b),
                  "seed %u: '%s' of %zu, '%s' of %zu", seed, mproxy_view_key(a),
                  mproxy_view_size(a), mproxy_view_key(b), mproxy_view_size(b));
    for (size_t i = 0; i < mproxy_view_size(a); i++) {
        mproxy_entry x = mproxy_view_at(a, i), y = mproxy_view_at(b, i);
        ck_assert_msg(same_value(&x, &y) && same_ranks(x.ranks, y.ranks),
                      "seed %u: %s of '%s' is %g, not %g", seed,
                      mproxy_metric_name(x.metric), mproxy_view_key(a), y.value.total,
                      x.value.total);
    }
}

static void compare_holders(const struct holder *leaf, const struct holder *h)
{
    mproxy_snapshot *a = mproxy_store_snapshot(leaf->store),
                    *b = mproxy_store_snapshot(h->store);
    ck_assert_msg(mproxy_snapshot_size(a) == mproxy_snapshot_size(b),
                  "seed %u: %zu views, not %zu", seed, mproxy_snapshot_size(b),
                  mproxy_snapshot_size(a));
    for (size_t i = 0; i < mproxy_snapshot_size(a); i++)
        compare_views(mproxy_snapshot_at(a, i), mproxy_snapshot_at(b, i));
    mproxy_snapshot_unref(a);
    mproxy_snapshot_unref(b);
}

static void run_world(void)
{
    struct wire wires[HOPS] = {0};
    memset(&world, 0, sizeof world);
    for (int i = 0; i < HOPS; i++)
        begin(&holders[i]);
    for (int step = 0; step < STEPS + QUIET; step++) {
        bool lossy = step < STEPS;
        for (int i = 1; step == STEPS && i < HOPS; i++)
            holders[i].wants_all = true;
        for (uint32_t n = roll(6); lossy && n > 0; n--)
            happen();
        tell_leaf();
        show(&holders[0]);
        for (int i = 1; i < HOPS; i++) {
            pass_on(&wires[i], i, lossy);
            show(&holders[i]);
        }
        if (lossy && chance(3)) {
            end(&holders[1]);
            begin(&holders[1]);
        }
    }
    for (int i = 1; i < HOPS; i++)
        compare_holders(&holders[0], &holders[i]);
    for (int i = 0; i < HOPS; i++) {
        for (size_t k = 0; k < wires[i].count; k++)
            discard(wires[i].late[k]);
        end(&holders[i]);
    }
}

START_TEST(states_and_changes_come_to_the_same_sums)
{
    play_worlds(60, run_world);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reduction_random");
    TCase *c = tcase_create("worlds");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, states_and_changes_come_to_the_same_sums);
    suite_add_tcase(s, c);
    return run_suite(s);
}
