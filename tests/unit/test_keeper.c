// The keeper: which runs are stored, what they hold, which shares are released.

#include "../support/keeper_fixture.h"
#include "../support/suite.h"

START_TEST(a_sealed_run_is_stored_and_then_released)
{
    add_share(0, 1, "j", "./a", 5000, 9999, 42);

    start_round();
    ck_assert_uint_eq(release_count(), 0);
    ck_assert(mpx_keeper_drain(keeper, 20000));
    start_round();

    const struct mpx_release *releases;
    ck_assert_uint_eq(mpx_keeper_releases(keeper, &releases), 1);
    ck_assert_uint_eq(releases[0].number, 1);
    ck_assert_uint_eq(releases[0].directory[0], 1);
    mproxy_profile *p = load("j");
    ck_assert_uint_eq(p->count, 2);
    ck_assert_double_eq(p->entries[0].value.total, 42);
    ck_assert_uint_eq(p->entries[0].ranks.n, 1);
    ck_assert_str_eq(p->entries[1].name, "packets");
    ck_assert_int_eq(p->desc.start_time, 5);
    ck_assert_int_eq(p->desc.end_time, 9);
    ck_assert_str_eq(p->desc.command, "./a");
    ck_assert_uint_eq(p->uid, 1000);
    ck_assert_uint_eq(p->partial_count, 0);
    mproxy_profile_free(p);
}
END_TEST

START_TEST(a_run_waits_until_all_its_shares_are_sealed)
{
    add_share(0, 1, "j", "./a", 1000, 2000, 1);
    struct share *late = add_share(1, 1, "j", "./b", 1500, 2000, 2);
    late->source.sealed = 0;

    run_round();
    ck_assert_uint_eq(mproxy_archive_size(archive), 0);
    ck_assert_uint_eq(release_count(), 0);
    late->source.sealed = 1;
    late->source.sequence++;
    run_round();

    ck_assert_double_eq(loaded("j"), 3);
    ck_assert_uint_eq(release_count(), 2);
}
END_TEST

START_TEST(a_share_that_stays_silent_makes_the_profile_partial_until_it_returns)
{
    add_share(0, 1, "j", "./a", 1000, 2000, 1);
    struct share *lost = add_share(1, 1, "j", "./a", 1500, 2000, 2);
    lost->source.sealed = 0;
    lost->source.silent_ms = WAIT_MS + 1;

    run_round();
    mproxy_profile *p = load("j");
    ck_assert_uint_eq(p->partial_count, 1);
    ck_assert_str_eq(p->partial[0], "n1");
    mproxy_profile_free(p);
    ck_assert_uint_eq(release_count(), 1);
    lost->source.silent_ms = 0;
    lost->source.sealed = 1;
    lost->source.epoch = 2;
    lost->source.sequence = 1;
    lost->value.total = 20;
    run_round();

    p = load("j");
    ck_assert_uint_eq(p->partial_count, 0);
    ck_assert_double_eq(p->entries[0].value.total, 21);
    mproxy_profile_free(p);
    ck_assert_uint_eq(release_count(), 2);
}
END_TEST

START_TEST(an_incomplete_share_makes_the_profile_partial)
{
    add_share(2, 1, "j", "./a", 1000, 2000, 1)->source.incomplete = 1;

    run_round();

    mproxy_profile *p = load("j");
    ck_assert_uint_eq(p->partial_count, 1);
    ck_assert_str_eq(p->partial[0], "n2");
    mproxy_profile_free(p);
    ck_assert_uint_eq(release_count(), 1);
}
END_TEST

START_TEST(an_unchanged_profile_is_not_written_again)
{
    add_share(0, 1, "j", "./a", 1000, 2000, 1);
    run_round();
    unsigned lines = lines_logged;
    ck_assert_uint_eq(lines, 1);

    for (int i = 0; i < 5; i++) {
        shares[0].source.epoch++; // the proxy was started again
        run_round();
    }

    ck_assert_uint_eq(lines_logged, lines);
    ck_assert_uint_eq(release_count(), 1);
}
END_TEST

START_TEST(an_id_that_comes_back_goes_on_or_is_another_run)
{
    static const struct {
        const char *id, *command;
        int64_t gap_ms;
        size_t profiles;
    } cases[] = {{"soon", "./a", CONTINUE_MS - 1000, 1},
                 {"late", "./a", CONTINUE_MS + 1000, 2},
                 {"other", "./b", 1000, 2}};
    for (size_t i = 0; i < 3; i++) {
        size_t before = mproxy_archive_size(archive);
        share_count = 0;
        add_share(0, 2 * i + 1, cases[i].id, "./a", 10000, 20000, 1);
        run_round();
        share_count = 0; // absorbed
        add_share(0, 2 * i + 2, cases[i].id, cases[i].command, 20000 + cases[i].gap_ms,
                  30000 + cases[i].gap_ms, 2);
        run_round();

        ck_assert_uint_eq(mproxy_archive_size(archive), before + cases[i].profiles);
        ck_assert_double_eq(loaded(cases[i].id), cases[i].profiles == 1 ? 3 : 2);
        ck_assert_uint_eq(release_count(), 1);
    }
}
END_TEST

// One after the other: each is stored and absorbed before the next begins.
static void run_alone(uint64_t number, const char *command, int64_t start_ms)
{
    share_count = 0;
    add_share(0, number, "j", command, start_ms, start_ms + 10, (double)(1 << number));
    run_round();
}

START_TEST(commands_that_take_turns_have_a_profile_each)
{
    for (uint64_t i = 0; i < 5; i++)
        run_alone(i, i % 2 ? "./b" : "./a", 10000 + 1000 * (int64_t)i);

    ck_assert_uint_eq(mproxy_archive_size(archive), 2);
    ck_assert_double_eq(loaded("j"), 1 + 4 + 16);
    ck_assert_double_eq(loaded("j@11"), 2 + 8);
}
END_TEST

// The run's command is ./a; that ./b goes on with it is known from the profile alone.
START_TEST(any_command_of_a_run_goes_on_with_it_after_a_restart)
{
    add_share(0, 1, "j", "./a", 10000, 20000, 1);
    add_share(1, 1, "j", "./b", 11000, 20000, 2);
    run_round();
    close_keeper();
    open_keeper();

    run_alone(2, "./b", 30000);

    ck_assert_uint_eq(mproxy_archive_size(archive), 1);
    ck_assert_double_eq(loaded("j"), 7);
}
END_TEST

// The profile of the only provisional run, as it would be answered; freed by the caller.
static mproxy_profile *provisional(const char *key)
{
    const struct mpx_provisional *runs;
    const mproxy_source *sources[SHARES_MAX];
    mproxy_profile *p = NULL;
    for (size_t i = 0; i < share_count; i++)
        sources[i] = &shares[i].source;
    ck_assert_uint_eq(mpx_keeper_provisional(keeper, &runs), 1);
    ck_assert_str_eq(runs[0].key, key);
    struct mpx_plan *plan = mpx_keeper_plan(keeper, sources, share_count, &runs[0]);
    ck_assert_ptr_nonnull(plan);
    ck_assert_int_eq(mpx_plan_reads(plan), runs[0].replaced_count > 0);
    ck_assert_int_eq(mpx_plan_provisional(archive, plan, &p, NULL), MPROXY_OK);
    mpx_plan_free(plan);
    ck_assert_int_eq(p->provisional, 1);
    ck_assert_uint_eq(p->partial_count, 0);
    return p;
}

START_TEST(a_run_whose_processes_are_gone_is_provisional_until_it_is_stored)
{
    const struct mpx_provisional *runs;
    run_alone(1, "./a", 10000); // stored: 2
    share_count = 0;
    struct share *a = add_share(0, 2, "j", "./a", 20000, 21000, 8);
    struct share *b = add_share(1, 1, "j", "./a", 20000, 22000, 16);
    a->source.sealed = b->source.sealed = 0;
    a->source.idle = 1;
    start_round();
    ck_assert_uint_eq(mpx_keeper_provisional(keeper, &runs), 0);

    b->source.idle = 1;
    start_round();

    mproxy_profile *p = provisional("j");
    ck_assert_double_eq(p->entries[0].value.total, 2 + 8 + 16);
    ck_assert_int_eq(p->desc.start_time, 10);
    ck_assert_int_eq(p->desc.end_time, 22);
    mproxy_profile_free(p);
    a->source.sealed = b->source.sealed = 1;
    run_round();
    ck_assert_uint_eq(mpx_keeper_provisional(keeper, &runs), 0);
    p = load("j");
    ck_assert_int_eq(p->provisional, 0);
    mproxy_profile_free(p);
}
END_TEST

START_TEST(an_older_run_than_what_is_stored_is_provisional_under_its_time)
{
    run_alone(1, "./a", 10000000);
    share_count = 0;
    add_share(0, 2, "j", "./b", 5000000, 6000000, 8)->source.sealed = 0;
    shares[0].source.idle = 1;
    start_round();

    mproxy_profile_free(provisional("j@5000"));
}
END_TEST

START_TEST(a_late_share_bridges_two_profiles)
{
    add_share(0, 1, "j", "./a", 0, 10000, 1);
    add_share(0, 2, "j", "./a", 10000 + CONTINUE_MS + 5000, 400000, 2);
    run_round();
    ck_assert_uint_eq(mproxy_archive_size(archive), 2);

    add_share(1, 7, "j", "./a", 100000, 200000, 4);
    run_round();

    ck_assert_uint_eq(mproxy_archive_size(archive), 1);
    ck_assert_double_eq(loaded("j"), 7);
    ck_assert_uint_eq(release_count(), 3);
}
END_TEST

START_TEST(two_users_with_one_id_have_a_profile_each)
{
    add_share(0, 1, "j", "./a", 1000, 2000, 1);
    add_share(0, 2, "j", "./a", 1000, 2000, 2)->source.uid = 2000;

    run_round();

    ck_assert_uint_eq(mproxy_archive_size(archive), 2);
    ck_assert_double_eq(loaded("j") + loaded("j@1"), 3);
    ck_assert_uint_eq(release_count(), 2);
}
END_TEST

START_TEST(ids_that_may_not_name_a_job_are_passed_over)
{
    add_share(0, 1, "main", "./a", 1000, 2000, 1);
    add_share(0, 2, "Node: x", "./a", 1000, 2000, 1);
    add_share(0, 3, "../../x", "./a", 1000, 2000, 5);

    run_round();

    ck_assert_uint_eq(mproxy_archive_size(archive), 1);
    ck_assert_double_eq(loaded("../../x"), 5);
}
END_TEST

START_TEST(values_out_of_all_range_still_make_a_profile_that_can_be_read)
{
    struct share *s =
        add_share(0, UINT64_MAX - 1, "j", "./a", INT64_MIN, INT64_MAX, 1e300);
    s->job.size = UINT64_MAX;
    s->source.epoch = s->source.sequence = UINT64_MAX;
    s->value.ts_us = UINT64_MAX;

    run_round();
    close_keeper();
    open_keeper();

    ck_assert_double_eq(loaded("j"), 1e300);
}
END_TEST

START_TEST(what_cannot_be_stored_is_tried_again_with_pauses)
{
    char command[256], text[244] = "";
    snprintf(command, sizeof command, "rm -rf %s/prefix && touch %s/prefix", root, root);
    ck_assert_int_eq(system(command), 0);
    add_share(0, 1, "j", "./a", 1000, 2000, 42);

    for (int i = 0; i < 30; i++) { // 3 s each
        run_round();
        ck_assert_uint_eq(release_count(), 0);
    }
    ck_assert(mpx_keeper_failed(keeper, text, sizeof text));
    ck_assert_ptr_nonnull(strstr(text, dir));
    ck_assert(!mpx_keeper_drain(keeper, 10));
    ck_assert_uint_eq(failures_logged, 1);
    snprintf(command, sizeof command, "rm %s/prefix", root);
    ck_assert_int_eq(system(command), 0);
    for (int i = 0; i < 4 && release_count() == 0; i++) // 3 s each
        run_round();

    ck_assert_uint_eq(release_count(), 1);
    ck_assert_double_eq(loaded("j"), 42);
    ck_assert(!mpx_keeper_failed(keeper, text, sizeof text));
    ck_assert_uint_eq(failures_logged, 1);
}
END_TEST

START_TEST(an_archive_that_cannot_be_looked_at_is_told_of)
{
    char command[256], text[244] = "";
    add_share(0, 1, "j", "./a", 1000, 2000, 42);
    run_round();
    share_count = 0; // nothing is left to be stored
    snprintf(command, sizeof command, "rm -rf %s/prefix && touch %s/prefix", root, root);
    ck_assert_int_eq(system(command), 0);
    for (int i = 0; i < 8; i++) // 3 s each
        run_round();

    ck_assert(mpx_keeper_failed(keeper, text, sizeof text));
    ck_assert_ptr_nonnull(strstr(text, dir));
    ck_assert_uint_eq(failures_logged, 1);

    snprintf(command, sizeof command, "rm %s/prefix", root);
    ck_assert_int_eq(system(command), 0);
    for (int i = 0; i < 8; i++)
        run_round();
    ck_assert(!mpx_keeper_failed(keeper, text, sizeof text));
}
END_TEST

START_TEST(releases_come_from_the_archive_after_a_restart)
{
    add_share(0, 1, "j", "./a", 1000, 2000, 42);
    run_round();
    close_keeper();
    open_keeper();

    start_round();

    ck_assert_uint_eq(release_count(), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keeper");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_sealed_run_is_stored_and_then_released);
    tcase_add_test(c, a_run_waits_until_all_its_shares_are_sealed);
    tcase_add_test(c,
                   a_share_that_stays_silent_makes_the_profile_partial_until_it_returns);
    tcase_add_test(c, an_incomplete_share_makes_the_profile_partial);
    tcase_add_test(c, an_unchanged_profile_is_not_written_again);
    tcase_add_test(c, an_id_that_comes_back_goes_on_or_is_another_run);
    tcase_add_test(c, commands_that_take_turns_have_a_profile_each);
    tcase_add_test(c, any_command_of_a_run_goes_on_with_it_after_a_restart);
    tcase_add_test(c, a_run_whose_processes_are_gone_is_provisional_until_it_is_stored);
    tcase_add_test(c, an_older_run_than_what_is_stored_is_provisional_under_its_time);
    tcase_add_test(c, a_late_share_bridges_two_profiles);
    tcase_add_test(c, two_users_with_one_id_have_a_profile_each);
    tcase_add_test(c, ids_that_may_not_name_a_job_are_passed_over);
    tcase_add_test(c, values_out_of_all_range_still_make_a_profile_that_can_be_read);
    tcase_add_test(c, what_cannot_be_stored_is_tried_again_with_pauses);
    tcase_add_test(c, an_archive_that_cannot_be_looked_at_is_told_of);
    tcase_add_test(c, releases_come_from_the_archive_after_a_restart);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
