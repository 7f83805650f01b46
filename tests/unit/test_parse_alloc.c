// Pages with each allocation failing in turn: refused whole, or taken.
#include <mproxy/exposition.h>

#include <check.h>
#include <stdlib.h>

#include "../support/chaos_alloc.h"
#include "../support/parse_fixture.h"
#include "../support/suite.h"

static const char first[] =
    "# HELP a text\n# TYPE a counter\na{y=\"1\",x=\"2\"} 1\na 2\n"
    "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_count 1\nb 1 5\n";
static const char second[] = "b 2\n# HELP a other\n# TYPE a gauge\na 2\na{x = \"2\"} 1\n"
                             "# TYPE h histogram\nh_bucket{le=\"1\"} 1\n"
                             "h_bucket{le=\"+Inf\"} 1\nh_count 1\n";
static const char openmetrics[] = "# TYPE a counter\n# UNIT a \na_total 1 # {x=\"y\"} 1\n"
                                  "a_created 1\n# TYPE s stateset\ns{s=\"x\"} 1 5\n# EOF";

static mproxy_status read_all(void *arg)
{
    (void)arg;
    const struct {
        const char *text;
        mproxy_format format;
    } pages[] = {{first, MPROXY_FORMAT_PROMETHEUS},
                 {first, MPROXY_FORMAT_PROMETHEUS},
                 {second, MPROXY_FORMAT_PROMETHEUS},
                 {openmetrics, MPROXY_FORMAT_OPENMETRICS}};
    mproxy_parser *parser = NULL;
    mproxy_page page;
    mproxy_series series = {.struct_size = sizeof series};
    mproxy_status status = mproxy_parser_new(NULL, &parser, NULL);
    for (size_t i = 0; i < sizeof pages / sizeof *pages && !status; i++)
        status = read_page(parser, pages[i].text, strlen(pages[i].text), pages[i].format,
                           &page, NULL);
    if (!status)
        status = mproxy_parser_series(parser, page.series[0], &series, NULL);
    mproxy_parser_free(parser);
    return status;
}

START_TEST(pages_are_read_or_refused_when_memory_runs_out)
{
    ck_assert_uint_gt(chaos_each(read_all, NULL), 30);
}
END_TEST

// After a failure the parser goes on, and knows what it knew.
START_TEST(parser_survives_memory_running_out)
{
    mproxy_parser *parser = NULL;
    mproxy_page page;
    ck_assert_int_eq(mproxy_parser_new(NULL, &parser, NULL), MPROXY_OK);
    ck_assert_int_eq(
        read_page(parser, first, strlen(first), MPROXY_FORMAT_PROMETHEUS, &page, NULL),
        MPROXY_OK);
    for (size_t n = 1; n < 40; n++) {
        chaos_fail(n, false);
        mproxy_status status = read_page(parser, second, strlen(second),
                                         MPROXY_FORMAT_PROMETHEUS, &page, NULL);
        bool failed = chaos_has_failed();
        chaos_fail(0, false);
        ck_assert(status == MPROXY_OK || (failed && status == MPROXY_E_NOMEM));
        ck_assert_int_eq(read_page(parser, first, strlen(first), MPROXY_FORMAT_PROMETHEUS,
                                   &page, NULL),
                         MPROXY_OK);
        ck_assert_uint_eq(page.count, 5);
        ck_assert_int_eq(page.same_order, status != MPROXY_OK);
    }
    mproxy_parser_free(parser);
}
END_TEST

START_TEST(page_of_the_same_order_allocates_nothing)
{
    mproxy_parser *parser = NULL;
    mproxy_page page;
    ck_assert_int_eq(mproxy_parser_new(NULL, &parser, NULL), MPROXY_OK);
    for (int i = 0; i < 3; i++) {
        chaos_fail(0, false);
        mproxy_status status = read_page(parser, first, strlen(first),
                                         MPROXY_FORMAT_PROMETHEUS, &page, NULL);
        size_t allocations = chaos_count();
        ck_assert_int_eq(status, MPROXY_OK);
        ck_assert(i == 0 || allocations == 0);
    }
    mproxy_parser_free(parser);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("parse_alloc");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, pages_are_read_or_refused_when_memory_runs_out);
    tcase_add_test(c, parser_survives_memory_running_out);
    tcase_add_test(c, page_of_the_same_order_allocates_nothing);
    Suite *suite = suite_create("parse_alloc");
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
