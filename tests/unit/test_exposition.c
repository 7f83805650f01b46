// Views as JSON, and what all formats have in common: what is shown, and in which pieces.
#include "../support/exposition_fixture.h"

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

START_TEST(json_shows_each_number_of_a_gauge)
{
    mproxy_view *view = make_view("j", (struct series[]){{0}});
    const char *const names[] = {"a", "b", "c"};
    const mproxy_value values[] = {
        {.min = -0.0, .max = 0, .hits = 1, .total = 0, .ts_us = TS},
        {.min = 1.5, .max = 1.5, .hits = 2, .total = 3, .ts_us = TS},
        {.min = 1.5, .max = 4, .hits = 2, .total = 5.5, .ts_us = TS}};
    for (size_t i = 0; i < 3; i++) {
        const struct series series = {names[i], GAUGE, "", 0};
        mproxy_view_add(view, &(mproxy_entry){intern(&series), values[i], NULL});
    }

    mproxy_render_view(view, JSON, NULL, mpx_write_to_buf, &out);

    const char *text = mpx_buf_text(&out);
    ck_assert_ptr_nonnull(strstr(text, "{\"min\":-0,\"max\":0,\"hits\":1,\"total\":0}"));
    ck_assert_ptr_nonnull(
        strstr(text, "{\"min\":1.5,\"max\":1.5,\"hits\":2,\"total\":3}"));
    ck_assert_ptr_nonnull(
        strstr(text, "{\"min\":1.5,\"max\":4,\"hits\":2,\"total\":5.5}"));
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

START_TEST(a_text_longer_than_a_piece_comes_whole)
{
    static char command[300001];
    memset(command, 'y', sizeof command - 1);
    mproxy_job job = {.jobid = (char *)"j", .command = command};
    mproxy_view *view = NULL;
    ck_assert_int_eq(mproxy_view_new("j", &job, 1, &view, NULL), MPROXY_OK);
    struct pieces pieces = {0};

    mproxy_render_view(view, JSON, NULL, take_piece, &pieces);
    mproxy_render_view(view, JSON, NULL, mpx_write_to_buf, &out);

    ck_assert_int_le(pieces.largest, 65536);
    ck_assert_int_eq(pieces.bytes, out.size);
    ck_assert_ptr_nonnull(strstr(mpx_buf_text(&out), command));
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

int main(void)
{
    TCase *c = tcase_create("exposition");
    tcase_add_checked_fixture(c, open_store, close_store);
    tcase_add_test(c, json_of_a_view_has_the_keys_and_literals_of_the_contract);
    tcase_add_test(c, json_shows_histograms_as_counters);
    tcase_add_test(c, json_leaves_out_what_never_received_data_when_asked);
    tcase_add_test(c, json_shows_ranks_when_asked_and_known);
    tcase_add_test(c, json_shows_each_number_of_a_gauge);
    tcase_add_test(c, one_metric_or_family_can_be_asked_for);
    tcase_add_test(c, desc_alone_can_be_asked_for);
    tcase_add_test(c, json_of_all_views_is_one_array_in_order);
    tcase_add_test(c, nodes_show_their_parts_and_who_holds_the_extremes);
    tcase_add_test(c, output_comes_in_pieces_of_at_most_64_kib);
    tcase_add_test(c, a_text_longer_than_a_piece_comes_whole);
    tcase_add_test(c, a_failing_write_ends_the_rendering_with_its_status);
    tcase_add_test(c, options_without_a_size_are_refused);
    Suite *suite = suite_create("exposition");
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
