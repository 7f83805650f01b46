#include <mproxy/exposition.h>

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/suite.h"
#include "exposition/json.h"

#define TS UINT64_C(1700000000000000)

static mproxy_store *store;
static struct mpx_buf out;

static void open_store(void)
{
    ck_assert_int_eq(mproxy_store_open(NULL, &store, NULL), MPROXY_OK);
}

static void close_store(void)
{
    mproxy_store_close(store);
    mpx_buf_free(&out);
}

struct series {
    const char *name;
    mproxy_type type;
    const char *doc;
    double value;
};

static mproxy_value value_of(mproxy_type type, double value)
{
    return type == MPROXY_GAUGE ? mproxy_value_gauge(value, TS)
                                : mproxy_value_counter(value, TS);
}

static const mproxy_metric *intern(const struct series *series)
{
    const mproxy_metric *metric = NULL;
    mproxy_error err = {0};
    mproxy_status status = mproxy_store_metric(store, series->name, series->type,
                                               series->doc, &metric, &err);
    ck_assert_msg(status == MPROXY_OK, "%s", err.text);
    return metric;
}

// A view of these series; an array ends with a name of NULL.
static mproxy_view *make_view(const char *key, const struct series *series)
{
    mproxy_job job = {.jobid = (char *)key, .command = "a \"b\""};
    job.size = 123456;
    job.start_time = 100000;
    mproxy_view *view = NULL;
    ck_assert_int_eq(mproxy_view_new(key, &job, 4, &view, NULL), MPROXY_OK);
    for (const struct series *s = series; s->name; s++)
        intern(s);
    const mproxy_metric *const *order = mproxy_store_metric_order(store);
    for (size_t i = 0; i < mproxy_store_metric_count(store); i++)
        for (const struct series *s = series; s->name; s++)
            if (strcmp(s->name, mproxy_metric_name(order[i])) == 0)
                mproxy_view_add(view,
                                &(mproxy_entry){.metric = order[i],
                                                .value = value_of(s->type, s->value)});
    return view;
}

static const char *render_with(const struct series *series, mproxy_format format,
                               const mproxy_render_options *options)
{
    mproxy_view *view = make_view("j1", series);
    mpx_buf_clear(&out);
    ck_assert_int_eq(mproxy_render_view(view, format, options, mpx_write_to_buf, &out),
                     MPROXY_OK);
    mproxy_view_unref(view);
    return mpx_buf_text(&out);
}

static const char *render(const struct series *series, mproxy_format format)
{
    return render_with(series, format, NULL);
}

#define COUNTER MPROXY_COUNTER
#define GAUGE MPROXY_GAUGE
#define PROMETHEUS MPROXY_FORMAT_PROMETHEUS
#define OPENMETRICS MPROXY_FORMAT_OPENMETRICS
#define JSON MPROXY_FORMAT_JSON

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

static const struct series histogram[] = {
    {"h_bucket{op=\"r\",le=\"+Inf\"}", COUNTER, "H", 9},
    {"h_bucket{op=\"r\",le=\"10\"}", COUNTER, "H", 8},
    {"h_bucket{op=\"r\",le=\"2\"}", COUNTER, "H", 1},
    {"h_bucket{op=\"w\",le=\"2\"}", COUNTER, "H", 3},
    {"h_bytes", GAUGE, "", 1},
    {"h_count{op=\"r\"}", COUNTER, "H", 9},
    {"h_count{op=\"w\"}", COUNTER, "H", 4},
    {"h_sum{op=\"r\"}", COUNTER, "H", 99.5},
    {"h_sum{op=\"w\"}", COUNTER, "H", 11},
    {0}};

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

START_TEST(json_of_a_view_has_the_keys_and_literals_of_the_contract)
{
    const struct series series[] = {
        {"a{x=\"\\\"\"}", COUNTER, "A \"d\"\n", 1e22}, {"b", GAUGE, "", 0.1}, {0}};

    const char *text = render(series, JSON);

    ck_assert_str_eq(
        text, "{\"desc\":{\"jobid\":\"j1\",\"command\":\"a \\\"b\\\"\",\"nodelist\":\"\","
              "\"partition\":\"\",\"cluster\":\"\",\"run_dir\":\"\",\"size\":123456,"
              "\"start_time\":100000,\"end_time\":0},\"counters\":["
              "{\"name\":\"a{x=\\\"\\\\\\\"\\\"}\",\"doc\":\"A \\\"d\\\"\\n\","
              "\"ctype\":{\"Counter\":{\"ts\":1700000000000000,\"value\":1e+22}}},"
              "{\"name\":\"b\",\"doc\":\"\",\"ctype\":{\"Gauge\":{\"min\":0.1,"
              "\"max\":0.1,\"hits\":1,\"total\":0.1}}}]}");
}
END_TEST

START_TEST(json_shows_histograms_as_counters)
{
    const char *text = render(histogram, JSON);

    ck_assert_ptr_nonnull(strstr(text,
                                 "{\"name\":\"h_bucket{op=\\\"r\\\",le=\\\"+Inf\\\"}"
                                 "\",\"doc\":\"H\",\"ctype\":{\"Counter\":"));
}
END_TEST

START_TEST(json_leaves_out_what_never_received_data_when_asked)
{
    mproxy_view *view =
        make_view("j", (struct series[]){{"b_total", COUNTER, "", 1}, {0}});
    mproxy_entry old = {.metric = intern(&(struct series){"c", COUNTER, "", 0})};
    mproxy_view_add(view, &old);
    mproxy_render_options options = {.struct_size = sizeof options, .received_only = 1};

    mproxy_render_view(view, JSON, &options, mpx_write_to_buf, &out);

    const char *text = mpx_buf_text(&out);
    ck_assert_ptr_nonnull(strstr(text, "\"b_total\""));
    ck_assert_ptr_null(strstr(text, "\"c\""));
    mproxy_view_unref(view);
}
END_TEST

START_TEST(json_shows_ranks_when_asked_and_known)
{
    mproxy_view *view = make_view("j", (struct series[]){{0}});
    mproxy_entry entry = {.metric = intern(&(struct series){"c_total", COUNTER, "", 0}),
                          .value = mproxy_value_counter(4, TS)};
    mproxy_ranks ranks = {0};
    mproxy_ranks_add(&ranks, 2, 1);
    mproxy_ranks_add(&ranks, 0, 3);
    entry.ranks = &ranks;
    mproxy_view_add(view, &entry);
    mproxy_render_options options = {.struct_size = sizeof options, .ranks = 1};

    mproxy_render_view(view, JSON, &options, mpx_write_to_buf, &out);

    ck_assert_ptr_nonnull(strstr(mpx_buf_text(&out),
                                 "\"value\":4}},\"ranks\":{\"n\":2,\"min\":1,\"max\":3,"
                                 "\"mean\":2,\"min_rank\":2,\"max_rank\":0}}]}"));
    mproxy_view_unref(view);
}
END_TEST

START_TEST(one_metric_or_family_can_be_asked_for)
{
    const struct series series[] = {{"a", GAUGE, "", 1},
                                    {"a{x=\"1\"}", GAUGE, "", 2},
                                    {"a{x=\"2\"}", GAUGE, "", 3},
                                    {"ab", GAUGE, "", 4},
                                    {0}};
    mproxy_render_options options = {.struct_size = sizeof options};

    options.metric = "a";
    ck_assert_str_eq(render_with(series, PROMETHEUS, &options),
                     "# HELP a \n# TYPE a gauge\na 1\na{x=\"1\"} 2\na{x=\"2\"} 3\n");
    options.metric = "a{x=\"2\"}";
    ck_assert_str_eq(render_with(series, PROMETHEUS, &options),
                     "# HELP a \n# TYPE a gauge\na{x=\"2\"} 3\n");
    options.metric = "none";
    ck_assert_str_eq(render_with(series, PROMETHEUS, &options), "");
}
END_TEST

START_TEST(desc_alone_can_be_asked_for)
{
    const struct series series[] = {{"a", GAUGE, "", 1}, {0}};
    mproxy_render_options options = {.struct_size = sizeof options, .desc_only = 1};

    ck_assert_int_eq(strncmp(render_with(series, JSON, &options), "{\"jobid\":", 9), 0);
    options.desc_only = 2;
    const char *text = render_with(series, JSON, &options);

    ck_assert_int_eq(strncmp(text, "{\"desc\":{\"jobid\":", 17), 0);
    ck_assert_ptr_null(strstr(text, "counters"));
}
END_TEST

static mproxy_snapshot *publish_two(void)
{
    mproxy_view *views[] = {
        make_view(
            "main",
            (struct series[]){{"a", GAUGE, "", 1}, {"c_total", COUNTER, "C", 3}, {0}}),
        make_view("7", (struct series[]){{"a", GAUGE, "", 2},
                                         {"b", GAUGE, "B", 4},
                                         {"c_total", COUNTER, "", 5},
                                         {0}})};
    ck_assert_int_eq(mproxy_store_publish(store, views, 2, NULL), MPROXY_OK);
    mproxy_view_unref(views[0]);
    mproxy_view_unref(views[1]);
    return mproxy_store_snapshot(store);
}

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

START_TEST(json_of_all_views_is_one_array_in_order)
{
    mproxy_snapshot *snapshot = publish_two();

    mproxy_render_snapshot(snapshot, JSON, NULL, mpx_write_to_buf, &out);

    const char *text = mpx_buf_text(&out);
    const char *first = strstr(text, "\"jobid\":\"main\"");
    const char *second = strstr(text, "]},{\"desc\":{\"jobid\":\"7\"");
    ck_assert_ptr_nonnull(first);
    ck_assert(text[0] == '[' && first < second);
    mproxy_snapshot_unref(snapshot);
}
END_TEST

START_TEST(nodes_show_their_parts_and_who_holds_the_extremes)
{
    mproxy_snapshot *snapshot = publish_two();
    const size_t size = sizeof(mproxy_node_part);
    const mproxy_node_part parts[] = {
        {size, "n1", 1, 0, mproxy_snapshot_at(snapshot, 0)},
        {size, "n2", 0, 7.5, mproxy_snapshot_at(snapshot, 1)},
    };

    const mproxy_node_part sizeless = {.node = "n1", .view = parts[0].view};

    ck_assert_int_eq(
        mproxy_render_nodes(parts[1].view, &sizeless, 1, NULL, mpx_write_to_buf, &out),
        MPROXY_E_INVALID);
    // As a program of a later release gives them.
    struct {
        mproxy_node_part part;
        double later;
    } given[2] = {{parts[0], 0}, {parts[1], 0}};
    given[0].part.struct_size = given[1].part.struct_size = sizeof given[0];

    ck_assert_int_eq(mproxy_render_nodes(parts[1].view, &given[0].part, 2, NULL,
                                         mpx_write_to_buf, &out),
                     MPROXY_OK);

    const char *text = mpx_buf_text(&out);
    ck_assert_ptr_nonnull(strstr(text, "{\"node\":\"n1\",\"fresh\":true,\"age\":0,"));
    ck_assert_ptr_nonnull(strstr(text, "{\"node\":\"n2\",\"fresh\":false,\"age\":7.5,"));
    ck_assert_ptr_nonnull(strstr(text,
                                 "{\"name\":\"c_total\",\"min\":3,\"max\":5,\"mean\":4,"
                                 "\"min_node\":\"n1\",\"max_node\":\"n2\"}"));
    ck_assert_ptr_nonnull(strstr(text, "{\"name\":\"b\",\"min\":4,\"max\":4,\"mean\":4,"
                                       "\"min_node\":\"n2\",\"max_node\":\"n2\"}"));
    mproxy_snapshot_unref(snapshot);
}
END_TEST

struct pieces {
    size_t calls, bytes, largest, fail_at;
};

static mproxy_status take_piece(void *arg, const char *bytes, size_t length)
{
    (void)bytes;
    struct pieces *pieces = arg;
    pieces->calls++;
    pieces->bytes += length;
    if (length > pieces->largest)
        pieces->largest = length;
    return pieces->calls == pieces->fail_at ? MPROXY_E_SYSTEM : MPROXY_OK;
}

static mproxy_view *make_large_view(void)
{
    static struct series series[2001];
    static char names[2000][1000];
    for (int i = 0; i < 2000; i++) {
        int length = snprintf(names[i], sizeof names[i], "m%04d{x=\"", i);
        memset(names[i] + length, 'y', 900);
        strcpy(names[i] + length + 900, "\"}");
        series[i] = (struct series){names[i], i % 2 ? COUNTER : GAUGE, "doc", i + 0.5};
    }
    return make_view("large", series);
}

START_TEST(output_comes_in_pieces_of_at_most_64_kib)
{
    mproxy_view *view = make_large_view();
    for (int format = PROMETHEUS; format <= JSON; format++) {
        struct pieces pieces = {0};

        ck_assert_int_eq(mproxy_render_view(view, format, NULL, take_piece, &pieces),
                         MPROXY_OK);

        ck_assert_int_gt(pieces.bytes, 1800000);
        ck_assert_int_le(pieces.largest, 65536);
        ck_assert_int_le(pieces.calls, pieces.bytes / 60000 + 1);
    }
    mproxy_view_unref(view);
}
END_TEST

START_TEST(a_failing_write_ends_the_rendering_with_its_status)
{
    mproxy_view *view = make_large_view();
    for (int format = PROMETHEUS; format <= JSON; format++) {
        struct pieces pieces = {.fail_at = 3};

        ck_assert_int_eq(mproxy_render_view(view, format, NULL, take_piece, &pieces),
                         MPROXY_E_SYSTEM);

        ck_assert_int_eq(pieces.calls, 3);
    }
    mproxy_view_unref(view);
}
END_TEST

START_TEST(options_without_a_size_are_refused)
{
    const struct series series[] = {{"a", GAUGE, "", 1}, {0}};
    mproxy_render_options options = {.metric = "none"};
    mproxy_view *view = make_view("main", series);
    struct pieces pieces = {0};

    ck_assert_int_eq(mproxy_render_view(view, JSON, &options, take_piece, &pieces),
                     MPROXY_E_INVALID);

    ck_assert_int_eq(pieces.calls, 0);
    mproxy_view_unref(view);
}
END_TEST

static void add_text_tests(TCase *c)
{
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
}

int main(void)
{
    TCase *c = tcase_create("exposition");
    tcase_add_checked_fixture(c, open_store, close_store);
    add_text_tests(c);
    tcase_add_test(c, json_of_a_view_has_the_keys_and_literals_of_the_contract);
    tcase_add_test(c, json_shows_histograms_as_counters);
    tcase_add_test(c, json_leaves_out_what_never_received_data_when_asked);
    tcase_add_test(c, json_shows_ranks_when_asked_and_known);
    tcase_add_test(c, one_metric_or_family_can_be_asked_for);
    tcase_add_test(c, desc_alone_can_be_asked_for);
    tcase_add_test(c, json_of_all_views_is_one_array_in_order);
    tcase_add_test(c, nodes_show_their_parts_and_who_holds_the_extremes);
    tcase_add_test(c, output_comes_in_pieces_of_at_most_64_kib);
    tcase_add_test(c, a_failing_write_ends_the_rendering_with_its_status);
    tcase_add_test(c, options_without_a_size_are_refused);
    Suite *suite = suite_create("exposition");
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
