#include "base/codec.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "../support/suite.h"

static struct mpx_buf buf;

static void free_buf(void)
{
    mpx_buf_free(&buf);
}

static struct mpx_cursor cursor_of(const void *bytes, size_t length)
{
    return (struct mpx_cursor){.at = bytes, .end = (const unsigned char *)bytes + length};
}

static struct mpx_cursor read_buf(void)
{
    return cursor_of(buf.data, buf.size);
}

static const uint64_t unsigneds[] = {0,
                                     1,
                                     127,
                                     128,
                                     16383,
                                     16384,
                                     UINT32_MAX,
                                     UINT64_C(1) << 62,
                                     UINT64_C(1) << 63,
                                     UINT64_MAX};
static const int64_t signeds[] = {0, 1, -1, 63, -64, 64, INT64_MAX, INT64_MIN};

START_TEST(integers_read_back)
{
    for (size_t i = 0; i < sizeof unsigneds / sizeof unsigneds[0]; i++)
        mpx_put_u64(&buf, unsigneds[i]);
    for (size_t i = 0; i < sizeof signeds / sizeof signeds[0]; i++)
        mpx_put_i64(&buf, signeds[i]);

    struct mpx_cursor c = read_buf();

    for (size_t i = 0; i < sizeof unsigneds / sizeof unsigneds[0]; i++)
        ck_assert_uint_eq(mpx_get_u64(&c), unsigneds[i]);
    for (size_t i = 0; i < sizeof signeds / sizeof signeds[0]; i++)
        ck_assert_int_eq(mpx_get_i64(&c), signeds[i]);
    ck_assert(!c.bad && c.at == c.end);
}
END_TEST

START_TEST(small_integers_take_one_byte)
{
    mpx_put_u64(&buf, 127);
    mpx_put_i64(&buf, -64);

    ck_assert_int_eq(buf.size, 2);
}
END_TEST

START_TEST(doubles_read_back_bit_for_bit)
{
    const double doubles[] = {0, -0.0, 0.1, 5e-324, INFINITY, NAN};
    for (size_t i = 0; i < 6; i++)
        mpx_put_double(&buf, doubles[i]);

    struct mpx_cursor c = read_buf();

    for (size_t i = 0; i < 6; i++) {
        double back = mpx_get_double(&c);
        ck_assert(memcmp(&back, &doubles[i], sizeof back) == 0);
    }
    ck_assert(!c.bad);
}
END_TEST

START_TEST(strings_and_bytes_read_back)
{
    mpx_put_string(&buf, "");
    mpx_put_string(&buf, "caf\xc3\xa9");
    mpx_put_bytes(&buf, "a\0b", 3);

    struct mpx_cursor c = read_buf();
    char *empty = mpx_get_string(&c, 0), *text = mpx_get_string(&c, 5);
    const void *bytes = mpx_get_bytes(&c, 3);

    ck_assert_str_eq(empty, "");
    ck_assert_str_eq(text, "caf\xc3\xa9");
    ck_assert(memcmp(bytes, "a\0b", 3) == 0);
    ck_assert(!c.bad && c.at == c.end);
    free(empty);
    free(text);
}
END_TEST

START_TEST(string_over_its_bound_is_bad)
{
    mpx_put_string(&buf, "123456");
    struct mpx_cursor c = read_buf();

    ck_assert_ptr_null(mpx_get_string(&c, 5));
    ck_assert(c.bad);
}
END_TEST

START_TEST(string_with_a_nul_inside_is_bad)
{
    struct mpx_cursor c = cursor_of("\3a\0b", 4);

    ck_assert_ptr_null(mpx_get_string(&c, 10));
    ck_assert(c.bad);
}
END_TEST

static const struct {
    const char *bytes;
    size_t length;
} bad_integers[] = {
    {"", 0},
    {"\x80", 1},
    {"\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9},
    {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10}, // above 64 bits
    {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11},
};

START_TEST(integer_that_is_cut_short_or_too_large_is_bad)
{
    struct mpx_cursor c = cursor_of(bad_integers[_i].bytes, bad_integers[_i].length);

    ck_assert_uint_eq(mpx_get_u64(&c), 0);
    ck_assert(c.bad);
}
END_TEST

START_TEST(count_that_can_not_be_there_is_bad)
{
    mpx_put_u64(&buf, 3);
    mpx_put_bytes(&buf, "12345", 5);
    struct mpx_cursor fits = read_buf(), does_not = read_buf();

    ck_assert_int_eq(mpx_get_count(&fits, 1), 3);
    ck_assert_int_eq(mpx_get_count(&does_not, 2), 0);
    ck_assert(!fits.bad && does_not.bad);
}
END_TEST

START_TEST(bad_cursor_stays_bad_and_gives_zeroes)
{
    struct mpx_cursor c = cursor_of("\1\2\3\4\5\6\7\10\11", 9);
    ck_assert_ptr_null(mpx_get_bytes(&c, 10));

    ck_assert(c.bad);
    ck_assert_uint_eq(mpx_get_u64(&c), 0);
    ck_assert_int_eq(mpx_get_i64(&c), 0);
    ck_assert(mpx_get_double(&c) == 0);
    ck_assert_ptr_null(mpx_get_string(&c, 100));
    ck_assert_int_eq(mpx_get_count(&c, 1), 0);
}
END_TEST

// Whatever the bytes are, reading ends, in bounds: the sanitizers watch.
START_TEST(random_bytes_are_read_in_bounds)
{
    srand(5);
    for (int round = 0; round < 20000; round++) {
        size_t length = (size_t)rand() % 24;
        unsigned char *bytes = malloc(length + 1);
        for (size_t i = 0; i < length; i++)
            bytes[i] = (unsigned char)(rand() % 4 ? rand() % 12 : rand());
        struct mpx_cursor c = cursor_of(bytes, length);
        while (!c.bad) {
            switch (rand() % 4) {
            case 0:
                mpx_get_u64(&c);
                break;
            case 1:
                mpx_get_double(&c);
                break;
            case 2:
                free(mpx_get_string(&c, 16));
                break;
            default:
                mpx_get_count(&c, 3);
            }
        }
        ck_assert(c.at <= c.end);
        free(bytes);
    }
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("codec");
    tcase_add_checked_fixture(c, NULL, free_buf);
    tcase_add_test(c, integers_read_back);
    tcase_add_test(c, small_integers_take_one_byte);
    tcase_add_test(c, doubles_read_back_bit_for_bit);
    tcase_add_test(c, strings_and_bytes_read_back);
    tcase_add_test(c, string_over_its_bound_is_bad);
    tcase_add_test(c, string_with_a_nul_inside_is_bad);
    tcase_add_loop_test(c, integer_that_is_cut_short_or_too_large_is_bad, 0,
                        sizeof bad_integers / sizeof bad_integers[0]);
    tcase_add_test(c, count_that_can_not_be_there_is_bad);
    tcase_add_test(c, bad_cursor_stays_bad_and_gives_zeroes);
    tcase_add_test(c, random_bytes_are_read_in_bounds);
    Suite *suite = suite_create("codec");
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
