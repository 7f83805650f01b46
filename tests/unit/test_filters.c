// The file itself, for what it keeps to itself.
#include "base/filters.c"

#include <linux/filter.h>
#include <linux/seccomp.h>

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

// A filter that lets all pass.
static void take_a_filter(void)
{
    struct sock_filter pass = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = 1, .filter = &pass};
    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

START_TEST(filters_are_more_only_where_the_launcher_counted)
{
    ck_assert(mpx_filters_tell());
    unsigned before = count_filters();
    ck_assert(!mpx_filters_are_more());

    take_a_filter();
    ck_assert_uint_eq(count_filters(), before + 1);
    ck_assert(mpx_filters_are_more());
    setenv(MPX_FILTERS_VARIABLE, "00000000-0000-0000-0000-000000000000 0", 1);
    ck_assert(!mpx_filters_are_more());
    setenv(MPX_FILTERS_VARIABLE, "0", 1); // an older launcher's
    ck_assert(mpx_filters_are_more());
    ck_assert(mpx_filters_tell());
    ck_assert(!mpx_filters_are_more());
    unsetenv(MPX_FILTERS_VARIABLE);
    ck_assert(!mpx_filters_are_more());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("filters");
    TCase *c = tcase_create("all");
    tcase_add_test(c, a_line_that_is_cut_is_no_line);
    tcase_add_test(c, an_older_kernel_says_only_that_there_are_filters);
    tcase_add_test(c, filters_are_more_only_where_the_launcher_counted);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
