// The rules of shares, each on a ledger in a directory of its own.

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
    ck_assert_uint_eq(sources[0]->number, MPROXY_SHARE_BASE);
    ck_assert_uint_eq(mproxy_ledger_epoch(f.ledger), 1);
}
END_TEST

START_TEST(live_processes_of_a_job_are_added_up_in_its_share)
{
    struct person a, b;
    person_init(&f, &a, 1, "j");
    person_init(&f, &b, 2, "j");
    person_count(&a, HITS, 3);
    person_count(&b, HITS, 4);

    ROUND(&f, &a, &b);

    const mproxy_source *s = source_of(&f, 1);
    ck_assert_ptr_nonnull(s);
    ck_assert_double_eq(total_of(s, "hits_total"), 7);
    ck_assert_str_eq(s->job->jobid, "j");
    ck_assert_int_eq(s->sealed, 0);
    ck_assert_ptr_null(s->ranks);
}
END_TEST

START_TEST(a_value_that_changed_moves_its_time_and_the_sequence)
{
    struct person a;
    person_init(&f, &a, 1, "j");
    person_count(&a, HITS, 3);
    person_count(&a, BYTES, 5);
    ROUND(&f, &a);
    uint64_t sequence = source_of(&f, 1)->sequence;
    uint64_t then = wall_us_at(f.now);

    person_count(&a, HITS, 1);
    ROUND(&f, &a);

    const mproxy_source *s = source_of(&f, 1);
    ck_assert_uint_gt(s->sequence, sequence);
    ck_assert_uint_eq(value_of(s, "hits_total")->ts_us, wall_us_at(f.now));
    ck_assert_uint_eq(value_of(s, "bytes_total")->ts_us, then);
}
END_TEST

START_TEST(processes_without_a_job_count_in_the_base)
{
    struct person a, b;
    person_init(&f, &a, 1, "");
    person_init(&f, &b, 2, "Node: x");
    person_count(&a, HITS, 3);
    person_count(&b, HITS, 4);

    ROUND(&f, &a, &b);

    ck_assert_double_eq(total_of(source_of(&f, MPROXY_SHARE_BASE), "hits_total"), 7);
    ck_assert_ptr_null(source_of(&f, 1));
}
END_TEST

START_TEST(a_final_process_is_folded_once_and_its_segment_waits_for_unlink)
{
    struct person a;
    int unlinked = 0;
    person_init(&f, &a, 1, "j");
    person_count(&a, HITS, 3);
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
    person_init(&f, &a, 1, "j");
    person_count(&a, HITS, 3);
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

START_TEST(a_share_lingers_then_is_sealed_with_its_ranks)
{
    struct person a, b;
    person_init(&f, &a, 1, "j");
    person_init(&f, &b, 2, "j");
    b.process.rank = 3;
    person_count(&a, HITS, 5);
    person_count(&b, HITS, 2);
    person_end(&f, &a);
    person_end(&f, &b);

    ROUND(&f, &a, &b);
    int sealed_at_once = source_of(&f, 1)->sealed;
    idle_rounds(&f, 3);

    const mproxy_source *s = source_of(&f, 1);
    ck_assert_int_eq(sealed_at_once, 0);
    ck_assert_int_eq(s->sealed, 1);
    const mproxy_ranks *r = &s->ranks[value_of(s, "hits_total") - s->values];
    ck_assert_uint_eq(r->n, 2);
    ck_assert_double_eq(r->sum, 7);
    ck_assert_uint_eq(r->min_rank, 3);
    ck_assert_uint_eq(r->max_rank, 0);
    ck_assert_uint_eq(s->ranks[value_of(s, "level") - s->values].n, 0);
}
END_TEST

START_TEST(ranks_survive_a_restart_before_and_after_the_seal)
{
    struct person a, b;
    person_init(&f, &a, 1, "j");
    person_count(&a, HITS, 5);
    person_end(&f, &a);
    ROUND(&f, &a);

    fixture_restart(&f);
    person_init(&f, &b, 2, "j");
    b.process.rank = 1;
    person_count(&b, HITS, 9);
    person_end(&f, &b);
    ROUND(&f, &b);
    idle_rounds(&f, 3);
    fixture_restart(&f);
    idle_rounds(&f, 1);

    const mproxy_source *s = source_of(&f, 1);
    const mproxy_ranks *r = &s->ranks[value_of(s, "hits_total") - s->values];
    ck_assert_int_eq(s->sealed, 1);
    ck_assert_uint_eq(r->n, 2);
    ck_assert_double_eq(r->max, 9);
    ck_assert_uint_eq(r->max_rank, 1);
}
END_TEST

START_TEST(of_equal_ranks_the_lowest_is_named)
{
    struct person a[3];
    for (int i = 0; i < 3; i++) {
        person_init(&f, &a[i], 1 + (uint64_t)i, "j");
        a[i].process.rank = (uint32_t)(7 - i);
        person_count(&a[i], HITS, 4);
        person_end(&f, &a[i]);
    }

    ROUND(&f, &a[0], &a[1], &a[2]);
    idle_rounds(&f, 3);

    const mproxy_source *s = source_of(&f, 1);
    const mproxy_ranks *r = &s->ranks[value_of(s, "hits_total") - s->values];
    ck_assert_uint_eq(r->n, 3);
    ck_assert_uint_eq(r->min_rank, 5);
    ck_assert_uint_eq(r->max_rank, 5);
}
END_TEST

START_TEST(a_process_within_the_linger_joins_the_share)
{
    struct person a, b;
    person_init(&f, &a, 1, "j");
    person_count(&a, HITS, 1);
    ROUND(&f, &a);
    person_end(&f, &a);
    ROUND(&f, &a);
    person_init(&f, &b, 2, "j");
    person_count(&b, HITS, 2);

    ROUND(&f, &b);
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
    person_init(&f, &a, 1, "j");
    person_count(&a, HITS, 1);
    person_end(&f, &a);
    ROUND(&f, &a);
    idle_rounds(&f, 3);
    person_init(&f, &b, 2, "j");
    person_count(&b, HITS, 2);

    ROUND(&f, &b);

    ck_assert_int_eq(source_of(&f, 1)->sealed, 1);
    ck_assert_double_eq(total_of(source_of(&f, 1), "hits_total"), 1);
    ck_assert_double_eq(total_of(source_of(&f, 2), "hits_total"), 2);
}
END_TEST

START_TEST(a_job_id_that_came_back_while_the_proxy_was_dead_is_another_share)
{
    struct person a, b;
    person_init(&f, &a, 1, "j");
    person_count(&a, HITS, 1);
    ROUND(&f, &a);
    person_end(&f, &a);
    f.now += CONTINUE + 60000;
    person_init(&f, &b, 2, "j");
    person_count(&b, HITS, 2);

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
    person_init(&f, &a, 1, "j");
    person_count(&a, HITS, 1);
    ROUND(&f, &a);
    f.now += 3 * CONTINUE;
    person_init(&f, &b, 2, "j");
    person_count(&b, HITS, 2);

    fixture_restart(&f);
    a.part.layout = b.part.layout = &f.layout;
    ROUND(&f, &b, &a);

    ck_assert_double_eq(total_of(source_of(&f, 1), "hits_total"), 3);
}
END_TEST

START_TEST(a_layout_is_forgotten_and_another_takes_its_place)
{
    struct person a, b;
    const mproxy_metric *turned[METRICS] = {
        [HITS] = f.metrics[BYTES], [BYTES] = f.metrics[HITS], [LEVEL] = f.metrics[LEVEL]};
    person_init(&f, &a, 1, "j");
    person_count(&a, HITS, 3);
    person_end(&f, &a);
    ROUND(&f, &a);

    mproxy_ledger_forget(f.ledger, &f.layout);
    for (uint64_t key = 2; key < 102; key++) {
        mproxy_layout layout = {.count = METRICS, .metrics = turned};
        person_init(&f, &b, key, "j");
        b.part.layout = &layout;
        person_count(&b, HITS, 1);
        person_count(&b, BYTES, 10);
        person_end(&f, &b);
        ROUND(&f, &b);
        mproxy_ledger_forget(f.ledger, &layout);
        mproxy_ledger_forget(f.ledger, &layout);
    }

    ck_assert_double_eq(total_of(source_of(&f, 1), "hits_total"), 1003);
    ck_assert_double_eq(total_of(source_of(&f, 1), "bytes_total"), 100);
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
    person_init(&f, &a, 1, "j");
    person_count(&a, HITS, 3);
    person_set(&a, 9);
    person_end(&f, &a);
    ROUND(&f, &a);
    idle_rounds(&f, 3);

    f.now += 1000;
    round_begin(&f);
    ck_assert_int_eq(mproxy_ledger_release(f.ledger, 1), MPROXY_OK);
    ck_assert_int_eq(mproxy_ledger_round_end(f.ledger, NULL), MPROXY_OK);

    const mproxy_source *base = source_of(&f, MPROXY_SHARE_BASE);
    ck_assert_ptr_null(source_of(&f, 1));
    ck_assert_double_eq(total_of(base, "hits_total"), 3);
    ck_assert_ptr_null(value_of(base, "level"));
    ck_assert_uint_eq(base->absorbed_count, 1);
    ck_assert_uint_eq(base->absorbed[0].first, 1);
    ck_assert_uint_eq(base->absorbed[0].end, 2);
    fixture_restart(&f);
    idle_rounds(&f, 1);
    base = source_of(&f, MPROXY_SHARE_BASE);
    ck_assert_double_eq(total_of(base, "hits_total"), 3);
    ck_assert_uint_eq(base->absorbed_count, 1);
}
END_TEST

static void release(uint64_t share)
{
    f.now += 1000;
    round_begin(&f);
    ck_assert_int_eq(mproxy_ledger_release(f.ledger, share), MPROXY_OK);
    ck_assert_int_eq(mproxy_ledger_round_end(f.ledger, NULL), MPROXY_OK);
}

START_TEST(absorbed_shares_are_one_span_however_many)
{
    static const uint64_t order[] = {3, 1, 5, 2, 4, 8, 7, 6};
    static const size_t spans[] = {1, 2, 3, 2, 1, 2, 2, 1};
    struct person people[8];
    const char *const jobs[8] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (uint64_t i = 0; i < 8; i++) {
        person_init(&f, &people[i], i + 1, jobs[i]);
        person_count(&people[i], HITS, 1);
        person_end(&f, &people[i]);
        ROUND(&f, &people[i]);
    }
    idle_rounds(&f, 4);

    for (size_t i = 0; i < 8; i++) {
        release(order[i]);
        ck_assert_uint_eq(source_of(&f, MPROXY_SHARE_BASE)->absorbed_count, spans[i]);
        if (i == 5) {
            fixture_restart(&f);
            idle_rounds(&f, 1);
            ck_assert_uint_eq(source_of(&f, MPROXY_SHARE_BASE)->absorbed_count, spans[i]);
        }
    }

    const mproxy_source *base = source_of(&f, MPROXY_SHARE_BASE);
    ck_assert_uint_eq(base->absorbed[0].first, 1);
    ck_assert_uint_eq(base->absorbed[0].end, 9);
    ck_assert_double_eq(total_of(base, "hits_total"), 8);
}
END_TEST

START_TEST(an_open_share_is_not_released)
{
    struct person a;
    person_init(&f, &a, 1, "j");
    person_count(&a, HITS, 3);
    ROUND(&f, &a);

    f.now += 1000;
    round_begin(&f);
    ck_assert_int_eq(mproxy_ledger_release(f.ledger, 1), MPROXY_OK);
    ck_assert_int_eq(mproxy_ledger_release(f.ledger, 77), MPROXY_E_NOTFOUND);
    mproxy_ledger_process(f.ledger, &a.process, NULL);
    mproxy_ledger_round_end(f.ledger, NULL);

    ck_assert_ptr_nonnull(source_of(&f, 1));
    ck_assert_uint_eq(source_of(&f, MPROXY_SHARE_BASE)->absorbed_count, 0);
}
END_TEST

START_TEST(share_numbers_are_never_used_again)
{
    struct person a, b;
    person_init(&f, &a, 1, "j");
    person_end(&f, &a);
    ROUND(&f, &a);
    idle_rounds(&f, 3);
    round_begin(&f);
    mproxy_ledger_release(f.ledger, 1);
    mproxy_ledger_round_end(f.ledger, NULL);

    fixture_restart(&f);
    person_init(&f, &b, 2, "j");
    ROUND(&f, &b);

    ck_assert_ptr_null(source_of(&f, 1));
    ck_assert_ptr_nonnull(source_of(&f, 2));
}
END_TEST

START_TEST(gauges_merge_the_last_value_of_each_process_dead_or_alive)
{
    struct person a[4];
    for (int i = 0; i < 4; i++) {
        person_init(&f, &a[i], 1 + (uint64_t)i, "j");
        person_set(&a[i], 1 + i);
    }
    ROUND(&f, &a[0], &a[1], &a[2], &a[3]);
    person_end(&f, &a[3]);
    a[3].process.end_wall_ms = 0; // killed

    ROUND(&f, &a[0], &a[1], &a[2], &a[3]);

    const mproxy_value *level = value_of(source_of(&f, 1), "level");
    ck_assert_double_eq(level->hits, 4);
    ck_assert_double_eq(level->total, 10);
    ck_assert_double_eq(level->min, 1);
    ck_assert_double_eq(level->max, 4);
}
END_TEST

START_TEST(walltime_is_the_union_of_the_processes_lives)
{
    struct person a, b;
    f.now = 1000000;
    person_init(&f, &a, 1, "j");
    person_init(&f, &b, 2, "j");
    ROUND(&f, &a, &b);
    ROUND(&f, &a, &b);
    f.now -= 500; // it ended half a second ago
    person_end(&f, &a);
    f.now += 500;
    person_end(&f, &b);

    ROUND(&f, &a, &b);

    ck_assert_double_eq_tol(total_of(source_of(&f, 1), "walltime"), 2.0, 1e-9);
}
END_TEST

START_TEST(a_process_between_two_rounds_has_its_own_walltime)
{
    struct person a;
    person_init(&f, &a, 1, "j");
    a.process.start_boot_ms += 700;
    a.process.final = 1;
    a.process.end_wall_ms = (int64_t)(wall_us_at(f.now) / 1000) + 705;

    ROUND(&f, &a);

    ck_assert_double_eq_tol(total_of(source_of(&f, 1), "walltime"), 0.005, 1e-9);
}
END_TEST

START_TEST(passive_processes_keep_a_share_only_from_being_sealed)
{
    struct person a, p;
    person_init(&f, &a, 1, "j");
    person_init(&f, &p, 2, "j");
    p.process.passive = 1;
    person_count(&p, HITS, 5);
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

START_TEST(uncounted_processes_are_counted_by_reason)
{
    struct person a, b;
    person_init(&f, &a, 1, "j");
    person_init(&f, &b, 2, "j");
    b.process.uncounted = 1 | 4;
    b.process.part_count = 0;
    ROUND(&f, &a, &b);
    double alive = 0;
    const mproxy_source *s = source_of(&f, 1);
    for (size_t i = 0; i < s->count; i++)
        if (strstr(s->metrics[i]->name, "uncounted_total{reason="))
            alive += s->values[i].total;
    person_end(&f, &b);

    ROUND(&f, &a, &b);
    ROUND(&f, &a);

    double after = 0;
    s = source_of(&f, 1);
    for (size_t i = 0; i < s->count; i++)
        if (strstr(s->metrics[i]->name, "uncounted_total{reason="))
            after += s->values[i].total;
    ck_assert_double_eq(alive, 2);
    ck_assert_double_eq(after, 2);
    ck_assert_int_eq(s->incomplete, 1);
}
END_TEST

START_TEST(refused_processes_are_told_once_however_often_said)
{
    struct person a;
    person_init(&f, &a, 1, "j");
    ROUND(&f, &a);
    for (int i = 0; i < 2; i++) {
        f.now += 1000;
        round_begin(&f);
        mproxy_ledger_refused(f.ledger, 3);
        mproxy_ledger_process(f.ledger, &a.process, NULL);
        mproxy_ledger_round_end(f.ledger, NULL);
    }

    const char *name = "mproxy_processes_uncounted_total{reason=\"refused\"}";
    ck_assert_double_eq(total_of(source_of(&f, MPROXY_SHARE_BASE), name), 3);
    ck_assert_int_eq(source_of(&f, 1)->incomplete, 1);
}
END_TEST

START_TEST(a_process_not_heard_of_for_a_round_keeps_its_values)
{
    struct person a;
    person_init(&f, &a, 1, "j");
    person_count(&a, HITS, 3);
    ROUND(&f, &a);

    idle_rounds(&f, 1);
    double missing = total_of(source_of(&f, 1), "hits_total");
    person_count(&a, HITS, 1);
    ROUND(&f, &a);

    ck_assert_double_eq(missing, 3);
    ck_assert_double_eq(total_of(source_of(&f, 1), "hits_total"), 4);
    idle_rounds(&f, 8);
    ck_assert_int_eq(source_of(&f, 1)->sealed, 1);
}
END_TEST

START_TEST(values_that_are_not_finite_are_left_out)
{
    struct person a, b;
    person_init(&f, &a, 1, "j");
    person_init(&f, &b, 2, "j");
    person_count(&a, HITS, 3);
    b.values[HITS] = INFINITY;
    b.values[BYTES] = NAN;

    ROUND(&f, &a, &b);
    person_end(&f, &b);
    ROUND(&f, &a, &b);

    ck_assert_double_eq(total_of(source_of(&f, 1), "hits_total"), 3);
    ck_assert_double_eq(total_of(source_of(&f, 1), "bytes_total"), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ledger");
    TCase *c = tcase_create("rules");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_new_ledger_shows_nothing_before_its_first_round);
    tcase_add_test(c, live_processes_of_a_job_are_added_up_in_its_share);
    tcase_add_test(c, a_value_that_changed_moves_its_time_and_the_sequence);
    tcase_add_test(c, processes_without_a_job_count_in_the_base);
    tcase_add_test(c, a_final_process_is_folded_once_and_its_segment_waits_for_unlink);
    tcase_add_test(c, a_restarted_ledger_does_not_count_pending_segments_again);
    tcase_add_test(c, a_share_lingers_then_is_sealed_with_its_ranks);
    tcase_add_test(c, ranks_survive_a_restart_before_and_after_the_seal);
    tcase_add_test(c, of_equal_ranks_the_lowest_is_named);
    tcase_add_test(c, a_process_within_the_linger_joins_the_share);
    tcase_add_test(c, a_process_after_the_seal_opens_the_next_share);
    tcase_add_test(c, a_job_id_that_came_back_while_the_proxy_was_dead_is_another_share);
    tcase_add_test(c, a_long_process_keeps_its_share_open_for_late_ones);
    tcase_add_test(c, a_layout_is_forgotten_and_another_takes_its_place);
    tcase_add_test(c, two_users_with_one_job_id_have_two_shares);
    tcase_add_test(c, a_released_share_is_absorbed_into_the_base);
    tcase_add_test(c, absorbed_shares_are_one_span_however_many);
    tcase_add_test(c, an_open_share_is_not_released);
    tcase_add_test(c, share_numbers_are_never_used_again);
    tcase_add_test(c, gauges_merge_the_last_value_of_each_process_dead_or_alive);
    tcase_add_test(c, walltime_is_the_union_of_the_processes_lives);
    tcase_add_test(c, a_process_between_two_rounds_has_its_own_walltime);
    tcase_add_test(c, passive_processes_keep_a_share_only_from_being_sealed);
    tcase_add_test(c, uncounted_processes_are_counted_by_reason);
    tcase_add_test(c, refused_processes_are_told_once_however_often_said);
    tcase_add_test(c, a_process_not_heard_of_for_a_round_keeps_its_values);
    tcase_add_test(c, values_that_are_not_finite_are_left_out);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
