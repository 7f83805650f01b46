// The keeper dies in the midst of storing, and another one goes on.

#include "../support/crash.h"
#include "../support/keeper_fixture.h"

static void store_run(void *unused)
{
    (void)unused;
    open_keeper();
    run_round();
}

static void die_while_storing(const char *point)
{
    close_keeper();
    die_at(point, store_run, NULL);
    open_keeper();
}

START_TEST(a_crash_anywhere_in_a_store_leaves_one_exact_profile)
{
    static const char *const points[] = {"profile.written", "profile.renamed",
                                         "profile.synced", "profile.unlinked"};
    for (size_t i = 0; i < 4; i++) {
        add_share(0, 1, "j", "./a", 0, 10000, 1);
        add_share(0, 2, "j", "./a", 10000 + CONTINUE_MS + 5000, 400000, 2);
        run_round();
        add_share(1, 7, "j", "./a", 100000, 200000, 4);
        die_while_storing(points[i]);

        run_round();

        ck_assert_uint_eq(mproxy_archive_size(archive), 1);
        ck_assert_double_eq(loaded("j"), 7);
        ck_assert_uint_eq(release_count(), 3);
        teardown();
        setup();
    }
}
END_TEST

START_TEST(a_crash_while_an_older_run_makes_place_loses_neither)
{
    static const char *const points[] = {"profile.written", "profile.moved",
                                         "profile.renamed", "profile.synced"};
    for (size_t i = 0; i < 4; i++) {
        add_share(0, 1, "j", "./a", 0, 10000, 1);
        run_round();
        add_share(0, 2, "j", "./b", 20000, 40000, 2);
        die_while_storing(points[i]);

        run_round();

        ck_assert_uint_eq(mproxy_archive_size(archive), 2);
        ck_assert_double_eq(loaded("j"), 2);
        ck_assert_double_eq(loaded("j@0"), 1);
        ck_assert_uint_eq(release_count(), 2);
        teardown();
        setup();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keeper_crash");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_crash_anywhere_in_a_store_leaves_one_exact_profile);
    tcase_add_test(c, a_crash_while_an_older_run_makes_place_loses_neither);
    suite_add_tcase(suite, c);
    return run_crash_suite(suite);
}
