// Names that the ledger gives back: gauges of processes that have ended, and what was counted
// by jobs that the base has absorbed. Counters stay, in memory and in the state file. And the
// types of names, which are a job's own.

#include "../support/ledger_fixture.h"
#include "../support/suite.h"

static struct fixture f;

static void setup(void)
{
    fixture_init(&f);
    for (int i = 0; i < METRICS; i++)
        (void)mproxy_metric_ref(f.metrics[i]);
}

static void teardown(void)
{
    fixture_fini(&f);
}

// What a process counts in: the usual counters, and a gauge that no other has.
struct own_layout {
    mproxy_layout layout;
    const mproxy_metric *metrics[METRICS];
};

static void layout_init(struct own_layout *l, int number)
{
    char name[64];
    snprintf(name, sizeof name, "level{run=\"%d\"}", number);
    memcpy(l->metrics, f.metrics, sizeof l->metrics);
    ck_assert_int_eq(mproxy_store_metric(f.store, name, MPROXY_GAUGE, "a test's",
                                         &l->metrics[LEVEL], NULL),
                     MPROXY_OK);
    (void)mproxy_metric_ref(l->metrics[LEVEL]);
    l->layout = (mproxy_layout){METRICS, l->metrics};
}

static void layout_end(struct own_layout *l)
{
    mproxy_ledger_forget(f.ledger, &l->layout);
    mproxy_metric_unref(l->metrics[LEVEL]);
}

// One process's life, in a round and another. It counts a hit.
static void live_and_end(int number, const char *jobid)
{
    struct own_layout l;
    struct person p;
    layout_init(&l, number);
    person_start(&f, &p, (uint64_t)number + 1, jobid, 1);
    p.part.layout = &l.layout;
    person_set(&p, 5);
    ck_assert_int_eq(ROUND(&f, &p), MPROXY_OK);
    person_end(&f, &p);
    ck_assert_int_eq(ROUND(&f, &p), MPROXY_OK);
    mproxy_ledger_unlink_pending(f.ledger, always_gone, NULL);
    layout_end(&l);
}

START_TEST(gauges_of_the_dead_leave_the_base_and_its_counters_stay)
{
    size_t before = 0;
    for (int i = 0; i < 200; i++) {
        live_and_end(i, "");
        idle_rounds(&f, 1);
        mproxy_store_sweep(f.store);
        if (i == 0)
            before = mproxy_store_metric_count(f.store);
        ck_assert_uint_le(mproxy_store_metric_count(f.store), before);
    }
    ck_assert_double_eq(total_of(base_of(&f), "hits_total"), 200);
    ck_assert_ptr_null(value_of(base_of(&f), "level{run=\"199\"}"));

    fixture_restart(&f);
    idle_rounds(&f, 1);
    ck_assert_double_eq(total_of(base_of(&f), "hits_total"), 200);
}
END_TEST

START_TEST(a_gauge_that_somebody_alive_counts_in_stays)
{
    struct own_layout l;
    struct person p;
    layout_init(&l, 1000);
    person_start(&f, &p, 5000, "", 1);
    p.part.layout = &l.layout;
    person_set(&p, 7);
    ROUND(&f, &p);

    live_and_end(1, "");
    ROUND(&f, &p);
    mproxy_store_sweep(f.store);

    ck_assert_double_eq(total_of(base_of(&f), "level{run=\"1000\"}"), 7);
    person_set(&p, 8);
    ROUND(&f, &p);
    ck_assert_double_eq(total_of(base_of(&f), "level{run=\"1000\"}"), 8);
    layout_end(&l);
}
END_TEST

START_TEST(names_of_absorbed_jobs_are_given_back_and_the_state_stays_exact)
{
    size_t known = 0;
    for (int i = 0; i < 60; i++) {
        char jobid[16];
        snprintf(jobid, sizeof jobid, "j%d", i);
        live_and_end(i, jobid);
        idle_rounds(&f, 3);
        ck_assert_int_eq(source_of(&f, (uint64_t)i + 1)->sealed, 1);
        mproxy_store_sweep(f.store);
        // The share shows it, so it is known.
        char name[64];
        snprintf(name, sizeof name, "level{run=\"%d\"}", i);
        ck_assert_ptr_nonnull(value_of(source_of(&f, (uint64_t)i + 1), name));
        release(&f, (uint64_t)i + 1);
        mproxy_store_sweep(f.store);
        if (i == 0)
            known = mproxy_store_metric_count(f.store);
        ck_assert_uint_eq(mproxy_store_metric_count(f.store), known);
        // Ids stand for other metrics now, and the state file is read all the same.
        if (i % 20 == 19) {
            fixture_restart(&f);
            for (int k = 0; k < METRICS; k++)
                (void)mproxy_metric_ref(f.metrics[k]);
            idle_rounds(&f, 1);
        }
        ck_assert_double_eq(total_of(base_of(&f), "hits_total"), i + 1);
    }
}
END_TEST

// A process that has the test's gauge as a counter.
static void layout_other_type(struct own_layout *l)
{
    memcpy(l->metrics, f.metrics, sizeof l->metrics);
    ck_assert_int_eq(mproxy_store_metric(f.store, "level", MPROXY_COUNTER, "a test's",
                                         &l->metrics[LEVEL], NULL),
                     MPROXY_OK);
    (void)mproxy_metric_ref(l->metrics[LEVEL]);
    l->layout = (mproxy_layout){METRICS, l->metrics};
}

static mproxy_type type_of(const mproxy_source *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(mproxy_metric_name(s->metrics[i]), name) == 0)
            return mproxy_metric_type(s->metrics[i]);
    return 0;
}

START_TEST(a_job_has_its_own_types_whatever_others_have)
{
    struct own_layout other;
    struct person a, b;
    layout_other_type(&other);
    person_start(&f, &a, 1, "j", 1);
    person_set(&a, 5);
    person_start(&f, &b, 2, "k", 1);
    b.part.layout = &other.layout;
    b.values[LEVEL] = 3;
    ROUND(&f, &a, &b);

    ck_assert_int_eq(type_of(source_of(&f, 1), "level"), MPROXY_GAUGE);
    ck_assert_double_eq(total_of(source_of(&f, 1), "level"), 5);
    ck_assert_int_eq(type_of(source_of(&f, 2), "level"), MPROXY_COUNTER);
    ck_assert_double_eq(total_of(source_of(&f, 2), "level"), 3);
    ck_assert(!source_of(&f, 1)->incomplete && !source_of(&f, 2)->incomplete);
    layout_end(&other);
}
END_TEST

START_TEST(of_one_job_the_first_type_wins_and_the_refusal_marks_it)
{
    struct own_layout other;
    struct person a, b;
    layout_other_type(&other);
    person_start(&f, &a, 1, "j", 1);
    person_set(&a, 5);
    ROUND(&f, &a);
    person_start(&f, &b, 2, "j", 1);
    b.part.layout = &other.layout;
    b.values[LEVEL] = 3;
    ROUND(&f, &a, &b);

    const mproxy_source *s = source_of(&f, 1);
    ck_assert_int_eq(type_of(s, "level"), MPROXY_GAUGE);
    ck_assert_double_eq(total_of(s, "level"), 5);
    ck_assert_double_eq(total_of(s, "hits_total"), 2);
    ck_assert_int_eq(s->incomplete, 1);
    const char *reason = "mproxy_processes_uncounted_total{reason=\"refused metric\"}";
    ck_assert_double_eq(total_of(s, reason), 1);

    person_end(&f, &a);
    person_end(&f, &b);
    ROUND(&f, &a, &b);
    ck_assert_double_eq(total_of(source_of(&f, 1), reason), 1);
    ck_assert_double_eq(total_of(source_of(&f, 1), "level"), 5);
    layout_end(&other);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ledger_names");
    TCase *c = tcase_create("give back");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, gauges_of_the_dead_leave_the_base_and_its_counters_stay);
    tcase_add_test(c, a_gauge_that_somebody_alive_counts_in_stays);
    tcase_add_test(c, names_of_absorbed_jobs_are_given_back_and_the_state_stays_exact);
    tcase_add_test(c, a_job_has_its_own_types_whatever_others_have);
    tcase_add_test(c, of_one_job_the_first_type_wins_and_the_refusal_marks_it);
    suite_add_tcase(s, c);
    return run_suite(s);
}
