// What is one run of a job id. The random test compares with the rule as it is written: link
// each pair, then follow the links.

#include <stdbool.h>

#include "../support/suite.h"
#include "source/runs.h"

enum { CONTINUE_MS = 1000, MANY = 64 };

// The shares' runs as letters in order of the shares: "aba" is two runs.
static const char *runs_of(const struct mpx_run_share *shares, uint32_t count)
{
    static char text[MANY + 1];
    struct mpx_runs runs;
    char next = 'a';
    ck_assert(mpx_runs_init(&runs, count));
    ck_assert(mpx_runs_link(&runs, shares, CONTINUE_MS));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t run = mpx_runs_of(&runs, i);
        text[i] = run == i ? next++ : text[run];
    }
    text[count] = '\0';
    mpx_runs_fini(&runs);
    return text;
}

START_TEST(what_overlaps_is_one_run_whatever_its_command)
{
    const struct mpx_run_share shares[] = {
        {0, 100, "A"}, {100, 200, "B"}, {201, 300, "C"}};

    ck_assert_str_eq(runs_of(shares, 3), "aab");
}
END_TEST

START_TEST(the_same_command_goes_on_within_the_gap)
{
    const struct mpx_run_share shares[] = {
        {0, 100, "A"}, {1100, 1200, "A"}, {2201, 2300, "A"}};

    ck_assert_str_eq(runs_of(shares, 3), "aab");
}
END_TEST

START_TEST(any_command_of_a_run_goes_on_with_it)
{
    const struct mpx_run_share shares[] = {
        {0, 500, "A"}, {100, 200, "B"}, {900, 950, "B"}};

    ck_assert_str_eq(runs_of(shares, 3), "aaa");
}
END_TEST

START_TEST(commands_that_take_turns_are_a_run_each)
{
    const struct mpx_run_share shares[] = {
        {0, 10, "A"}, {20, 30, "B"}, {40, 50, "A"}, {60, 70, "B"}, {80, 90, "A"}};
    struct mpx_runs runs;

    ck_assert_str_eq(runs_of(shares, 5), "ababa");
    ck_assert(mpx_runs_init(&runs, 5));
    ck_assert(mpx_runs_link(&runs, shares, CONTINUE_MS));
    ck_assert_uint_eq(mpx_runs_newest(&runs, shares), 0);
    mpx_runs_fini(&runs);
}
END_TEST

START_TEST(times_out_of_all_range_are_told_apart)
{
    const struct mpx_run_share shares[] = {
        {INT64_MAX, INT64_MIN, "A"}, {INT64_MIN, INT64_MIN, "A"}, {0, INT64_MIN, "A"}};

    ck_assert_str_eq(runs_of(shares, 3), "abc");
}
END_TEST

static bool is_linked(const struct mpx_run_share *a, const struct mpx_run_share *b)
{
    const struct mpx_run_share *first = a->start_ms <= b->start_ms ? a : b;
    const struct mpx_run_share *second = first == a ? b : a;
    int64_t end_ms = first->end_ms > first->start_ms ? first->end_ms : first->start_ms;
    int64_t gap_ms = second->start_ms - end_ms;
    return gap_ms <= 0 || (gap_ms <= CONTINUE_MS && strcmp(a->command, b->command) == 0);
}

static const char *runs_by_pairs(const struct mpx_run_share *shares, int count)
{
    static char text[MANY + 1];
    int run[MANY];
    char next = 'a';
    for (int i = 0; i < count; i++)
        run[i] = i;
    for (int i = 0; i < count; i++)
        for (int k = 0; k < i; k++)
            for (int n = 0, from = run[i] > run[k] ? run[i] : run[k],
                     to = run[i] < run[k] ? run[i] : run[k];
                 n < count && is_linked(&shares[i], &shares[k]); n++)
                if (run[n] == from)
                    run[n] = to;
    for (int i = 0; i < count; i++)
        text[i] = run[i] == i ? next++ : text[run[i]];
    text[count] = '\0';
    return text;
}

START_TEST(the_pass_links_what_the_rule_links)
{
    static const char *const commands[] = {"A", "B", "C"};
    srand(7);
    for (int round = 0; round < 5000; round++) {
        struct mpx_run_share shares[20];
        int count = 1 + rand() % 20, span_ms = 1 + rand() % 30000;
        for (int i = 0; i < count; i++) {
            int64_t start_ms = rand() % span_ms;
            shares[i] = (struct mpx_run_share){start_ms, start_ms + rand() % 900 - 100,
                                               commands[rand() % 3]};
        }
        ck_assert_str_eq(runs_of(shares, (uint32_t)count), runs_by_pairs(shares, count));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runs");
    TCase *tc = tcase_create("runs");
    tcase_add_test(tc, what_overlaps_is_one_run_whatever_its_command);
    tcase_add_test(tc, the_same_command_goes_on_within_the_gap);
    tcase_add_test(tc, any_command_of_a_run_goes_on_with_it);
    tcase_add_test(tc, commands_that_take_turns_are_a_run_each);
    tcase_add_test(tc, times_out_of_all_range_are_told_apart);
    tcase_add_test(tc, the_pass_links_what_the_rule_links);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
