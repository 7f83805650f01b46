// Whatever happens to sources of three directories, those who ask what has changed hold what
// the one asked holds: sources come, grow, move to another host, are absorbed by their base or
// forgotten, directories are lost, absorbed here and come back. One consumer asks the holder,
// another one that consumer, each when the dice say so.

#include <stdlib.h>

#include "../support/dice.h"
#include "../support/reduction_fixture.h"
#include "../support/suite.h"

#include "source/spans.h"

enum { DIRECTORIES = 3, SHARES = 3, STEPS = 400, SPANS = STEPS, CONSUMERS = 2 };

struct source {
    struct maker maker;
    bool is;
};

// What a node has. A lost one goes on, and nothing of it is told until it is back.
static struct node {
    struct source base, shares[SHARES];
    mproxy_span absorbed[SPANS];
    uint64_t number, sequence;
    int host;
    bool is_lost;
} nodes[DIRECTORIES];

static struct consumer {
    mproxy_reduction *reduction;
    uint64_t at;
} consumers[CONSUMERS];

static void tell(struct node *n, struct source *s)
{
    struct maker *m = &s->maker;
    m->source.sequence = ++n->sequence;
    snprintf(m->host, sizeof m->host, "h%d", n->host);
    if (!n->is_lost)
        put(m);
}

static void begin(struct node *n, struct source *s)
{
    uint8_t id = (uint8_t)(1 + (n - nodes));
    if (s == &n->base) {
        make_base(&s->maker, id, n->host, roll(100));
        s->maker.source.absorbed = n->absorbed;
    } else
        make_share(&s->maker, id, n->host, ++n->number, roll(2) ? "j" : "k", roll(100));
    s->is = true;
    tell(n, s);
}

static void absorb(struct node *n, struct source *share)
{
    mproxy_source *base = &n->base.maker.source;
    n->base.maker.hits.total += share->maker.hits.total;
    mpx_spans_add(n->absorbed, &base->absorbed_count, share->maker.source.number);
    share->is = false;
    tell(n, &n->base);
}

static const uint8_t *id_of(const struct node *n)
{
    return n->base.maker.source.directory;
}

static void forget(struct node *n, struct source *s)
{
    uint64_t held[SHARES];
    size_t count = 0;
    s->is = false;
    for (int i = 0; i < SHARES; i++)
        if (n->shares[i].is)
            held[count++] = n->shares[i].maker.source.number;
    if (s == &n->base)
        mproxy_reduction_retain(reduction, id_of(n), MPROXY_SOURCE_BASE, NULL, 0);
    else
        mproxy_reduction_retain(reduction, id_of(n), MPROXY_SOURCE_SHARE, held, count);
}

static void forget_all(struct node *n)
{
    for (int i = 0; i < SHARES; i++)
        n->shares[i].is = false;
    forget(n, &n->shares[0]);
    forget(n, &n->base);
    n->is_lost = false;
}

static void lose(struct node *n)
{
    for (int i = 0; i < SHARES; i++)
        if (n->shares[i].is && roll(2))
            mproxy_reduction_stored(reduction, id_of(n),
                                    n->shares[i].maker.source.number);
    ck_assert_int_eq(mproxy_reduction_absorb(reduction, id_of(n), NULL), MPROXY_OK);
    n->is_lost = true;
}

static void come_back(struct node *n)
{
    const mproxy_source *sources[1 + SHARES] = {&n->base.maker.source};
    size_t count = 1;
    for (int i = 0; i < SHARES; i++)
        if (n->shares[i].is)
            sources[count++] = &n->shares[i].maker.source;
    ck_assert_int_eq(mproxy_reduction_replace(reduction, sources, count, NULL),
                     MPROXY_OK);
    n->is_lost = false;
}

// Its base tells that first.
static void move(struct node *n)
{
    n->host++;
    tell(n, &n->base);
    for (int i = 0; i < SHARES; i++)
        memcpy(n->shares[i].maker.host, n->base.maker.host, sizeof n->base.maker.host);
}

static void happen(void)
{
    struct node *n = &nodes[roll(DIRECTORIES)];
    struct source *share = &n->shares[roll(SHARES)], *s = roll(3) ? share : &n->base;
    uint32_t what = roll(40);
    if (!n->base.is)
        begin(n, &n->base);
    else if (!s->is)
        begin(n, s);
    else if (n->is_lost && what < 8)
        come_back(n);
    else if (what == 8)
        forget_all(n);
    else if (!n->is_lost && what == 9)
        forget(n, share);
    else if (!n->is_lost && what < 13)
        lose(n);
    else if (what == 13)
        move(n);
    else if (share->is && what < 19)
        absorb(n, share);
    else {
        s->maker.hits.total += roll(10);
        tell(n, s);
    }
}

static mproxy_status take(void *arg, const mproxy_change *change)
{
    const struct consumer *c = arg;
    return mproxy_reduction_apply(c->reduction, change, NULL);
}

static void compare_sources(const mproxy_source *a, const mproxy_source *b)
{
    bool same = memcmp(a->directory, b->directory, 16) == 0 && a->kind == b->kind &&
                a->number == b->number && a->sequence == b->sequence &&
                strcmp(a->host, b->host) == 0 && a->absorbed_count == b->absorbed_count &&
                mproxy_source_value(a, 0).total == mproxy_source_value(b, 0).total;
    for (size_t i = 0; same && i < a->absorbed_count; i++)
        same = a->absorbed[i].first == b->absorbed[i].first &&
               a->absorbed[i].end == b->absorbed[i].end;
    ck_assert_msg(
        same,
        "seed %u: source %d/%d/%llu: %llu on %s with %zu spans and %g hits, not "
        "%llu on %s with %zu and %g",
        seed, a->directory[0], (int)a->kind, (unsigned long long)a->number,
        (unsigned long long)b->sequence, b->host, b->absorbed_count,
        mproxy_source_value(b, 0).total, (unsigned long long)a->sequence, a->host,
        a->absorbed_count, mproxy_source_value(a, 0).total);
}

static void catch_up(struct consumer *c, mproxy_reduction *below)
{
    const mproxy_source *const *theirs, *const *ours;
    ck_assert_int_eq(mproxy_reduction_changes(below, c->at, take, c), MPROXY_OK);
    c->at = mproxy_reduction_sequence(below);
    size_t count = mproxy_reduction_sources(below, &theirs);
    size_t held = mproxy_reduction_sources(c->reduction, &ours);
    ck_assert_msg(held == count, "seed %u: %zu sources, not %zu", seed, held, count);
    for (size_t i = 0; i < count; i++)
        compare_sources(theirs[i], ours[i]);
}

static void run_world(void)
{
    setup();
    memset(nodes, 0, sizeof nodes);
    memset(consumers, 0, sizeof consumers);
    for (int i = 0; i < CONSUMERS; i++)
        ck_assert_int_eq(mproxy_reduction_new(store, &consumers[i].reduction, NULL),
                         MPROXY_OK);
    for (int step = 0; step < STEPS; step++) {
        happen();
        if (roll(4) == 0)
            publish();
        if (roll(3) == 0)
            catch_up(&consumers[0], reduction);
        if (roll(5) == 0)
            catch_up(&consumers[1], consumers[0].reduction);
    }
    for (int i = 0; i < CONSUMERS; i++)
        mproxy_reduction_free(consumers[i].reduction);
    teardown();
}

START_TEST(those_who_ask_hold_what_is_held)
{
    play_worlds(100, run_world);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reduction_told");
    TCase *c = tcase_create("worlds");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, those_who_ask_hold_what_is_held);
    suite_add_tcase(s, c);
    return run_suite(s);
}
