// Stored profiles: the process dies in the midst of storing one.
#include <mproxy/profile.h>

#include "../support/archive_fixture.h"
#include "../support/crash.h"

static void store_run(void *arg)
{
    mproxy_archive *a = open_archive();
    mproxy_archive_store(a, arg, NULL);
}

// What a new archive sees after a death in the midst of storing.
static mproxy_archive *die_while_storing(const char *point, mproxy_profile *p)
{
    mproxy_archive *a = open_archive();
    ck_assert_int_eq(store(a, "j", 1000, 1), MPROXY_OK);
    ck_assert_int_eq(store(a, "j", 2000, 2), MPROXY_OK);
    mproxy_archive_close(a);
    die_at(point, store_run, p);
    mproxy_profile_free(p);
    return open_archive();
}

START_TEST(a_crash_anywhere_in_a_store_loses_nothing)
{
    static const char *const points[] = {"profile.written", "profile.moved",
                                         "profile.renamed", "profile.synced"};
    for (size_t i = 0; i < 4; i++) {
        mproxy_archive *a = die_while_storing(points[i], make_run("j", 3000, 3));
        bool stored = mproxy_archive_size(a) == 3;
        ck_assert_double_eq(loaded(a, "j"), stored ? 3 : 2);
        ck_assert_double_eq(loaded(a, "j@1000"), 1);
        ck_assert(stored == (i >= 2));
        ck_assert_int_eq(store(a, "j", 3000, 3), MPROXY_OK);

        ck_assert_uint_eq(mproxy_archive_size(a), 3);
        ck_assert_double_eq(loaded(a, "j"), 3);
        ck_assert_double_eq(loaded(a, "j@2000"), 2);
        ck_assert_uint_eq(count_files(""), 3);
        ck_assert_uint_eq(damaged, 0);
        mproxy_archive_close(a);
        teardown();
        setup();
    }
}
END_TEST

START_TEST(a_crash_anywhere_in_a_bridging_store_loses_nothing)
{
    static const char *const points[] = {"profile.written", "profile.renamed",
                                         "profile.synced", "profile.unlinked"};
    for (size_t i = 0; i < 4; i++) {
        mproxy_archive *a = die_while_storing(points[i], make_bridge());
        bool stored = mproxy_archive_size(a) == 1;
        ck_assert(stored == (i >= 1));
        ck_assert_double_eq(loaded(a, "j"), stored ? 3 : 2);
        ck_assert_uint_eq(count_files(""), stored ? 1 : 2);
        mproxy_archive_close(a);
        teardown();
        setup();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("archive_crash");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 30);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_crash_anywhere_in_a_store_loses_nothing);
    tcase_add_test(c, a_crash_anywhere_in_a_bridging_store_loses_nothing);
    suite_add_tcase(suite, c);
    return run_crash_suite(suite);
}
