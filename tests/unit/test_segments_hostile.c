#include "processes/segments.h"

#include <sys/resource.h>

#include "../support/segments_fixture.h"
#include "../support/suite.h"

START_TEST(segments_keep_what_a_damaged_one_had)
{
    struct program p = start();
    tell(&p, "start count");
    play_round();
    tell(&p, "truncate");

    play_round();
    ck_assert_ptr_nonnull(strstr(warning, "last good values"));
    ck_assert_double_eq(shown("job-1", "calls_total"), 1000);
    end(&p, SIGKILL);
    play_round();

    ck_assert_double_eq(shown("job-1", "calls_total"), 1000);
    ck_assert_int_eq(job_source("job-1")->incomplete, 1);
    ck_assert_uint_eq(stats().damaged, 1);
    ck_assert_uint_eq(warnings, 1);
    ck_assert_uint_eq(files(".seg"), 0);
}
END_TEST

START_TEST(segments_of_one_identity_and_two_users_stay_apart)
{
    if (getuid() != 0)
        return; // only root can make files of others
    struct image m = image_new(77, "job-1");
    close(image_write(&m, dir, "a.seg", m.size));
    image_header(&m)->uid = 4242;
    int fd = image_write(&m, dir, "b.seg", m.size);
    ck_assert_int_eq(fchown(fd, 4242, 4242), 0);
    close(fd);

    play_round();

    ck_assert_uint_eq(stats().processes, 2);
    image_free(&m);
}
END_TEST

START_TEST(segments_warn_once_of_a_file_they_refuse)
{
    struct image m = image_new(77, "job-1");
    close(image_write(&m, dir, "bad.seg", 100));
    ck_assert_int_eq(symlinkat("/etc/passwd", dir, "link.seg"), 0);
    ck_assert_int_eq(mkfifoat(dir, "pipe.seg", 0600), 0);
    close(openat(dir, "something else", O_CREAT | O_WRONLY, 0600));
    for (int i = 0; i < 3; i++)
        play_round();
    ck_assert_uint_eq(warnings, 3);
    ck_assert_uint_eq(stats().bad_corrupt, 3);
    ck_assert_uint_eq(files(".seg"), 3);

    close(image_write(&m, dir, "bad.seg", m.size));
    play_round();

    ck_assert_uint_eq(stats().bad_corrupt, 2);
    ck_assert_uint_eq(stats().segments, 1);
    ck_assert_int_eq(unlinkat(dir, "link.seg", 0), 0);
    ck_assert_int_eq(unlinkat(dir, "pipe.seg", 0), 0);
    play_round();
    ck_assert_uint_eq(stats().bad_corrupt, 0);
    image_free(&m);
}
END_TEST

// All descriptors of this process but `left`.
static int take_descriptors(int *taken, int room, int left)
{
    int count = 0;
    while (count < room && (taken[count] = dup(dir)) >= 0)
        count++;
    ck_assert_int_lt(count, room);
    for (; left > 0; left--)
        close(taken[--count]);
    return count;
}

START_TEST(segments_are_not_lost_when_descriptors_are)
{
    struct rlimit limit = {100, 100};
    struct program p[10];
    int taken[100];
    for (int i = 0; i < 10; i++) {
        p[i] = start();
        tell(&p[i], "start count");
    }
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    int count = take_descriptors(taken, 100, 4);

    mproxy_ledger_round_begin(ledger, boot_ms, 1);
    ck_assert_int_eq(mpx_segments_round(segments, boot_ms, 1, NULL), MPROXY_OK);

    ck_assert_uint_lt(stats().segments, 10);
    ck_assert_uint_eq(stats().segments + stats().bad_system, 10);
    while (count > 0)
        close(taken[--count]);
    ck_assert_int_eq(mproxy_ledger_round_end(ledger, NULL), MPROXY_OK);
    for (int i = 0; i < 10; i++) {
        tell(&p[i], "count");
        end(&p[i], SIGKILL);
    }
    play_round();
    ck_assert_double_eq(shown("job-1", "calls_total"), 20000);
    ck_assert_uint_eq(files(".seg"), 0);
}
END_TEST

START_TEST(segments_keep_refused_values_apart_when_definitions_come)
{
    struct image m = image_new(77, "job-1");
    image_metric(&m, MPX_DEF_FCOUNTER, 0, "a_total", NULL, 0);
    image_metric(&m, MPX_DEF_FCOUNTER, 1, "b_total", NULL, 0);
    double values[] = {1, 2, 3};
    memcpy(image_row0(&m), values, 16);
    int fd = image_write(&m, dir, "a.seg", m.size);
    ck_assert_int_eq(image_lock(fd, F_WRLCK), 0);
    play_round();
    image_metric(&m, MPX_DEF_FCOUNTER, 2, "c_total", NULL, 0);
    values[0] = NAN; // keeps its 1
    memcpy(image_row0(&m), values, 24);
    ck_assert_int_eq(pwrite(fd, m.bytes, m.size, 0), (ssize_t)m.size);

    play_round();

    ck_assert_double_eq(shown("job-1", "a_total"), 1);
    ck_assert_double_eq(shown("job-1", "b_total"), 2);
    ck_assert_double_eq(shown("job-1", "c_total"), 3);
    close(fd);
    image_free(&m);
}
END_TEST

START_TEST(segments_bound_their_warnings)
{
    for (int i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "bad\n%d.seg", i);
        int fd = openat(dir, name, O_CREAT | O_WRONLY, 0600);
        ck_assert_int_eq(write(fd, "bad", 3), 3);
        close(fd);
    }

    play_round();

    ck_assert_uint_eq(stats().bad_corrupt, 200);
    ck_assert_uint_le(warnings, 10);
    ck_assert_ptr_nonnull(strstr(warning, "more"));
    ck_assert_ptr_null(strchr(warning, '\n'));
}
END_TEST

START_TEST(segments_refuse_names_and_types_one_by_one)
{
    struct image m = image_new(77, "job-1");
    image_metric(&m, MPX_DEF_COUNTER, 0, "good_total", NULL, 0);
    image_metric(&m, MPX_DEF_COUNTER, 1, "unbalanced{a=\"b\"", NULL, 0);
    image_metric(&m, MPX_DEF_COUNTER, 2, "bad\nname", NULL, 0);
    image_metric(&m, MPX_DEF_GAUGE, 3, "good_total", NULL, 0);
    image_metric(&m, MPX_DEF_COUNTER, 5, "good_total", NULL, 0);
    image_metric(&m, MPX_DEF_COUNTER, 6, "also_good_total", NULL, 0);
    for (uint32_t i = 0; i < 7; i++)
        image_row0(&m)[i] = i + 1;
    close(image_write(&m, dir, "a.seg", m.size));

    play_round();

    ck_assert_double_eq(shown("job-1", "good_total"), 1);
    ck_assert_double_eq(shown("job-1", "also_good_total"), 7);
    ck_assert_uint_eq(stats().refused_names, 3);
    ck_assert_uint_eq(stats().refused_types, 1);
    ck_assert_uint_eq(warnings, 1);
    ck_assert_ptr_nonnull(strstr(warning, "unbalanced"));
    image_free(&m);
}
END_TEST

START_TEST(segments_refuse_names_of_ours)
{
    struct image m = image_new(77, "job-1");
    image_metric(&m, MPX_DEF_COUNTER, 0, "has_started", NULL, 0);
    image_metric(&m, MPX_DEF_COUNTER, 1, "mproxy_made_up_total{a=\"1\"}", NULL, 0);
    image_metric(&m, MPX_DEF_COUNTER, 2, "has_started_well", NULL, 0);
    for (uint32_t i = 0; i < 3; i++)
        image_row0(&m)[i] = 1000;
    close(image_write(&m, dir, "a.seg", m.size));

    play_round();

    ck_assert_double_le(shown("job-1", "has_started"), 1);
    ck_assert_ptr_null(find_value("job-1", "mproxy_made_up_total{a=\"1\"}"));
    ck_assert_double_eq(shown("job-1", "has_started_well"), 1000);
    ck_assert_uint_eq(stats().refused_names, 2);
    const char *why = "mproxy_processes_uncounted_total{reason=\"refused metric\"}";
    ck_assert_double_eq(shown("job-1", why), 1);
    image_free(&m);
}
END_TEST

START_TEST(segments_refuse_other_bounds_of_a_family)
{
    const double bounds[] = {1, 2, 4};
    struct image m = image_new(77, "job-1");
    image_metric(&m, MPX_DEF_HISTOGRAM, 0, "size{op=\"read\"}", bounds, 3);
    image_metric(&m, MPX_DEF_HISTOGRAM, 5, "size{op=\"write\"}", bounds + 1, 2);
    image_metric(&m, MPX_DEF_HISTOGRAM, 9, "size{op=\"stat\"}", bounds, 3);
    for (uint32_t i = 0; i < 12; i++)
        image_row0(&m)[i] = 1;
    close(image_write(&m, dir, "a.seg", m.size));

    play_round();

    ck_assert_double_eq(shown("job-1", "size_bucket{op=\"read\",le=\"1\"}"), 1);
    ck_assert_ptr_null(find_value("job-1", "size_bucket{op=\"write\",le=\"2\"}"));
    ck_assert_double_eq(shown("job-1", "size_bucket{op=\"stat\",le=\"4\"}"), 3);
    ck_assert_uint_eq(stats().refused_types, 1);
    image_free(&m);
}
END_TEST

START_TEST(segments_take_ten_thousand_names)
{
    struct image m = image_new(77, "job-1");
    image_counters(&m, "c", 10000);
    image_extent(&m, 0, 128, 10000 - 128)[10000 - 129] = 3;
    close(image_write(&m, dir, "a.seg", m.size));

    play_round();

    ck_assert_double_eq(shown("job-1", "c_09999"), 3);
    ck_assert_uint_eq(warnings, 0);
    image_free(&m);
}
END_TEST

START_TEST(segments_drop_values_that_are_none)
{
    struct image m = image_new(77, "job-1");
    image_metric(&m, MPX_DEF_FCOUNTER, 0, "seconds_total", NULL, 0);
    image_metric(&m, MPX_DEF_GAUGE, 1, "level", NULL, 0);
    image_metric(&m, MPX_DEF_GAUGE, 3, "other", NULL, 0);
    image_metric(&m, MPX_DEF_GAUGE, 5, "unset", NULL, 0);
    double bad[] = {-1, INFINITY, 0, 2.5};
    memcpy(image_row0(&m), bad, sizeof bad);
    image_row0(&m)[2] = 1;
    image_row0(&m)[4] = 1;
    close(image_write(&m, dir, "a.seg", m.size));

    play_round();

    ck_assert_double_eq(shown("job-1", "seconds_total"), 0);
    ck_assert_double_eq(shown("job-1", "other"), 2.5);
    ck_assert_uint_eq(stats().refused_values, 2);
    const mproxy_value *level = find_value("job-1", "level");
    const mproxy_value *unset = find_value("job-1", "unset");
    ck_assert(!level || level->hits == 0);
    ck_assert(!unset || unset->hits == 0);
    image_free(&m);
}
END_TEST

START_TEST(segments_show_histograms_as_cumulative_buckets)
{
    const double bounds[] = {0.5, 4, 0x1p62};
    struct image m = image_new(77, "job-1");
    image_metric(&m, MPX_DEF_HISTOGRAM, 0, "size{op=\"read\"}", bounds, 3);
    image_metric(&m, MPX_DEF_HISTOGRAM, 5, "plain", bounds, 1);
    uint64_t *row = image_row0(&m);
    row[0] = 1, row[1] = 2, row[2] = 0, row[3] = 4;
    double sum = 12.5;
    memcpy(&row[4], &sum, sizeof sum);
    row[6] = 9;
    close(image_write(&m, dir, "a.seg", m.size));

    play_round();

    ck_assert_double_eq(shown("job-1", "size_bucket{op=\"read\",le=\"0.5\"}"), 1);
    ck_assert_double_eq(shown("job-1", "size_bucket{op=\"read\",le=\"4\"}"), 3);
    const char *last = "size_bucket{op=\"read\",le=\"4.611686018427388e+18\"}";
    ck_assert_double_eq(shown("job-1", last), 3);
    ck_assert_double_eq(shown("job-1", "size_bucket{op=\"read\",le=\"+Inf\"}"), 7);
    ck_assert_double_eq(shown("job-1", "size_sum{op=\"read\"}"), 12.5);
    ck_assert_double_eq(shown("job-1", "size_count{op=\"read\"}"), 7);
    ck_assert_double_eq(shown("job-1", "plain_bucket{le=\"+Inf\"}"), 9);
    ck_assert_double_eq(shown("job-1", "plain_count"), 9);
    image_free(&m);
}
END_TEST

START_TEST(segments_take_counters_as_buckets_that_a_histogram_has)
{
    const double bounds[] = {1, 4};
    const char *reason = "mproxy_processes_uncounted_total{reason=\"refused metric\"}";
    struct image m = image_new(77, "job-1"), other = image_new(78, "job-2");
    image_metric(&m, MPX_DEF_HISTOGRAM, 0, "size", bounds, 2);
    image_row0(&m)[0] = 1;
    close(image_write(&m, dir, "a.seg", m.size));
    play_round();
    image_metric(&other, MPX_DEF_COUNTER, 0, "size_bucket{le=\"1\"}", NULL, 0);
    image_metric(&other, MPX_DEF_COUNTER, 1, "size_bucket{le=\"2\"}", NULL, 0);
    image_metric(&other, MPX_DEF_COUNTER, 2, "size_bucket{le=\"2", NULL, 0);
    image_row0(&other)[0] = image_row0(&other)[1] = 5;
    close(image_write(&other, dir, "b.seg", other.size));

    play_round();

    ck_assert_double_eq(shown("job-2", "size_bucket{le=\"1\"}"), 5);
    ck_assert(isnan(shown("job-2", "size_bucket{le=\"2\"}")));
    ck_assert_double_eq(shown("job-2", reason), 1);
    ck_assert(isnan(shown("job-1", reason)));
    image_free(&m);
    image_free(&other);
}
END_TEST

START_TEST(segments_take_a_histogram_that_has_the_buckets_counted_before)
{
    const double bounds[] = {1, 4};
    const char *reason = "mproxy_processes_uncounted_total{reason=\"refused metric\"}";
    struct image m = image_new(77, "job-1"), other = image_new(78, "job-2");
    image_metric(&m, MPX_DEF_COUNTER, 0, "size_bucket{le=\"4\"}", NULL, 0);
    image_metric(&m, MPX_DEF_COUNTER, 1, "size_bucket{le=\"1\"}", NULL, 0);
    image_metric(&m, MPX_DEF_COUNTER, 2, "time_bucket{le=\"1\"}", NULL, 0);
    close(image_write(&m, dir, "a.seg", m.size));
    play_round();
    image_metric(&other, MPX_DEF_HISTOGRAM, 0, "size", bounds, 2);
    image_metric(&other, MPX_DEF_HISTOGRAM, 4, "time", bounds, 2);
    image_row0(&other)[0] = 3;
    close(image_write(&other, dir, "b.seg", other.size));

    play_round();

    ck_assert_double_eq(shown("job-2", "size_count"), 3);
    ck_assert(isnan(shown("job-2", "time_count")));
    ck_assert_double_eq(shown("job-2", reason), 1);
    ck_assert(isnan(shown("job-1", reason)));
    image_free(&m);
    image_free(&other);
}
END_TEST

START_TEST(segments_take_names_of_a_histogram_that_was_refused)
{
    const double bounds[] = {1};
    struct image m = image_new(77, "job-1");
    image_metric(&m, MPX_DEF_COUNTER, 0, "size_sum", NULL, 0);
    image_metric(&m, MPX_DEF_HISTOGRAM, 1, "size", bounds, 1); // its sum is there already
    image_metric(&m, MPX_DEF_COUNTER, 4, "size_bucket{le=\"1\"}", NULL, 0);
    image_row0(&m)[0] = 5;
    image_row0(&m)[4] = 7;
    close(image_write(&m, dir, "a.seg", m.size));

    play_round();

    ck_assert_double_eq(shown("job-1", "size_sum"), 5);
    ck_assert_double_eq(shown("job-1", "size_bucket{le=\"1\"}"), 7);
    ck_assert_uint_eq(stats().refused_names, 1);
    image_free(&m);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, segments_keep_what_a_damaged_one_had);
    tcase_add_test(tc, segments_of_one_identity_and_two_users_stay_apart);
    tcase_add_test(tc, segments_warn_once_of_a_file_they_refuse);
    tcase_add_test(tc, segments_are_not_lost_when_descriptors_are);
    tcase_add_test(tc, segments_keep_refused_values_apart_when_definitions_come);
    tcase_add_test(tc, segments_bound_their_warnings);
    tcase_add_test(tc, segments_refuse_names_and_types_one_by_one);
    tcase_add_test(tc, segments_refuse_names_of_ours);
    tcase_add_test(tc, segments_refuse_other_bounds_of_a_family);
    tcase_add_test(tc, segments_take_ten_thousand_names);
    tcase_add_test(tc, segments_drop_values_that_are_none);
    tcase_add_test(tc, segments_take_counters_as_buckets_that_a_histogram_has);
    tcase_add_test(tc, segments_take_a_histogram_that_has_the_buckets_counted_before);
    tcase_add_test(tc, segments_take_names_of_a_histogram_that_was_refused);
    tcase_add_test(tc, segments_show_histograms_as_cumulative_buckets);
}

int main(void)
{
    Suite *suite = suite_create("segments_hostile");
    TCase *tc = tcase_create("segments_hostile");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    add_tests(tc);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
