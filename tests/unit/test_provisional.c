// Runs that are over and not stored: their keys, and what many of them cost.
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../support/suite.h"
#include "profile/provisional.h"

enum { FEW = 2000, MANY = 20000 };

static char *text(const char *words)
{
    return (char *)(uintptr_t)words;
}

// A run of one share, its number.
static bool add(struct mpx_provisionals *list, const char *jobid, uint64_t number,
                int64_t start_ms)
{
    const mproxy_job job = {.jobid = text(jobid),
                            .command = text("./a"),
                            .nodelist = text(""),
                            .partition = text(""),
                            .cluster = text(""),
                            .run_dir = text("")};
    const mproxy_source source = {.struct_size = sizeof source,
                                  .kind = MPROXY_SOURCE_SHARE,
                                  .number = number,
                                  .job = &job,
                                  .start_ms = start_ms,
                                  .end_ms = start_ms + 1000};
    struct mpx_known known = {.id = {.number = number}, .source = &source};
    const struct mpx_job_known of = {.shares = &known, .count = 1};
    return mpx_provisional_add(list, &of, &known, 1);
}

START_TEST(the_newest_run_of_an_id_has_it)
{
    struct mpx_provisionals list = {0};
    ck_assert(add(&list, "j", 1, 1000000));
    ck_assert(add(&list, "k", 2, 1500000));
    ck_assert(add(&list, "j", 3, 3000000));
    ck_assert(add(&list, "j", 4, 2000000));

    ck_assert_str_eq(list.runs[0].key, "j@1000");
    ck_assert_str_eq(list.runs[1].key, "k");
    ck_assert_str_eq(list.runs[2].key, "j");
    ck_assert_str_eq(list.runs[3].key, "j@2000");
    mpx_provisional_fini(&list);
}
END_TEST

START_TEST(a_list_is_used_again)
{
    struct mpx_provisionals list = {0};
    for (int i = 0; i < 3; i++) {
        mpx_provisional_clear(&list);
        ck_assert(add(&list, "j", 1, 1000000));
        ck_assert_str_eq(list.runs[0].key, "j");
    }
    mpx_provisional_fini(&list);
}
END_TEST

static double seconds_for(int count)
{
    struct mpx_provisionals list = {0};
    struct timespec from, to;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    for (int i = 0; i < count; i++) {
        char jobid[32];
        snprintf(jobid, sizeof jobid, "job-of-a-night-%d", i);
        ck_assert(add(&list, jobid, (uint64_t)i + 1, 1000000));
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    mpx_provisional_fini(&list);
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

static double least_for(int count)
{
    double least = seconds_for(count);
    for (int i = 0; i < 2; i++) {
        double more = seconds_for(count);
        least = more < least ? more : least;
    }
    return least;
}

// Ten times as many: ten times the work, where it was a hundred times.
START_TEST(many_runs_cost_in_proportion)
{
    double few = least_for(FEW), many = least_for(MANY);
    printf("%d runs: %.1f ms, %d: %.1f ms\n", FEW, few * 1e3, MANY, many * 1e3);
    ck_assert_double_lt(many, 30 * few);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("provisional");
    TCase *c = tcase_create("provisional");
    tcase_add_test(c, the_newest_run_of_an_id_has_it);
    tcase_add_test(c, a_list_is_used_again);
    tcase_add_test(c, many_runs_cost_in_proportion);
    suite_add_tcase(s, c);
    return run_suite(s);
}
