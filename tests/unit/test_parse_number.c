// Numbers of expositions against strtod(), and their times.
#include "exposition/parse_number.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/suite.h"

static uint64_t state = 88172645463325252u;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void check(const char *text)
{
    char line[400];
    snprintf(line, sizeof line, "%s\n", text);
    double value = -1, expected = strtod(text, NULL);
    const char *end = mpx_number_read(line, false, &value);
    ck_assert_msg(end == line + strlen(text), "%s is not read", text);
    ck_assert_msg(memcmp(&value, &expected, sizeof value) == 0, "%s became %a, not %a",
                  text, value, expected);
}

START_TEST(doubles_are_read_as_strtod_reads_them)
{
    static const char *const formats[] = {"%.17g", "%.3f", "%g", "%.0f", "%e", "%.15g"};
    char text[400];
    for (int i = 0; i < 600000; i++) {
        uint64_t bits = next_random();
        double value;
        memcpy(&value, &bits, sizeof value);
        if (i % 2)
            value = (double)(int64_t)(bits >> bits % 60) / (double)(1 + (bits & 0xffff));
        const char *format = formats[i % 6];
        if (!isfinite(value) || (fabs(value) > 1e200 && strchr(format, 'f')))
            continue;
        // A number that %g rounds up may be too large.
        snprintf(text, sizeof text, format, value);
        if (isfinite(strtod(text, NULL)))
            check(text);
    }
}
END_TEST

START_TEST(decimals_of_any_length_are_read_as_strtod_reads_them)
{
    char text[400];
    for (int i = 0; i < 300000; i++) {
        size_t length = 0, digits = next_random() % 40 + 1, point = next_random() % 45;
        if (next_random() % 4 == 0)
            text[length++] = "+-"[next_random() % 2];
        for (size_t k = 0; k < digits; k++) {
            if (k == point)
                text[length++] = '.';
            text[length++] = (char)('0' + next_random() % (next_random() % 3 ? 10 : 1));
            if (next_random() % 4 == 0)
                text[length - 1] = '9';
        }
        text[length] = '\0';
        if (next_random() % 2)
            snprintf(text + length, 20, "%c%s%d", "eE"[next_random() % 2],
                     next_random() % 2 ? "+" : "", (int)(next_random() % 60) - 0);
        else if (next_random() % 2)
            snprintf(text + length, 20, "e-%d", (int)(next_random() % 340));
        check(text);
    }
}
END_TEST

static const struct {
    const char *text;
    bool is_number, is_go;
    double value;
} words[] = {
    {"1e308", true, true, 1e308},
    {"1e309", false, false, 0},
    {"0e99999999999", true, true, 0},
    {"1e-99999999999", true, true, 0},
    {"1e99999999999", false, false, 0},
    {"0.0000000000000000000000000000000000001e30", true, true, 1e-7},
    {"0x1.8p1", false, true, 3},
    {"0x1p-5000", false, true, 0},
    {"0x1p5000", false, false, 0},
    {"0x0p5000", false, true, 0},
    {"0x.1P4", false, true, 1},
    {"0x1", false, false, 0},
    {"0xp1", false, false, 0},
    {"0x1p", false, false, 0},
    {"0x1p1.5", false, false, 0},
    {"1_2", false, true, 12},
    {"_12", false, false, 0},
    {"12_", false, false, 0},
    {"1__2", false, false, 0},
    {"1_.2", false, false, 0},
    {"1._2", false, false, 0},
    {"1e_2", false, false, 0},
    {"1e1_0", false, true, 1e10},
    {"0x_1p0", false, true, 1},
    {"0_x1p0", false, false, 0},
    {"+Inf", true, true, INFINITY},
    {"-infinity", true, true, -INFINITY},
    {"infin", false, false, 0},
    {"1e", false, false, 0},
    {"1e+", false, false, 0},
    {"e1", false, false, 0},
    {".", false, false, 0},
    {"-.", false, false, 0},
    {"+", false, false, 0},
    {"", false, false, 0},
    {"1f", false, false, 0},
    {"--1", false, false, 0},
    {"1,0", false, false, 0},
    {"nan(1)", false, false, 0},
    {"-nan", false, false, 0},
};

START_TEST(words_are_numbers_or_not)
{
    char line[64];
    snprintf(line, sizeof line, "%s ", words[_i].text);
    strcat(line, "\n");
    for (int go = 0; go < 2; go++) {
        double value = -1;
        bool expected = go ? words[_i].is_go : words[_i].is_number;

        const char *end = mpx_number_read(line, go, &value);

        ck_assert_msg((end != NULL) == expected, "%s, go %d", words[_i].text, go);
        if (end)
            ck_assert_double_eq(value, words[_i].value);
        ck_assert_int_eq(
            mpx_number_is(words[_i].text, strlen(words[_i].text), go, &value), expected);
    }
}
END_TEST

START_TEST(times_are_microseconds)
{
    int64_t us = 0;

    ck_assert_ptr_nonnull(mpx_time_read_ms("-1\n", &us));
    ck_assert_int_eq(us, -1000);
    ck_assert_ptr_nonnull(mpx_time_read_ms("9223372036854775807 \n", &us));
    ck_assert_int_eq(us, INT64_MAX);
    ck_assert_ptr_nonnull(mpx_time_read_ms("-9223372036854775808\n", &us));
    ck_assert_int_eq(us, INT64_MIN + 1);
    ck_assert_ptr_null(mpx_time_read_ms("9223372036854775808\n", &us));
    ck_assert_ptr_null(mpx_time_read_ms("-9223372036854775809\n", &us));
    ck_assert_ptr_null(mpx_time_read_ms("\n", &us));
    ck_assert_ptr_null(mpx_time_read_ms("1.0\n", &us));
    ck_assert_ptr_nonnull(mpx_time_read_s("1604676851.123456789\n", &us));
    ck_assert_int_eq(us / 1000, 1604676851123);
    ck_assert_ptr_nonnull(mpx_time_read_s("1e300\n", &us));
    ck_assert_int_eq(us, INT64_MAX);
    ck_assert_ptr_null(mpx_time_read_s("NaN\n", &us));
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("parse_number");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, doubles_are_read_as_strtod_reads_them);
    tcase_add_test(c, decimals_of_any_length_are_read_as_strtod_reads_them);
    tcase_add_loop_test(c, words_are_numbers_or_not, 0, sizeof words / sizeof *words);
    tcase_add_test(c, times_are_microseconds);
    Suite *suite = suite_create("parse_number");
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
