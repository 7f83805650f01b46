#include <mproxy/exposition.h>

#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/suite.h"
#include "base/decimal.h"
#include "exposition/number.h"

static const struct {
    double value;
    const char *text;
} numbers[] = {
    {0, "0"},
    {-0.0, "-0"},
    {1, "1"},
    {-1, "-1"},
    {9, "9"},
    {10, "10"},
    {99, "99"},
    {100, "100"},
    {-12345, "-12345"},
    {0.1, "0.1"},
    {-2.5, "-2.5"},
    {1e5, "100000"},
    {1e15, "1000000000000000"},
    {9007199254740991.0, "9007199254740991"},
    {-9007199254740991.0, "-9007199254740991"},
    {9007199254740992.0, "9.007199254740992e+15"}, // rounded from here on, and seen to be
    {-9007199254740994.0, "-9.007199254740994e+15"},
    {12345678901234568.0, "1.2345678901234568e+16"},
    {22056027753654054912.0, "2.2056027753654055e+19"},
    {1e16, "1e+16"},
    {1e22, "1e+22"},
    {1e-7, "1e-07"},
    {5e-324, "5e-324"},
    {1.7976931348623157e308, "1.7976931348623157e+308"},
    {-2.2250738585072014e-308, "-2.2250738585072014e-308"},
};

START_TEST(number_has_its_shortest_form)
{
    char text[MPROXY_NUMBER_MAX];

    size_t length = mproxy_format_number(numbers[_i].value, text);

    ck_assert_str_eq(text, numbers[_i].text);
    ck_assert_int_eq(length, strlen(text));
}
END_TEST

static uint64_t state = 88172645463325252u;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void check_round_trip(double value)
{
    char text[MPROXY_NUMBER_MAX + 8];
    memset(text, '#', sizeof text);
    size_t length = mproxy_format_number(value, text);
    double back = strtod(text, NULL);
    ck_assert_msg(memcmp(&value, &back, sizeof value) == 0, "%a became %s", value, text);
    ck_assert_int_lt(length, MPROXY_NUMBER_MAX);
    ck_assert_int_eq(text[MPROXY_NUMBER_MAX], '#');
}

START_TEST(number_of_random_bits_reads_back)
{
    for (int i = 0; i < 300000; i++) {
        uint64_t bits = next_random();
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value))
            check_round_trip(value);
    }
}
END_TEST

START_TEST(number_of_every_magnitude_reads_back)
{
    for (int exponent = -1074; exponent <= 1023; exponent++) {
        double power = ldexp(1, exponent);
        check_round_trip(power);
        check_round_trip(nextafter(power, 0));
        check_round_trip(-nextafter(power, INFINITY));
    }
    for (uint64_t i = 1; i < UINT64_C(1) << 54; i = i * 3 + 1)
        check_round_trip((double)i);
}
END_TEST

static void check_u64(uint64_t value)
{
    char text[32], expected[32];
    *mpx_write_u64(text, value) = '\0';
    snprintf(expected, sizeof expected, "%" PRIu64, value);
    ck_assert_str_eq(text, expected);
}

START_TEST(integers_are_all_their_digits)
{
    char text[32];
    for (uint64_t power = 1; power < UINT64_C(10000000000000000000); power *= 10) {
        check_u64(power - 1);
        check_u64(power);
        check_u64(power + 1);
    }
    for (int bit = 0; bit < 64; bit++) {
        check_u64(UINT64_C(1) << bit);
        check_u64((UINT64_C(1) << bit) - 1);
    }
    for (int i = 0; i < 100000; i++)
        check_u64(next_random() >> next_random() % 64);
    check_u64(UINT64_MAX);

    *mpx_write_i64(text, INT64_MIN) = '\0';
    ck_assert_str_eq(text, "-9223372036854775808");
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("number");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, number_has_its_shortest_form, 0,
                        sizeof numbers / sizeof numbers[0]);
    tcase_add_test(c, number_of_random_bits_reads_back);
    tcase_add_test(c, number_of_every_magnitude_reads_back);
    tcase_add_test(c, integers_are_all_their_digits);
    Suite *suite = suite_create("number");
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
