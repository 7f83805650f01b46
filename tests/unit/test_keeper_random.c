// Random scenarios against a simple oracle: runs of several shares on several nodes; shares
// appear, seal, are absorbed when released; the keeper is closed and opened at random. In
// the end each run has exactly one profile with exactly its sum.

#include "../support/keeper_fixture.h"
#include "../support/suite.h"

enum { RUNS = 12, NODES = 5 };

struct run {
    char id[8];
    int64_t start_ms, end_ms;
    char command[8];
    double sum;
};

static struct run runs[RUNS];

static void make_runs(void)
{
    int64_t at_ms[3] = {1000, 1000, 1000};
    for (size_t i = 0; i < RUNS; i++) {
        struct run *r = &runs[i];
        size_t id = (size_t)(rand() % 3);
        const struct run *before = NULL;
        snprintf(r->id, sizeof r->id, "r%zu", id);
        for (size_t k = 0; k < i; k++)
            if (strcmp(runs[k].id, r->id) == 0)
                before = &runs[k];
        bool soon = before && rand() % 3 == 0;
        snprintf(r->command, sizeof r->command, "./a%zu", soon ? i : 99);
        r->start_ms = at_ms[id] + (soon ? 2000 : CONTINUE_MS + 2000);
        r->end_ms = r->start_ms + 10000 + 1000 * (rand() % 200);
        r->sum = 0;
        at_ms[id] = r->end_ms;
    }
}

// A share of a run within its time; those of one run overlap, or follow in the gap.
static void add_random_share(uint64_t number)
{
    struct run *r = &runs[rand() % RUNS];
    double value = rand() % 1000;
    int64_t length = r->end_ms - r->start_ms;
    bool first = rand() % 2;
    struct share *s = add_share((unsigned)rand() % NODES, number, r->id, r->command,
                                r->start_ms + (first ? 0 : rand() % (length / 2)),
                                r->end_ms - rand() % (length / 4), value);
    s->source.sealed = 0;
    r->sum += value;
}

static void seal_random_share(void)
{
    struct share *s = &shares[(size_t)rand() % share_count];
    if (!s->source.sealed && rand() % 4 == 0) {
        double more = rand() % 10;
        for (size_t i = 0; i < RUNS; i++)
            if (strcmp(runs[i].id, s->jobid) == 0 &&
                runs[i].start_ms <= s->source.start_ms &&
                s->source.end_ms <= runs[i].end_ms)
                runs[i].sum += more;
        s->value.total += more;
        s->source.sequence++;
    } else {
        s->source.sealed = 1;
        s->source.sequence++;
    }
}

static void drop_share(size_t i)
{
    memmove(&shares[i], &shares[i + 1], (--share_count - i) * sizeof *shares);
    for (; i < share_count; i++) { // what points into the struct moved along
        struct share *s = &shares[i];
        s->job.jobid = s->jobid;
        s->source.job = &s->job;
        s->source.values = &s->value;
        s->source.ranks = &s->ranks;
        s->source.node_values = &s->node_value;
    }
}

static void absorb_released(void)
{
    const struct mpx_release *releases;
    size_t count = mpx_keeper_releases(keeper, &releases);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < share_count; k++)
            if (shares[k].source.number == releases[i].number &&
                memcmp(shares[k].source.directory, releases[i].directory, 16) == 0) {
                ck_assert(shares[k].source.sealed);
                drop_share(k);
                break;
            }
}

static void add_stored_sum(void *arg, const mproxy_archive_item *item)
{
    mproxy_profile *p = load(item->key);
    double *total = arg;
    bool found = false;
    for (size_t i = 0; i < RUNS && !found; i++) {
        const struct run *r = &runs[i];
        found = strcmp(r->id, item->desc->jobid) == 0 &&
                r->start_ms <= p->shares[0].start_ms && p->shares[0].end_ms <= r->end_ms;
        if (found)
            ck_assert_msg(p->entries[0].value.total == r->sum, "%s: %g instead of %g",
                          item->key, p->entries[0].value.total, r->sum);
        if (found)
            ck_assert_str_eq(p->desc.command, r->command);
    }
    ck_assert(found);
    *total += p->entries[0].value.total;
    mproxy_profile_free(p);
}

START_TEST(random_scenarios_end_in_one_exact_profile_per_run)
{
    for (unsigned seed = 1; seed <= 30; seed++) {
        uint64_t number = 1;
        double stored = 0, counted = 0;
        srand(seed);
        make_runs();
        for (int step = 0; step < 120; step++) {
            int what = rand() % 10;
            if (what < 3 && step < 80)
                add_random_share(number++);
            else if (what < 7 && share_count > 0)
                seal_random_share();
            else if (what == 7)
                absorb_released();
            else
                start_round();
            if (rand() % 40 == 0) {
                close_keeper();
                open_keeper();
            }
        }
        for (size_t i = 0; i < share_count; i++)
            shares[i].source.sealed = 1, shares[i].source.sequence++;
        for (int i = 0; i < 10 && share_count > 0; i++) {
            run_round();
            absorb_released();
        }

        ck_assert_msg(share_count == 0, "seed %u: %zu shares stay", seed, share_count);
        mproxy_archive_each(archive, add_stored_sum, &stored);
        for (size_t i = 0; i < RUNS; i++)
            counted += runs[i].sum;
        ck_assert_msg(stored == counted, "seed %u: %g of %g", seed, stored, counted);
        teardown();
        setup();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keeper_random");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, random_scenarios_end_in_one_exact_profile_per_run);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
