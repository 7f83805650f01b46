#include "base/err.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../support/suite.h"

START_TEST(fail_fills_in_and_returns_the_status)
{
    mproxy_error err = {.line = 7, .column = 7};

    mproxy_status status = mpx_fail(&err, MPROXY_E_INVALID, "window %d s", 0);

    ck_assert_int_eq(status, MPROXY_E_INVALID);
    ck_assert_int_eq(err.status, MPROXY_E_INVALID);
    ck_assert_str_eq(err.text, "window 0 s");
    ck_assert(err.line == 0 && err.column == 0);
}
END_TEST

START_TEST(fail_takes_no_error_at_all)
{
    ck_assert_int_eq(mpx_fail(NULL, MPROXY_E_LIMIT, "x"), MPROXY_E_LIMIT);
    ck_assert_int_eq(mpx_fail_at(NULL, MPROXY_E_LIMIT, 1, 2, "x"), MPROXY_E_LIMIT);
    errno = EIO;
    ck_assert_int_eq(mpx_fail_errno(NULL, "x"), MPROXY_E_SYSTEM);
}
END_TEST

START_TEST(fail_at_gives_the_place)
{
    mproxy_error err = {0};

    mpx_fail_at(&err, MPROXY_E_CORRUPT, 3, 14, "bad");

    ck_assert(err.line == 3 && err.column == 14);
}
END_TEST

START_TEST(fail_errno_adds_the_reason_and_keeps_errno)
{
    mproxy_error err = {0};

    errno = ENOENT;
    ck_assert_int_eq(mpx_fail_errno(&err, "%s", "/a"), MPROXY_E_SYSTEM);
    ck_assert_str_eq(err.text, "/a: No such file or directory");
    ck_assert_int_eq(errno, ENOENT);

    errno = ENOMEM;
    ck_assert_int_eq(mpx_fail_errno(&err, "/a"), MPROXY_E_NOMEM);
}
END_TEST

START_TEST(text_is_one_printable_line_however_long)
{
    mproxy_error err = {0};
    char hostile[2000];
    memset(hostile, '\n', sizeof hostile);
    hostile[sizeof hostile - 1] = '\0';

    mpx_fail(&err, MPROXY_E_INVALID, "%s", hostile);

    ck_assert_int_eq(strlen(err.text), sizeof err.text - 1);
    ck_assert_int_eq(strspn(err.text, "?"), sizeof err.text - 1);
    errno = EACCES;
    mpx_fail_errno(&err, "%s", hostile);
    ck_assert_int_eq(strlen(err.text), sizeof err.text - 1);
}
END_TEST

START_TEST(every_status_has_a_text_unknown_ones_too)
{
    for (int status = -20; status <= 20; status++) {
        const char *text = mproxy_status_text((mproxy_status)status);
        ck_assert_ptr_nonnull(text);
        ck_assert_int_eq(strcmp(text, "unknown status") == 0, status > 0 || status < -14);
    }
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("err");
    tcase_add_test(c, fail_fills_in_and_returns_the_status);
    tcase_add_test(c, fail_takes_no_error_at_all);
    tcase_add_test(c, fail_at_gives_the_place);
    tcase_add_test(c, fail_errno_adds_the_reason_and_keeps_errno);
    tcase_add_test(c, text_is_one_printable_line_however_long);
    tcase_add_test(c, every_status_has_a_text_unknown_ones_too);
    Suite *suite = suite_create("err");
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
