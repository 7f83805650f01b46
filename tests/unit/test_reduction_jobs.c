// Jobs in the reduction: shares that are sealed, stored and absorbed, ids that come back.

#include "../support/reduction_fixture.h"
#include "../support/suite.h"

// The base and two sealed shares, put and published.
static void publish_sealed(struct maker *base, struct maker *s1, struct maker *s2)
{
    s1->source.sealed = s2->source.sealed = 1;
    put(base);
    put(s1);
    put(s2);
    publish();
}

// The base goes on from `hits`, and has taken the shares of the span into itself.
static void absorb(struct maker *base, mproxy_span *span, double hits)
{
    base->source.absorbed = span;
    base->source.absorbed_count = 1;
    put_next(base, hits);
}

START_TEST(an_absorbed_share_counts_once_whichever_arrives_first)
{
    struct maker base, share, late;
    mproxy_span absorbed[] = {{1, 3}};
    make_base(&base, 1, 1, 1);
    make_share(&share, 1, 1, 1, "j", 10);
    share.source.sealed = 1;
    put(&base);
    put(&share);
    publish();

    absorb(&base, absorbed, 21);
    make_share(&late, 1, 1, 2, "k", 10);
    put(&late);
    put_next(&share, 10);
    publish();

    ck_assert_double_eq(shown("main", "hits_total"), 21);
    ck_assert(!is_listed("j"));
    ck_assert(!is_listed("k"));
    ck_assert_uint_eq(steps_back(), 0);
}
END_TEST

START_TEST(a_job_with_an_absorbed_share_leaves_the_list_and_stays_in_main)
{
    struct maker base, s1, s2;
    mproxy_span absorbed[] = {{1, 2}};
    make_base(&base, 1, 1, 0);
    make_share(&s1, 1, 1, 1, "j", 10);
    make_share(&s2, 2, 2, 1, "j", 20);
    publish_sealed(&base, &s1, &s2);
    double before = shown("j", "hits_total");

    mproxy_reduction_stored(reduction, s1.source.directory, 1);
    mproxy_reduction_stored(reduction, s2.source.directory, 1);
    absorb(&base, absorbed, 10);
    publish();

    ck_assert_double_eq(before, 30);
    ck_assert(!is_listed("j"));
    ck_assert_double_eq(shown("main", "hits_total"), 30);
    ck_assert_double_eq(shown("Node: h2", "hits_total"), 20);
    ck_assert_uint_eq(steps_back(), 0);
}
END_TEST

// It was sealed when the profile of the one before was written already.
START_TEST(a_sealed_share_stays_listed_until_a_profile_has_it)
{
    struct maker base, s1, s2;
    mproxy_span absorbed[] = {{1, 3}};
    make_base(&base, 1, 1, 0);
    make_share(&s1, 1, 1, 1, "j", 10);
    make_share(&s2, 1, 1, 2, "j", 3);
    publish_sealed(&base, &s1, &s2);

    mproxy_reduction_stored(reduction, s1.source.directory, 1);
    absorbed[0].end = 2;
    absorb(&base, absorbed, 10);
    publish();
    ck_assert_double_eq(shown("j", "hits_total"), 3);
    ck_assert_double_eq(shown("main", "hits_total"), 13);

    mproxy_reduction_stored(reduction, s2.source.directory, 2);
    absorbed[0].end = 3;
    put_next(&base, 13);
    publish();
    ck_assert(!is_listed("j"));
    ck_assert_double_eq(shown("main", "hits_total"), 13);
    ck_assert_uint_eq(steps_back(), 0);
}
END_TEST

START_TEST(a_job_that_goes_on_after_its_profile_shows_its_newer_shares)
{
    struct maker base, s1, s2;
    mproxy_span absorbed[] = {{1, 2}};
    make_base(&base, 1, 1, 0);
    make_share(&s1, 1, 1, 1, "j", 10);
    make_share(&s2, 1, 1, 2, "j", 3);
    s1.source.sealed = 1;
    s2.source.start_ms += 5000;
    s2.source.end_ms += 6000;
    put(&base);
    put(&s1);
    put(&s2);
    publish();
    double before = shown("j", "hits_total");

    absorb(&base, absorbed, 10);
    publish();

    ck_assert_double_eq(before, 13);
    ck_assert_double_eq(shown("j", "hits_total"), 3);
    ck_assert_double_eq(shown("main", "hits_total"), 13);
    ck_assert_uint_eq(steps_back(), 0);
}
END_TEST

START_TEST(an_id_that_came_back_shows_its_newest_run)
{
    struct maker old, new;
    make_share(&old, 1, 1, 1, "j", 10);
    make_share(&new, 1, 1, 2, "j", 3);
    old.source.sealed = 1;
    new.source.start_ms += 1000000;
    new.source.end_ms = new.source.start_ms;

    put(&old);
    put(&new);
    publish();

    ck_assert_double_eq(shown("j", "hits_total"), 3);
    ck_assert_double_eq(shown("main", "hits_total"), 13);
}
END_TEST

START_TEST(another_command_without_overlap_is_another_run)
{
    struct maker old, new;
    make_share(&old, 1, 1, 1, "j", 10);
    make_share(&new, 1, 1, 2, "j", 3);
    old.source.sealed = 1;
    new.job.command = "./b";
    new.source.start_ms += 5000;
    new.source.end_ms += 5000;

    put(&old);
    put(&new);
    publish();

    ck_assert_double_eq(shown("j", "hits_total"), 3);
}
END_TEST

// Command, start and end of each share; the newest run's hits, where share n has 2^n.
START_TEST(the_newest_run_is_told_by_the_one_rule)
{
    static const struct {
        struct {
            const char *command;
            int64_t start_ms, end_ms;
        } shares[5];
        int count;
        double hits;
    } cases[] = {
        // Linked by the overlap of the first two.
        {{{"A", 0, 50000}, {"B", 1000, 20000}, {"B", 30000, 31000}}, 3, 7},
        {{{"A", 0, 20000}, {"B", 1000, 20000}, {"B", 30000, 31000}}, 3, 7},
        {{{"B", 0, 20000}, {"A", 1000, 20000}, {"B", 30000, 31000}}, 3, 7},
        // In turn.
        {{{"A", 0, 1}, {"B", 10, 11}, {"A", 20, 21}, {"B", 30, 31}}, 4, 10},
        {{{"A", 0, 1}, {"B", 10, 11}, {"A", 20, 21}, {"B", 30, 31}, {"A", 40, 41}},
         5,
         21},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct maker shares[5];
        char jobid[8];
        snprintf(jobid, sizeof jobid, "j%zu", c);
        for (int i = 0; i < cases[c].count; i++) {
            make_share(&shares[i], (uint8_t)(1 + i % 2), 1, 10 * c + (uint64_t)i + 1,
                       jobid, 1 << i);
            shares[i].job.command = (char *)cases[c].shares[i].command;
            shares[i].source.start_ms = 1000 + cases[c].shares[i].start_ms;
            shares[i].source.end_ms = 1000 + cases[c].shares[i].end_ms;
            put(&shares[i]);
        }

        publish();

        ck_assert_double_eq(shown(jobid, "hits_total"), cases[c].hits);
    }
}
END_TEST

START_TEST(two_users_with_one_id_have_two_views)
{
    struct maker a, b;
    make_share(&a, 1, 1, 1, "j", 10);
    make_share(&b, 1, 1, 2, "j", 3);
    b.source.uid = 1001;
    put(&a);
    publish();
    b.source.start_ms -= 50000; // the key stays with whom it is shown for

    put(&b);
    publish();

    ck_assert_double_eq(shown("j", "hits_total"), 10);
    ck_assert_double_eq(shown("j@1001", "hits_total"), 3);
    mproxy_snapshot *s = mproxy_store_snapshot(store);
    const mproxy_job *job = mproxy_view_job(mproxy_snapshot_find(s, "j@1001"));
    ck_assert_str_eq(job->jobid, "j@1001");
    mproxy_snapshot_unref(s);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("reduction_jobs");
    TCase *c = tcase_create("rules");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, an_absorbed_share_counts_once_whichever_arrives_first);
    tcase_add_test(c, a_job_with_an_absorbed_share_leaves_the_list_and_stays_in_main);
    tcase_add_test(c, a_sealed_share_stays_listed_until_a_profile_has_it);
    tcase_add_test(c, a_job_that_goes_on_after_its_profile_shows_its_newer_shares);
    tcase_add_test(c, an_id_that_came_back_shows_its_newest_run);
    tcase_add_test(c, another_command_without_overlap_is_another_run);
    tcase_add_test(c, the_newest_run_is_told_by_the_one_rule);
    tcase_add_test(c, two_users_with_one_id_have_two_views);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
