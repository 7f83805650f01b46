// A store that takes no more names: what was taken before is kept all the same, and so is
// what the proxy tells of its own.
#include "../support/segments_fixture.h"
#include "../support/suite.h"

#include <mproxy/system.h>

// The next proxy, whose store takes so few names from programs.
static void reopen_with_room_for(size_t names, size_t *known)
{
    mproxy_error err = {0};
    mproxy_store_options few = {.struct_size = sizeof few, .max_metrics = names};
    mproxy_ledger_options lo = {.struct_size = sizeof lo, .host = "host"};
    struct mpx_segments_options so = {
        .dir_path = folder, .dir_fd = dir, .state_fd = state, .log = take_warning};
    close_proxy();
    ck_assert_int_eq(mproxy_store_open(&few, &store, &err), MPROXY_OK);
    mproxy_status status = mproxy_ledger_open(state, store, &lo, &ledger, &err);
    ck_assert_msg(status == MPROXY_OK, "%s", err.text);
    *known = mproxy_store_metric_count(store);
    so.store = store;
    so.ledger = ledger;
    status = mpx_segments_open(&so, &segments, &err);
    ck_assert_msg(status == MPROXY_OK, "%s", err.text);
}

static void drop_segment(uint32_t pid, const char *name, const char *prefix,
                         uint32_t count)
{
    struct image m = image_new(pid, "");
    image_counters(&m, prefix, count);
    uint64_t *row = image_row0(&m);
    for (uint32_t i = 0; i < count; i++)
        row[i] = i + 1;
    close(image_write(&m, dir, name, m.size));
    image_free(&m);
}

static void fold(void)
{
    for (int i = 0; i < 3; i++)
        play_round();
}

START_TEST(a_state_with_more_names_than_fit_is_kept_whole)
{
    size_t known;
    drop_segment(5, "a.seg", "old", 100);
    fold();
    ck_assert_double_eq(shown(NULL, "old_00099"), 100);

    for (int restarts = 0; restarts < 2; restarts++) {
        reopen_with_room_for(3, &known);
        ck_assert_uint_ge(known, 100);
        play_round();
        ck_assert_double_eq(shown(NULL, "old_00000"), 1);
        ck_assert_double_eq(shown(NULL, "old_00099"), 100);
    }

    // Written by a proxy whose store was full.
    close_proxy();
    open_proxy();
    play_round();
    ck_assert_double_eq(shown(NULL, "old_00099"), 100);
}
END_TEST

START_TEST(a_full_store_refuses_new_names_and_adds_to_known_ones)
{
    size_t known;
    drop_segment(5, "a.seg", "old", 10);
    fold();
    reopen_with_room_for(3, &known);

    drop_segment(6, "b.seg", "new", 10);
    drop_segment(7, "c.seg", "old", 10);
    fold();

    ck_assert_double_eq(shown(NULL, "old_00009"), 20);
    ck_assert(isnan(shown(NULL, "new_00009")));
    ck_assert_uint_eq(stats().refused_limits, 10);
    ck_assert_ptr_nonnull(strstr(warning, "no more are taken"));
}
END_TEST

START_TEST(a_full_store_takes_the_proxys_own_names)
{
    size_t known;
    struct mproxy_system *system;
    reopen_with_room_for(1, &known);
    struct program p = start();
    tell(&p, "start count");
    play_round();
    end(&p, 0);
    ck_assert_double_eq(shown("job-1", "has_started"), 1);
    ck_assert(isnan(shown("job-1", "calls_total")));

    mproxy_system_options so = {.struct_size = sizeof so, .store = store, .host = "host"};
    ck_assert_int_eq(mproxy_system_open(&so, &system, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_system_sample(system, boot_ms, 1), MPROXY_OK);

    ck_assert_uint_ge(mproxy_system_layout(system)->count, 10);
    mproxy_system_close(system);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_full");
    TCase *tc = tcase_create("names");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_state_with_more_names_than_fit_is_kept_whole);
    tcase_add_test(tc, a_full_store_refuses_new_names_and_adds_to_known_ones);
    tcase_add_test(tc, a_full_store_takes_the_proxys_own_names);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
