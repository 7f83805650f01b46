// One name, counted by some jobs and set as a gauge by others: each job shows its own, and only
// sums over both leave the name out.

#include "../support/reduction_fixture.h"
#include "../support/suite.h"

// A source of two metrics: `x` with a type of its own, and hits.
struct pair {
    struct maker m;
    const mproxy_metric *metrics[3];
    mproxy_value values[3];
};

static const mproxy_metric *x_counter, *x_gauge;

static void setup_types(void)
{
    setup();
    mproxy_store_metric(store, "x", MPROXY_COUNTER, "a test's", &x_counter, NULL);
    mproxy_store_metric(store, "x", MPROXY_GAUGE, "a test's", &x_gauge, NULL);
}

static void fill(struct pair *p, const mproxy_metric *x, double value, double hits)
{
    p->metrics[0] = metrics[HITS];
    p->values[0] = mproxy_value_counter(hits, 7);
    p->metrics[1] = x;
    p->values[1] = mproxy_metric_type(x) == MPROXY_GAUGE ? mproxy_value_gauge(value, 7)
                                                         : mproxy_value_counter(value, 7);
    p->m.source.count = 2;
    p->m.source.metrics = p->metrics;
    p->m.source.values = p->values;
}

static void make_pair(struct pair *p, uint64_t number, const char *jobid,
                      const mproxy_metric *x, double value, double hits)
{
    make_share(&p->m, 1, 1, number, jobid, hits);
    p->m.source.job = &p->m.job;
    p->m.source.host = p->m.host;
    fill(p, x, value, hits);
}

static size_t left_out_of(const char *view, char name[32])
{
    mproxy_snapshot *s = mproxy_store_snapshot(store);
    const mproxy_metric *const *left_out;
    size_t count = mproxy_view_left_out(mproxy_snapshot_find(s, view), &left_out);
    if (count > 0)
        snprintf(name, 32, "%s", mproxy_metric_name(left_out[0]));
    mproxy_snapshot_unref(s);
    return count;
}

static mproxy_type type_in(const char *view)
{
    mproxy_snapshot *s = mproxy_store_snapshot(store);
    mproxy_entry e = {0};
    mproxy_type type = 0;
    if (mproxy_view_find(mproxy_snapshot_find(s, view), "x", &e))
        type = mproxy_metric_type(e.metric);
    mproxy_snapshot_unref(s);
    return type;
}

START_TEST(jobs_show_their_own_and_sums_over_both_leave_the_name_out)
{
    struct maker base;
    struct pair j, k;
    char name[32] = "";
    make_base(&base, 1, 1, 1);
    make_pair(&j, 1, "j", x_counter, 5, 10);
    make_pair(&k, 2, "k", x_gauge, 7, 100);
    put(&base);
    put(&j.m);
    put(&k.m);
    publish();

    ck_assert_double_eq(shown("j", "x"), 5);
    ck_assert_int_eq(type_in("j"), MPROXY_COUNTER);
    ck_assert_double_eq(shown("k", "x"), 7);
    ck_assert_int_eq(type_in("k"), MPROXY_GAUGE);
    for (const char *const *view = (const char *const[]){"main", "Node: h1", NULL}; *view;
         view++) {
        ck_assert_double_eq(shown(*view, "x"), -1);
        ck_assert_double_eq(shown(*view, "hits_total"), 111);
        ck_assert_uint_eq(left_out_of(*view, name), 1);
        ck_assert_str_eq(name, "x");
    }
    ck_assert_uint_eq(left_out_of("j", name), 0);
}
END_TEST

START_TEST(a_name_is_back_in_the_sums_when_all_agree_again)
{
    struct maker base;
    struct pair j, k;
    char name[32];
    make_base(&base, 1, 1, 1);
    make_pair(&j, 1, "j", x_counter, 5, 10);
    make_pair(&k, 2, "k", x_gauge, 7, 0);
    put(&base);
    put(&j.m);
    publish();
    ck_assert_double_eq(shown("main", "x"), 5);
    put(&k.m);
    publish();
    ck_assert_double_eq(shown("main", "x"), -1);

    j.values[1].total = 6;
    j.m.source.sequence++;
    put(&j.m);
    mproxy_reduction_retain(reduction, k.m.source.directory, MPROXY_SOURCE_SHARE,
                            (const uint64_t[]){1}, 1);
    publish();

    ck_assert_double_eq(shown("main", "x"), 6);
    ck_assert_int_eq(type_in("main"), MPROXY_COUNTER);
    ck_assert_uint_eq(left_out_of("main", name), 0);
    ck_assert_uint_eq(steps_back(), 0);
}
END_TEST

START_TEST(a_base_of_both_types_is_left_out_of_by_its_own_node)
{
    struct pair base;
    char name[32];
    make_base(&base.m, 1, 1, 3);
    base.m.source.host = base.m.host;
    fill(&base, x_counter, 5, 3);
    base.metrics[2] = x_gauge;
    base.values[2] = mproxy_value_gauge(9, 7);
    base.m.source.count = 3;
    put(&base.m);
    publish();

    ck_assert_double_eq(shown("Node: h1", "x"), -1);
    ck_assert_double_eq(shown("main", "x"), -1);
    ck_assert_double_eq(shown("Node: h1", "hits_total"), 3);
    ck_assert_uint_eq(left_out_of("Node: h1", name), 1);
}
END_TEST

START_TEST(shares_of_one_job_that_disagree_leave_the_name_out_of_it)
{
    struct pair a, b;
    char name[32];
    make_pair(&a, 1, "j", x_counter, 5, 10);
    make_pair(&b, 1, "j", x_gauge, 7, 100);
    b.m.source.directory[0] = 2;
    snprintf(b.m.host, sizeof b.m.host, "h2");
    put(&a.m);
    put(&b.m);
    publish();

    ck_assert_double_eq(shown("j", "x"), -1);
    ck_assert_double_eq(shown("j", "hits_total"), 110);
    ck_assert_uint_eq(left_out_of("j", name), 1);
    ck_assert_double_eq(shown("Node: h1", "x"), 5);
    ck_assert_double_eq(shown("Node: h2", "x"), 7);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("types");
    TCase *c = tcase_create("sums");
    tcase_add_checked_fixture(c, setup_types, teardown);
    tcase_add_test(c, jobs_show_their_own_and_sums_over_both_leave_the_name_out);
    tcase_add_test(c, a_name_is_back_in_the_sums_when_all_agree_again);
    tcase_add_test(c, a_base_of_both_types_is_left_out_of_by_its_own_node);
    tcase_add_test(c, shares_of_one_job_that_disagree_leave_the_name_out_of_it);
    suite_add_tcase(s, c);
    return run_suite(s);
}
