#include "base/options.h"

#include <stdint.h>

#include "../support/suite.h"

typedef struct some_options {
    size_t struct_size;
    int a;
    const char *b; // the last of the first release
    int64_t c;
} some_options;

static some_options out;
static mproxy_error err;

static mproxy_status take(const some_options *options)
{
    out = (some_options){.a = -1, .b = "old", .c = -1};
    return MPX_OPTIONS_TAKE(some_options, b, &out, options, &err);
}

START_TEST(options_that_are_not_given_are_defaults)
{
    ck_assert_int_eq(take(NULL), MPROXY_OK);

    ck_assert_uint_eq(out.struct_size, sizeof out);
    ck_assert_int_eq(out.a, 0);
    ck_assert_ptr_null(out.b);
    ck_assert_int_eq(out.c, 0);
}
END_TEST

START_TEST(options_of_this_release_are_taken_whole)
{
    some_options given = {.struct_size = sizeof given, .a = 1, .b = "b", .c = 3};

    ck_assert_int_eq(take(&given), MPROXY_OK);

    ck_assert_mem_eq(&out, &given, sizeof given);
}
END_TEST

START_TEST(options_of_an_older_release_are_filled_up)
{
    some_options given = {.struct_size = offsetof(some_options, c), .a = 1, .c = 99};

    ck_assert_int_eq(take(&given), MPROXY_OK);

    ck_assert_int_eq(out.a, 1);
    ck_assert_int_eq(out.c, 0);
}
END_TEST

START_TEST(options_without_a_size_are_refused)
{
    const size_t wrong[] = {0, 1, sizeof(size_t), offsetof(some_options, c) - 1};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        some_options given = {.struct_size = wrong[i], .a = 1};

        ck_assert_int_eq(take(&given), MPROXY_E_INVALID);

        ck_assert_int_eq(out.a, -1);
        ck_assert_ptr_nonnull(strstr(err.text, "sizeof(some_options) was expected"));
    }
}
END_TEST

START_TEST(options_of_a_newer_release_may_leave_its_fields_alone)
{
    struct {
        some_options known;
        int64_t added;
    } newer = {.known = {.struct_size = sizeof newer, .a = 5}};

    ck_assert_int_eq(take(&newer.known), MPROXY_OK);
    ck_assert_int_eq(out.a, 5);
    ck_assert_uint_eq(out.struct_size, sizeof out);
    newer.added = 1;
    ck_assert_int_eq(take(&newer.known), MPROXY_E_VERSION);
    ck_assert_int_eq(out.a, -1);
}
END_TEST

typedef struct some_stats {
    size_t struct_size;
    uint64_t a; // the last of the first release
    uint64_t b;
} some_stats;

static mproxy_status give(void *to)
{
    some_stats from = {.struct_size = 12345, .a = 1, .b = 2};
    return MPX_STRUCT_GIVE(some_stats, a, to, &from, &err);
}

START_TEST(statistics_are_given_as_far_as_the_caller_knows_them)
{
    some_stats older = {.struct_size = offsetof(some_stats, b), .b = 77};
    struct {
        some_stats known;
        uint64_t added;
    } newer = {.known = {.struct_size = sizeof newer}, .added = 77};

    ck_assert_int_eq(give(&older), MPROXY_OK);
    ck_assert_int_eq(give(&newer), MPROXY_OK);

    ck_assert_uint_eq(older.struct_size, offsetof(some_stats, b));
    ck_assert(older.a == 1 && older.b == 77);
    ck_assert_uint_eq(newer.known.struct_size, sizeof newer);
    ck_assert(newer.known.a == 1 && newer.known.b == 2 && newer.added == 0);
}
END_TEST

START_TEST(statistics_without_a_size_are_not_given)
{
    some_stats none = {.a = 77};

    ck_assert_int_eq(give(&none), MPROXY_E_INVALID);

    ck_assert_uint_eq(none.a, 77);
    ck_assert_ptr_nonnull(strstr(err.text, "sizeof(some_stats) was expected"));
}
END_TEST

START_TEST(structs_told_in_place_are_of_a_size_that_is_known)
{
    struct {
        some_stats known;
        uint64_t added;
    } newer = {.known = {.struct_size = sizeof newer}};
    some_stats told = {.struct_size = sizeof told};

    ck_assert_int_eq(MPX_STRUCT_CHECK(some_stats, b, &told, &err), MPROXY_OK);
    ck_assert_int_eq(MPX_STRUCT_CHECK(some_stats, b, &newer.known, &err), MPROXY_OK);
    newer.added = 1;
    ck_assert_int_eq(MPX_STRUCT_CHECK(some_stats, b, &newer.known, &err),
                     MPROXY_E_VERSION);
    told.struct_size = sizeof told - 1;
    ck_assert_int_eq(MPX_STRUCT_CHECK(some_stats, b, &told, &err), MPROXY_E_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *c = tcase_create("all");
    tcase_add_test(c, options_that_are_not_given_are_defaults);
    tcase_add_test(c, options_of_this_release_are_taken_whole);
    tcase_add_test(c, options_of_an_older_release_are_filled_up);
    tcase_add_test(c, options_without_a_size_are_refused);
    tcase_add_test(c, options_of_a_newer_release_may_leave_its_fields_alone);
    tcase_add_test(c, statistics_are_given_as_far_as_the_caller_knows_them);
    tcase_add_test(c, statistics_without_a_size_are_not_given);
    tcase_add_test(c, structs_told_in_place_are_of_a_size_that_is_known);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
