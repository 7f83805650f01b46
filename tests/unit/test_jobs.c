// The reader of GET /job.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/cases.h"
#include "../support/suite.h"
#include "base/buf.h"
#include "exposition/jobs.h"

#define DESC(jobid, times)                                                               \
    "{\"jobid\":\"" jobid "\",\"command\":\"./a.out\",\"size\":4,\"nodelist\":\"n\","    \
    "\"partition\":\"\",\"cluster\":\"\",\"run_dir\":\"/\"," times "}"
#define TIMES "\"start_time\":1700000000,\"end_time\":0"
#define JOB(counters) "[{\"desc\":" DESC("7", TIMES) ",\"counters\":[" counters "]}]"
#define COUNTER(numbers)                                                                 \
    "{\"name\":\"c\",\"doc\":\"what\",\"ctype\":{\"Counter\":{" numbers "}}}"

static struct mpx_jobs jobs;

static void read_text(const char *text)
{
    mproxy_error err = {0};
    mpx_jobs_fini(&jobs);
    ck_assert_msg(mpx_jobs_read(text, strlen(text), &jobs, &err) == MPROXY_OK, "%s",
                  err.text);
}

static double value_of(const char *text)
{
    read_text(text);
    ck_assert_uint_eq(jobs.views[0].count, 1);
    ck_assert_str_eq(jobs.views[0].entries[0].name, "c");
    return jobs.views[0].entries[0].value.total;
}

START_TEST(numbers_are_read_however_they_are_written)
{
    ck_assert_double_eq(value_of(JOB(COUNTER("\"ts\":5,\"value\":42"))), 42);
    ck_assert_double_eq(value_of(JOB(COUNTER("\"value\":1.0"))), 1);
    ck_assert_double_eq(value_of(JOB(COUNTER("\"value\":1e5"))), 100000);
    ck_assert_double_eq(value_of(JOB(COUNTER("\"value\":1E-2"))), 0.01);
    ck_assert_double_eq(value_of(JOB(COUNTER("\"value\":18446744073709551615"))), 0x1p64);
}
END_TEST

START_TEST(ts_may_be_missing_or_a_real)
{
    read_text(JOB(COUNTER("\"value\":1")));
    ck_assert_uint_eq(jobs.views[0].entries[0].value.ts_us, 0);

    read_text(JOB(COUNTER("\"ts\":1.7e15,\"value\":1")));

    ck_assert_uint_eq(jobs.views[0].entries[0].value.ts_us, 1700000000000000);
}
END_TEST

START_TEST(times_are_told_apart_by_their_size)
{
    read_text("[{\"desc\":" DESC("7", "\"start_time\":1700000000123,\"end_time\":"
                                      "1.700000001e12") ",\"counters\":[]}]");
    ck_assert_int_eq(jobs.views[0].desc.start_time, 1700000000);
    ck_assert_int_eq(jobs.views[0].desc.end_time, 1700000001);

    read_text(JOB(""));

    ck_assert_int_eq(jobs.views[0].desc.start_time, 1700000000);
    ck_assert_int_eq(jobs.views[0].desc.end_time, 0);
}
END_TEST

START_TEST(gauge_is_an_aggregate_and_left_out_before_it_has_data)
{
    read_text(JOB("{\"name\":\"never\",\"doc\":\"\",\"ctype\":{\"Gauge\":{\"min\":1,"
                  "\"max\":0,\"hits\":0,\"total\":0}}},"
                  "{\"name\":\"g\",\"doc\":\"\",\"ctype\":{\"Gauge\":{\"min\":1,"
                  "\"max\":3,\"hits\":2,\"total\":4.0}}}"));

    ck_assert_uint_eq(jobs.views[0].count, 1);
    ck_assert_uint_eq(jobs.entries, 2);
    const struct mpx_jobs_entry *e = &jobs.views[0].entries[0];
    ck_assert_str_eq(e->name, "g");
    ck_assert_int_eq(e->type, MPROXY_GAUGE);
    ck_assert_double_eq(e->value.min, 1);
    ck_assert_double_eq(e->value.max, 3);
    ck_assert_double_eq(e->value.hits, 2);
    ck_assert_double_eq(e->value.total, 4);
}
END_TEST

START_TEST(long_texts_are_cut_and_long_ids_stay_too_long)
{
    static char id[3000], text[5000];
    memset(id, 'x', sizeof id - 1);
    snprintf(text, sizeof text,
             "[{\"desc\":{\"jobid\":\"%s\",\"command\":\"\",\"size\":4,\"nodelist\":"
             "\"\",\"partition\":\"\",\"cluster\":\"\",\"run_dir\":\"\"," TIMES
             "},\"counters\":[]}]",
             id);

    read_text(text);

    ck_assert_int_ne(mproxy_job_check_id(jobs.views[0].desc.jobid, NULL), MPROXY_OK);
}
END_TEST

START_TEST(job_without_an_end_is_refused_at_its_bound)
{
    size_t size = (size_t)20 << 20;
    char *text = malloc(size);
    ck_assert_ptr_nonnull(text);
    memset(text, ' ', size);
    memcpy(text, "[{\"a\":[", 7);
    mproxy_error err = {0};

    ck_assert_int_eq(mpx_jobs_read(text, size, &jobs, &err), MPROXY_E_CORRUPT);

    ck_assert_ptr_nonnull(strstr(err.text, "more than 16 MiB"));
    free(text);
}
END_TEST

// ---- cases

// `error` has line, column (0: any) and a part of the text.
static void check_refusal(const char *name, const mproxy_error *err)
{
    struct mpx_buf expected = MPX_BUF_INIT;
    read_case_file("jobs", "invalid", name, "error", &expected);
    expected.data[strcspn(expected.data, "\n")] = '\0';
    char *text;
    int line = (int)strtol(expected.data, &text, 10),
        column = (int)strtol(text, &text, 10);
    text += *text == ' ';
    ck_assert_msg((line == 0 || line == err->line) &&
                      (column == 0 || column == err->column) && strstr(err->text, text),
                  "%s: %d:%d: '%s' instead of '%s'", name, err->line, err->column,
                  err->text, expected.data);
    mpx_buf_free(&expected);
}

static void check_case(const char *kind, const char *name)
{
    struct mpx_buf input = MPX_BUF_INIT;
    mproxy_error err = {0};
    mpx_jobs_fini(&jobs);
    read_case_file("jobs", kind, name, "input", &input);
    mproxy_status status = mpx_jobs_read(input.data, input.size, &jobs, &err);
    if (strcmp(kind, "valid") == 0) {
        ck_assert_msg(status == MPROXY_OK, "%s: %s", name, err.text);
    } else {
        ck_assert_msg(status == MPROXY_E_CORRUPT && !jobs.views, "%s is read", name);
        check_refusal(name, &err);
    }
    mpx_buf_free(&input);
}

START_TEST(valid_cases_are_read)
{
    check_cases("jobs", "valid", check_case);
}
END_TEST

START_TEST(invalid_cases_are_refused_with_their_place)
{
    check_cases("jobs", "invalid", check_case);
}
END_TEST

START_TEST(every_cut_of_a_reply_is_refused)
{
    struct mpx_buf input = MPX_BUF_INIT;
    read_case_file("jobs", "valid", "plain", "input", &input);

    for (size_t length = 0; length < input.size; length++) {
        char *cut = malloc(length + 1); // no byte behind it may be read
        ck_assert_ptr_nonnull(cut);
        memcpy(cut, input.data, length);
        ck_assert_int_eq(mpx_jobs_read(cut, length, &jobs, NULL), MPROXY_E_CORRUPT);
        free(cut);
    }
    mpx_buf_free(&input);
}
END_TEST

static void tear_down(void)
{
    mpx_jobs_fini(&jobs);
}

int main(void)
{
    Suite *suite = suite_create("jobs");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, NULL, tear_down);
    tcase_add_test(c, numbers_are_read_however_they_are_written);
    tcase_add_test(c, ts_may_be_missing_or_a_real);
    tcase_add_test(c, times_are_told_apart_by_their_size);
    tcase_add_test(c, gauge_is_an_aggregate_and_left_out_before_it_has_data);
    tcase_add_test(c, long_texts_are_cut_and_long_ids_stay_too_long);
    tcase_add_test(c, job_without_an_end_is_refused_at_its_bound);
    tcase_add_test(c, valid_cases_are_read);
    tcase_add_test(c, invalid_cases_are_refused_with_their_place);
    tcase_add_test(c, every_cut_of_a_reply_is_refused);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
