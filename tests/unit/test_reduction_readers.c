// Readers of the arrays that sources and views share, while the writer changes the sources: in
// each snapshot all values of a view agree.

#include <pthread.h>
#include <stdatomic.h>

#include "../support/reduction_fixture.h"
#include "../support/suite.h"

enum { ROUNDS = 3000, READERS = 2, SERIES = 40 };

static atomic_bool is_over;
static const mproxy_metric *series[SERIES];

static void *read_snapshots(void *arg)
{
    (void)arg;
    const char *fault = NULL;
    double last = 0;
    while (!fault && !atomic_load(&is_over)) {
        mproxy_snapshot *s = mproxy_store_snapshot(store);
        const mproxy_view *view = mproxy_snapshot_find(s, "Node: h1");
        for (size_t i = 0; view && i < mproxy_view_size(view); i++) {
            double total = mproxy_view_at(view, i).value.total;
            if (total != mproxy_view_at(view, 0).value.total)
                fault = "a snapshot is of two rounds";
            if (total < last)
                fault = "a counter went back";
        }
        if (view && mproxy_view_size(view) > 0)
            last = mproxy_view_at(view, 0).value.total;
        mproxy_snapshot_unref(s);
    }
    return (void *)fault;
}

// Half of a round's values come as a change, in two parts, the rest as a whole state.
static void write_round(uint64_t round)
{
    mproxy_value values[SERIES];
    uint32_t slots[SERIES];
    for (uint32_t i = 0; i < SERIES; i++) {
        values[i] = mproxy_value_counter((double)round, round);
        slots[i] = i;
    }
    mproxy_source s = {.struct_size = sizeof(mproxy_source),
                       .directory = {1},
                       .kind = MPROXY_SOURCE_NODE,
                       .epoch = 1,
                       .sequence = 3 * round,
                       .host = "h1",
                       .count = SERIES,
                       .metrics = series,
                       .values = values};
    mproxy_source half = s;
    half.sequence = 3 * round - 2;
    mproxy_change c = {.struct_size = sizeof c,
                       .source = &half,
                       .from = 3 * round - 3,
                       .count = SERIES / 2,
                       .slots = slots,
                       .values = values};
    if (round > 1)
        ck_assert_int_eq(mproxy_reduction_apply(reduction, &c, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_reduction_put(reduction, &s, NULL), MPROXY_OK);
    publish();
}

START_TEST(readers_see_the_arrays_of_one_publication)
{
    pthread_t readers[READERS];
    for (int i = 0; i < SERIES; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%02d_total", i);
        mproxy_store_metric(store, name, MPROXY_COUNTER, "", &series[i], NULL);
    }
    atomic_store(&is_over, false);
    for (int i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&readers[i], NULL, read_snapshots, NULL), 0);

    for (uint64_t round = 1; round <= ROUNDS; round++)
        write_round(round);
    atomic_store(&is_over, true);

    for (int i = 0; i < READERS; i++) {
        void *fault = NULL;
        pthread_join(readers[i], &fault);
        ck_assert_msg(!fault, "%s", (const char *)fault);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reduction_readers");
    TCase *c = tcase_create("threads");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, readers_see_the_arrays_of_one_publication);
    suite_add_tcase(s, c);
    return run_suite(s);
}
