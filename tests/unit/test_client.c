// The client's interface: declaring and counting in one process, with threads.
#include <mproxy/client.h>

#include <limits.h>
#include <math.h>
#include <pthread.h>

#include "../support/program.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof(a)[0])

static struct probe_total total(const char *name)
{
    return probe_directory(program_dir, getpid(), name);
}

static long long value(const char *name)
{
    return total(name).value;
}

// The process's only segment.
static struct probe own_segment(void)
{
    struct probe p = {0};
    ck_assert(probe_any(&p, program_dir));
    return p;
}

START_TEST(a_counter_counts_in_a_locked_segment)
{
    mproxy_error err = {0};
    ck_assert_int_eq(mproxy_client_status(&err), MPROXY_OK);

    mproxy_counter *c = mproxy_counter_get("requests_total{code=\"200\"}", "Doc.", &err);
    mproxy_counter_add(c, 40);
    mproxy_counter_add(c, 2);

    ck_assert_int_eq(err.status, MPROXY_OK);
    ck_assert_int_eq(value("requests_total{code=\"200\"}"), 42);
    ck_assert_int_eq(total(NULL).locked, 1);
    ck_assert_int_eq(total(NULL).started, 0);
}
END_TEST

static void *get_many(void *result)
{
    mproxy_counter **handles = result;
    char name[40];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "shared_%d_total", i);
        handles[i] = mproxy_counter_get(name, NULL, NULL);
        mproxy_counter_add(handles[i], 1);
    }
    return NULL;
}

START_TEST(a_name_has_one_handle_in_all_threads)
{
    static mproxy_counter *handles[8][1000];
    pthread_t threads[8];

    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, get_many, handles[i]);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);

    for (int i = 1; i < 8; i++)
        ck_assert_mem_eq(handles[0], handles[i], sizeof handles[0]);
    struct probe p = own_segment();
    ck_assert_uint_eq(probe_find(&p, NULL).metrics, 1000);
    ck_assert_int_eq(probe_counter(&p, "shared_0_total"), 8);
    ck_assert_int_eq(probe_counter(&p, "shared_999_total"), 8);
    probe_close(&p);
}
END_TEST

START_TEST(labels_in_any_order_have_one_handle)
{
    mproxy_counter *a = mproxy_counter_get("x{b=\"2\",a=\"1\"}", NULL, NULL);

    ck_assert_ptr_eq(mproxy_counter_get("x{a=\"1\",b=\"2\"}", NULL, NULL), a);
    ck_assert_ptr_eq(mproxy_counter_get("x{b=\"2\",a=\"1\"}", NULL, NULL), a);
    mproxy_counter_add(a, 3);
    struct probe p = own_segment();
    ck_assert_uint_eq(probe_find(&p, NULL).metrics, 1);
    ck_assert_int_eq(probe_counter(&p, "x{a=\"1\",b=\"2\"}"), 3);
    probe_close(&p);
}
END_TEST

START_TEST(wrong_names_and_types_count_nothing)
{
    static char longest[MPROXY_NAME_MAX + 2];
    mproxy_error err = {0};
    memset(longest, 'x', sizeof longest - 1);
    const char *wrong[] = {"",
                           "a\nb",
                           "a{",
                           "a}",
                           "a{b}",
                           "1a",
                           "\xff",
                           longest,
                           "has_started",
                           "has_left{x=\"1\"}",
                           "mproxy_jobs",
                           "job_process_threads"};

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        mproxy_counter *c = mproxy_counter_get(wrong[i], "Doc.", &err);
        ck_assert_ptr_nonnull(c);
        ck_assert_int_eq(err.status, MPROXY_E_INVALID);
        mproxy_counter_add(c, 1);
    }
    ck_assert_ptr_nonnull(mproxy_counter_get(NULL, NULL, &err));
    ck_assert_int_eq(err.status, MPROXY_E_INVALID);
    mproxy_counter_add(mproxy_counter_get("taken_total", NULL, NULL), 3);
    mproxy_gauge *g = mproxy_gauge_get("taken_total", NULL, &err);
    ck_assert_int_eq(err.status, MPROXY_E_TYPE);
    mproxy_gauge_set(g, 1);
    mproxy_counter_get_scaled("taken_total", NULL, 0.5, &err);
    ck_assert_int_eq(err.status, MPROXY_E_TYPE);
    mproxy_counter_get_scaled("never_total", NULL, NAN, &err);
    ck_assert_int_eq(err.status, MPROXY_E_INVALID);

    struct probe p = own_segment();
    ck_assert_uint_eq(probe_find(&p, NULL).metrics, 1);
    ck_assert_int_eq(probe_counter(&p, "taken_total"), 3);
    probe_close(&p);
}
END_TEST

// Of each run one thing is done, in a process of its own. The first ones are no fault.
static const struct {
    int kind;
    double value;
} values_told[] = {{'g', -1},        {'h', -1},  {'d', 0},        {'m', 1},
                   {'d', -1},        {'d', NAN}, {'d', INFINITY}, {'g', NAN},
                   {'g', -INFINITY}, {'h', NAN}, {'h', INFINITY}, {'m', -3}};
enum { RIGHT = 4, VALUES_TOLD = sizeof values_told / sizeof *values_told };

START_TEST(each_kind_of_value_that_is_refused_is_said)
{
    double value = values_told[_i].value;
    mproxy_counter *c = mproxy_counter_get("items_total", NULL, NULL);
    switch (values_told[_i].kind) {
    case 'g':
        mproxy_gauge_set(mproxy_gauge_get("level", NULL, NULL), value);
        break;
    case 'h':
        mproxy_histogram_observe(mproxy_histogram_get("size", NULL, NULL, 0, NULL),
                                 value);
        break;
    case 'd':
        mproxy_fcounter_add(mproxy_fcounter_get("seconds_total", NULL, NULL), value);
        break;
    default:
        mproxy_counter_add_many((mproxy_counter *[]){c, c, c},
                                (uint64_t[]){1, (uint64_t)(int64_t)value, 1}, 3);
    }
    mproxy_counter_add(c, 1);

    struct probe p = own_segment();
    ck_assert_uint_eq(probe_header(&p)->flags, _i < RIGHT ? 0 : MPX_OFF_VALUE);
    ck_assert_int_ge(probe_counter(&p, "items_total"), 1);
    ck_assert_int_le(probe_counter(&p, "items_total"), 4);
    probe_close(&p);
}
END_TEST

START_TEST(refusals_are_said_and_lower_no_counter)
{
    mproxy_counter *c = mproxy_counter_get("items_total", NULL, NULL);
    mproxy_counter_add(c, 100);
    mproxy_counter_add(c, (uint64_t)-60);
    mproxy_counter_add(c, 1);

    struct probe p = own_segment();
    ck_assert_int_eq(probe_counter(&p, "items_total"), 101);
    ck_assert_uint_eq(probe_header(&p)->flags, MPX_OFF_VALUE);
    probe_close(&p);
    mproxy_gauge_get("items_total", NULL, NULL);
    p = own_segment();
    ck_assert_uint_eq(probe_header(&p)->flags, MPX_OFF_VALUE | MPX_OFF_REFUSED);
    probe_close(&p);
}
END_TEST

START_TEST(a_longest_name_and_doc_are_kept)
{
    static char name[MPROXY_NAME_MAX + 1], doc[MPROXY_DOC_MAX + 2];
    mproxy_error err = {0};
    memset(name, 'n', sizeof name - 1);
    memset(doc, 'd', sizeof doc - 1);

    mproxy_counter_get("other_total", doc, &err);
    ck_assert_int_eq(err.status, MPROXY_E_INVALID);
    err.status = MPROXY_OK;
    doc[MPROXY_DOC_MAX] = '\0';
    mproxy_counter_add(mproxy_counter_get(name, doc, &err), 9);

    ck_assert_int_eq(err.status, MPROXY_OK);
    struct probe p = own_segment();
    struct probe_search found = probe_find(&p, name);
    ck_assert_uint_eq(found.metric->doc_length, MPROXY_DOC_MAX);
    ck_assert_int_eq(probe_counter(&p, name), 9);
    probe_close(&p);
}
END_TEST

START_TEST(doubles_scales_and_gauges_are_kept)
{
    mproxy_fcounter *seconds = mproxy_fcounter_get("seconds_total", NULL, NULL);
    mproxy_gauge *level = mproxy_gauge_get("level", NULL, NULL);
    mproxy_gauge *unset = mproxy_gauge_get("unset", NULL, NULL);
    mproxy_counter_get_scaled("ticks_total", NULL, 0.25, NULL);
    (void)unset;

    const double added[] = {0.5, 1.25, -1, NAN, INFINITY, 0};
    for (size_t i = 0; i < ARRAY_SIZE(added); i++)
        mproxy_fcounter_add(seconds, added[i]);
    mproxy_gauge_set(level, 5);
    mproxy_gauge_set(level, -7.5);
    mproxy_gauge_set(level, NAN);

    struct probe p = own_segment();
    ck_assert_double_eq(probe_double(&p, "seconds_total"), 1.75);
    ck_assert_double_eq(probe_find(&p, "ticks_total").metric->scale, 0.25);
    const struct mpx_rec_metric *m = probe_find(&p, "level").metric;
    ck_assert_double_eq(probe_slot(&p, m->slot).fsum, -7.5);
    ck_assert_uint_eq(probe_slot(&p, m->slot + 1).sum, 1);
    m = probe_find(&p, "unset").metric;
    ck_assert_uint_eq(probe_slot(&p, m->slot + 1).sum, 0);
    probe_close(&p);
}
END_TEST

START_TEST(observations_fall_into_the_buckets_of_their_bounds)
{
    const double bounds[] = {0.1, 1, 10};
    const double observed[] = {0.05, 0.1, 0.11, 1, 9, 10, 11, 1e9, NAN, INFINITY};
    const uint64_t expect[] = {2, 2, 2, 2};
    double sum = 0;
    mproxy_error err = {0};

    mproxy_histogram *h = mproxy_histogram_get("latency", NULL, bounds, 3, &err);
    ck_assert_int_eq(err.status, MPROXY_OK);
    for (size_t i = 0; i < ARRAY_SIZE(observed); i++) {
        mproxy_histogram_observe(h, observed[i]);
        sum += isfinite(observed[i]) ? observed[i] : 0;
    }

    struct probe p = own_segment();
    const struct mpx_rec_metric *m = probe_find(&p, "latency").metric;
    ck_assert_uint_eq(m->slot_count, 5);
    for (uint32_t i = 0; i < 4; i++)
        ck_assert_uint_eq(probe_slot(&p, m->slot + i).sum, expect[i]);
    ck_assert_double_eq(probe_slot(&p, m->slot + 4).fsum, sum);
    probe_close(&p);
    mproxy_histogram_get("latency", NULL, bounds, 2, &err);
    ck_assert_int_eq(err.status, MPROXY_E_TYPE);
}
END_TEST

START_TEST(powers_of_two_have_a_bucket_each)
{
    mproxy_histogram *h = mproxy_histogram_get("size_bytes", NULL, NULL, 0, NULL);
    const struct {
        double value;
        uint32_t bucket;
    } cases[] = {{-3, 0},       {0, 0},       {1, 0},          {1.5, 1},
                 {2, 1},        {2.0001, 2},  {4, 2},          {1024, 10},
                 {1025, 11},    {0x1p62, 62}, {0x1.8p62, 63},  {1e300, 63},
                 {0x1p-300, 0}, {0x1p61, 61}, {0x1.01p61, 62}, {3, 2}};
    uint64_t expect[64] = {0};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        mproxy_histogram_observe(h, cases[i].value);
        expect[cases[i].bucket]++;
    }

    struct probe p = own_segment();
    const struct mpx_rec_metric *m = probe_find(&p, "size_bytes").metric;
    ck_assert_uint_eq(m->bound_count, 63);
    const double *bounds = (const void *)(m + 1);
    ck_assert_double_eq(bounds[62], 0x1p62);
    for (uint32_t i = 0; i < 64; i++)
        ck_assert_uint_eq(probe_slot(&p, m->slot + i).sum, expect[i]);
    probe_close(&p);
}
END_TEST

START_TEST(wrong_bounds_are_refused)
{
    static double many[MPROXY_BOUNDS_MAX + 1];
    const double falling[] = {1, 1}, endless[] = {1, INFINITY};
    mproxy_error err = {0};
    for (int i = 0; i <= MPROXY_BOUNDS_MAX; i++)
        many[i] = i;

    mproxy_histogram_get("a", NULL, falling, 2, &err);
    ck_assert_int_eq(err.status, MPROXY_E_INVALID);
    mproxy_histogram_get("b", NULL, endless, 2, &err);
    ck_assert_int_eq(err.status, MPROXY_E_INVALID);
    mproxy_histogram_observe(
        mproxy_histogram_get("c", NULL, many, MPROXY_BOUNDS_MAX + 1, &err), 1);
    ck_assert_int_eq(err.status, MPROXY_E_INVALID);
    err.status = MPROXY_OK;
    mproxy_histogram_observe(
        mproxy_histogram_get("d", NULL, many, MPROXY_BOUNDS_MAX, &err), 1);
    ck_assert_int_eq(err.status, MPROXY_OK);
}
END_TEST

START_TEST(ten_thousand_names_are_counted_exactly)
{
    static mproxy_counter *handles[10000];
    char name[40];
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "metric_%d_total", i);
        handles[i] = mproxy_counter_get(name, "Doc.", NULL);
        mproxy_counter_add(handles[i], (uint64_t)i);
    }

    for (int i = 0; i < 10000; i++)
        mproxy_counter_add(handles[i], 1);

    struct probe p = own_segment();
    for (int i = 0; i < 10000; i += 97) {
        snprintf(name, sizeof name, "metric_%d_total", i);
        ck_assert_int_eq(probe_counter(&p, name), i + 1);
    }
    ck_assert_uint_eq(probe_find(&p, NULL).rows, 1);
    probe_close(&p);
}
END_TEST

START_TEST(names_past_the_bound_are_refused_and_flagged)
{
    mproxy_error err = {0};
    char name[40];
    int i = 0;

    while (err.status == MPROXY_OK) {
        snprintf(name, sizeof name, "metric_%d_total", i++);
        mproxy_counter_add(mproxy_counter_get(name, NULL, &err), 1);
        ck_assert_int_lt(i, 20000);
    }

    ck_assert_int_eq(err.status, MPROXY_E_LIMIT);
    ck_assert_int_eq(i - 1, MPX_SEG_DEFS_MAX);
    ck_assert_uint_eq(total(NULL).flags, MPX_OFF_LIMIT);
    ck_assert_int_eq(value("metric_16000_total"), 1);
}
END_TEST

#define TIMES 200000

static mproxy_counter *shared_counter;
static mproxy_fcounter *shared_fcounter;

static void *count_many_times(void *unused)
{
    mproxy_counter *both[] = {shared_counter, shared_counter};
    const uint64_t one_each[] = {1, 1};
    (void)unused;
    for (int i = 0; i < TIMES; i++) {
        mproxy_counter_add_many(both, one_each, 2);
        mproxy_fcounter_add(shared_fcounter, 0.5);
    }
    return NULL;
}

START_TEST(eight_threads_count_exactly)
{
    pthread_t threads[8];
    shared_counter = mproxy_counter_get("many_total", NULL, NULL);
    shared_fcounter = mproxy_fcounter_get("halves_total", NULL, NULL);

    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, count_many_times, NULL);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);

    struct probe p = own_segment();
    ck_assert_int_eq(probe_counter(&p, "many_total"), 8 * 2 * TIMES);
    ck_assert_double_eq(probe_double(&p, "halves_total"), 8 * 0.5 * TIMES);
    ck_assert_uint_ge(probe_find(&p, NULL).rows, 1);
    probe_close(&p);
}
END_TEST

START_TEST(add_many_reaches_rows_that_must_grow)
{
    static mproxy_counter *handles[3000];
    static uint64_t values[3000];
    char name[40];
    mproxy_counter_add(mproxy_counter_get("first_total", NULL, NULL), 1);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "metric_%d_total", i);
        handles[i] = mproxy_counter_get(name, NULL, NULL);
        values[i] = (uint64_t)i;
    }
    handles[1500] = mproxy_counter_get("wrong name", NULL, NULL);

    mproxy_counter_add_many(handles, values, 3000);

    ck_assert_int_eq(value("metric_0_total"), 0);
    ck_assert_int_eq(value("metric_1_total"), 1);
    ck_assert_int_eq(value("metric_1500_total"), 0);
    ck_assert_int_eq(value("metric_2999_total"), 2999);
}
END_TEST

static void *count_once(void *unused)
{
    (void)unused;
    mproxy_counter_add(shared_counter, 1);
    return NULL;
}

START_TEST(threads_that_end_hand_their_row_on)
{
    pthread_t thread;
    shared_counter = mproxy_counter_get("short_total", NULL, NULL);

    for (int i = 0; i < 3000; i++) {
        ck_assert_int_eq(pthread_create(&thread, NULL, count_once, NULL), 0);
        pthread_join(thread, NULL);
    }

    struct probe p = own_segment();
    ck_assert_int_eq(probe_counter(&p, "short_total"), 3000);
    ck_assert_uint_le(probe_find(&p, NULL).rows, 2);
    probe_close(&p);
}
END_TEST

static pthread_key_t early_key, late_key;

// As a destructor of a thread_local object does; comes back once more, after ours.
static void count_at_end(void *left)
{
    long rounds = (long)left;
    mproxy_counter_add(shared_counter, 1);
    if (rounds > 1)
        pthread_setspecific(late_key, (void *)(rounds - 1));
}

static void *end_with_destructors(void *unused)
{
    pthread_setspecific(early_key, (void *)1);
    pthread_setspecific(late_key, (void *)3);
    return count_once(unused);
}

START_TEST(destructors_of_ending_threads_count)
{
    pthread_t threads[8];
    pthread_key_create(&early_key, count_at_end);
    shared_counter = mproxy_counter_get("end_total", NULL, NULL);
    pthread_key_create(&late_key, count_at_end);

    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 8; i++)
            pthread_create(&threads[i], NULL, end_with_destructors, NULL);
        for (int i = 0; i < 8; i++)
            pthread_join(threads[i], NULL);
    }

    ck_assert_int_eq(value("end_total"), 50 * 8 * (1 + 1 + 3));
}
END_TEST

static pthread_barrier_t barrier;

static void *count_together(void *unused)
{
    (void)unused;
    for (int i = 0; i < 100; i++)
        mproxy_counter_add(shared_counter, 1);
    mproxy_fcounter_add(shared_fcounter, 0.25);
    pthread_barrier_wait(&barrier);
    return NULL;
}

START_TEST(more_threads_than_rows_share_one)
{
    enum { THREADS = MPX_SEG_ROWS_MAX + 50 };
    static pthread_t threads[THREADS];
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 << 10);
    pthread_barrier_init(&barrier, NULL, THREADS);
    shared_counter = mproxy_counter_get("crowd_total", NULL, NULL);
    shared_fcounter = mproxy_fcounter_get("crowd_seconds_total", NULL, NULL);

    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], &small, count_together, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);

    struct probe p = own_segment();
    ck_assert_int_eq(probe_counter(&p, "crowd_total"), THREADS * 100);
    ck_assert_double_eq(probe_double(&p, "crowd_seconds_total"), THREADS * 0.25);
    ck_assert_uint_eq(probe_find(&p, NULL).rows, MPX_SEG_ROWS_MAX - 1);
    ck_assert_uint_eq(probe_header(&p)->flags, 0); // nothing is lost
    probe_close(&p);
}
END_TEST

START_TEST(without_a_directory_counting_is_off)
{
    mproxy_error err = {0};
    probe_remove(program_dir);

    mproxy_counter *c = mproxy_counter_get("a_total", NULL, &err);

    ck_assert_int_eq(err.status, MPROXY_E_OFF);
    ck_assert_ptr_nonnull(strstr(err.text, program_dir));
    mproxy_counter_add(c, 1);
    mproxy_counter_add_many(&c, &(uint64_t){1}, 1);
    mproxy_fcounter_add(mproxy_fcounter_get("b", NULL, NULL), 1);
    mproxy_gauge_set(mproxy_gauge_get("c", NULL, NULL), 1);
    mproxy_histogram_observe(mproxy_histogram_get("d", NULL, NULL, 0, NULL), 1);
    mproxy_process_started();
    mproxy_process_finished();
    ck_assert_int_eq(mproxy_client_status(NULL), MPROXY_E_OFF);
    ck_assert_int_ne(access(program_dir, F_OK), 0);
}
END_TEST

START_TEST(errno_is_left_alone)
{
    char name[40];
    errno = 4711;

    mproxy_process_started();
    for (int i = 0; i < 600; i++) {
        snprintf(name, sizeof name, "metric_%d_total", i);
        mproxy_counter_add(mproxy_counter_get(name, NULL, NULL), 1);
    }
    mproxy_counter_get("", NULL, NULL);
    mproxy_gauge_set(mproxy_gauge_get("g", NULL, NULL), 1);
    mproxy_histogram_observe(mproxy_histogram_get("h", NULL, NULL, 0, NULL), 1);
    mproxy_client_status(NULL);
    probe_remove(program_dir); // growth fails from here on
    errno = 4711;
    for (int i = 600; i < 2000; i++) {
        snprintf(name, sizeof name, "metric_%d_total", i);
        mproxy_counter_add(mproxy_counter_get(name, NULL, NULL), 1);
    }
    mproxy_process_finished();

    ck_assert_int_eq(errno, 4711);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, program_setup, program_teardown);
    tcase_add_test(t, a_counter_counts_in_a_locked_segment);
    tcase_add_test(t, a_name_has_one_handle_in_all_threads);
    tcase_add_test(t, labels_in_any_order_have_one_handle);
    tcase_add_test(t, wrong_names_and_types_count_nothing);
    tcase_add_loop_test(t, each_kind_of_value_that_is_refused_is_said, 0, VALUES_TOLD);
    tcase_add_test(t, refusals_are_said_and_lower_no_counter);
    tcase_add_test(t, a_longest_name_and_doc_are_kept);
    tcase_add_test(t, doubles_scales_and_gauges_are_kept);
    tcase_add_test(t, observations_fall_into_the_buckets_of_their_bounds);
    tcase_add_test(t, powers_of_two_have_a_bucket_each);
    tcase_add_test(t, wrong_bounds_are_refused);
    tcase_add_test(t, ten_thousand_names_are_counted_exactly);
    tcase_add_test(t, names_past_the_bound_are_refused_and_flagged);
    tcase_add_test(t, eight_threads_count_exactly);
    tcase_add_test(t, add_many_reaches_rows_that_must_grow);
    tcase_add_test(t, threads_that_end_hand_their_row_on);
    tcase_add_test(t, destructors_of_ending_threads_count);
    tcase_add_test(t, more_threads_than_rows_share_one);
    tcase_add_test(t, without_a_directory_counting_is_off);
    tcase_add_test(t, errno_is_left_alone);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
