// The rules of shares: when they begin, end and are absorbed; each on a ledger in a
// directory of its own.

#include "../support/ledger_fixture.h"
#include "../support/suite.h"

static struct fixture f;

static void setup(void)
{
    fixture_init(&f);
}

static void teardown(void)
{
    fixture_fini(&f);
}

START_TEST(a_new_ledger_shows_nothing_before_its_first_round)
{
    const mproxy_source *const *sources;

    size_t before = mproxy_ledger_sources(f.ledger, &sources);
    idle_rounds(&f, 1);
    size_t after = mproxy_ledger_sources(f.ledger, &sources);

    ck_assert_uint_eq(before, 0);
    ck_assert_uint_eq(after, 1);
    ck_assert_uint_eq(sources[0]->kind, MPROXY_SOURCE_BASE);
    ck_assert_uint_eq(mproxy_ledger_epoch(f.ledger), 1);
}
END_TEST

START_TEST(live_processes_of_a_job_are_added_up_in_its_share)
{
    struct person a, b;
    person_start(&f, &a, 1, "j", 3);
    person_start(&f, &b, 2, "j", 4);

    ROUND(&f, &a, &b);

    const mproxy_source *s = source_of(&f, 1);
    ck_assert_ptr_nonnull(s);
    ck_assert_double_eq(total_of(s, "hits_total"), 7);
    ck_assert_str_eq(s->job->jobid, "j");
    ck_assert_int_eq(s->sealed, 0);
    ck_assert_ptr_null(s->ranks);
}
END_TEST

START_TEST(processes_without_a_job_count_in_the_base)
{
    struct person a, b;
    person_start(&f, &a, 1, "", 3);
    person_init(&f, &b, 2, "Node: x");
    person_count(&b, HITS, 4);

    ROUND(&f, &a, &b);

    ck_assert_double_eq(total_of(base_of(&f), "hits_total"), 7);
    ck_assert_ptr_null(source_of(&f, 1));
}
END_TEST

START_TEST(a_final_process_is_folded_once_and_its_segment_waits_for_unlink)
{
    struct person a;
    int unlinked = 0;
    person_start(&f, &a, 1, "j", 3);
    person_end(&f, &a);

    ROUND(&f, &a);
    ROUND(&f, &a); // not unlinked yet: it is there again

    ck_assert_int_eq(mproxy_ledger_is_pending(f.ledger, "1.seg"), 1);
    ck_assert_double_eq(total_of(source_of(&f, 1), "hits_total"), 3);
    mproxy_ledger_unlink_pending(f.ledger, never_gone, &unlinked);
    ck_assert_int_eq(mproxy_ledger_is_pending(f.ledger, "1.seg"), 1);
    mproxy_ledger_unlink_pending(f.ledger, always_gone, &unlinked);
    ck_assert_int_eq(mproxy_ledger_is_pending(f.ledger, "1.seg"), 0);
    ck_assert_int_eq(unlinked, 2);
}
END_TEST

START_TEST(a_restarted_ledger_does_not_count_pending_segments_again)
{
    struct person a;
    person_start(&f, &a, 1, "j", 3);
    person_end(&f, &a);
    ROUND(&f, &a);

    fixture_restart(&f);
    a.part.layout = &f.layout;
    ROUND(&f, &a);

    ck_assert_int_eq(mproxy_ledger_is_pending(f.ledger, "1.seg"), 1);
    ck_assert_double_eq(total_of(source_of(&f, 1), "hits_total"), 3);
    ck_assert_uint_eq(mproxy_ledger_epoch(f.ledger), 2);
}
END_TEST

START_TEST(a_process_within_the_linger_joins_the_share)
{
    struct person a, b;
    person_start(&f, &a, 1, "j", 1);
    ROUND(&f, &a);
    ck_assert_int_eq(source_of(&f, 1)->idle, 0);
    person_end(&f, &a);
    ROUND(&f, &a);
    ck_assert_int_eq(source_of(&f, 1)->idle, 1);
    person_start(&f, &b, 2, "j", 2);

    ROUND(&f, &b);
    ck_assert_int_eq(source_of(&f, 1)->idle, 0);
    person_end(&f, &b);
    ROUND(&f, &b);
    idle_rounds(&f, 4);

    ck_assert_double_eq(total_of(source_of(&f, 1), "hits_total"), 3);
    ck_assert_ptr_null(source_of(&f, 2));
}
END_TEST

START_TEST(a_process_after_the_seal_opens_the_next_share)
{
    struct person a, b;
    person_start(&f, &a, 1, "j", 1);
    person_end(&f, &a);
    ROUND(&f, &a);
    idle_rounds(&f, 3);
    person_start(&f, &b, 2, "j", 2);

    ROUND(&f, &b);

    ck_assert_int_eq(source_of(&f, 1)->sealed, 1);
    ck_assert_double_eq(total_of(source_of(&f, 1), "hits_total"), 1);
    ck_assert_double_eq(total_of(source_of(&f, 2), "hits_total"), 2);
}
END_TEST

START_TEST(a_job_id_that_came_back_while_the_proxy_was_dead_is_another_share)
{
    struct person a, b;
    person_start(&f, &a, 1, "j", 1);
    ROUND(&f, &a);
    person_end(&f, &a);
    f.now += CONTINUE + 60000;
    person_start(&f, &b, 2, "j", 2);

    fixture_restart(&f);
    a.part.layout = b.part.layout = &f.layout;
    ROUND(&f, &b, &a); // in any order

    ck_assert_double_eq(total_of(source_of(&f, 1), "hits_total"), 1);
    ck_assert_int_eq(source_of(&f, 1)->sealed, 1);
    ck_assert_double_eq(total_of(source_of(&f, 2), "hits_total"), 2);
}
END_TEST

START_TEST(a_long_process_keeps_its_share_open_for_late_ones)
{
    struct person a, b;
    person_start(&f, &a, 1, "j", 1);
    ROUND(&f, &a);
    f.now += 3 * CONTINUE;
    person_start(&f, &b, 2, "j", 2);

    fixture_restart(&f);
    a.part.layout = b.part.layout = &f.layout;
    ROUND(&f, &b, &a);

    ck_assert_double_eq(total_of(source_of(&f, 1), "hits_total"), 3);
}
END_TEST

START_TEST(two_users_with_one_job_id_have_two_shares)
{
    struct person a, b;
    person_init(&f, &a, 1, "j");
    person_init(&f, &b, 2, "j");
    b.process.uid = 1001;

    ROUND(&f, &a, &b);

    ck_assert_uint_eq(source_of(&f, 1)->uid, 1000);
    ck_assert_uint_eq(source_of(&f, 2)->uid, 1001);
}
END_TEST

START_TEST(a_released_share_is_absorbed_into_the_base)
{
    struct person a;
    person_start(&f, &a, 1, "j", 3);
    person_set(&a, 9);
    person_end(&f, &a);
    ROUND(&f, &a);
    idle_rounds(&f, 3);

    release(&f, 1);

    const mproxy_source *base = base_of(&f);
    ck_assert_ptr_null(source_of(&f, 1));
    ck_assert_double_eq(total_of(base, "hits_total"), 3);
    ck_assert_ptr_null(value_of(base, "level"));
    ck_assert_uint_eq(base->absorbed_count, 1);
    ck_assert_uint_eq(base->absorbed[0].first, 1);
    ck_assert_uint_eq(base->absorbed[0].end, 2);
    fixture_restart(&f);
    idle_rounds(&f, 1);
    base = base_of(&f);
    ck_assert_double_eq(total_of(base, "hits_total"), 3);
    ck_assert_uint_eq(base->absorbed_count, 1);
}
END_TEST

START_TEST(absorbed_shares_are_one_span_however_many)
{
    static const uint64_t order[] = {3, 1, 5, 2, 4, 8, 7, 6};
    static const size_t spans[] = {1, 2, 3, 2, 1, 2, 2, 1};
    struct person people[8];
    const char *const jobs[8] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (uint64_t i = 0; i < 8; i++) {
        person_start(&f, &people[i], i + 1, jobs[i], 1);
        person_end(&f, &people[i]);
        ROUND(&f, &people[i]);
    }
    idle_rounds(&f, 4);

    for (size_t i = 0; i < 8; i++) {
        release(&f, order[i]);
        ck_assert_uint_eq(base_of(&f)->absorbed_count, spans[i]);
        if (i == 5) {
            fixture_restart(&f);
            idle_rounds(&f, 1);
            ck_assert_uint_eq(base_of(&f)->absorbed_count, spans[i]);
        }
    }

    const mproxy_source *base = base_of(&f);
    ck_assert_uint_eq(base->absorbed[0].first, 1);
    ck_assert_uint_eq(base->absorbed[0].end, 9);
    ck_assert_double_eq(total_of(base, "hits_total"), 8);
}
END_TEST

START_TEST(an_open_share_is_not_released)
{
    struct person a;
    person_start(&f, &a, 1, "j", 3);
    ROUND(&f, &a);

    f.now += 1000;
    round_begin(&f);
    ck_assert_int_eq(mproxy_ledger_release(f.ledger, 1), MPROXY_OK);
    ck_assert_int_eq(mproxy_ledger_release(f.ledger, 77), MPROXY_E_NOTFOUND);
    mproxy_ledger_process(f.ledger, &a.process, NULL);
    mproxy_ledger_round_end(f.ledger, NULL);

    ck_assert_ptr_nonnull(source_of(&f, 1));
    ck_assert_uint_eq(base_of(&f)->absorbed_count, 0);
}
END_TEST

START_TEST(share_numbers_are_never_used_again)
{
    struct person a, b;
    person_init(&f, &a, 1, "j");
    person_end(&f, &a);
    ROUND(&f, &a);
    idle_rounds(&f, 3);
    release(&f, 1);

    fixture_restart(&f);
    person_init(&f, &b, 2, "j");
    ROUND(&f, &b);

    ck_assert_ptr_null(source_of(&f, 1));
    ck_assert_ptr_nonnull(source_of(&f, 2));
}
END_TEST

START_TEST(passive_processes_keep_a_share_only_from_being_sealed)
{
    struct person a, p;
    person_init(&f, &a, 1, "j");
    person_start(&f, &p, 2, "j", 5);
    p.process.passive = 1;
    ROUND(&f, &a, &p);
    person_end(&f, &a);

    ROUND(&f, &a, &p);
    int idle_in_linger = mproxy_ledger_is_idle(f.ledger, "j", 1000);
    for (int i = 0; i < 4; i++)
        ROUND(&f, &p);
    int idle_after = mproxy_ledger_is_idle(f.ledger, "j", 1000);
    int sealed_before = source_of(&f, 1)->sealed;
    person_end(&f, &p);
    ROUND(&f, &p);

    const mproxy_source *s = source_of(&f, 1);
    ck_assert_int_eq(idle_in_linger, 0);
    ck_assert_int_eq(idle_after, 1);
    ck_assert_int_eq(sealed_before, 0);
    ck_assert_int_eq(s->sealed, 1);
    ck_assert_double_eq(total_of(s, "hits_total"), 5);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ledger");
    TCase *c = tcase_create("rules");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_new_ledger_shows_nothing_before_its_first_round);
    tcase_add_test(c, live_processes_of_a_job_are_added_up_in_its_share);
    tcase_add_test(c, processes_without_a_job_count_in_the_base);
    tcase_add_test(c, a_final_process_is_folded_once_and_its_segment_waits_for_unlink);
    tcase_add_test(c, a_restarted_ledger_does_not_count_pending_segments_again);
    tcase_add_test(c, a_process_within_the_linger_joins_the_share);
    tcase_add_test(c, a_process_after_the_seal_opens_the_next_share);
    tcase_add_test(c, a_job_id_that_came_back_while_the_proxy_was_dead_is_another_share);
    tcase_add_test(c, a_long_process_keeps_its_share_open_for_late_ones);
    tcase_add_test(c, two_users_with_one_job_id_have_two_shares);
    tcase_add_test(c, a_released_share_is_absorbed_into_the_base);
    tcase_add_test(c, absorbed_shares_are_one_span_however_many);
    tcase_add_test(c, an_open_share_is_not_released);
    tcase_add_test(c, share_numbers_are_never_used_again);
    tcase_add_test(c, passive_processes_keep_a_share_only_from_being_sealed);
    suite_add_tcase(s, c);
    return run_suite(s);
}
