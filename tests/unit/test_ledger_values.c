// What the shares of a ledger hold: values, ranks, walltime, and what is missing.

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

START_TEST(a_value_that_changed_moves_its_time_and_the_sequence)
{
    struct person a;
    person_start(&f, &a, 1, "j", 3);
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

START_TEST(a_share_lingers_then_is_sealed_with_its_ranks)
{
    struct person a, b;
    person_start(&f, &a, 1, "j", 5);
    person_start(&f, &b, 2, "j", 2);
    b.process.rank = 3;
    person_end(&f, &a);
    person_end(&f, &b);

    ROUND(&f, &a, &b);
    int sealed_at_once = source_of(&f, 1)->sealed;
    idle_rounds(&f, 3);

    const mproxy_source *s = source_of(&f, 1);
    ck_assert_int_eq(sealed_at_once, 0);
    ck_assert_int_eq(s->sealed, 1);
    const mproxy_ranks *r = ranks_of(s, "hits_total");
    ck_assert_uint_eq(r->n, 2);
    ck_assert_double_eq(r->sum, 7);
    ck_assert_uint_eq(r->min_rank, 3);
    ck_assert_uint_eq(r->max_rank, 0);
    ck_assert_uint_eq(ranks_of(s, "level")->n, 0);
}
END_TEST

START_TEST(ranks_survive_a_restart_before_and_after_the_seal)
{
    struct person a, b;
    person_start(&f, &a, 1, "j", 5);
    person_end(&f, &a);
    ROUND(&f, &a);

    fixture_restart(&f);
    person_start(&f, &b, 2, "j", 9);
    b.process.rank = 1;
    person_end(&f, &b);
    ROUND(&f, &b);
    idle_rounds(&f, 3);
    fixture_restart(&f);
    idle_rounds(&f, 1);

    const mproxy_source *s = source_of(&f, 1);
    const mproxy_ranks *r = ranks_of(s, "hits_total");
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
        person_start(&f, &a[i], 1 + (uint64_t)i, "j", 4);
        a[i].process.rank = (uint32_t)(7 - i);
        person_end(&f, &a[i]);
    }

    ROUND(&f, &a[0], &a[1], &a[2]);
    idle_rounds(&f, 3);

    const mproxy_source *s = source_of(&f, 1);
    const mproxy_ranks *r = ranks_of(s, "hits_total");
    ck_assert_uint_eq(r->n, 3);
    ck_assert_uint_eq(r->min_rank, 5);
    ck_assert_uint_eq(r->max_rank, 5);
}
END_TEST

START_TEST(a_layout_is_forgotten_and_another_takes_its_place)
{
    struct person a, b;
    const mproxy_metric *turned[METRICS] = {
        [HITS] = f.metrics[BYTES], [BYTES] = f.metrics[HITS], [LEVEL] = f.metrics[LEVEL]};
    person_start(&f, &a, 1, "j", 3);
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

static double uncounted(const mproxy_source *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->count; i++)
        if (strstr(mproxy_metric_name(s->metrics[i]), "uncounted_total{reason="))
            sum += s->values[i].total;
    return sum;
}

START_TEST(uncounted_processes_are_counted_by_reason)
{
    struct person a, b;
    person_init(&f, &a, 1, "j");
    person_init(&f, &b, 2, "j");
    b.process.uncounted = 1 | 4;
    b.process.part_count = 0;
    ROUND(&f, &a, &b);
    double alive = uncounted(source_of(&f, 1));
    person_end(&f, &b);

    ROUND(&f, &a, &b);
    ROUND(&f, &a);

    ck_assert_double_eq(alive, 2);
    ck_assert_double_eq(uncounted(source_of(&f, 1)), 2);
    ck_assert_int_eq(source_of(&f, 1)->incomplete, 1);
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
    ck_assert_double_eq(total_of(base_of(&f), name), 3);
    ck_assert_int_eq(source_of(&f, 1)->incomplete, 1);
}
END_TEST

START_TEST(a_process_not_heard_of_for_a_round_keeps_its_values)
{
    struct person a;
    person_start(&f, &a, 1, "j", 3);
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
    person_start(&f, &a, 1, "j", 3);
    person_init(&f, &b, 2, "j");
    b.values[HITS] = INFINITY;
    b.values[BYTES] = NAN;

    ROUND(&f, &a, &b);
    person_end(&f, &b);
    ROUND(&f, &a, &b);

    ck_assert_double_eq(total_of(source_of(&f, 1), "hits_total"), 3);
    ck_assert_double_eq(total_of(source_of(&f, 1), "bytes_total"), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ledger_values");
    TCase *c = tcase_create("rules");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_value_that_changed_moves_its_time_and_the_sequence);
    tcase_add_test(c, a_share_lingers_then_is_sealed_with_its_ranks);
    tcase_add_test(c, ranks_survive_a_restart_before_and_after_the_seal);
    tcase_add_test(c, of_equal_ranks_the_lowest_is_named);
    tcase_add_test(c, a_layout_is_forgotten_and_another_takes_its_place);
    tcase_add_test(c, gauges_merge_the_last_value_of_each_process_dead_or_alive);
    tcase_add_test(c, walltime_is_the_union_of_the_processes_lives);
    tcase_add_test(c, a_process_between_two_rounds_has_its_own_walltime);
    tcase_add_test(c, uncounted_processes_are_counted_by_reason);
    tcase_add_test(c, refused_processes_are_told_once_however_often_said);
    tcase_add_test(c, a_process_not_heard_of_for_a_round_keeps_its_values);
    tcase_add_test(c, values_that_are_not_finite_are_left_out);
    suite_add_tcase(s, c);
    return run_suite(s);
}
