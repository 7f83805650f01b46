// Views as the text formats of Prometheus show them.
#include <math.h>

#include "../support/exposition_fixture.h"

START_TEST(text_has_one_help_and_type_per_family)
{
    const struct series series[] = {{"b_total{x=\"2\"}", COUNTER, "B", 2.5},
                                    {"b_total{x=\"1\"}", COUNTER, NULL, 1},
                                    {"a", GAUGE, "A", -3},
                                    {0}};

    const char *text = render(series, PROMETHEUS);

    ck_assert_str_eq(text, "# HELP a A\n# TYPE a gauge\na -3\n"
                           "# HELP b_total B\n# TYPE b_total counter\n"
                           "b_total{x=\"1\"} 1\nb_total{x=\"2\"} 2.5\n");
}
END_TEST

START_TEST(text_of_a_gauge_is_its_mean)
{
    mproxy_view *view = make_view("j", (struct series[]){{0}});
    mproxy_entry entry = {.metric = intern(&(struct series){"g", GAUGE, "G", 0})};
    entry.value = (mproxy_value){.min = 1, .max = 4, .hits = 2, .total = 5, .ts_us = TS};
    mproxy_view_add(view, &entry);

    mproxy_render_view(view, PROMETHEUS, NULL, mpx_write_to_buf, &out);

    ck_assert_str_eq(mpx_buf_text(&out), "# HELP g G\n# TYPE g gauge\ng 2.5\n");
    mproxy_view_unref(view);
}
END_TEST

START_TEST(values_that_are_not_finite_and_gauges_never_set_are_left_out)
{
    mproxy_view *view = make_view("j", (struct series[]){{"a_total", COUNTER, "", NAN},
                                                         {"b", GAUGE, "", INFINITY},
                                                         {0}});
    mproxy_entry unset = {.metric = intern(&(struct series){"g", GAUGE, "G", 0})};
    mproxy_view_add(view, &unset);

    mproxy_render_view(view, PROMETHEUS, NULL, mpx_write_to_buf, &out);
    ck_assert_str_eq(mpx_buf_text(&out), "");
    mproxy_render_view(view, JSON, NULL, mpx_write_to_buf, &out);

    const char *text = mpx_buf_text(&out);
    ck_assert_ptr_nonnull(strstr(text, "\"counters\":[{\"name\":\"g\",\"doc\":\"G\","
                                       "\"ctype\":{\"Gauge\":{\"min\":0,\"max\":0,"
                                       "\"hits\":0,\"total\":0}}}]}"));
    mproxy_view_unref(view);
}
END_TEST

START_TEST(text_escapes_help_and_keeps_escaped_label_values)
{
    const struct series series[] = {
        {"a{x=\"\\\\ \\\" \\n \xe6\x97\xa5\"}", GAUGE, "one\\two\n\"three\"\t", 1}, {0}};

    ck_assert_str_eq(render(series, PROMETHEUS),
                     "# HELP a one\\\\two\\n\"three\" \n# TYPE a gauge\n"
                     "a{x=\"\\\\ \\\" \\n \xe6\x97\xa5\"} 1\n");
    ck_assert_str_eq(render(series, OPENMETRICS),
                     "# HELP a one\\\\two\\n\\\"three\\\" \n# TYPE a gauge\n"
                     "a{x=\"\\\\ \\\" \\n \xe6\x97\xa5\"} 1\n# EOF\n");
}
END_TEST

START_TEST(text_sanitises_names_and_leaves_out_the_later_of_two_that_collide)
{
    const struct series series[] = {
        {"a.b", GAUGE, "", 1}, {"a_b", GAUGE, "", 2}, {"z-\xc3\xa9", GAUGE, "", 3}, {0}};

    const char *text = render(series, PROMETHEUS);

    ck_assert_str_eq(text, "# HELP a_b \n# TYPE a_b gauge\na_b 1\n"
                           "# HELP z__ \n# TYPE z__ gauge\nz__ 3\n");
}
END_TEST

START_TEST(text_shows_a_base_of_both_types_without_a_type)
{
    const struct series series[] = {{"a{x=\"1\"}", COUNTER, "", 1},
                                    {"a{x=\"2\"}", GAUGE, "", 2},
                                    {"a{x=\"3\"}", COUNTER, "", 3},
                                    {0}};

    const char *text = render(series, PROMETHEUS);

    ck_assert_str_eq(text, "# HELP a \n# TYPE a untyped\na{x=\"1\"} 1\na{x=\"2\"} 2\n"
                           "a{x=\"3\"} 3\n");
    ck_assert_str_eq(render(series, OPENMETRICS),
                     "# HELP a \n# TYPE a unknown\na{x=\"1\"} 1\na{x=\"2\"} 2\n"
                     "a{x=\"3\"} 3\n# EOF\n");
}
END_TEST

START_TEST(text_adds_the_job_label_and_renames_one_that_is_there)
{
    const struct series series[] = {{"a", GAUGE, "", 1},
                                    {"b{x=\"y\"}", GAUGE, "", 2},
                                    {"c{job_id=\"q\",x=\"y\"}", GAUGE, "", 3},
                                    {0}};
    mproxy_render_options options = {.struct_size = sizeof options};
    options.job_label = "j\"1";

    const char *text = render_with(series, PROMETHEUS, &options);

    ck_assert_ptr_nonnull(strstr(text, "\na{job_id=\"j\\\"1\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nb{x=\"y\",job_id=\"j\\\"1\"} 2\n"));
    ck_assert_ptr_nonnull(
        strstr(text, "\nc{exported_job_id=\"q\",x=\"y\",job_id=\"j\\\"1\"} 3\n"));
}
END_TEST

START_TEST(text_renames_a_label_to_a_name_that_the_family_does_not_have)
{
    const struct series series[] = {
        {"a{exported_job_id=\"x\",job_id=\"y\"}", GAUGE, "", 1},
        {"b{job_id=\"x\"}", GAUGE, "", 2},
        {"b{exported_exported_job_id=\"x\"}", GAUGE, "", 3},
        {"b{exported_job_id=\"x\"}", GAUGE, "", 4},
        {"c{job_id=\"x\"}", GAUGE, "", 5},
        {"d_bucket{exported_job_id=\"x\",job_id=\"y\",le=\"+Inf\"}", COUNTER, "", 6},
        {"d_sum{exported_job_id=\"x\",job_id=\"y\"}", COUNTER, "", 7},
        {"d_count{exported_job_id=\"x\",job_id=\"y\"}", COUNTER, "", 6},
        {0}};
    mproxy_render_options options = {.struct_size = sizeof options};
    options.job_label = "j";

    const char *text = render_with(series, PROMETHEUS, &options);

    static const char *const wanted[] = {
        "\na{exported_job_id=\"x\",exported_exported_job_id=\"y\",job_id=\"j\"} 1\n",
        "\nb{exported_exported_exported_job_id=\"x\",job_id=\"j\"} 2\n",
        "\nb{exported_exported_job_id=\"x\",job_id=\"j\"} 3\n",
        "\nb{exported_job_id=\"x\",job_id=\"j\"} 4\n",
        "\nc{exported_job_id=\"x\",job_id=\"j\"} 5\n",
        "\nd_bucket{exported_job_id=\"x\",exported_exported_job_id=\"y\",le=\"+Inf\","
        "job_id=\"j\"} 6\n",
        "\nd_sum{exported_job_id=\"x\",exported_exported_job_id=\"y\",job_id=\"j\"} 7\n"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        ck_assert_msg(strstr(text, wanted[i]) != NULL, "%s is not in %s", wanted[i],
                      text);
}
END_TEST

START_TEST(text_leaves_out_a_label_that_prometheus_reserves)
{
    const struct series series[] = {
        {"a{__name__=\"b\"}", GAUGE, "", 1}, {"a{x=\"y\"}", GAUGE, "", 2}, {0}};

    ck_assert_str_eq(render(series, PROMETHEUS),
                     "# HELP a \n# TYPE a gauge\na{x=\"y\"} 2\n");
}
END_TEST

START_TEST(openmetrics_names_counter_families_without_total)
{
    const struct series series[] = {{"a_total", COUNTER, "A", 1},  {"b", COUNTER, "B", 2},
                                    {"b_total", COUNTER, "BT", 3}, {"c", GAUGE, "C", 4},
                                    {"d_total", GAUGE, "D", 5},    {0}};

    const char *text = render(series, OPENMETRICS);

    ck_assert_str_eq(text, "# HELP a A\n# TYPE a counter\na_total 1\n"
                           "# HELP b B\n# TYPE b unknown\nb 2\n"
                           "# HELP b_total BT\n# TYPE b_total unknown\nb_total 3\n"
                           "# HELP c C\n# TYPE c gauge\nc 4\n"
                           "# HELP d_total D\n# TYPE d_total gauge\nd_total 5\n# EOF\n");
}
END_TEST

START_TEST(text_shows_buckets_sum_and_count_as_one_histogram)
{
    const char *text = render(histogram, PROMETHEUS);

    ck_assert_str_eq(text, "# HELP h H\n# TYPE h histogram\n"
                           "h_bucket{op=\"r\",le=\"2\"} 1\n"
                           "h_bucket{op=\"r\",le=\"10\"} 8\n"
                           "h_bucket{op=\"r\",le=\"+Inf\"} 9\n"
                           "h_sum{op=\"r\"} 99.5\nh_count{op=\"r\"} 9\n"
                           "h_bucket{op=\"w\",le=\"2\"} 3\n"
                           "h_bucket{op=\"w\",le=\"+Inf\"} 4\n"
                           "h_sum{op=\"w\"} 11\nh_count{op=\"w\"} 4\n"
                           "# HELP h_bytes \n# TYPE h_bytes gauge\nh_bytes 1\n");
}
END_TEST

START_TEST(openmetrics_writes_bounds_in_canonical_form)
{
    const struct series series[] = {{"h_bucket{le=\"+Inf\"}", COUNTER, "H", 1},
                                    {"h_bucket{le=\"0.5\"}", COUNTER, "H", 1},
                                    {"h_bucket{le=\"1\"}", COUNTER, "H", 1},
                                    {"h_bucket{le=\"1000000\"}", COUNTER, "H", 1},
                                    {"h_count", COUNTER, "H", 1},
                                    {"h_sum", COUNTER, "H", 1},
                                    {0}};

    const char *text = render(series, OPENMETRICS);

    ck_assert_str_eq(text, "# HELP h H\n# TYPE h histogram\n"
                           "h_bucket{le=\"0.5\"} 1\nh_bucket{le=\"1.0\"} 1\n"
                           "h_bucket{le=\"1e+06\"} 1\nh_bucket{le=\"+Inf\"} 1\n"
                           "h_sum 1\nh_count 1\n# EOF\n");
}
END_TEST

// Each lacks something, so that its counters are shown as what they are.
static const struct series no_histograms[][5] = {
    {{"h_bucket{le=\"1\"}", COUNTER, "", 1}, {"h_count", COUNTER, "", 1}, {0}},
    {{"h_bucket{le=\"1\"}", COUNTER, "", 1}, {"h_sum", COUNTER, "", 1}, {0}},
    {{"h_bucket{le=\"x\"}", COUNTER, "", 1},
     {"h_count", COUNTER, "", 1},
     {"h_sum", COUNTER, "", 1},
     {0}},
    {{"h_bucket", COUNTER, "", 1},
     {"h_count", COUNTER, "", 1},
     {"h_sum", COUNTER, "", 1},
     {0}},
    {{"h_bucket{le=\"1\"}", COUNTER, "", 1},
     {"h_count", COUNTER, "", 1},
     {"h_sum", COUNTER, "", 1},
     {"h_sum{op=\"r\"}", COUNTER, "", 1},
     {0}},
    {{"h_bucket{le=\"1\"}", COUNTER, "", 2},
     {"h_bucket{le=\"9\"}", COUNTER, "", 1},
     {"h_count", COUNTER, "", 2},
     {"h_sum", COUNTER, "", 1},
     {0}},
    {{"h_bucket{le=\"1\"}", COUNTER, "", 3},
     {"h_count", COUNTER, "", 2},
     {"h_sum", COUNTER, "", 1},
     {0}},
    {{"h_bucket{le=\"+Inf\"}", COUNTER, "", 2},
     {"h_count", COUNTER, "", 3},
     {"h_sum", COUNTER, "", 1},
     {0}},
    {{"h", GAUGE, "", 1},
     {"h_bucket{le=\"1\"}", COUNTER, "", 1},
     {"h_count", COUNTER, "", 1},
     {"h_sum", COUNTER, "", 1},
     {0}},
};

START_TEST(counters_that_make_no_histogram_are_all_shown)
{
    const struct series *series = no_histograms[_i];

    const char *text = render(series, PROMETHEUS);

    ck_assert_ptr_null(strstr(text, "histogram"));
    for (; series->name; series++) {
        char line[64];
        snprintf(line, sizeof line, "\n%s %g\n", series->name, series->value);
        ck_assert_msg(strstr(text, line) != NULL, "%s in %s", series->name, text);
    }
}
END_TEST

START_TEST(text_of_all_views_has_each_family_once)
{
    mproxy_snapshot *snapshot = publish_two();

    mproxy_render_snapshot(snapshot, PROMETHEUS, NULL, mpx_write_to_buf, &out);

    ck_assert_str_eq(mpx_buf_text(&out),
                     "# HELP a \n# TYPE a gauge\n"
                     "a{job_id=\"main\"} 1\na{job_id=\"7\"} 2\n"
                     "# HELP b B\n# TYPE b gauge\nb{job_id=\"7\"} 4\n"
                     "# HELP c_total C\n# TYPE c_total counter\n"
                     "c_total{job_id=\"main\"} 3\nc_total{job_id=\"7\"} 5\n");
    mproxy_snapshot_unref(snapshot);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("exposition_text");
    tcase_add_checked_fixture(c, open_store, close_store);
    tcase_add_test(c, text_has_one_help_and_type_per_family);
    tcase_add_test(c, text_of_a_gauge_is_its_mean);
    tcase_add_test(c, values_that_are_not_finite_and_gauges_never_set_are_left_out);
    tcase_add_test(c, text_escapes_help_and_keeps_escaped_label_values);
    tcase_add_test(c, text_sanitises_names_and_leaves_out_the_later_of_two_that_collide);
    tcase_add_test(c, text_shows_a_base_of_both_types_without_a_type);
    tcase_add_test(c, text_adds_the_job_label_and_renames_one_that_is_there);
    tcase_add_test(c, text_renames_a_label_to_a_name_that_the_family_does_not_have);
    tcase_add_test(c, text_leaves_out_a_label_that_prometheus_reserves);
    tcase_add_test(c, openmetrics_names_counter_families_without_total);
    tcase_add_test(c, text_shows_buckets_sum_and_count_as_one_histogram);
    tcase_add_test(c, openmetrics_writes_bounds_in_canonical_form);
    tcase_add_loop_test(c, counters_that_make_no_histogram_are_all_shown, 0,
                        sizeof no_histograms / sizeof no_histograms[0]);
    tcase_add_test(c, text_of_all_views_has_each_family_once);
    Suite *suite = suite_create("exposition_text");
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
