// The file itself, for what it keeps to itself.
#include "base/filters.c"

#include "../support/suite.h"

START_TEST(a_line_that_is_cut_is_no_line)
{
    const char whole[] =
        "Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t12\nSpeculation:\tno\n";
    const char *line = strstr(whole, "Seccomp_filters:");
    size_t ends = (size_t)(strchr(line, '\n') - whole) + 1;

    for (size_t length = 0; length < sizeof whole; length++) {
        char text[sizeof whole] = "";
        memcpy(text, whole, length);

        ck_assert_int_eq(filters_in(text), length < ends ? -1 : 12);
    }
}
END_TEST

START_TEST(an_older_kernel_says_only_that_there_are_filters)
{
    ck_assert_int_eq(filters_in("\nSeccomp:\t2\nSpeculation_Store_Bypass:\tno\n"), 1);
    ck_assert_int_eq(filters_in("\nSeccomp:\t0\nSpeculation_Store_Bypass:\tno\n"), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("filters");
    TCase *c = tcase_create("all");
    tcase_add_test(c, a_line_that_is_cut_is_no_line);
    tcase_add_test(c, an_older_kernel_says_only_that_there_are_filters);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
