// Sources that are somebody else's sums, and count in one sum of ours.

#include "../support/reduction_fixture.h"
#include "../support/suite.h"

static void make_told(struct maker *m, mproxy_source_kind kind, mproxy_scope scope,
                      uint64_t number, double hits)
{
    make(m, kind, 9, 2, number, hits);
    m->source.scope = scope;
}

static void make_told_share(struct maker *m, const char *jobid, double hits)
{
    make_share(m, 9, 2, 5, jobid, hits);
    m->source.scope = MPROXY_SCOPE_JOB;
}

static void put_base(void)
{
    struct maker base;
    make_base(&base, 1, 1, 1);
    put(&base);
}

START_TEST(each_told_sum_counts_where_it_was_told_and_nowhere_else)
{
    struct maker of_main, of_node, of_job;
    put_base();
    make_told(&of_main, MPROXY_SOURCE_TARGET, MPROXY_SCOPE_MAIN, 1, 100);
    make_told(&of_node, MPROXY_SOURCE_TARGET, MPROXY_SCOPE_NODE, 2, 90);
    make_told_share(&of_job, "j", 80);
    put(&of_main);
    put(&of_node);
    put(&of_job);
    publish();

    ck_assert_double_eq(shown("main", "hits_total"), 101);
    ck_assert_double_eq(shown("Node: h1", "hits_total"), 1);
    ck_assert_double_eq(shown("Node: h2", "hits_total"), 90);
    ck_assert_double_eq(shown("j", "hits_total"), 80);

    put_next(&of_main, 110);
    put_next(&of_node, 99);
    put_next(&of_job, 88);
    publish();

    ck_assert_double_eq(shown("main", "hits_total"), 111);
    ck_assert_double_eq(shown("Node: h2", "hits_total"), 99);
    ck_assert_double_eq(shown("j", "hits_total"), 88);
}
END_TEST

START_TEST(host_without_a_source_of_its_node_is_not_listed)
{
    struct maker of_main;
    make_told(&of_main, MPROXY_SOURCE_TARGET, MPROXY_SCOPE_MAIN, 1, 100);
    put(&of_main);
    publish();

    ck_assert_double_eq(shown("main", "hits_total"), 100);
    ck_assert(!is_listed("Node: h2"));
}
END_TEST

START_TEST(told_share_is_added_to_ours_of_the_same_job)
{
    struct maker ours, told;
    make_share(&ours, 1, 1, 1, "j", 10);
    make_told_share(&told, "j", 80);
    put(&ours);
    put(&told);
    publish();

    ck_assert_double_eq(shown("j", "hits_total"), 90);
    ck_assert_double_eq(shown("main", "hits_total"), 10);
}
END_TEST

START_TEST(told_share_that_is_stored_leaves_the_list_and_main_as_it_is)
{
    struct maker of_main, told;
    make_told(&of_main, MPROXY_SOURCE_TARGET, MPROXY_SCOPE_MAIN, 1, 100);
    make_told_share(&told, "j", 80);
    put(&of_main);
    put(&told);
    publish();
    mproxy_reduction_stored(reduction, told.source.directory, 5);
    publish();
    ck_assert(is_listed("j")); // it goes on

    told.source.sealed = 1;
    put_next(&told, 81);
    publish();
    ck_assert_double_eq(shown("j", "hits_total"), 81);
    mproxy_reduction_stored(reduction, told.source.directory, 5);
    publish();

    ck_assert(!is_listed("j"));
    ck_assert_double_eq(shown("main", "hits_total"), 100);
    ck_assert_uint_eq(steps_back(), 0);
}
END_TEST

// Told first, and by one that speaks while ours is silent for a while.
START_TEST(node_that_is_told_is_no_rival_of_one_that_is_read_here)
{
    struct maker told, ours;
    make_told(&told, MPROXY_SOURCE_NODE, MPROXY_SCOPE_NODE, 0, 70);
    put(&told);
    publish();
    ck_assert_double_eq(shown("Node: h2", "hits_total"), 70);

    make(&ours, MPROXY_SOURCE_NODE, 1, 2, 0, 7);
    put(&ours);
    publish();
    for (int i = 0; i < 12; i++) {
        put_next(&told, 70 + i);
        publish();
    }

    ck_assert_double_eq(shown("Node: h2", "hits_total"), 7);
    ck_assert_double_eq(shown("main", "hits_total"), 7);
}
END_TEST

START_TEST(scope_that_does_not_fit_the_kind_is_refused)
{
    struct maker m;
    make_told(&m, MPROXY_SOURCE_TARGET, MPROXY_SCOPE_JOB, 1, 1);
    ck_assert_int_eq(mproxy_reduction_put(reduction, &m.source, NULL), MPROXY_E_INVALID);
    make_told_share(&m, "j", 1);
    m.source.scope = MPROXY_SCOPE_MAIN;
    ck_assert_int_eq(mproxy_reduction_put(reduction, &m.source, NULL), MPROXY_E_INVALID);
    m.source.scope = (mproxy_scope)4;
    ck_assert_int_eq(mproxy_reduction_put(reduction, &m.source, NULL), MPROXY_E_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reduction_scopes");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, each_told_sum_counts_where_it_was_told_and_nowhere_else);
    tcase_add_test(c, host_without_a_source_of_its_node_is_not_listed);
    tcase_add_test(c, told_share_is_added_to_ours_of_the_same_job);
    tcase_add_test(c, told_share_that_is_stored_leaves_the_list_and_main_as_it_is);
    tcase_add_test(c, node_that_is_told_is_no_rival_of_one_that_is_read_here);
    tcase_add_test(c, scope_that_does_not_fit_the_kind_is_refused);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
