// Pages of tests/data/exposition: each case is a folder with `page.prom` (text format 0.0.4)
// or `page.om` (OpenMetrics), and `samples` or `error`, which is LINE:COLUMN: TEXT. Those of
// `captured` come from real servers. What is remembered between pages is test_parse_pages.c's.
#include <mproxy/exposition.h>

#include <check.h>
#include <dirent.h>
#include <stdlib.h>

#include "../support/parse_fixture.h"
#include "../support/suite.h"
#include "base/file.h"
#include "exposition/sink.h"

#define ROOT TEST_DATA "/exposition/"

struct page {
    char *text; // exactly its bytes, so that a sanitizer sees what reads behind them
    size_t length;
    mproxy_format format;
};

static mproxy_parser *parser;

static void open_parser(void)
{
    ck_assert_int_eq(mproxy_parser_new(NULL, &parser, NULL), MPROXY_OK);
}

static void close_parser(void)
{
    mproxy_parser_free(parser);
}

static struct mpx_buf load(const char *path)
{
    struct mpx_buf content = MPX_BUF_INIT;
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s is not there", path);
    char bytes[4096];
    for (size_t got; (got = fread(bytes, 1, sizeof bytes, file)) > 0;)
        mpx_buf_add(&content, bytes, got);
    fclose(file);
    ck_assert_ptr_nonnull(mpx_buf_text(&content));
    return content;
}

static struct page load_page(const char *path)
{
    struct mpx_buf content = load(path);
    struct page page = {.length = content.size};
    page.text = malloc(content.size ? content.size : 1);
    ck_assert_ptr_nonnull(page.text);
    memcpy(page.text, content.data, content.size);
    mpx_buf_free(&content);
    const char *ending = strrchr(path, '.');
    page.format =
        strcmp(ending, ".om") == 0 ? MPROXY_FORMAT_OPENMETRICS : MPROXY_FORMAT_PROMETHEUS;
    return page;
}

static struct page load_case(const char *folder)
{
    char path[512];
    snprintf(path, sizeof path, "%s/page.om", folder);
    FILE *file = fopen(path, "rb");
    if (file)
        fclose(file);
    else
        snprintf(path, sizeof path, "%s/page.prom", folder);
    return load_page(path);
}

static unsigned each(const char *root, void (*visit)(const char *path))
{
    struct dirent **names;
    unsigned visited = 0;
    int count = scandir(root, &names, NULL, alphasort);
    ck_assert_int_gt(count, 0);
    for (int i = 0; i < count; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", root, names[i]->d_name);
        if (names[i]->d_name[0] != '.') {
            visit(path);
            visited++;
        }
        free(names[i]);
    }
    free(names);
    return visited;
}

static void assert_samples(const char *folder, const struct page *page)
{
    char path[512];
    snprintf(path, sizeof path, "%s/samples", folder);
    struct mpx_buf expected = load(path), found = MPX_BUF_INIT;
    mproxy_page out;
    mproxy_error err = {0};
    mproxy_status status =
        read_page(parser, page->text, page->length, page->format, &out, &err);
    ck_assert_msg(status == MPROXY_OK, "%s:%d:%d: %s", folder, err.line, err.column,
                  err.text);
    describe_page(parser, &out, &found);
    ck_assert_msg(strcmp(found.data ? found.data : "", expected.data) == 0,
                  "%s: expected\n%sfound\n%s", folder, expected.data, found.data);
    mpx_buf_free(&expected);
    mpx_buf_free(&found);
}

// By one parser that has read all the others, and twice: the second time it is compared.
static void visit_valid(const char *folder)
{
    struct page page = load_case(folder);
    assert_samples(folder, &page);
    assert_samples(folder, &page);
    free(page.text);
}

START_TEST(valid_pages_are_taken)
{
    ck_assert_uint_gt(each(ROOT "valid", visit_valid), 80);
}
END_TEST

static void assert_error(const char *folder, const struct page *page)
{
    char path[512], found[512] = "taken";
    snprintf(path, sizeof path, "%s/error", folder);
    struct mpx_buf expected = load(path);
    mproxy_page out;
    mproxy_error err = {0};
    mproxy_status status =
        read_page(parser, page->text, page->length, page->format, &out, &err);
    if (status == MPROXY_E_INVALID && err.status == status)
        snprintf(found, sizeof found, "%d:%d: %s\n", err.line, err.column, err.text);
    ck_assert_msg(strcmp(found, expected.data) == 0, "%s: expected\n%sfound\n%s", folder,
                  expected.data, found);
    mpx_buf_free(&expected);
}

static void visit_invalid(const char *folder)
{
    struct page page = load_case(folder);
    assert_error(folder, &page);
    assert_error(folder, &page);
    free(page.text);
}

START_TEST(invalid_pages_are_refused_with_line_and_column)
{
    ck_assert_uint_gt(each(ROOT "invalid", visit_invalid), 250);
}
END_TEST

// Whatever is malformed behind a good page: nothing of it is known afterwards.
static void visit_behind_good(const char *folder)
{
    static const char good[] = "# TYPE kept counter\nkept{x=\"1\"} 1\nkept{x=\"2\"} 2\n";
    mproxy_page out;
    mproxy_parser *own = NULL;
    ck_assert_int_eq(mproxy_parser_new(NULL, &own, NULL), MPROXY_OK);
    struct page page = load_case(folder);
    ck_assert_int_eq(
        read_page(own, good, strlen(good), MPROXY_FORMAT_PROMETHEUS, &out, NULL),
        MPROXY_OK);

    ck_assert_int_ne(read_page(own, page.text, page.length, page.format, &out, NULL),
                     MPROXY_OK);

    mproxy_series series = {.struct_size = sizeof series};
    for (uint32_t i = 2; i < 10; i++)
        ck_assert_int_eq(mproxy_parser_series(own, i, &series, NULL), MPROXY_E_NOTFOUND);
    ck_assert_int_eq(
        read_page(own, good, strlen(good), MPROXY_FORMAT_PROMETHEUS, &out, NULL),
        MPROXY_OK);
    ck_assert(out.same_order);
    ck_assert_uint_eq(out.fresh_count, 0);
    free(page.text);
    mproxy_parser_free(own);
}

START_TEST(nothing_of_a_refused_page_is_applied)
{
    ck_assert_uint_gt(each(ROOT "invalid", visit_behind_good), 250);
}
END_TEST

// Lines that are samples, told apart as simply as can be.
static size_t count_samples(const struct page *page)
{
    size_t count = 0;
    for (const char *at = page->text, *end = at + page->length; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        count += *at != '#' && *at != '\n';
        at = newline ? newline + 1 : end;
    }
    return count;
}

static void visit_captured(const char *path)
{
    struct page page = load_page(path);
    mproxy_page out;
    mproxy_error err = {0};
    for (int i = 0; i < 2; i++) {
        mproxy_status status =
            read_page(parser, page.text, page.length, page.format, &out, &err);
        ck_assert_msg(status == MPROXY_OK, "%s:%d:%d: %s", path, err.line, err.column,
                      err.text);
        ck_assert_uint_eq(out.count, count_samples(&page));
        ck_assert_int_eq(out.same_order, i > 0);
    }
    free(page.text);
}

START_TEST(pages_of_real_servers_are_taken_each_line)
{
    ck_assert_uint_ge(each(ROOT "captured", visit_captured), 7);
}
END_TEST

// --- what we write -----------------------------------------------------------------------

static const struct {
    const char *name;
    mproxy_type type;
    double value;
} written[] = {
    {"a.b{x=\"q\\\"\\\\\\n\"}", MPROXY_GAUGE, -0.1},
    {"big_total", MPROXY_COUNTER, 1e300},
    {"h_bucket{op=\"r\",le=\"0.5\"}", MPROXY_COUNTER, 1},
    {"h_bucket{op=\"r\",le=\"+Inf\"}", MPROXY_COUNTER, 4},
    {"h_count{op=\"r\"}", MPROXY_COUNTER, 4},
    {"h_sum{op=\"r\"}", MPROXY_COUNTER, 2.25},
    {"mpi___hits___mpi_send", MPROXY_COUNTER, 42},
    {"proxy_net_total{interface=\"lo\"}", MPROXY_COUNTER, 12345678901234.5},
    {"tiny", MPROXY_GAUGE, 4.9406564584124654e-324},
    {"utf{x=\"\xe6\x97\xa5\"}", MPROXY_GAUGE, 3},
};

#define WRITTEN (sizeof written / sizeof *written)

static void render(mproxy_format format, struct mpx_buf *text)
{
    mproxy_store *store = NULL;
    mproxy_view *view = NULL;
    const mproxy_job job = {0};
    ck_assert_int_eq(mproxy_store_open(NULL, &store, NULL), MPROXY_OK);
    for (size_t i = 0; i < WRITTEN; i++) {
        const mproxy_metric *metric = NULL;
        mproxy_status status =
            mproxy_store_metric(store, written[i].name, written[i].type,
                                "Say \"x\\\" \xc3\xa9", &metric, NULL);
        ck_assert_int_eq(status, MPROXY_OK);
    }
    ck_assert_int_eq(mproxy_view_new("main", &job, 0, &view, NULL), MPROXY_OK);
    const mproxy_metric *const *order = mproxy_store_metric_order(store);
    for (size_t i = 0; i < mproxy_store_metric_count(store); i++)
        for (size_t k = 0; k < WRITTEN; k++)
            if (strcmp(mproxy_metric_name(order[i]), written[k].name) == 0) {
                mproxy_value value = written[k].type == MPROXY_GAUGE
                                         ? mproxy_value_gauge(written[k].value, 1)
                                         : mproxy_value_counter(written[k].value, 1);
                mproxy_view_add(view,
                                &(mproxy_entry){.metric = order[i], .value = value});
            }
    ck_assert_int_eq(mproxy_render_view(view, format, NULL, mpx_write_to_buf, text),
                     MPROXY_OK);
    mproxy_view_unref(view);
    mproxy_store_close(store);
}

static const double *find_value(const mproxy_page *page, const char *name)
{
    mproxy_series series = {.struct_size = sizeof series};
    for (size_t i = 0; i < page->count; i++) {
        ck_assert_int_eq(mproxy_parser_series(parser, page->series[i], &series, NULL),
                         MPROXY_OK);
        if (strcmp(series.name, name) == 0)
            return &page->values[i];
    }
    return NULL;
}

START_TEST(what_we_write_is_read_back)
{
    mproxy_format format = _i ? MPROXY_FORMAT_OPENMETRICS : MPROXY_FORMAT_PROMETHEUS;
    struct mpx_buf text = MPX_BUF_INIT;
    render(format, &text);
    mproxy_page page;
    mproxy_error err = {0};

    mproxy_status status = read_page(parser, text.data, text.size, format, &page, &err);

    ck_assert_msg(status == MPROXY_OK, "%d:%d: %s", err.line, err.column, err.text);
    ck_assert_uint_eq(page.count, WRITTEN);
    for (size_t i = 0; i < WRITTEN; i++) {
        // Characters that Prometheus does not take are written as `_`.
        const char *name = i == 0 ? "a_b{x=\"q\\\"\\\\\\n\"}" : written[i].name;
        const double *value = find_value(&page, name);
        ck_assert_msg(value != NULL, "%s is not there in\n%s", name, mpx_buf_text(&text));
        ck_assert_msg(*value == written[i].value, "%s is %.17g", name, *value);
    }
    mpx_buf_free(&text);
}
END_TEST

// --- content types -----------------------------------------------------------------------

static const struct {
    const char *header;
    mproxy_format format; // 0: unsupported
} types[] = {
    {NULL, MPROXY_FORMAT_PROMETHEUS},
    {"", MPROXY_FORMAT_PROMETHEUS},
    {"text/plain", MPROXY_FORMAT_PROMETHEUS},
    {"Text/Plain; Version=0.0.4; charset=UTF-8", MPROXY_FORMAT_PROMETHEUS},
    {" text/plain ;version=\"0.0.4\"", MPROXY_FORMAT_PROMETHEUS},
    {"text/plain; version=1.0.0", 0},
    {"text/plain; charset=iso-8859-1", 0},
    {"text/html", MPROXY_FORMAT_PROMETHEUS},
    {"application/x-www-form-urlencoded", MPROXY_FORMAT_PROMETHEUS},
    {"application/openmetrics-text", MPROXY_FORMAT_OPENMETRICS},
    {"application/openmetrics-text; version=1.0.0; charset=utf-8",
     MPROXY_FORMAT_OPENMETRICS},
    {"application/openmetrics-text;version=0.0.1", MPROXY_FORMAT_OPENMETRICS},
    {"application/openmetrics-text; version=2.0.0", 0},
    {"application/openmetrics-text; aversion=2; version=1.0.0",
     MPROXY_FORMAT_OPENMETRICS},
    {"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
     "encoding=delimited",
     0},
    {"application/openmetrics-protobuf; version=1.0.0", 0},
};

START_TEST(format_follows_from_the_content_type)
{
    mproxy_format format = 0;
    mproxy_error err = {0};

    mproxy_status status = mproxy_format_of_content_type(types[_i].header, &format, &err);

    ck_assert_int_eq(status, types[_i].format ? MPROXY_OK : MPROXY_E_UNSUPPORTED);
    ck_assert_int_eq(format, types[_i].format);
    ck_assert_int_eq(err.text[0] != '\0', status != MPROXY_OK);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("parse");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, open_parser, close_parser);
    tcase_add_test(c, valid_pages_are_taken);
    tcase_add_test(c, invalid_pages_are_refused_with_line_and_column);
    tcase_add_test(c, nothing_of_a_refused_page_is_applied);
    tcase_add_test(c, pages_of_real_servers_are_taken_each_line);
    tcase_add_loop_test(c, what_we_write_is_read_back, 0, 2);
    tcase_add_loop_test(c, format_follows_from_the_content_type, 0,
                        sizeof types / sizeof *types);
    Suite *suite = suite_create("parse");
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
