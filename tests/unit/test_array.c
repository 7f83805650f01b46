#include "base/array.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>

#include "../support/chaos_alloc.h"
#include "../support/suite.h"

START_TEST(array_grows_and_keeps_its_items)
{
    uint32_t *items = NULL;
    size_t room = 0, moves = 0;

    for (uint32_t i = 0; i < 1000; i++) {
        moves += i == room;
        ck_assert(MPX_RESERVE(items, room, i + 1));
        items[i] = i;
    }

    for (uint32_t i = 0; i < 1000; i++)
        ck_assert_uint_eq(items[i], i);
    ck_assert_uint_eq(moves, 11); // 1, 2, 4 ... 1024
    free(items);
}
END_TEST

START_TEST(array_with_room_enough_is_left_alone)
{
    char *items = NULL;
    size_t room = 0;

    ck_assert(MPX_RESERVE(items, room, 0));
    ck_assert_ptr_null(items);
    ck_assert(MPX_RESERVE(items, room, 100));
    char *before = items;

    ck_assert(MPX_RESERVE(items, room, 50));

    ck_assert_ptr_eq(items, before);
    ck_assert_uint_eq(room, 100);
    free(items);
}
END_TEST

START_TEST(array_new_items_are_zero_where_asked_for)
{
    uint64_t *items = NULL;
    size_t room = 0;
    ck_assert(MPX_RESERVE_ZEROED(items, room, 3));
    items[2] = 7;

    ck_assert(MPX_RESERVE_ZEROED(items, room, 500));

    ck_assert_uint_eq(items[1], 0);
    ck_assert_uint_eq(items[2], 7);
    for (size_t i = 3; i < 500; i++)
        ck_assert_uint_eq(items[i], 0);
    free(items);
}
END_TEST

START_TEST(array_without_memory_is_as_before)
{
    uint64_t *items = NULL;
    size_t room = 0;
    ck_assert(MPX_RESERVE(items, room, 4));
    items[3] = 9;

    chaos_fail(1, false);
    bool grown = MPX_RESERVE(items, room, 5);
    chaos_fail(0, false);

    ck_assert(!grown);
    ck_assert_uint_eq(room, 4);
    ck_assert_uint_eq(items[3], 9);
    free(items);
}
END_TEST

START_TEST(array_past_the_address_space_is_refused)
{
    uint64_t *items = NULL;
    size_t room = 0;

    ck_assert(!MPX_RESERVE(items, room, SIZE_MAX / 4));

    ck_assert_ptr_null(items);
    ck_assert_uint_eq(room, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("array");
    TCase *tests = tcase_create("array");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, array_grows_and_keeps_its_items);
    tcase_add_test(tests, array_with_room_enough_is_left_alone);
    tcase_add_test(tests, array_new_items_are_zero_where_asked_for);
    tcase_add_test(tests, array_without_memory_is_as_before);
    tcase_add_test(tests, array_past_the_address_space_is_refused);
    return run_suite(suite);
}
