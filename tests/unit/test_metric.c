#include <mproxy/metric.h>

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/suite.h"
#include "base/json.h"
#include "metric/escape.h"
#include "metric/label.h"
#include "metric/order.h"

static const char *const good_names[] = {
    "a",
    "_",
    ":x",
    "mpi___hits___mpi_send",
    "a.b/c-d",
    "caf\xc3\xa9",
    "a{b=\"\"}",
    "a{b=\"c\",d=\"e\"}",
    "a{b=\"\\\\ \\\" \\n {},=\"}",
    "a{b=\"\xe6\x97\xa5\"}",
};

static const struct {
    const char *name;
    int column;
} bad_names[] = {
    {"", 1},
    {"1a", 1},
    {"{a=\"b\"}", 1},
    {"\xc3\xa9", 1},
    {"a b", 2},
    {"a\"b", 2},
    {"a'b", 2},
    {"a}", 2},
    {"a\tb", 2},
    {"a\x7f", 2},
    {"a\xc2\x85", 2},
    {"a\xff", 2},
    {"a\xed\xa0\x80", 2},
    {"a{", 3},
    {"a{}", 3},
    {"a{b}", 4},
    {"a{b=}", 5},
    {"a{b=c}", 5},
    {"a{b=\"c\"", 8},
    {"a{b=\"c", 7},
    {"a{b=\"c\\", 8},
    {"a{b=\"\\t\"}", 7},
    {"a{b=\"c\",}", 9},
    {"a{b=\"c\"}x", 9},
    {"a{b=\"c\"}{d=\"e\"}", 9},
    {"a{ b=\"c\"}", 3},
    {"a{1=\"c\"}", 3},
    {"a{b:c=\"d\"}", 4},
    {"a{b=\"c\",b=\"d\"}", 9},
};

START_TEST(name_of_good_form_is_accepted)
{
    const char *name = good_names[_i];

    mproxy_error err = {0};
    mproxy_status status = mproxy_metric_check_name(name, strlen(name), &err);

    ck_assert_msg(status == MPROXY_OK, "%s: %s", name, err.text);
}
END_TEST

START_TEST(name_of_bad_form_is_refused_at_its_fault)
{
    const char *name = bad_names[_i].name;

    mproxy_error err = {0};
    mproxy_status status = mproxy_metric_check_name(name, strlen(name), &err);

    ck_assert_int_eq(status, MPROXY_E_INVALID);
    ck_assert_msg(err.column == bad_names[_i].column, "%s: column %d: %s", name,
                  err.column, err.text);
}
END_TEST

START_TEST(name_may_have_1024_bytes_and_no_more)
{
    char name[1026];
    memset(name, 'a', sizeof name);

    ck_assert_int_eq(mproxy_metric_check_name(name, 1024, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_metric_check_name(name, 1025, NULL), MPROXY_E_INVALID);
}
END_TEST

START_TEST(name_full_of_the_shortest_labels_is_accepted)
{
    char name[1200] = "a{";
    size_t at = 2;
    for (int i = 0; at < 1010; i++)
        at += (size_t)sprintf(name + at, "%s%c%c=\"\"", i ? "," : "", 'a' + i % 26,
                              'a' + i / 26);
    name[at++] = '}';

    ck_assert_int_eq(mproxy_metric_check_name(name, at, NULL), MPROXY_OK);
}
END_TEST

START_TEST(name_need_not_end_in_nul)
{
    char *name = malloc(3);
    memcpy(name, "abc", 3);

    ck_assert_int_eq(mproxy_metric_check_name(name, 3, NULL), MPROXY_OK);

    free(name);
}
END_TEST

static const struct {
    const char *name, *ordered;
} spellings[] = {
    {"a", "a"},
    {"a{x=\"1\"}", "a{x=\"1\"}"},
    {"a{x=\"1\",y=\"2\"}", "a{x=\"1\",y=\"2\"}"},
    {"a{y=\"2\",x=\"1\"}", "a{x=\"1\",y=\"2\"}"},
    {"a{ab=\"\",a=\"long, \\\" }\",_=\"3\"}", "a{_=\"3\",a=\"long, \\\" }\",ab=\"\"}"},
    {"a{d=\"4\",c=\"3\",b=\"2\",a=\"1\"}", "a{a=\"1\",b=\"2\",c=\"3\",d=\"4\"}"},
    {"h_bucket{op=\"read\",le=\"1\"}", "h_bucket{op=\"read\",le=\"1\"}"},
    {"h_bucket{le=\"1\",op=\"read\",fs=\"x\"}",
     "h_bucket{fs=\"x\",op=\"read\",le=\"1\"}"},
    {"proxy_cpu{name=\"0\",model=\"m\"}", "proxy_cpu{name=\"0\",model=\"m\"}"},
};

START_TEST(labels_have_one_order)
{
    char name[100], room[MPX_NAME_ROOM];
    strcpy(name, spellings[_i].name);

    const char *found = mpx_name_ordered(spellings[_i].name, room);
    mpx_name_order(name);

    ck_assert_str_eq(found, spellings[_i].ordered);
    ck_assert_str_eq(name, spellings[_i].ordered);
    ck_assert(mpx_name_is_ordered(name));
    ck_assert_int_eq(found == spellings[_i].name,
                     strcmp(spellings[_i].name, spellings[_i].ordered) == 0);
}
END_TEST

START_TEST(labels_are_walked_in_order)
{
    const char *at = "{op=\"re\\\"ad\",le=\"+Inf\"}";
    struct mpx_label label;

    ck_assert(mpx_label_next(&at, &label));
    ck_assert(mpx_label_is(&label, "op"));
    ck_assert(!mpx_label_is(&label, "o") && !mpx_label_is(&label, "ops"));
    ck_assert_int_eq(label.value_length, strlen("re\\\"ad"));
    ck_assert(mpx_label_next(&at, &label));
    ck_assert(mpx_label_is(&label, "le"));
    ck_assert(strncmp(label.value, "+Inf", label.value_length) == 0);
    ck_assert(!mpx_label_next(&at, &label));
}
END_TEST

START_TEST(counter_adds_and_keeps_the_later_time)
{
    mproxy_value value = {0};
    mproxy_value a = mproxy_value_counter(2, 10), b = mproxy_value_counter(3, 5);

    mproxy_value_merge(MPROXY_COUNTER, &value, &a);
    mproxy_value_merge(MPROXY_COUNTER, &value, &b);

    ck_assert(value.total == 5 && value.ts_us == 10);
}
END_TEST

START_TEST(gauge_keeps_hits_total_and_extremes)
{
    mproxy_value value = {0};
    mproxy_value a = mproxy_value_gauge(-2, 10), b = mproxy_value_gauge(7, 11);

    mproxy_value_merge(MPROXY_GAUGE, &value, &a);
    mproxy_value_merge(MPROXY_GAUGE, &value, &b);

    ck_assert(value.min == -2 && value.max == 7);
    ck_assert(value.hits == 2 && value.total == 5 && value.ts_us == 11);
}
END_TEST

START_TEST(gauge_without_hits_is_the_identity)
{
    mproxy_value nothing = {0}, value = mproxy_value_gauge(3, 4);

    mproxy_value_merge(MPROXY_GAUGE, &value, &nothing);

    ck_assert(value.min == 3 && value.hits == 1 && value.ts_us == 4);
}
END_TEST

START_TEST(ranks_name_the_lowest_rank_of_equal_extremes_in_any_order)
{
    const double values[] = {5, 1, 9, 1, 9};
    mproxy_ranks forward = {0}, backward = {0};

    for (uint32_t i = 0; i < 5; i++)
        mproxy_ranks_add(&forward, i, values[i]);
    for (uint32_t i = 5; i-- > 0;)
        mproxy_ranks_add(&backward, i, values[i]);

    ck_assert(memcmp(&forward, &backward, sizeof forward) == 0);
    ck_assert(forward.n == 5 && forward.sum == 25);
    ck_assert(forward.min == 1 && forward.min_rank == 1);
    ck_assert(forward.max == 9 && forward.max_rank == 2);
}
END_TEST

static void check_json(const char *text, const char *expected)
{
    struct mpx_buf b = MPX_BUF_INIT;
    mpx_json_escape(&b, text, strlen(text));
    ck_assert_str_eq(mpx_buf_text(&b), expected);
    mpx_buf_free(&b);
}

START_TEST(json_escape_leaves_only_valid_utf8)
{
    check_json("plain", "plain");
    check_json("a\"b\\c\n\t\r\x01", "a\\\"b\\\\c\\n\\t\\r\\u0001");
    check_json("\xe6\x97\xa5", "\xe6\x97\xa5");
    check_json("x\xffy\xc3", "x\xef\xbf\xbdy\xef\xbf\xbd");
}
END_TEST

START_TEST(base_is_sanitised_to_one_underscore_a_character)
{
    struct mpx_buf b = MPX_BUF_INIT;

    mpx_sanitise_base(&b, "a.b\xe6\x97\xa5-c", 8);

    ck_assert_str_eq(mpx_buf_text(&b), "a_b__c");
    mpx_buf_free(&b);
}
END_TEST

static const struct {
    const char *labels, *others;
    bool is_bound;
    double bound;
} buckets[] = {
    {"{le=\"0.5\"}", "", true, 0.5},
    {"{op=\"a\\\"le=\",le=\"+Inf\",x=\"\"}", "{op=\"a\\\"le=\",x=\"\"}", true, HUGE_VAL},
    {"{le=\"\"}", "", false, 0},
    {"{le=\"1s\"}", "", false, 0},
    {"{le=\"NaN\"}", "", false, 0},
    {"{les=\"1\"}", "{les=\"1\"}", false, 0},
    {"", "", false, 0}};

START_TEST(a_bucket_has_a_bound_and_other_labels)
{
    struct mpx_buf others = MPX_BUF_INIT;
    struct mpx_label le;
    double bound = 0;

    mpx_labels_but_le(&others, buckets[_i].labels, &le);

    ck_assert_str_eq(mpx_buf_text(&others), buckets[_i].others);
    ck_assert(buckets[_i].is_bound == (le.name && mpx_label_bound(&le, &bound)));
    if (buckets[_i].is_bound)
        ck_assert_double_eq(bound, buckets[_i].bound);
    mpx_buf_free(&others);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("metric");
    tcase_add_loop_test(c, name_of_good_form_is_accepted, 0,
                        sizeof good_names / sizeof good_names[0]);
    tcase_add_loop_test(c, name_of_bad_form_is_refused_at_its_fault, 0,
                        sizeof bad_names / sizeof bad_names[0]);
    tcase_add_test(c, name_may_have_1024_bytes_and_no_more);
    tcase_add_test(c, name_full_of_the_shortest_labels_is_accepted);
    tcase_add_test(c, name_need_not_end_in_nul);
    tcase_add_loop_test(c, labels_have_one_order, 0,
                        (int)(sizeof spellings / sizeof spellings[0]));
    tcase_add_test(c, labels_are_walked_in_order);
    tcase_add_loop_test(c, a_bucket_has_a_bound_and_other_labels, 0,
                        (int)(sizeof buckets / sizeof buckets[0]));
    tcase_add_test(c, counter_adds_and_keeps_the_later_time);
    tcase_add_test(c, gauge_keeps_hits_total_and_extremes);
    tcase_add_test(c, gauge_without_hits_is_the_identity);
    tcase_add_test(c, ranks_name_the_lowest_rank_of_equal_extremes_in_any_order);
    tcase_add_test(c, json_escape_leaves_only_valid_utf8);
    tcase_add_test(c, base_is_sanitised_to_one_underscore_a_character);
    Suite *suite = suite_create("metric");
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
