#include "base/index.h"

#include <check.h>
#include <stdlib.h>

#include "../support/suite.h"

enum { ITEMS = 64 };

// Whether exactly the positions whose bit is set are found, each under its hash.
static void check_found(const struct mpx_index *ix, const uint32_t *hashes,
                        const bool *is_in)
{
    for (uint32_t i = 0; i < ITEMS; i++) {
        unsigned found = 0;
        uint32_t at = mpx_index_start(ix, hashes[i]);
        for (uint32_t p; mpx_index_next(ix, hashes[i], &at, &p);)
            found += p == i;
        ck_assert_uint_eq(found, is_in[i]);
    }
}

START_TEST(index_finds_all_positions_of_one_hash)
{
    struct mpx_index ix = {0};
    ck_assert(mpx_index_reserve(&ix, 3));
    mpx_index_put(&ix, 7, 0);
    mpx_index_put(&ix, 7, 1);
    mpx_index_put(&ix, 7 + ix.room, 2); // begins in the same cell

    unsigned found = 0;
    uint32_t at = mpx_index_start(&ix, 7);
    for (uint32_t p; mpx_index_next(&ix, 7, &at, &p);)
        found |= 1u << p;

    ck_assert_uint_eq(found, 3);
    mpx_index_fini(&ix);
}
END_TEST

START_TEST(index_without_room_finds_nothing)
{
    struct mpx_index ix = {0};
    uint32_t at = mpx_index_start(&ix, 7), p;

    ck_assert(!mpx_index_next(&ix, 7, &at, &p));
}
END_TEST

// Few homes, so that runs of cells are long and go around the table's end.
START_TEST(index_remove_loses_no_other_position)
{
    struct mpx_index ix = {0};
    uint32_t hashes[ITEMS];
    bool is_in[ITEMS] = {0};
    ck_assert(mpx_index_reserve(&ix, ITEMS));
    srand((unsigned)_i);
    for (uint32_t i = 0; i < ITEMS; i++)
        hashes[i] = (uint32_t)rand() % 5 * 13 + ix.room - 8;

    for (int round = 0; round < 500; round++) {
        uint32_t i = (uint32_t)rand() % ITEMS;
        if (is_in[i])
            mpx_index_remove(&ix, hashes[i], i);
        else
            mpx_index_put(&ix, hashes[i], i);
        is_in[i] = !is_in[i];
        check_found(&ix, hashes, is_in);
    }

    mpx_index_fini(&ix);
}
END_TEST

START_TEST(index_move_changes_a_position)
{
    struct mpx_index ix = {0};
    ck_assert(mpx_index_reserve(&ix, 2));
    mpx_index_put(&ix, 5, 0);
    mpx_index_put(&ix, 5, 9);

    mpx_index_move(&ix, 5, 9, 1);

    unsigned found = 0;
    uint32_t at = mpx_index_start(&ix, 5);
    for (uint32_t p; mpx_index_next(&ix, 5, &at, &p);)
        found |= 1u << p;
    ck_assert_uint_eq(found, 3);
    mpx_index_fini(&ix);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("index");
    TCase *tests = tcase_create("index");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, index_finds_all_positions_of_one_hash);
    tcase_add_test(tests, index_without_room_finds_nothing);
    tcase_add_loop_test(tests, index_remove_loses_no_other_position, 1, 20);
    tcase_add_test(tests, index_move_changes_a_position);
    return run_suite(suite);
}
