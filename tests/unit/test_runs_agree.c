// What is shown live and what is archived agree on what is one run; and both cope with a job
// of very many shares.

#include <time.h>

#include <mproxy/reduction.h>

#include "../support/keeper_fixture.h"
#include "../support/suite.h"

enum { ROUNDS = 60, FEW = 10000, MANY = 100000 };

static double live(size_t count)
{
    mproxy_reduction *reduction;
    ck_assert_int_eq(mproxy_reduction_new(store, &reduction, NULL), MPROXY_OK);
    mproxy_reduction_set_continue(reduction, CONTINUE_MS);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(mproxy_reduction_put(reduction, &shares[i].source, NULL),
                         MPROXY_OK);
    ck_assert_int_eq(mproxy_reduction_publish(reduction, NULL), MPROXY_OK);
    mproxy_snapshot *snapshot = mproxy_store_snapshot(store);
    const mproxy_view *view = mproxy_snapshot_find(snapshot, "j");
    ck_assert_ptr_nonnull(view);
    mproxy_entry entry;
    ck_assert(mproxy_view_find(view, "hits", &entry));
    double total = entry.value.total;
    mproxy_snapshot_unref(snapshot);
    mproxy_reduction_free(reduction);
    return total;
}

// Share n counts 2^n, so the newest run's sum says which shares it has. They are stored in
// one go, as by a root that was away.
START_TEST(the_newest_run_is_the_same_live_and_archived)
{
    static const char *const commands[] = {"./a", "./b", "./c"};
    srand(11);
    for (int round = 0; round < ROUNDS; round++) {
        share_count = 0;
        int count = 1 + rand() % 12;
        for (int i = 0; i < count; i++) {
            int64_t start_ms = 1000 + rand() % 3000000;
            add_share((unsigned)rand() % 5, (uint64_t)i + 1, "j", commands[rand() % 3],
                      start_ms, start_ms + rand() % 200000, (double)(1 << i));
        }
        double shown = live(share_count);

        do
            run_round();
        while (release_count() < share_count);

        ck_assert_double_eq(loaded("j"), shown);
        close_keeper();
        char command[160];
        snprintf(command, sizeof command, "rm -rf %s/prefix", root);
        ck_assert_int_eq(system(command), 0);
        open_keeper();
    }
}
END_TEST

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// Of a job of `count` shares: storing it, and a round that knows it stored.
static double seconds_of(size_t count)
{
    struct share *many = calloc(count, sizeof *many);
    const mproxy_source **sources = calloc(count, sizeof *sources);
    share_count = 0;
    struct share *one = add_share(0, 1, "j", "./a", 10000, 20000, 1);
    for (size_t i = 0; i < count; i++) {
        many[i] = *one;
        many[i].source.number = 1 + (i * 7919) % count;
        many[i].source.job = &many[i].job;
        many[i].job.jobid = one->jobid;
        many[i].source.values = &many[i].value;
        many[i].source.ranks = &many[i].ranks;
        many[i].source.node_values = &many[i].node_value;
        sources[i] = &many[i].source;
    }
    double start_s = cpu_s();
    ck_assert_int_eq(mpx_keeper_round(keeper, sources, count, now_ms += 1000), MPROXY_OK);
    ck_assert(mpx_keeper_drain(keeper, 100000));
    ck_assert_int_eq(mpx_keeper_round(keeper, sources, count, now_ms += 1000), MPROXY_OK);
    double took_s = cpu_s() - start_s;
    ck_assert_uint_eq(release_count(), count);
    ck_assert_double_eq(loaded("j"), (double)count);
    ck_assert_int_eq(mproxy_archive_remove(archive, "j", NULL), MPROXY_OK);
    free(many);
    free(sources);
    return took_s;
}

// Ten times the shares may take ten times as long, and a sort's logarithm; by pairs it would
// be a hundred times.
START_TEST(a_job_of_very_many_shares_costs_in_proportion)
{
    seconds_of(FEW); // what the first use of memory costs
    double few_s = seconds_of(FEW), many_s = seconds_of(MANY);
    printf("%d shares: %.3f s, %d shares: %.3f s\n", FEW, few_s, MANY, many_s);

    ck_assert_double_lt(many_s, 30 * few_s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runs_agree");
    TCase *tc = tcase_create("runs");
    tcase_set_timeout(tc, 100);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_newest_run_is_the_same_live_and_archived);
    tcase_add_test(tc, a_job_of_very_many_shares_costs_in_proportion);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
