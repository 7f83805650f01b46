// Pages of others at the door: what is taken under which name, what is refused and why, and
// what is given back.
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "ingest/ingest.h"

#include "../support/suite.h"

static mproxy_store *store;
static struct mpx_ingest *in, *other;
static struct mpx_ingest_page page;

static struct mpx_ingest *ingest(const struct mpx_ingest_label *labels, size_t count,
                                 size_t max_series, size_t max_new)
{
    const struct mpx_ingest_options o = {.store = store,
                                         .labels = labels,
                                         .label_count = count,
                                         .max_series = max_series,
                                         .max_new = max_new};
    struct mpx_ingest *made;
    ck_assert_int_eq(mpx_ingest_open(&o, &made, NULL), MPROXY_OK);
    return made;
}

static void set_up(void)
{
    ck_assert_int_eq(mproxy_store_open(NULL, &store, NULL), MPROXY_OK);
    in = ingest(NULL, 0, 0, 0);
    other = ingest(NULL, 0, 0, 0);
}

static void tear_down(void)
{
    mpx_ingest_close(in);
    mpx_ingest_close(other);
    mproxy_store_sweep(store);
    ck_assert_uint_eq(mproxy_store_metric_count(store), 0); // all given back
    mproxy_store_close(store);
}

static void read_by(struct mpx_ingest *who, const char *text)
{
    mproxy_error err = {0};
    mproxy_status status =
        mpx_ingest_parse(who, text, strlen(text), MPROXY_FORMAT_PROMETHEUS, &err);
    ck_assert_msg(status == MPROXY_OK, "%d: %s", err.line, err.text);
    ck_assert_int_eq(mpx_ingest_apply(who, &page, NULL), MPROXY_OK);
}

// What the page hands out, a line each: `c|g NAME VALUE`.
static const char *told(const struct mpx_ingest *who)
{
    static struct mpx_buf out;
    mpx_buf_clear(&out);
    for (size_t i = 0; i < page.count; i++) {
        const mproxy_metric *metric = mpx_ingest_metric(who, page.series[i]);
        mpx_buf_addf(&out, "%s %s %g\n",
                     mproxy_metric_type(metric) == MPROXY_COUNTER ? "c" : "g",
                     mproxy_metric_name(metric), page.values[i]);
    }
    return mpx_buf_text(&out);
}

static struct mpx_ingest_stats stats_of(const struct mpx_ingest *who)
{
    struct mpx_ingest_stats stats;
    mpx_ingest_get_stats(who, &stats);
    return stats;
}

static uint64_t refused(enum mpx_ingest_reason reason)
{
    return stats_of(in).total[reason];
}

static const char *example(enum mpx_ingest_reason reason)
{
    return mpx_ingest_example(in, reason);
}

START_TEST(page_becomes_metrics_with_raw_values)
{
    read_by(in,
            "# HELP a of a\n# TYPE a counter\na{y=\"1\",x=\"2\"} 5\nb 2 1700000000\n");

    ck_assert_str_eq(told(in), "c a{x=\"2\",y=\"1\"} 5\ng b 2\n");
    ck_assert_str_eq(mproxy_metric_doc(mpx_ingest_metric(in, page.series[0])), "of a");
    ck_assert_uint_eq(page.fresh_count, 2);
}
END_TEST

START_TEST(page_in_the_same_order_is_handed_out_without_a_copy)
{
    read_by(in, "a 1\nb 2\n");
    const uint32_t *series = page.series;
    read_by(in, "a 3\nb 4\n");

    ck_assert_ptr_eq(page.series, series);
    ck_assert_str_eq(told(in), "g a 3\ng b 4\n");
    ck_assert_uint_eq(page.fresh_count + page.gone_count, 0);
}
END_TEST

START_TEST(names_of_ours_are_refused_in_any_spelling)
{
    read_by(in, "mproxy_a 1\nproxy_b 1\njob_process_c 1\nmpi___d 1\nstrace___e 1\n"
                "posix___f 1\ntotal___g 1\nhas_h 1\nwalltime 1\n{\"mproxy.i\"} 1\n"
                "process_j 1\nproxy 1\nmpi__k 1\n");

    ck_assert_str_eq(told(in), "g process_j 1\ng proxy 1\ng mpi__k 1\n");
    ck_assert_uint_eq(refused(MPX_INGEST_RESERVED), 10);
    ck_assert_uint_eq(stats_of(in).refused, 10);
    ck_assert_str_eq(example(MPX_INGEST_RESERVED),
                     "series 'mproxy.i': is a name of the proxy's own");
}
END_TEST

START_TEST(names_that_the_store_does_not_take_are_refused)
{
    read_by(in, "{\"a b\"} 1\n{\"a.b\"} 2\n");

    ck_assert_str_eq(told(in), "g a.b 2\n");
    ck_assert_uint_eq(refused(MPX_INGEST_NAME), 1);
    ck_assert_ptr_nonnull(strstr(example(MPX_INGEST_NAME), "'a b'"));
}
END_TEST

START_TEST(values_that_are_not_finite_are_as_no_values)
{
    read_by(in, "a 1\nb 2\nc NaN\n");
    ck_assert_str_eq(told(in), "g a 1\ng b 2\n");
    read_by(in, "a NaN\nb +Inf\nc 3\n");
    ck_assert_str_eq(told(in), "g c 3\n");
    ck_assert_uint_eq(page.gone_count, 2);
    read_by(in, "a NaN\nb 2\nc 3\n");
    ck_assert_str_eq(told(in), "g b 2\ng c 3\n");
    ck_assert_uint_eq(page.gone_count, 0); // told once

    ck_assert_uint_eq(refused(MPX_INGEST_VALUE), 4);
    ck_assert_str_eq(example(MPX_INGEST_VALUE), "series 'b': its value is not finite");
}
END_TEST

START_TEST(other_type_is_refused_until_the_name_is_given_back)
{
    read_by(other, "# TYPE a counter\na 1\n");
    read_by(in, "a 2\nb 1\n");
    ck_assert_str_eq(told(in), "g b 1\n");
    ck_assert_str_eq(example(MPX_INGEST_TYPE), "series 'a': is known as a counter");

    read_by(other, "b 1\n");
    ck_assert(mpx_ingest_forget(other, page.gone[0]));
    mproxy_store_sweep(store);
    for (int i = 0; i < 20; i++)
        read_by(in, "a 2\nb 1\n");

    ck_assert_str_eq(told(in), "g a 2\ng b 1\n");
    ck_assert_uint_eq(refused(MPX_INGEST_TYPE), 1);
    ck_assert_uint_eq(stats_of(in).refused, 0);
}
END_TEST

#define HISTOGRAM(name, labels, bound)                                                   \
    "# TYPE " name " histogram\n" name "_bucket{" labels "le=\"" bound "\"} 1\n" name    \
    "_bucket{" labels "le=\"+Inf\"} 2\n" name "_sum{" labels "} 3\n" name                \
    "_count{" labels "} 2\n"

START_TEST(bounds_are_spelled_as_those_of_programs)
{
    read_by(in, HISTOGRAM("h", "x=\"1\",", "1.0"));

    ck_assert_str_eq(told(in), "c h_bucket{x=\"1\",le=\"1\"} 1\n"
                               "c h_bucket{x=\"1\",le=\"+Inf\"} 2\n"
                               "c h_sum{x=\"1\"} 3\nc h_count{x=\"1\"} 2\n");
}
END_TEST

START_TEST(histogram_with_other_bounds_is_refused_whole)
{
    read_by(other, HISTOGRAM("h", "", "1"));
    read_by(in, HISTOGRAM("h", "", "2") "a 1\n");

    ck_assert_str_eq(told(in), "g a 1\n");
    ck_assert_uint_eq(refused(MPX_INGEST_BOUNDS), 4);
    ck_assert_ptr_nonnull(strstr(example(MPX_INGEST_BOUNDS), "'h'"));

    read_by(in, HISTOGRAM("h", "", "1.0")); // the same bound
    ck_assert_uint_eq(page.count, 4);
    ck_assert_uint_eq(stats_of(in).refused, 0);
}
END_TEST

START_TEST(histograms_of_other_labels_may_have_other_bounds)
{
    read_by(other, HISTOGRAM("h", "x=\"1\",", "1"));
    read_by(in, HISTOGRAM("h", "x=\"2\",", "2"));

    ck_assert_uint_eq(page.count, 4);
}
END_TEST

// Of a program, which asks nobody here.
START_TEST(bounds_of_programs_count)
{
    const char *const buckets[] = {"h_bucket{le=\"1\"}", "h_bucket{le=\"+Inf\"}"};
    const mproxy_metric *metric[2];
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(
            mproxy_store_metric(store, buckets[i], MPROXY_COUNTER, "", &metric[i], NULL),
            MPROXY_OK);
        (void)mproxy_metric_ref(metric[i]);
    }

    read_by(in, HISTOGRAM("h", "", "2"));
    read_by(other, HISTOGRAM("h", "", "1"));

    ck_assert_uint_eq(refused(MPX_INGEST_BOUNDS), 4);
    ck_assert_uint_eq(page.count, 4);
    mproxy_metric_unref(metric[0]);
    mproxy_metric_unref(metric[1]);
}
END_TEST

START_TEST(bucket_that_comes_later_is_refused)
{
    read_by(in, HISTOGRAM("h", "", "1"));
    read_by(in, "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 1\n"
                "h_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n");

    ck_assert_uint_eq(page.count, 4);
    ck_assert_uint_eq(refused(MPX_INGEST_BOUNDS), 1);
}
END_TEST

START_TEST(labels_of_the_caller_replace_those_of_the_page)
{
    const struct mpx_ingest_label labels[] = {
        {"job", "a \"b\""}, {"drop", ""}, {"zone", "z"}};
    struct mpx_ingest *labelled = ingest(labels, 3, 0, 0);

    read_by(labelled, "a{job=\"x\",drop=\"y\",other=\"o\"} 1\nb 2\n");

    ck_assert_str_eq(told(labelled), "g a{job=\"a \\\"b\\\"\",other=\"o\",zone=\"z\"} 1\n"
                                     "g b{job=\"a \\\"b\\\"\",zone=\"z\"} 2\n");
    mpx_ingest_close(labelled);
}
END_TEST

START_TEST(series_that_labels_make_one_are_refused)
{
    const struct mpx_ingest_label labels[] = {{"job", "j"}};
    mpx_ingest_close(in);
    in = ingest(labels, 1, 0, 0);

    read_by(in, "a{job=\"1\"} 1\na{job=\"2\"} 2\n");

    ck_assert_str_eq(told(in), "g a{job=\"j\"} 1\n");
    ck_assert_uint_eq(refused(MPX_INGEST_TWICE), 1);
}
END_TEST

START_TEST(type_that_makes_no_difference_moves_the_series)
{
    read_by(in, "a 1\n");
    uint32_t from = page.series[0];
    const mproxy_metric *metric = mpx_ingest_metric(in, from);

    read_by(in, "# TYPE a gauge\na 2\n");

    ck_assert_str_eq(told(in), "g a 2\n");
    ck_assert_uint_eq(page.moved_count, 1);
    ck_assert_uint_eq(page.moved[0].from, from);
    ck_assert_uint_eq(page.moved[0].to, page.series[0]);
    ck_assert_uint_eq(page.fresh_count + page.gone_count, 0);
    ck_assert_ptr_eq(mpx_ingest_metric(in, page.series[0]), metric);
    ck_assert_ptr_null(mpx_ingest_metric(in, from));
}
END_TEST

START_TEST(series_that_is_gone_stays_until_it_is_forgotten)
{
    read_by(in, "a 1\nb 2\n");
    uint32_t b = page.series[1];
    ck_assert(!mpx_ingest_forget(in, b)); // on the page
    read_by(in, "a 1\n");
    ck_assert_uint_eq(page.gone_count, 1);
    ck_assert_uint_eq(page.gone[0], b);
    mproxy_store_sweep(store);
    ck_assert_uint_eq(mproxy_store_metric_count(store), 2);

    ck_assert(mpx_ingest_forget(in, b));
    mproxy_store_sweep(store);

    ck_assert_uint_eq(mproxy_store_metric_count(store), 1);
    ck_assert_uint_eq(stats_of(in).taken, 1);
}
END_TEST

START_TEST(refused_series_that_churn_leave_nothing)
{
    char text[64];
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "has_%d 1\na 1\n", i);
        read_by(in, text);
    }

    ck_assert_uint_eq(page.bound, 3); // numbers are used again
    ck_assert_uint_eq(refused(MPX_INGEST_RESERVED), 1000);
    ck_assert_uint_eq(stats_of(in).refused, 1);
}
END_TEST

START_TEST(series_past_the_most_are_refused_until_there_is_room)
{
    mpx_ingest_close(in);
    in = ingest(NULL, 0, 2, 0);
    read_by(in, "a 1\nb 2\nc 3\n");
    ck_assert_str_eq(told(in), "g a 1\ng b 2\n");
    ck_assert_str_eq(example(MPX_INGEST_LIMIT), "series 'c': there are too many");

    read_by(in, "a 1\nc 3\n");
    mpx_ingest_forget(in, page.gone[0]);
    for (int i = 0; i < 20; i++)
        read_by(in, "a 1\nc 3\n");

    ck_assert_str_eq(told(in), "g a 1\ng c 3\n");
}
END_TEST

START_TEST(large_page_is_settled_in_slices_that_cut_no_histogram)
{
    struct mpx_ingest *sliced = ingest(NULL, 0, 0, 3);
    const char *text = "a 1\nb 1\n" HISTOGRAM("h", "", "1") "c 1\nd 1\ne 1\n";

    read_by(sliced, text);
    ck_assert_uint_eq(page.count, 7);
    ck_assert_uint_eq(stats_of(sliced).unsettled, 2);
    ck_assert_int_eq(mpx_ingest_apply(sliced, &page, NULL), MPROXY_OK); // goes on

    ck_assert_uint_eq(page.count, 9);
    ck_assert_uint_eq(page.fresh_count, 2);
    ck_assert_uint_eq(stats_of(sliced).unsettled, 0);
    mpx_ingest_close(sliced);
}
END_TEST

START_TEST(page_that_is_refused_changes_nothing)
{
    mproxy_error err = {0};
    const char *text = "b 1\na x\n";
    read_by(in, "a 1\n");
    ck_assert_int_eq(
        mpx_ingest_parse(in, text, strlen(text), MPROXY_FORMAT_PROMETHEUS, &err),
        MPROXY_E_INVALID);
    ck_assert_int_eq(err.line, 2);
    ck_assert_int_ne(mpx_ingest_apply(in, &page, NULL), MPROXY_OK);

    read_by(in, "a 2\n");

    ck_assert_str_eq(told(in), "g a 2\n");
    ck_assert_uint_eq(page.fresh_count + page.gone_count, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ingest");
    TCase *tc = tcase_create("ingest");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, page_becomes_metrics_with_raw_values);
    tcase_add_test(tc, page_in_the_same_order_is_handed_out_without_a_copy);
    tcase_add_test(tc, names_of_ours_are_refused_in_any_spelling);
    tcase_add_test(tc, names_that_the_store_does_not_take_are_refused);
    tcase_add_test(tc, values_that_are_not_finite_are_as_no_values);
    tcase_add_test(tc, other_type_is_refused_until_the_name_is_given_back);
    tcase_add_test(tc, bounds_are_spelled_as_those_of_programs);
    tcase_add_test(tc, histogram_with_other_bounds_is_refused_whole);
    tcase_add_test(tc, histograms_of_other_labels_may_have_other_bounds);
    tcase_add_test(tc, bounds_of_programs_count);
    tcase_add_test(tc, bucket_that_comes_later_is_refused);
    tcase_add_test(tc, labels_of_the_caller_replace_those_of_the_page);
    tcase_add_test(tc, series_that_labels_make_one_are_refused);
    tcase_add_test(tc, type_that_makes_no_difference_moves_the_series);
    tcase_add_test(tc, series_that_is_gone_stays_until_it_is_forgotten);
    tcase_add_test(tc, refused_series_that_churn_leave_nothing);
    tcase_add_test(tc, series_past_the_most_are_refused_until_there_is_room);
    tcase_add_test(tc, large_page_is_settled_in_slices_that_cut_no_histogram);
    tcase_add_test(tc, page_that_is_refused_changes_nothing);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
