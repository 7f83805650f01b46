// What the parser remembers from page to page.
#include <mproxy/exposition.h>

#include <check.h>
#include <stdlib.h>

#include "../support/parse_fixture.h"
#include "../support/suite.h"
#include "exposition/parse_private.h"

#define TEXT MPROXY_FORMAT_PROMETHEUS
#define OPEN MPROXY_FORMAT_OPENMETRICS

static mproxy_parser *parser;
static mproxy_page page;
static mproxy_error err;

static void open_parser(void)
{
    ck_assert_int_eq(mproxy_parser_new(NULL, &parser, NULL), MPROXY_OK);
}

static void close_parser(void)
{
    mproxy_parser_free(parser);
}

static void take(const char *text, mproxy_format format)
{
    mproxy_status status = read_page(parser, text, strlen(text), format, &page, &err);
    ck_assert_msg(status == MPROXY_OK, "%d:%d: %s", err.line, err.column, err.text);
}

static void refuse(const char *text, mproxy_format format, int line, int column)
{
    mproxy_status status = read_page(parser, text, strlen(text), format, &page, &err);
    ck_assert_int_ne(status, MPROXY_OK);
    ck_assert_msg(err.line == line && err.column == column, "%d:%d: %s", err.line,
                  err.column, err.text);
}

static mproxy_series describe(uint32_t series)
{
    mproxy_series out = {.struct_size = sizeof out};
    ck_assert_int_eq(mproxy_parser_series(parser, series, &out, NULL), MPROXY_OK);
    return out;
}

START_TEST(page_of_the_same_order_is_compared)
{
    take("# HELP a h\n# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2\nb 3\n", TEXT);
    ck_assert(!page.same_order);

    take("# HELP a h\n# TYPE a counter\na{x=\"1\"} 10\na{x=\"2\"} 2.5e3\nb NaN\n", TEXT);

    ck_assert(page.same_order);
    ck_assert_uint_eq(page.count, 3);
    ck_assert_uint_eq(page.fresh_count, 0);
    ck_assert_double_eq(page.values[0], 10);
    ck_assert_double_eq(page.values[1], 2500);
    ck_assert(isnan(page.values[2]));
}
END_TEST

START_TEST(series_keep_their_index_in_any_order)
{
    take("# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2\nb 3\n", TEXT);
    uint32_t first = page.series[0], second = page.series[1], last = page.series[2];

    take("b 30\n# TYPE a counter\na{x=\"2\"} 20\na { x = \"1\" } 10\n", TEXT);

    ck_assert(!page.same_order);
    ck_assert_uint_eq(page.fresh_count, 0);
    ck_assert_uint_eq(page.gone_count, 0);
    ck_assert_uint_eq(page.series[0], last);
    ck_assert_uint_eq(page.series[1], second);
    ck_assert_uint_eq(page.series[2], first);
}
END_TEST

START_TEST(new_and_vanished_series_are_told)
{
    take("a 1\nb 2\nc 3\n", TEXT);
    uint32_t b = page.series[1];

    take("a 1\nnew{x=\"y\"} 4\nc 3\n", TEXT);

    ck_assert_uint_eq(page.fresh_count, 1);
    ck_assert_str_eq(describe(page.fresh[0]).name, "new{x=\"y\"}");
    ck_assert_uint_eq(page.gone_count, 1);
    ck_assert_uint_eq(page.gone[0], b);
    ck_assert_str_eq(describe(b).name, "b");
}
END_TEST

START_TEST(vanished_series_is_forgotten_and_its_index_used_again)
{
    take("a 1\nb 2\n", TEXT);
    uint32_t a = page.series[0], b = page.series[1];
    take("a 1\n", TEXT);

    ck_assert_int_eq(mproxy_parser_forget(parser, b, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_parser_forget(parser, b, &err), MPROXY_E_NOTFOUND);
    ck_assert_int_eq(mproxy_parser_forget(parser, a, &err), MPROXY_E_BUSY);

    take("a 1\nc 2\n", TEXT);
    ck_assert_uint_eq(page.fresh_count, 1);
    ck_assert_uint_eq(page.fresh[0], b);
    ck_assert_str_eq(describe(b).name, "c");
}
END_TEST

START_TEST(series_of_another_type_is_another_series)
{
    take("# TYPE a counter\na 1\n", TEXT);
    uint32_t counter = page.series[0];

    take("# TYPE a gauge\na 1\n", TEXT);

    ck_assert_uint_eq(page.fresh_count, 1);
    ck_assert_uint_eq(page.gone_count, 1);
    ck_assert_uint_eq(page.gone[0], counter);
    ck_assert_int_eq(describe(counter).type, MPROXY_COUNTER);
    ck_assert_int_eq(describe(page.series[0]).type, MPROXY_GAUGE);
    take("# TYPE a counter\na 1\n", TEXT);
    ck_assert_uint_eq(page.series[0], counter);
}
END_TEST

START_TEST(untyped_sum_becomes_part_of_a_histogram)
{
    take("x_sum 1\nx_count 1\n", TEXT);

    take("# TYPE x histogram\nx_bucket{le=\"+Inf\"} 1\nx_sum 1\nx_count 1\n", TEXT);

    ck_assert_uint_eq(page.fresh_count, 3);
    ck_assert_uint_eq(page.gone_count, 2);
    ck_assert_str_eq(describe(page.series[1]).family, "x");
    ck_assert_int_eq(describe(page.series[1]).type, MPROXY_COUNTER);
}
END_TEST

START_TEST(help_and_unit_are_those_of_the_last_page)
{
    take("# HELP a_s one\n# UNIT a_s s\na_s 1\n# EOF\n", OPEN);
    ck_assert_str_eq(describe(0).help, "one");
    ck_assert_str_eq(describe(0).unit, "s");

    refuse("# HELP a_s two\na_s 1\na_s 1\n# EOF\n", OPEN, 3, 1);
    ck_assert_str_eq(describe(0).help, "one");

    take("# HELP a_s two\\nlines\na_s 1\n# EOF\n", OPEN);
    ck_assert_str_eq(describe(0).help, "two\nlines");
    ck_assert_str_eq(describe(0).unit, "");
}
END_TEST

// The second page of each pair differs in one place from the first, which agrees before it.
static const struct {
    const char *first;
    const char *second;
    mproxy_format format;
    int line;
    int column;
} pairs[] = {
    {"a 1\nb 2\n", "a 1\nb x\n", TEXT, 2, 3},
    {"a 1\nb 2\n", "a 1\nb 2 3 4\n", TEXT, 2, 7},
    {"a 1\nb 2\n", "a 1\nb 2", TEXT, 2, 4},
    {"a 1\nb 2\n", "a 1\nb ", TEXT, 2, 3},
    {"a 1\nb 2\n", "a 1\nb 2\na 3\n", TEXT, 3, 1},
    {"a 1\nb 2\nc 3\n", "a 1\nb 2\na{x=\"1\"} 3\n", TEXT, 3, 1},
    {"a 1\nb 2\nc 3\n", "a 1\nb 2\nb 3\n", TEXT, 3, 1},
    {"# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_count 1\n",
     "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_count 1\n", TEXT, 3, 9},
    {"# TYPE h histogram\nh_count 1\nh_bucket{le=\"+Inf\"} 1\n",
     "# TYPE h histogram\nh_count 1\nh_bucket{le=\"+Inf\"} 2\n", TEXT, 3, 1},
    {"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nb 1\n",
     "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nb 1\n", TEXT, 2, 1},
    {"# TYPE a counter\na_total 1\n# EOF\n", "# TYPE a counter\na_total -1\n# EOF\n",
     OPEN, 2, 9},
    {"# TYPE a counter\na_total 1\n# EOF\n", "# TYPE a counter\na_total 1\n# EO", OPEN, 3,
     5},
    {"a 1\nb 2\n# EOF\n", "a 1\nb 2\n", OPEN, 3, 1},
    {"a 1\nb 2\n# EOF\n", "a 1\nb 2\n# EOF\n\n", OPEN, 4, 1},
    {"a 1\nb 2\n# EOF\n", "a 1\nb 2\ta\n# EOF\n", OPEN, 2, 4},
    {"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\n# EOF\n",
     "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\n# EOF\n", OPEN,
     3, 21},
    {"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\n# EOF\n",
     "# TYPE h histogram\nh_bucket{le=\"1\"} 1 1\nh_bucket{le=\"+Inf\"} 1 2\n# EOF\n",
     OPEN, 2, 1},
    {"# TYPE a info\na_info 1\n# EOF\n", "# TYPE a info\na_info 0\n# EOF\n", OPEN, 2, 8},
    {"# TYPE a counter\na_total 1 # {} 1\n# EOF\n",
     "# TYPE a counter\na_total 1 # {} x\n# EOF\n", OPEN, 2, 16},
    {"# TYPE a counter\na_total 1\n# TYPE b gauge\nb 1\n# EOF\n",
     "# TYPE a counter\na_total 1\n# TYPE b gauge\nb 1\n# TYPE a_created gauge\n# EOF\n",
     OPEN, 5, 18},
};

START_TEST(difference_to_the_last_page_is_found_where_it_is)
{
    take(pairs[_i].first, pairs[_i].format);

    refuse(pairs[_i].second, pairs[_i].format, pairs[_i].line, pairs[_i].column);

    take(pairs[_i].first, pairs[_i].format);
    ck_assert_uint_eq(page.fresh_count, 0);
}
END_TEST

START_TEST(name_without_value_is_no_beginning_of_others)
{
    take("a 1\n", TEXT);
    refuse("a\n", TEXT, 1, 2);

    take("ab 1\n", TEXT);

    ck_assert_str_eq(describe(page.series[0]).name, "ab");
}
END_TEST

START_TEST(times_and_exemplars_may_come_and_go)
{
    take("# TYPE a counter\na_total 1 # {x=\"y\"} 1\n# TYPE b gauge\nb 1\n# EOF\n", OPEN);
    ck_assert_uint_eq(page.exemplars, 1);
    ck_assert_ptr_null(page.times_us);

    take("# TYPE a counter\na_total 2\n# TYPE b gauge\nb 1 1.5\n# EOF\n", OPEN);
    ck_assert(page.same_order);
    ck_assert_uint_eq(page.exemplars, 0);
    ck_assert_ptr_nonnull(page.times_us);
    ck_assert_int_eq(page.times_us[0], INT64_MIN);
    ck_assert_int_eq(page.times_us[1], 1500000);

    take("# TYPE a counter\na_total 2 # {} 1\n# TYPE b gauge\nb 1\n# EOF\n", OPEN);
    ck_assert(page.same_order);
    ck_assert_ptr_null(page.times_us);
}
END_TEST

START_TEST(formats_may_alternate)
{
    for (int i = 0; i < 3; i++) {
        take("# TYPE a_total counter\na_total 1\n", TEXT);
        ck_assert_uint_eq(page.fresh_count, i == 0);
        take("# TYPE a counter\na_total 1\n# EOF\n", OPEN);
        ck_assert_uint_eq(page.fresh_count, i == 0);
    }
}
END_TEST

START_TEST(bounds_are_kept)
{
    mproxy_parser_options o = {
        .struct_size = sizeof o, .max_line_bytes = 20, .max_labels = 2, .max_series = 3};
    mproxy_parser_free(parser);
    ck_assert_int_eq(mproxy_parser_new(&o, &parser, NULL), MPROXY_OK);

    refuse("a 1\na{x=\"123456789012\"} 1\n", TEXT, 2, 1);
    ck_assert_int_eq(err.status, MPROXY_E_LIMIT);
    refuse("a{x=\"\",y=\"\",z=\"\"} 1\n", TEXT, 1, 13);
    ck_assert_int_eq(err.status, MPROXY_E_LIMIT);
    refuse("a 1\nb 1\nc 1\nd 1\n", TEXT, 4, 1);
    ck_assert_int_eq(err.status, MPROXY_E_LIMIT);
    take("a 1\nb 1\nc 1\n", TEXT);

    o = (mproxy_parser_options){.struct_size = sizeof o, .max_labels = 5000};
    mproxy_parser *other = NULL;
    ck_assert_int_eq(mproxy_parser_new(&o, &other, &err), MPROXY_E_INVALID);
    ck_assert_ptr_null(other);
}
END_TEST

static void forget_gone(void)
{
    uint32_t gone[64];
    size_t count = page.gone_count;
    ck_assert_uint_le(count, 64);
    memcpy(gone, page.gone, count * sizeof *gone);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(mproxy_parser_forget(parser, gone[i], NULL), MPROXY_OK);
}

START_TEST(labels_that_churn_leave_nothing_behind)
{
    struct mpx_buf text = MPX_BUF_INIT;
    size_t most = 0;
    for (int round = 0; round < 2000; round++) {
        mpx_buf_clear(&text);
        mpx_buf_add_text(&text, "# HELP a churns\n# TYPE a counter\n");
        for (int i = 0; i < 50; i++)
            mpx_buf_addf(&text, "a{request=\"%d\"} %d\n", round * 50 + i, i);
        mpx_buf_addf(&text, "family_%d 1\n", round);
        ck_assert_ptr_nonnull(mpx_buf_text(&text));
        take(text.data, TEXT);
        forget_gone();
        if (round == 10)
            most = parser->table.text.room;
    }

    ck_assert_uint_le(parser->table.series_slots.used, 2 * 51);
    ck_assert_uint_le(parser->table.family_slots.used, 3);
    ck_assert_uint_le(parser->table.text.room, 4 * most + (256 << 10));
    mpx_buf_free(&text);
}
END_TEST

START_TEST(refused_pages_leave_nothing_behind)
{
    struct mpx_buf text = MPX_BUF_INIT;
    take("a 1\n", TEXT);
    for (int round = 0; round < 2000; round++) {
        mpx_buf_clear(&text);
        mpx_buf_addf(&text, "# HELP f%d words\nf%d 1\n", round, round);
        for (int i = 0; i < 50; i++)
            mpx_buf_addf(&text, "# TYPE h%d_%d histogram\nh%d_%d_bucket{le=\"+Inf\"} 1\n",
                         round, i, round, i);
        mpx_buf_add_text(&text, "a x\n");
        ck_assert_ptr_nonnull(mpx_buf_text(&text));
        refuse(text.data, TEXT, 103, 3);
    }

    ck_assert_uint_le(parser->table.series_slots.used, 60);
    ck_assert_uint_le(parser->table.family_slots.used, 60);
    ck_assert_uint_le(parser->table.point_slots.used, 60);
    ck_assert_uint_le(parser->table.text.room, 512 << 10);
    take("a 1\n", TEXT);
    ck_assert(page.same_order);
    mpx_buf_free(&text);
}
END_TEST

// A random page of these lines' kind, from a seed; its samples in the order of their names.
static void write_random(struct mpx_buf *text, unsigned *seed)
{
    mpx_buf_clear(text);
    for (int f = 0; f < 8; f++) {
        if (rand_r(seed) % 4 == 0)
            continue;
        int kind = rand_r(seed) % 8 == 0;
        mpx_buf_addf(text, "# HELP f%d text %d\n# TYPE f%d %s\n", f,
                     rand_r(seed) % 9 == 0, f, kind ? "gauge" : "counter");
        unsigned from = (unsigned)rand_r(seed) % 3;
        for (unsigned i = 0; i < 6; i++)
            if (rand_r(seed) % 9)
                mpx_buf_addf(text,
                             rand_r(seed) % 20 ? "f%d{x=\"%u\"} %d\n"
                                               : "f%d{x = \"%u\"}  %d\n",
                             f, (i + from) % 6, rand_r(seed) % 100);
        if (rand_r(seed) % 60 == 0)
            mpx_buf_addf(text, "f%d{x=\"1\"} 1\n", f); // perhaps a second time
        if (rand_r(seed) % 8 == 0)
            mpx_buf_add_text(text, "# a comment\n");
    }
    mpx_buf_text(text);
}

START_TEST(random_pages_are_read_as_by_a_parser_that_knows_nothing)
{
    struct mpx_buf text = MPX_BUF_INIT, a = MPX_BUF_INIT, b = MPX_BUF_INIT;
    unsigned seed = 7, taken = 0;
    for (int round = 0; round < 5000; round++) {
        mproxy_parser *other = NULL;
        mproxy_page second;
        mproxy_error other_err = {0};
        ck_assert_int_eq(mproxy_parser_new(NULL, &other, NULL), MPROXY_OK);
        if (round % 3)
            write_random(&text, &seed);
        err = (mproxy_error){0};

        mproxy_status status = read_page(parser, text.data, text.size, TEXT, &page, &err);
        mproxy_status expected =
            read_page(other, text.data, text.size, TEXT, &second, &other_err);

        ck_assert_int_eq(status, expected);
        ck_assert_int_eq(err.line, other_err.line);
        ck_assert_str_eq(err.text, other_err.text);
        if (status == MPROXY_OK) {
            taken++;
            mpx_buf_clear(&a);
            mpx_buf_clear(&b);
            describe_page(parser, &page, &a);
            describe_page(other, &second, &b);
            ck_assert_str_eq(a.data, b.data);
            if (round % 5 == 0)
                forget_gone();
        }
        mproxy_parser_free(other);
    }
    ck_assert_uint_gt(taken, 2000);
    mpx_buf_free(&text);
    mpx_buf_free(&a);
    mpx_buf_free(&b);
}
END_TEST

// Lines of one family in any order, some with times, comments or more blanks.
static void write_shuffled(struct mpx_buf *text, int round, unsigned *seed)
{
    int order[300];
    mpx_buf_clear(text);
    for (int i = 0; i < 300; i++)
        order[i] = i;
    for (int i = 299; i > 0; i--) {
        int other = rand_r(seed) % (i + 1), kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
    for (int i = 0; i < 300; i++) {
        if (rand_r(seed) % 40 == 0)
            mpx_buf_add_text(text, "# between lines, or\n\n");
        mpx_buf_addf(text, "a{x=\"%d\",y=\"z\"}%s%d%s\n", order[i],
                     rand_r(seed) % 30 ? " " : "  ", round * 1000 + order[i],
                     round % 4 == 3 && rand_r(seed) % 2 ? " 1700000000000" : "");
    }
    mpx_buf_text(text);
}

START_TEST(lines_in_any_order_are_found)
{
    struct mpx_buf text = MPX_BUF_INIT;
    unsigned seed = 3;
    for (int round = 0; round < 40; round++) {
        write_shuffled(&text, round, &seed);
        take(text.data, TEXT);

        ck_assert_uint_eq(page.count, 300);
        ck_assert_uint_eq(page.fresh_count, round == 0 ? 300 : 0);
        for (size_t i = 0; i < page.count; i++) {
            char name[32];
            snprintf(name, sizeof name, "a{x=\"%d\",y=\"z\"}",
                     (int)page.values[i] - round * 1000);
            ck_assert_str_eq(describe(page.series[i]).name, name);
        }
    }
    mpx_buf_free(&text);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("pages");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, open_parser, close_parser);
    tcase_add_test(c, page_of_the_same_order_is_compared);
    tcase_add_test(c, series_keep_their_index_in_any_order);
    tcase_add_test(c, new_and_vanished_series_are_told);
    tcase_add_test(c, vanished_series_is_forgotten_and_its_index_used_again);
    tcase_add_test(c, series_of_another_type_is_another_series);
    tcase_add_test(c, untyped_sum_becomes_part_of_a_histogram);
    tcase_add_test(c, help_and_unit_are_those_of_the_last_page);
    tcase_add_loop_test(c, difference_to_the_last_page_is_found_where_it_is, 0,
                        sizeof pairs / sizeof *pairs);
    tcase_add_test(c, name_without_value_is_no_beginning_of_others);
    tcase_add_test(c, times_and_exemplars_may_come_and_go);
    tcase_add_test(c, formats_may_alternate);
    tcase_add_test(c, bounds_are_kept);
    tcase_add_test(c, labels_that_churn_leave_nothing_behind);
    tcase_add_test(c, refused_pages_leave_nothing_behind);
    tcase_add_test(c, lines_in_any_order_are_found);
    tcase_add_test(c, random_pages_are_read_as_by_a_parser_that_knows_nothing);
    Suite *suite = suite_create("parse_pages");
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
