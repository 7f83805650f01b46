// What outlives the proxy: read back as it was written, and refused where it is damaged.
#include <check.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scrape/kept.h"

#include "../support/suite.h"

static char folder[] = "/tmp/mproxy-kept-XXXXXX";
static int fd;
static char told[4096]; // a line each
static size_t skipped;
static mproxy_error err;

static void set_up(void)
{
    strcpy(folder, "/tmp/mproxy-kept-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
}

static void tear_down(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
    close(fd);
}

static mproxy_status hear(void *arg, const struct mpx_kept_item *item)
{
    (void)arg;
    size_t at = strlen(told);
    snprintf(told + at, sizeof told - at, "%s %g+%g\n", item->name, item->offset,
             item->raw);
    return MPROXY_OK;
}

static mproxy_status read_back(void)
{
    told[0] = '\0';
    return mpx_kept_read(fd, 7, hear, NULL, &skipped, &err);
}

static const struct mpx_kept_item items[] = {
    {"a_total", 0, 5}, {"b_total{x=\"1\"}", 2, 3}, {"c_total", 0, 0}};

static struct mpx_kept written(void)
{
    struct mpx_kept kept = {0};
    ck_assert_int_eq(mpx_kept_write(fd, 7, items, 3, &kept, &err), MPROXY_OK);
    return kept;
}

START_TEST(counters_are_read_back_as_they_were_changed_last)
{
    struct mpx_kept kept = written();
    mpx_kept_set(&kept, 0, 0, 6);   // it grew
    mpx_kept_set(&kept, 1, 5, 1);   // it was restarted
    mpx_kept_set(&kept, 1, 6, 0.5); // and again
    mpx_kept_set(&kept, 1, 6, 0.75);

    ck_assert_int_eq(read_back(), MPROXY_OK);

    ck_assert_str_eq(told, "a_total 0+6\nb_total{x=\"1\"} 6+0.75\nc_total 0+0\n");
    ck_assert_uint_eq(skipped, 0);
    mpx_kept_close(&kept);
}
END_TEST

START_TEST(new_file_takes_the_place_of_the_old_one)
{
    struct mpx_kept kept = written();
    ck_assert_int_eq(mpx_kept_write(fd, 7, items + 1, 1, &kept, &err), MPROXY_OK);
    mpx_kept_set(&kept, 0, 2, 4);

    ck_assert_int_eq(read_back(), MPROXY_OK);
    ck_assert_str_eq(told, "b_total{x=\"1\"} 2+4\n");
    mpx_kept_close(&kept);
    mpx_kept_remove(fd, 7);
    ck_assert_int_eq(read_back(), MPROXY_E_NOTFOUND);
}
END_TEST

// Of each byte, another value: what is told then is what was written, but for the numbers of
// one entry.
START_TEST(damaged_byte_is_refused_or_costs_one_counter)
{
    struct mpx_kept kept = written();
    const size_t entries = 64, names = entries + 3 * 40;
    char *copy = malloc(kept.size);
    for (size_t at = 0; at < kept.size; at++) {
        memcpy(copy, kept.map, kept.size);
        copy[at] ^= 0x55;
        told[0] = '\0';
        mproxy_status status =
            mpx_kept_decode(copy, kept.size, hear, NULL, &skipped, &err);
        bool is_entry = at >= entries && at < names;
        if (at < 32 || at >= names)
            ck_assert_int_eq(status, MPROXY_E_CORRUPT);
        else
            ck_assert_int_eq(status, MPROXY_OK);
        if (!is_entry && status == MPROXY_OK)
            ck_assert_uint_eq(skipped, 0);
        ck_assert_uint_le(skipped, 1);
    }
    for (size_t size = 0; size < kept.size; size++)
        ck_assert_int_eq(mpx_kept_decode(copy, size, hear, NULL, &skipped, &err),
                         MPROXY_E_CORRUPT);
    free(copy);
    mpx_kept_close(&kept);
}
END_TEST

START_TEST(counters_that_are_no_numbers_are_skipped)
{
    const struct mpx_kept_item bad[] = {{"a_total", NAN, 1},
                                        {"b_total", -1, 5},
                                        {"c_total", 1e308, 1.7e308},
                                        {"no name", 1, 1},
                                        {"d_total", 1, 1}};
    struct mpx_kept kept = {0};
    ck_assert_int_eq(mpx_kept_write(fd, 7, bad, 5, &kept, &err), MPROXY_OK);

    ck_assert_int_eq(read_back(), MPROXY_OK);

    ck_assert_str_eq(told, "d_total 1+1\n");
    ck_assert_uint_eq(skipped, 4);
    mpx_kept_close(&kept);
}
END_TEST

START_TEST(file_that_is_none_is_refused)
{
    ck_assert_int_eq(symlinkat("/etc/passwd", fd, "target-7"), 0);
    ck_assert_int_ne(read_back(), MPROXY_OK);
    ck_assert_int_eq(unlinkat(fd, "target-7", 0), 0);
    ck_assert_int_eq(mkfifoat(fd, "target-7", 0600), 0);
    ck_assert_int_eq(read_back(), MPROXY_E_CORRUPT);
    mpx_kept_set_aside(fd, 7);
    ck_assert_int_eq(read_back(), MPROXY_E_NOTFOUND);
    ck_assert_int_eq(faccessat(fd, "damaged-target-7", F_OK, 0), 0);
}
END_TEST

// As a rename that fails would leave it.
START_TEST(write_that_fails_leaves_all_as_it_was)
{
    struct mpx_kept kept = written();
    ck_assert_int_eq(mkdirat(fd, ".new-target-7", 0700), 0);
    ck_assert_int_eq(mpx_kept_write(fd, 7, items + 1, 1, &kept, &err), MPROXY_E_SYSTEM);
    mpx_kept_set(&kept, 0, 0, 9);
    ck_assert_int_eq(read_back(), MPROXY_OK);
    ck_assert_str_eq(told, "a_total 0+9\nb_total{x=\"1\"} 2+3\nc_total 0+0\n");
    mpx_kept_close(&kept);
}
END_TEST

static bool is_seven(void *arg, uint64_t number)
{
    (void)arg;
    return number == 7;
}

START_TEST(files_of_nobody_are_swept)
{
    struct mpx_kept kept = written(), other = {0};
    ck_assert_int_eq(mpx_kept_write(fd, 8, items, 1, &other, &err), MPROXY_OK);
    close(openat(fd, ".new-target-9", O_CREAT | O_WRONLY, 0600));
    close(openat(fd, "target-x", O_CREAT | O_WRONLY, 0600));

    mpx_kept_sweep(fd, is_seven, NULL);

    ck_assert_int_eq(faccessat(fd, "target-7", F_OK, 0), 0);
    ck_assert_int_eq(faccessat(fd, "target-x", F_OK, 0), 0);
    ck_assert_int_ne(faccessat(fd, "target-8", F_OK, 0), 0);
    ck_assert_int_ne(faccessat(fd, ".new-target-9", F_OK, 0), 0);
    mpx_kept_close(&kept);
    mpx_kept_close(&other);
}
END_TEST

// ---- the list

static mproxy_status hear_target(void *arg, const struct mpx_kept_target *t)
{
    (void)arg;
    size_t at = strlen(told);
    snprintf(told + at, sizeof told - at, "%llu %s %u%s%s%s\n",
             (unsigned long long)t->number, t->url, t->period_ms,
             t->is_joined ? " joined" : "", t->is_for_now ? " for now" : "",
             t->is_proxy ? " proxy" : "");
    return MPROXY_OK;
}

static const struct mpx_kept_target targets[] = {
    {3, "http://a:1/metrics", 1000, true, false, false},
    {5, "http://b:2/metrics", 50, true, true, true},
    {9, "http://c:3/metrics", 10, false, false, false}};

static void write_list(struct mpx_buf *list, const struct mpx_kept_target *all,
                       size_t count)
{
    mpx_kept_list_begin(list, 12, count);
    for (size_t i = 0; i < count; i++)
        mpx_kept_list_add(list, &all[i]);
    ck_assert_int_eq(mpx_kept_list_write(fd, list, &err), MPROXY_OK);
}

START_TEST(list_is_read_back_as_it_was_written)
{
    struct mpx_buf list = MPX_BUF_INIT;
    uint64_t last = 0;
    told[0] = '\0';
    ck_assert_int_eq(mpx_kept_list_read(fd, &last, hear_target, NULL, &err),
                     MPROXY_E_NOTFOUND);
    write_list(&list, targets, 3);

    ck_assert_int_eq(mpx_kept_list_read(fd, &last, hear_target, NULL, &err), MPROXY_OK);

    ck_assert_uint_eq(last, 12);
    ck_assert_str_eq(told, "3 http://a:1/metrics 1000 joined\n"
                           "5 http://b:2/metrics 50 joined for now proxy\n"
                           "9 http://c:3/metrics 10\n");
    mpx_buf_free(&list);
}
END_TEST

START_TEST(damaged_list_is_refused_before_anything_is_told)
{
    struct mpx_buf list = MPX_BUF_INIT;
    uint64_t last = 77;
    write_list(&list, targets, 3);
    told[0] = '\0';
    for (size_t at = 0; at < list.size; at++) {
        list.data[at] ^= 0x55;
        ck_assert_int_eq(
            mpx_kept_list_decode(list.data, list.size, &last, hear_target, NULL, &err),
            MPROXY_E_CORRUPT);
        list.data[at] ^= 0x55;
        ck_assert_int_eq(
            mpx_kept_list_decode(list.data, at, &last, hear_target, NULL, &err),
            MPROXY_E_CORRUPT);
    }
    const struct mpx_kept_target twice[] = {targets[0], targets[0]},
                                 above = {13, "http://a", 1, true, false, false},
                                 never = {1, "http://a", 0, true, false, false};
    write_list(&list, twice, 2);
    ck_assert_int_eq(mpx_kept_list_read(fd, &last, hear_target, NULL, &err),
                     MPROXY_E_CORRUPT);
    write_list(&list, &above, 1);
    ck_assert_int_eq(mpx_kept_list_read(fd, &last, hear_target, NULL, &err),
                     MPROXY_E_CORRUPT);
    write_list(&list, &never, 1);
    ck_assert_int_eq(mpx_kept_list_read(fd, &last, hear_target, NULL, &err),
                     MPROXY_E_CORRUPT);
    ck_assert_str_eq(told, "");
    ck_assert_uint_eq(last, 77);
    mpx_buf_free(&list);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("what outlives the scraper");
    TCase *tc = tcase_create("kept");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, counters_are_read_back_as_they_were_changed_last);
    tcase_add_test(tc, new_file_takes_the_place_of_the_old_one);
    tcase_add_test(tc, damaged_byte_is_refused_or_costs_one_counter);
    tcase_add_test(tc, counters_that_are_no_numbers_are_skipped);
    tcase_add_test(tc, file_that_is_none_is_refused);
    tcase_add_test(tc, write_that_fails_leaves_all_as_it_was);
    tcase_add_test(tc, files_of_nobody_are_swept);
    tcase_add_test(tc, list_is_read_back_as_it_was_written);
    tcase_add_test(tc, damaged_list_is_refused_before_anything_is_told);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
