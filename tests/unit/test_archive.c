// Stored profiles: their keys and names, for one process and for several.
#include <mproxy/profile.h>

#include <pthread.h>
#include <stdatomic.h>

#include "../support/archive_fixture.h"
#include "../support/suite.h"
#include "profile/archive_private.h"

START_TEST(a_missing_directory_is_an_empty_archive_until_the_first_store)
{
    mproxy_archive *a = open_archive();
    ck_assert_uint_eq(mproxy_archive_size(a), 0);
    ck_assert_int_ne(access(dir, F_OK), 0);

    ck_assert_int_eq(store(a, "j", 1000, 42), MPROXY_OK);

    ck_assert_uint_eq(mproxy_archive_size(a), 1);
    ck_assert_double_eq(loaded(a, "j"), 42);
    ck_assert(has_file("j.json"));
    mproxy_archive_close(a);
}
END_TEST

START_TEST(what_was_stored_is_there_after_reopening)
{
    mproxy_archive *a = open_archive();
    ck_assert_int_eq(store(a, "j1", 1000, 1), MPROXY_OK);
    ck_assert_int_eq(store(a, "j2", 1000, 2), MPROXY_OK);
    mproxy_archive_close(a);

    a = open_archive();

    ck_assert_uint_eq(mproxy_archive_size(a), 2);
    ck_assert_double_eq(loaded(a, "j1"), 1);
    ck_assert_double_eq(loaded(a, "j2"), 2);
    ck_assert_uint_eq(damaged, 0);
    mproxy_archive_close(a);
}
END_TEST

START_TEST(newest_run_has_the_id_and_older_ones_their_start_time)
{
    static const int64_t orders[][3] = {
        {1000, 2000, 3000}, {3000, 2000, 1000}, {2000, 3000, 1000}, {2000, 1000, 3000}};
    for (size_t i = 0; i < 4; i++) {
        char id[8];
        char key[32];
        snprintf(id, sizeof id, "j%zu", i);
        mproxy_archive *a = open_archive();
        for (size_t k = 0; k < 3; k++)
            ck_assert_int_eq(store(a, id, orders[i][k], (double)orders[i][k]), MPROXY_OK);
        for (int pass = 0; pass < 2; pass++) {
            ck_assert_double_eq(loaded(a, id), 3000);
            snprintf(key, sizeof key, "%s@2000", id);
            ck_assert_double_eq(loaded(a, key), 2000);
            snprintf(key, sizeof key, "%s@1000", id);
            ck_assert_double_eq(loaded(a, key), 1000);
            mproxy_archive_close(a);
            a = open_archive();
        }
        mproxy_archive_close(a);
    }
}
END_TEST

START_TEST(a_later_state_of_a_run_replaces_it)
{
    mproxy_archive *a = open_archive();
    ck_assert_int_eq(store(a, "j", 1000, 1), MPROXY_OK);
    ck_assert_int_eq(store(a, "j", 2000, 2), MPROXY_OK);
    ck_assert_int_eq(store(a, "j", 1000, 11), MPROXY_OK);

    ck_assert_uint_eq(mproxy_archive_size(a), 2);
    ck_assert_double_eq(loaded(a, "j@1000"), 11);
    ck_assert_double_eq(loaded(a, "j"), 2);
    ck_assert_uint_eq(count_files(""), 2);
    mproxy_archive_close(a);
}
END_TEST

START_TEST(a_profile_that_holds_two_replaces_both)
{
    mproxy_archive *a = open_archive();
    ck_assert_int_eq(store(a, "j", 1000, 1), MPROXY_OK);
    ck_assert_int_eq(store(a, "j", 2000, 2), MPROXY_OK);
    mproxy_profile *bridge = make_bridge();

    ck_assert_int_eq(mproxy_archive_store(a, bridge, NULL), MPROXY_OK);

    ck_assert_uint_eq(mproxy_archive_size(a), 1);
    ck_assert_double_eq(loaded(a, "j"), 3);
    ck_assert_uint_eq(count_files(""), 1);
    mproxy_profile_free(bridge);
    mproxy_archive_close(a);
}
END_TEST

// Shares of one job: their numbers, and when each started.
static mproxy_profile *make_shares(size_t count, const uint64_t *numbers,
                                   const int64_t *starts_ms)
{
    mproxy_profile *p = fixture_profile("j", starts_ms[0] / 1000, count);
    for (size_t i = 0; i < count; i++) {
        p->shares[i].number = numbers[i];
        p->shares[i].start_ms = starts_ms[i];
        p->shares[i].end_ms = starts_ms[i] + 100;
        fixture_counter(&p->shares[i], "hits", (double)numbers[i], 0);
    }
    ck_assert_int_eq(mpx_profile_sum(p, NULL), MPROXY_OK);
    return p;
}

START_TEST(a_run_that_makes_place_does_not_get_a_name_that_is_removed)
{
    mproxy_profile *runs[] = {
        make_shares(1, (uint64_t[]){1}, (int64_t[]){100100}),
        make_shares(1, (uint64_t[]){2}, (int64_t[]){100500}),
        make_shares(2, (uint64_t[]){1, 3},
                    (int64_t[]){100100, 150000})}; // the first goes on
    mproxy_archive *a = open_archive();

    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(mproxy_archive_store(a, runs[i], NULL), MPROXY_OK);
        mproxy_profile_free(runs[i]);
    }

    for (int pass = 0; pass < 2; pass++) {
        ck_assert_uint_eq(mproxy_archive_size(a), 2);
        ck_assert_uint_eq(count_files(""), 2);
        ck_assert_double_eq(loaded(a, "j"), 4);
        ck_assert_double_eq(loaded(a, "j@100"), 2);
        mproxy_archive_close(a);
        a = open_archive();
    }
    mproxy_archive_close(a);
}
END_TEST

START_TEST(hostile_ids_stay_inside)
{
    static char longest[MPROXY_JOB_ID_MAX + 1], other[MPROXY_JOB_ID_MAX + 1];
    static char too_long[4097];
    memset(longest, 'x', MPROXY_JOB_ID_MAX);
    memset(other, 'x', MPROXY_JOB_ID_MAX);
    other[MPROXY_JOB_ID_MAX - 1] = 'y';
    memset(too_long, '/', 4096);
    const char *ids[] = {"../../etc/x", "a/b",    ".",        "..",  ".lock",
                         "a@1000",      ".new-1", "\xc3\xa9", "%2E", "a%2Fb",
                         "a b\\",       "-rf",    longest,    other, "x.json",
                         "a",           "*",      "j.json.2"};
    const size_t count = sizeof ids / sizeof *ids;
    mproxy_archive *a = open_archive();

    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(store(a, ids[i], 1000, (double)i), MPROXY_OK);
    ck_assert_int_eq(store(a, too_long, 1000, 1), MPROXY_E_INVALID);
    ck_assert_int_eq(store(a, "main", 1000, 1), MPROXY_E_INVALID);
    ck_assert_int_eq(store(a, "", 1000, 1), MPROXY_E_INVALID);

    for (int pass = 0; pass < 2; pass++) {
        ck_assert_uint_eq(mproxy_archive_size(a), count);
        for (size_t i = 0; i < count; i++)
            ck_assert_double_eq(loaded(a, ids[i]), (double)i);
        mproxy_archive_close(a);
        a = open_archive();
    }
    ck_assert_uint_eq(count_files(""), count);
    char command[256];
    snprintf(command, sizeof command, "test $(find %s -type f | grep -vc %s/) = 0", root,
             dir);
    ck_assert_int_eq(system(command), 0);
    mproxy_archive_close(a);
}
END_TEST

START_TEST(key_of_an_older_run_does_not_hide_an_id_that_looks_like_it)
{
    mproxy_archive *a = open_archive();
    ck_assert_int_eq(store(a, "a@1000", 5000, 1), MPROXY_OK);
    ck_assert_int_eq(store(a, "a", 1000, 2), MPROXY_OK);
    ck_assert_int_eq(store(a, "a", 2000, 3), MPROXY_OK);

    ck_assert_uint_eq(mproxy_archive_size(a), 3);
    ck_assert_double_eq(loaded(a, "a"), 3);
    ck_assert_double_eq(loaded(a, "a@1000"), 1);
    ck_assert_double_eq(loaded(a, "a@1000.2"), 2);
    ck_assert_uint_eq(count_files(""), 3);
    mproxy_archive_close(a);
}
END_TEST

START_TEST(removing_the_newest_gives_its_key_to_the_older)
{
    mproxy_archive *a = open_archive();
    ck_assert_int_eq(store(a, "j", 1000, 1), MPROXY_OK);
    ck_assert_int_eq(store(a, "j", 2000, 2), MPROXY_OK);

    ck_assert_int_eq(mproxy_archive_remove(a, "j", NULL), MPROXY_OK);

    ck_assert_double_eq(loaded(a, "j"), 1);
    ck_assert_int_eq(mproxy_archive_remove(a, "j@1000", NULL), MPROXY_E_NOTFOUND);
    ck_assert_int_eq(store(a, "j", 3000, 3), MPROXY_OK);
    ck_assert_double_eq(loaded(a, "j"), 3);
    ck_assert_double_eq(loaded(a, "j@1000"), 1);
    mproxy_archive_close(a);
}
END_TEST

START_TEST(two_archives_on_one_directory_see_each_other)
{
    mproxy_archive *a = open_archive(), *b = open_archive();
    ck_assert_int_eq(store(a, "j", 1000, 1), MPROXY_OK);
    ck_assert_int_eq(store(b, "j", 2000, 2), MPROXY_OK);
    ck_assert_int_eq(store(a, "j", 3000, 3), MPROXY_OK);
    ck_assert_int_eq(mproxy_archive_refresh(b, NULL), MPROXY_OK);

    ck_assert_double_eq(loaded(b, "j"), 3);
    ck_assert_double_eq(loaded(b, "j@2000"), 2);
    ck_assert_double_eq(loaded(a, "j@1000"), 1);
    ck_assert_uint_eq(mproxy_archive_size(a), 3);
    mproxy_archive_close(a);
    mproxy_archive_close(b);
}
END_TEST

START_TEST(a_store_that_did_not_know_of_another_process_writes_nothing)
{
    mproxy_archive *mine = open_archive(), *other = open_archive();
    ck_assert_int_eq(store(other, "j", 1000, 7), MPROXY_OK);
    ck_assert_int_eq(store(other, "k", 1000, 8), MPROXY_OK);
    mproxy_profile *p = make_run("j", 5000, 9);
    mproxy_error err;

    ck_assert_int_eq(mpx_archive_store(mine, p, 0, &err), MPROXY_E_EXISTS);

    ck_assert_double_eq(loaded(mine, "j"), 7); // it knows now
    ck_assert_uint_eq(count_files(""), 2);
    ck_assert_int_eq(mpx_archive_store(mine, p, 1, &err), MPROXY_OK);
    ck_assert_double_eq(loaded(mine, "j"), 9);
    ck_assert_double_eq(loaded(mine, "j@1000"), 7);
    mproxy_profile_free(p);
    mproxy_archive_close(mine);
    mproxy_archive_close(other);
}
END_TEST

struct readers {
    mproxy_archive *archive;
    atomic_bool stop;
    atomic_uint misses, reads;
};

static void look(void *arg, const mproxy_archive_item *item)
{
    if (strncmp(item->key, item->desc->jobid, strlen(item->desc->jobid)) != 0)
        atomic_fetch_add((atomic_uint *)arg, 1);
}

static void *read_all_the_time(void *arg)
{
    struct readers *r = arg;
    while (!atomic_load(&r->stop)) {
        mproxy_archive_each(r->archive, look, &r->misses);
        if (loaded(r->archive, "j") < 0)
            atomic_fetch_add(&r->misses, 1);
        atomic_fetch_add(&r->reads, 1);
    }
    return NULL;
}

START_TEST(readers_always_find_a_profile_while_it_is_rewritten)
{
    struct readers r = {.archive = open_archive()};
    pthread_t threads[2];
    ck_assert_int_eq(store(r.archive, "j", 1000, 1), MPROXY_OK);
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_all_the_time, &r), 0);

    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(store(r.archive, "j", 1000 + i % 10 + i / 10, i), MPROXY_OK);
    while (atomic_load(&r.reads) < 10)
        usleep(1000);
    atomic_store(&r.stop, true);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);

    ck_assert_uint_eq(r.misses, 0);
    mproxy_archive_close(r.archive);
}
END_TEST

START_TEST(file_names_escape_all_that_is_not_plain)
{
    static const char *const pairs[][2] = {
        {"job-1_2.x", "job-1_2.x"}, {".x", "%2Ex"},
        {"a/b", "a%2Fb"},           {"../x", "%2E.%2Fx"},
        {"a@1", "a%401"},           {"a%b~", "a%25b%7E"},
        {"\xc3\xa9", "%C3%A9"},     {"host:42 1", "host%3A42%201"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct mpx_buf name = MPX_BUF_INIT;
        mpx_archive_file_name(&name, pairs[i][0]);
        ck_assert_str_eq(mpx_buf_text(&name), pairs[i][1]);
        mpx_buf_free(&name);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("archive");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 30);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_missing_directory_is_an_empty_archive_until_the_first_store);
    tcase_add_test(c, what_was_stored_is_there_after_reopening);
    tcase_add_test(c, newest_run_has_the_id_and_older_ones_their_start_time);
    tcase_add_test(c, a_later_state_of_a_run_replaces_it);
    tcase_add_test(c, a_profile_that_holds_two_replaces_both);
    tcase_add_test(c, a_run_that_makes_place_does_not_get_a_name_that_is_removed);
    tcase_add_test(c, hostile_ids_stay_inside);
    tcase_add_test(c, key_of_an_older_run_does_not_hide_an_id_that_looks_like_it);
    tcase_add_test(c, removing_the_newest_gives_its_key_to_the_older);
    tcase_add_test(c, two_archives_on_one_directory_see_each_other);
    tcase_add_test(c, a_store_that_did_not_know_of_another_process_writes_nothing);
    tcase_add_test(c, readers_always_find_a_profile_while_it_is_rewritten);
    tcase_add_test(c, file_names_escape_all_that_is_not_plain);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
