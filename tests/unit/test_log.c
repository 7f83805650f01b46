#include "base/log.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../support/suite.h"

struct heard {
    unsigned lines;
    mproxy_log_level level;
    char line[2048];
};

static void hear(void *arg, mproxy_log_level level, const char *line)
{
    struct heard *heard = arg;
    heard->lines++;
    heard->level = level;
    strncpy(heard->line, line, sizeof heard->line - 1);
}

START_TEST(log_line_reaches_the_caller_with_its_level)
{
    struct heard heard = {0};
    struct mpx_logger logger = {hear, &heard};

    mpx_say(&logger, MPROXY_LOG_WARNING, "file '%s': %d", "x", 7);

    ck_assert_uint_eq(heard.lines, 1);
    ck_assert_int_eq(heard.level, MPROXY_LOG_WARNING);
    ck_assert_str_eq(heard.line, "file 'x': 7");
}
END_TEST

START_TEST(log_line_is_printable_whatever_it_quotes)
{
    struct heard heard = {0};
    struct mpx_logger logger = {hear, &heard};

    mpx_say(&logger, MPROXY_LOG_INFO, "%s", "a\nb\x1b[31m\xff ü");

    ck_assert_str_eq(heard.line, "a?b?[31m? ü");
}
END_TEST

START_TEST(log_line_is_cut_where_it_is_too_long)
{
    struct heard heard = {0};
    struct mpx_logger logger = {hear, &heard};
    char text[4000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';

    mpx_say(&logger, MPROXY_LOG_INFO, "%s", text);

    ck_assert_uint_eq(strlen(heard.line), 1023);
}
END_TEST

START_TEST(log_without_a_listener_says_nothing)
{
    struct mpx_logger logger = {0};

    mpx_say(&logger, MPROXY_LOG_ERROR, "%s", "nobody hears it");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tests = tcase_create("log");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, log_line_reaches_the_caller_with_its_level);
    tcase_add_test(tests, log_line_is_printable_whatever_it_quotes);
    tcase_add_test(tests, log_line_is_cut_where_it_is_too_long);
    tcase_add_test(tests, log_without_a_listener_says_nothing);
    return run_suite(suite);
}
