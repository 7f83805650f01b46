// Pages at the door with each allocation failing in turn.
#include <check.h>
#include <string.h>

#include "ingest/ingest.h"

#include "../support/chaos_alloc.h"
#include "../support/suite.h"

static const char *const pages[] = {
    "a 1\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\n"
    "h_count 2\nhas_x 1\n",
    "# TYPE a gauge\na NaN\n{\"b c\"} 1\nd{job=\"x\"} 1\n", "d 1\n", "d 1\n"};
static const struct mpx_ingest_label labels[] = {{"job", "j"}};

static mproxy_status read_all(void *arg)
{
    (void)arg;
    mproxy_store *store = NULL;
    struct mpx_ingest *in = NULL;
    struct mpx_ingest_page page = {.count = 0};
    mproxy_status status = mproxy_store_open(NULL, &store, NULL);
    const struct mpx_ingest_options o = {
        .store = store, .labels = labels, .label_count = 1};
    if (!status)
        status = mpx_ingest_open(&o, &in, NULL);
    for (size_t i = 0; i < sizeof pages / sizeof *pages && !status; i++) {
        status = mpx_ingest_parse(in, pages[i], strlen(pages[i]),
                                  MPROXY_FORMAT_PROMETHEUS, NULL);
        if (!status)
            status = mpx_ingest_apply(in, &page, NULL);
    }
    mpx_ingest_close(in);
    if (store)
        mproxy_store_sweep(store);
    if (store && mproxy_store_metric_count(store) > 0)
        status = MPROXY_E_CORRUPT;
    mproxy_store_close(store);
    return status;
}

START_TEST(pages_give_back_all_when_memory_runs_out)
{
    ck_assert_uint_gt(chaos_each(read_all, NULL), 50);
}
END_TEST

// What could not be settled is with the next page.
START_TEST(pages_are_made_up_for_after_memory_ran_out)
{
    mproxy_store *store = NULL;
    ck_assert_int_eq(mproxy_store_open(NULL, &store, NULL), MPROXY_OK);
    for (size_t n = 1; n < 60; n++) {
        const struct mpx_ingest_options o = {.store = store};
        struct mpx_ingest *in = NULL;
        struct mpx_ingest_page page = {.count = 0};
        ck_assert_int_eq(mpx_ingest_open(&o, &in, NULL), MPROXY_OK);
        mproxy_status status[4];
        for (int i = 0; i < 2; i++) {
            chaos_fail(i == 0 ? n : 0, false);
            status[2 * i] = mpx_ingest_parse(in, pages[0], strlen(pages[0]),
                                             MPROXY_FORMAT_PROMETHEUS, NULL);
            status[2 * i + 1] = mpx_ingest_apply(in, &page, NULL);
            chaos_fail(0, false);
        }
        ck_assert_int_eq(status[2], MPROXY_OK);
        ck_assert_int_eq(status[3], MPROXY_OK);
        ck_assert_uint_eq(page.count, 5);
        mpx_ingest_close(in);
        mproxy_store_sweep(store);
    }
    mproxy_store_close(store);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ingest without memory");
    TCase *tc = tcase_create("ingest");
    tcase_add_test(tc, pages_give_back_all_when_memory_runs_out);
    tcase_add_test(tc, pages_are_made_up_for_after_memory_ran_out);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
