#include "base/buf.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>

#include "../support/suite.h"

START_TEST(buf_grows_and_keeps_what_was_added)
{
    struct mpx_buf b = MPX_BUF_INIT;

    for (int i = 0; i < 1000; i++)
        mpx_buf_addf(&b, "%03d,", i);

    ck_assert_int_eq(b.size, 4000);
    ck_assert(memcmp(b.data + 3996, "999,", 4) == 0);
    mpx_buf_free(&b);
    ck_assert_ptr_null(b.data);
}
END_TEST

START_TEST(buf_text_ends_in_a_nul_that_does_not_count)
{
    struct mpx_buf b = MPX_BUF_INIT;
    char filler[256];
    memset(filler, 'x', sizeof filler);

    mpx_buf_add(&b, filler, sizeof filler); // exactly its first room

    const char *text = mpx_buf_text(&b);
    ck_assert_int_eq(b.size, 256);
    ck_assert_int_eq(strlen(text), 256);
    mpx_buf_add_text(&b, "y");
    ck_assert_str_eq(mpx_buf_text(&b) + 255, "xy");
    mpx_buf_free(&b);
}
END_TEST

START_TEST(buf_text_of_an_empty_one_is_empty)
{
    struct mpx_buf b = MPX_BUF_INIT;

    ck_assert_str_eq(mpx_buf_text(&b), "");

    mpx_buf_free(&b);
}
END_TEST

START_TEST(buf_take_leaves_an_empty_one)
{
    struct mpx_buf b = MPX_BUF_INIT;
    mpx_buf_add_text(&b, "abc");

    char *text = mpx_buf_take(&b);

    ck_assert_str_eq(text, "abc");
    ck_assert_ptr_null(b.data);
    ck_assert_int_eq(b.size, 0);
    free(text);
}
END_TEST

START_TEST(buf_remembers_that_it_could_not_grow)
{
    struct mpx_buf b = MPX_BUF_INIT;
    mpx_buf_add_text(&b, "abc");

    ck_assert(!mpx_buf_reserve(&b, SIZE_MAX / 2));
    mpx_buf_add_text(&b, "def");

    ck_assert(b.failed);
    ck_assert_int_eq(b.size, 3);
    ck_assert_ptr_null(mpx_buf_text(&b));
    ck_assert_ptr_null(mpx_buf_take(&b));
    mpx_buf_clear(&b);
    mpx_buf_add_text(&b, "ghi");
    ck_assert_str_eq(mpx_buf_text(&b), "ghi");
    mpx_buf_free(&b);
}
END_TEST

START_TEST(buf_adds_bytes_with_nuls)
{
    struct mpx_buf b = MPX_BUF_INIT;

    mpx_buf_add(&b, "a\0b", 3);
    mpx_buf_add(&b, NULL, 0);

    ck_assert_int_eq(b.size, 3);
    ck_assert(memcmp(b.data, "a\0b", 3) == 0);
    mpx_buf_free(&b);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("buf");
    tcase_add_test(c, buf_grows_and_keeps_what_was_added);
    tcase_add_test(c, buf_text_ends_in_a_nul_that_does_not_count);
    tcase_add_test(c, buf_text_of_an_empty_one_is_empty);
    tcase_add_test(c, buf_take_leaves_an_empty_one);
    tcase_add_test(c, buf_remembers_that_it_could_not_grow);
    tcase_add_test(c, buf_adds_bytes_with_nuls);
    Suite *suite = suite_create("buf");
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
