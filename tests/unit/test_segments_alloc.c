// No allocation that fails loses or doubles a count: what a round could not take in, a later
// one does.

#include <check.h>

#include "../support/chaos_alloc.h"
#include "../support/segments_fixture.h"
#include "../support/suite.h"
#include "reader/reader.h"

static mproxy_status open_and_read(void *arg)
{
    (void)arg;
    struct mpx_readers_options options = {0};
    struct mpx_readers *readers = NULL;
    struct mpx_reader *r = NULL;
    mproxy_error err = {0};
    bool changed;
    mproxy_status status = mpx_readers_open(&options, &readers, &err);
    if (status == MPROXY_OK)
        status = mpx_reader_open(readers, dir, "a.seg", &r, &err);
    if (status == MPROXY_OK)
        status = mpx_reader_sample(r, &changed, &err);
    if (status == MPROXY_OK && mpx_reader_columns(r)[0] != 5)
        status = MPROXY_E_CORRUPT;
    mpx_reader_close(r);
    mpx_readers_close(readers);
    return status;
}

START_TEST(reading_survives_every_failed_allocation)
{
    struct image m = image_new(77, "job-1");
    image_counters(&m, "c", 100);
    image_extent(&m, 1, 0, 512)[0] = 5;
    close(image_write(&m, dir, "a.seg", m.size));

    ck_assert_uint_gt(chaos_each(open_and_read, NULL), 10);
    image_free(&m);
}
END_TEST

// A process with two images, one that grows, a link, and a file that is none.
static void make_files(struct image *grown)
{
    const double bounds[] = {1, 2};
    struct image m = image_new(77, "job-1");
    image_counters(&m, "c", 3);
    image_row0(&m)[0] = 5;
    close(image_write(&m, dir, "a.seg", m.size));
    close(image_write(&m, dir, "b.seg", m.size));
    close(image_write(&m, dir, "bad.seg", 10));
    image_header(&m)->pid = 78;
    close(image_write(&m, dir, "c.seg", m.size));
    image_metric(&m, MPX_DEF_HISTOGRAM, 3, "h", bounds, 2);
    image_row0(&m)[3] = 4;
    *grown = m;
    ck_assert_int_eq(symlinkat("1 job-2", dir, ".off-1-1"), 0);
}

// One round that fails at some place, then good ones. False when nothing failed any more.
static bool play_with_failure(size_t n, bool all)
{
    struct image grown;
    make_files(&grown);
    int fd = openat(dir, "c.seg", O_RDWR);
    ck_assert_int_eq(image_lock(fd, F_WRLCK), 0);

    chaos_fail(n, all);
    mproxy_ledger_round_begin(ledger, boot_ms, 1);
    mproxy_status ignored = mpx_segments_round(segments, boot_ms, 1, NULL);
    bool failed = chaos_has_failed();
    chaos_fail(0, false);
    (void)ignored;
    ck_assert_int_eq(mproxy_ledger_round_end(ledger, NULL), MPROXY_OK);
    mpx_segments_unlink(segments);
    ck_assert_int_eq(pwrite(fd, grown.bytes, grown.size, 0), (ssize_t)grown.size);
    chaos_fail(n, all);
    mproxy_ledger_round_begin(ledger, boot_ms, 1);
    ignored = mpx_segments_round(segments, boot_ms, 1, NULL);
    failed |= chaos_has_failed();
    chaos_fail(0, false);
    ck_assert_int_eq(mproxy_ledger_round_end(ledger, NULL), MPROXY_OK);
    mpx_segments_unlink(segments);
    close(fd);
    for (int i = 0; i < 12; i++)
        play_round();
    image_free(&grown);
    return failed;
}

START_TEST(rounds_catch_up_after_every_failed_allocation)
{
    bool failed = true;
    size_t n = 1;
    for (; failed; n++) {
        failed = play_with_failure(n, _i);

        ck_assert_double_eq(shown("job-1", "c_00000"), 15);
        ck_assert_double_eq(shown("job-1", "h_count"), 4);
        ck_assert_int_eq(job_source("job-2")->incomplete, 1);
        ck_assert_uint_eq(files("^[abc].seg"), 0);
        ck_assert_uint_eq(files(".off-"), 0);
        teardown();
        setup();
    }
    ck_assert_uint_gt(n, 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("segments_alloc");
    TCase *tc = tcase_create("segments_alloc");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, reading_survives_every_failed_allocation);
    tcase_add_loop_test(tc, rounds_catch_up_after_every_failed_allocation, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
