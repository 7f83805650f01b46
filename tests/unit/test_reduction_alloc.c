// Memory that runs out while sources are taken and views are made: what is shown stays, and
// all is there once memory is.

#include <check.h>
#include <stdio.h>
#include <string.h>

#include <mproxy/reduction.h>

#include "../support/chaos_alloc.h"
#include "../support/suite.h"

static mproxy_store *store;
static mproxy_reduction *reduction;
static const mproxy_metric *hits;

static void setup(void)
{
    mproxy_store_open(NULL, &store, NULL);
    mproxy_store_metric(store, "hits_total", MPROXY_COUNTER, "", &hits, NULL);
    mproxy_reduction_new(store, &reduction, NULL);
}

static void teardown(void)
{
    chaos_fail(0, false);
    mproxy_reduction_free(reduction);
    mproxy_store_close(store);
}

static mproxy_status put(uint8_t d, uint64_t number, uint64_t sequence, double total,
                         size_t absorbed_count)
{
    static const mproxy_span absorbed[] = {{1, 2}, {3, 4}, {5, 6}};
    mproxy_value value = mproxy_value_counter(total, 1);
    mproxy_job job = {.jobid = number == 1 ? "j" : "k",
                      .command = "",
                      .nodelist = "",
                      .partition = "",
                      .cluster = "",
                      .run_dir = ""};
    mproxy_source source = {.struct_size = sizeof(mproxy_source),
                            .directory = {d},
                            .kind = number ? MPROXY_SOURCE_SHARE : MPROXY_SOURCE_BASE,
                            .number = number,
                            .epoch = 1,
                            .sequence = sequence,
                            .host = d == 1 ? "h1" : "h2",
                            .job = number ? &job : NULL,
                            .uid = d,
                            .start_ms = 1000,
                            .end_ms = 1000,
                            .absorbed = absorbed_count ? absorbed : NULL,
                            .absorbed_count = absorbed_count,
                            .count = 1,
                            .metrics = &hits,
                            .values = &value};
    return mproxy_reduction_put(reduction, &source, NULL);
}

static double in_main(void)
{
    mproxy_snapshot *s = mproxy_store_snapshot(store);
    const mproxy_view *view = mproxy_snapshot_find(s, "main");
    mproxy_entry e;
    double total = view && mproxy_view_find(view, "hits_total", &e) ? e.value.total : -1;
    mproxy_snapshot_unref(s);
    return total;
}

// What a round does, in three states of the sources; each step again until it succeeds.
static mproxy_status state(int i)
{
    mproxy_status status = MPROXY_OK;
    for (uint8_t d = 1; d <= 2 && status == MPROXY_OK; d++) {
        status = put(d, 0, (uint64_t)i + 1, i == 2 ? 12 : 2, i == 2 ? 1 : 0);
        if (status == MPROXY_OK && i > 0)
            status = put(d, 1, (uint64_t)i + 1, 10, 0);
        if (status == MPROXY_OK)
            status = put(d, 2 + (uint64_t)i, 1, 100, 0);
    }
    return status == MPROXY_OK ? mproxy_reduction_publish(reduction, NULL) : status;
}

START_TEST(a_publication_without_memory_leaves_what_is_shown)
{
    const double want[] = {204, 424, 624};
    size_t failures = 0;
    for (size_t n = 1; n < 300; n++) {
        teardown();
        setup();
        double before = -1;
        for (int i = 0; i < 3; i++) {
            chaos_fail(n, n % 2);
            mproxy_status status = state(i);
            failures += chaos_has_failed();
            chaos_fail(0, false);
            if (status != MPROXY_OK) {
                ck_assert_int_eq(status, MPROXY_E_NOMEM);
                ck_assert_double_eq(in_main(), before);
                ck_assert_int_eq(state(i), MPROXY_OK);
            }
            before = in_main();
            ck_assert_double_eq(before, want[i]);
        }
    }
    ck_assert_uint_gt(failures, 100);
    mproxy_reduction_stats stats = {.struct_size = sizeof stats};
    mproxy_reduction_get_stats(reduction, &stats);
    ck_assert_uint_eq(stats.steps_back, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reduction_alloc");
    TCase *c = tcase_create("memory");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_publication_without_memory_leaves_what_is_shown);
    suite_add_tcase(s, c);
    return run_suite(s);
}
