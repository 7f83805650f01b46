// What is written must be read by Prometheus' own parsers: promtool's of the text format
// and, through its import of blocks, that of OpenMetrics.

#include <mproxy/exposition.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/suite.h"
#include "exposition/sink.h"

static const char *const fixed[] = {
    "mpi___hits___mpi_send",
    "proxy_scrape_total{os=\"Linux\",osversion=\"12 \\\"b\\\"\"}",
    "proxy_scrape_total{os=\"\\\\\",osversion=\"\\n\"}",
    "a.b",
    "a_b",
    "a:b",
    "caf\xc3\xa9{x=\"\xe6\x97\xa5\"}",
    "x_total",
    "x",
    "x_total_total",
    "h_bucket{le=\"1\",op=\"r\"}",
    "h_bucket{le=\"+Inf\",op=\"r\"}",
    "h_bucket{op=\"w\",le=\"0.5\"}",
    "h_sum{op=\"r\"}",
    "h_sum{op=\"w\"}",
    "h_count{op=\"r\"}",
    "h_count{op=\"w\"}",
    "h_total",
    "i_bucket{le=\"1\"}",
    "i_sum",
    "j{job_id=\"own\",le=\"x\",quantile=\"y\"}",
    "j{__name__=\"other\"}",
    "k{exported_job_id=\"a\",job_id=\"b\"}",
    "k{job_id=\"a\"}",
    "k{exported_exported_job_id=\"a\"}",
    "l_bucket{job_id=\"a\",exported_job_id=\"b\",le=\"+Inf\"}",
    "l_sum{job_id=\"a\",exported_job_id=\"b\"}",
    "l_count{job_id=\"a\",exported_job_id=\"b\"}",
};

static const char *const pieces[] = {"a", "b",       "_",        ":",      ".",
                                     "-", "_sum",    "_count",   "_total", "\xc3\xa9",
                                     "7", "_bucket", "_created", "_info"};

static const char *const label_pieces[] = {
    "{le=\"1\"}", "{le=\"+Inf\"}", "{x=\"\\\\\"}", "{x=\"#\",y=\" \"}", "", ""};

#define PICK(array) array[(size_t)rand() % (sizeof array / sizeof array[0])]

static void random_name(char name[128])
{
    snprintf(name, 128, "%c%s%s%s%s", "abx_:"[rand() % 5], PICK(pieces), PICK(pieces),
             PICK(pieces), PICK(label_pieces));
}

static void intern_all(mproxy_store *store)
{
    const mproxy_metric *metric;
    char name[128];
    srand(11);
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        ck_assert_int_eq(mproxy_store_metric(store, fixed[i], MPROXY_COUNTER,
                                             "A \"doc\"\\\nof lines", &metric, NULL),
                         MPROXY_OK);
    for (int i = 0; i < 3000; i++) {
        random_name(name);
        mproxy_store_metric(store, name, i % 3 ? MPROXY_COUNTER : MPROXY_GAUGE, NULL,
                            &metric, NULL);
    }
}

static mproxy_view *make_view(mproxy_store *store, const char *key, int step)
{
    mproxy_view *view = NULL;
    const mproxy_job job = {0};
    ck_assert_int_eq(mproxy_view_new(key, &job, 0, &view, NULL), MPROXY_OK);
    const mproxy_metric *const *order = mproxy_store_metric_order(store);
    for (size_t i = 0; i < mproxy_store_metric_count(store); i += (size_t)step) {
        mproxy_value value = mproxy_metric_type(order[i]) == MPROXY_GAUGE
                                 ? mproxy_value_gauge(-0.1 * (double)i, 1)
                                 : mproxy_value_counter(1e12 / (double)(i + 1), 1);
        mproxy_view_add(view, &(mproxy_entry){.metric = order[i], .value = value});
    }
    return view;
}

static void render_all(mproxy_format format, struct mpx_buf *out)
{
    mproxy_store *store = NULL;
    ck_assert_int_eq(mproxy_store_open(NULL, &store, NULL), MPROXY_OK);
    intern_all(store);
    mproxy_view *views[] = {make_view(store, "main", 1), make_view(store, "j\"\n1", 2)};
    mproxy_store_publish(store, views, 2, NULL);
    mproxy_snapshot *snapshot = mproxy_store_snapshot(store);
    ck_assert_int_eq(
        mproxy_render_snapshot(snapshot, format, NULL, mpx_write_to_buf, out), MPROXY_OK);
    ck_assert_int_gt(out->size, 50000);
    mproxy_snapshot_unref(snapshot);
    mproxy_view_unref(views[0]);
    mproxy_view_unref(views[1]);
    mproxy_store_close(store);
}

static int run(const char *command)
{
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static char directory[64];
static char file[128], command[1024];

static void make_directory(void)
{
    strcpy(directory, "/tmp/mproxy-promtool-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(file, sizeof file, "%s/text", directory);
}

static void remove_directory(void)
{
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    run(command);
}

static void save(const struct mpx_buf *text)
{
    FILE *stream = fopen(file, "w");
    ck_assert_ptr_nonnull(stream);
    fwrite(text->data, 1, text->size, stream);
    ck_assert_int_eq(fclose(stream), 0);
}

START_TEST(promtool_parses_the_text_of_hostile_names)
{
    struct mpx_buf text = MPX_BUF_INIT;
    render_all(MPROXY_FORMAT_PROMETHEUS, &text);
    save(&text);

    snprintf(command, sizeof command, "promtool check metrics <%s >%s.log 2>&1", file,
             file);
    int status = run(command);

    // 3: it read all of it and does not like the style of some names.
    ck_assert_msg(status == 0 || status == 3, "promtool ended with %d", status);
    mpx_buf_free(&text);
}
END_TEST

// Blocks are made of samples with times; ours have none.
static void add_times(const struct mpx_buf *text, struct mpx_buf *timed)
{
    const char *end = text->data + text->size;
    for (const char *line = text->data; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        ck_assert_ptr_nonnull(next);
        mpx_buf_add(timed, line, (size_t)(next - line));
        mpx_buf_add_text(timed, *line == '#' ? "\n" : " 1700000000\n");
        line = next + 1;
    }
}

START_TEST(prometheus_parses_the_openmetrics_of_hostile_names)
{
    struct mpx_buf text = MPX_BUF_INIT, timed = MPX_BUF_INIT;
    render_all(MPROXY_FORMAT_OPENMETRICS, &text);
    add_times(&text, &timed);
    save(&timed);

    snprintf(command, sizeof command,
             "promtool tsdb create-blocks-from openmetrics %s %s/blocks >%s.log 2>&1 || "
             "{ cat %s.log; exit 1; }",
             file, directory, file, file);
    int status = run(command);

    ck_assert_int_eq(status, 0);
    mpx_buf_free(&text);
    mpx_buf_free(&timed);
}
END_TEST

int main(void)
{
    if (run("command -v promtool >/dev/null") != 0)
        return skip_suite("promtool", "no program of that name");
    TCase *c = tcase_create("promtool");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, make_directory, remove_directory);
    tcase_add_test(c, promtool_parses_the_text_of_hostile_names);
    tcase_add_test(c, prometheus_parses_the_openmetrics_of_hostile_names);
    Suite *suite = suite_create("promtool");
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
