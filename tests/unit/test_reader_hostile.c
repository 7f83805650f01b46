#include "reader/reader.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

#include "../support/segment_image.h"
#include "../support/suite.h"

static char folder[64];
static int dir;
static struct mpx_readers *readers;

static void setup(void)
{
    strcpy(folder, "/dev/shm/mproxy-hostile-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct mpx_readers_options options = {0};
    ck_assert_int_eq(mpx_readers_open(&options, &readers, NULL), MPROXY_OK);
}

static void teardown(void)
{
    mpx_readers_close(readers);
    close(dir);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static struct image two_rows(void)
{
    struct image m = image_new(1, "j");
    image_counters(&m, "c", 300);
    image_row0(&m)[0] = 1;
    image_extent(&m, 0, 128, 512)[0] = 2;
    image_extent(&m, 1, 0, 512)[299] = 3;
    return m;
}

static struct mpx_reader *must_open(const char *name)
{
    struct mpx_reader *r = NULL;
    mproxy_error err = {0};
    ck_assert_msg(mpx_reader_open(readers, dir, name, &r, &err) == MPROXY_OK, "%s",
                  err.text);
    return r;
}

static mproxy_status open_and_sample(const char *name, mproxy_error *err)
{
    struct mpx_reader *r = NULL;
    bool changed;
    *err = (mproxy_error){0};
    mproxy_status status = mpx_reader_open(readers, dir, name, &r, err);
    if (status == MPROXY_OK)
        status = mpx_reader_sample(r, &changed, err);
    mpx_reader_close(r);
    return status;
}

START_TEST(reader_refuses_a_file_cut_at_any_length)
{
    struct image m = two_rows();
    mproxy_error err;

    for (size_t size = 0; size < m.size; size += size < 4200 ? 1 : 509) {
        close(image_write(&m, dir, "a.seg", size));
        ck_assert_int_eq(open_and_sample("a.seg", &err),
                         size == 0 ? MPROXY_E_OFF : MPROXY_E_CORRUPT);
        ck_assert_ptr_nonnull(strstr(err.text, "a.seg"));
    }

    close(image_write(&m, dir, "a.seg", m.size));
    ck_assert_int_eq(open_and_sample("a.seg", &err), MPROXY_OK);
    ck_assert_uint_eq(mpx_readers_bytes(readers), 0);
    image_free(&m);
}
END_TEST

START_TEST(reader_keeps_the_last_good_values_when_the_file_shrinks)
{
    struct image m = two_rows();
    int fd = image_write(&m, dir, "a.seg", m.size);
    struct mpx_reader *r = must_open("a.seg");
    bool changed;
    mproxy_error err = {0};
    ck_assert_int_eq(mpx_reader_sample(r, &changed, &err), MPROXY_OK);

    ck_assert_int_eq(ftruncate(fd, 0), 0); // the mapping's pages are gone

    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(mpx_reader_sample(r, &changed, &err), MPROXY_E_CORRUPT);
        ck_assert(!changed);
        ck_assert_double_eq(mpx_reader_columns(r)[0], 1);
        ck_assert_double_eq(mpx_reader_columns(r)[128], 2);
        ck_assert_double_eq(mpx_reader_columns(r)[299], 3);
    }
    ck_assert(mpx_reader_is_final(r));
    close(fd);
    mpx_reader_close(r);
    image_free(&m);
}
END_TEST

START_TEST(reader_survives_rows_that_vanish_behind_its_size_check)
{
    struct image m = two_rows();
    int fd = image_write(&m, dir, "a.seg", m.size);
    struct mpx_reader *r = must_open("a.seg");
    bool changed;
    mproxy_error err;
    ck_assert_int_eq(unlinkat(dir, "a.seg", 0), 0);
    // No descriptor is kept, and the name is gone: the size cannot be looked at any more.
    struct mpx_readers_options options = {.max_descriptors = 1};
    struct mpx_readers *poor;
    ck_assert_int_eq(mpx_readers_open(&options, &poor, NULL), MPROXY_OK);
    close(image_write(&m, dir, "b.seg", m.size));
    close(image_write(&m, dir, "c.seg", m.size));
    struct mpx_reader *b, *c;
    ck_assert_int_eq(mpx_reader_open(poor, dir, "b.seg", &b, &err), MPROXY_OK);
    ck_assert_int_eq(mpx_reader_open(poor, dir, "c.seg", &c, &err), MPROXY_OK);
    int gone = openat(dir, "c.seg", O_RDWR);
    ck_assert_int_eq(mpx_reader_sample(c, &changed, &err), MPROXY_OK);
    ck_assert_int_eq(unlinkat(dir, "c.seg", 0), 0);

    ck_assert_int_eq(ftruncate(gone, MPX_SEG_PAGE), 0);

    ck_assert_int_eq(mpx_reader_sample(c, &changed, &err), MPROXY_E_CORRUPT);
    ck_assert_double_eq(mpx_reader_columns(c)[299], 3);
    close(gone);
    close(fd);
    mpx_reader_close(b);
    mpx_reader_close(c);
    mpx_reader_close(r);
    mpx_readers_close(poor);
    image_free(&m);
}
END_TEST

static volatile sig_atomic_t passed_on;

static void count_sigbus(int number)
{
    (void)number;
    passed_on++;
}

START_TEST(guard_leaves_the_signals_of_others_alone)
{
    mpx_readers_close(readers);
    struct sigaction action = {.sa_handler = count_sigbus}, now;
    ck_assert_int_eq(sigaction(SIGBUS, &action, NULL), 0);
    struct mpx_readers_options options = {0};
    ck_assert_int_eq(mpx_readers_open(&options, &readers, NULL), MPROXY_OK);

    raise(SIGBUS);

    ck_assert_int_eq(passed_on, 1);
    mpx_readers_close(readers);
    readers = NULL;
    ck_assert_int_eq(sigaction(SIGBUS, NULL, &now), 0);
    ck_assert_ptr_eq((void *)now.sa_handler, (void *)count_sigbus);
}
END_TEST

START_TEST(guard_lets_a_fault_elsewhere_kill_as_ever)
{
    int fd = openat(dir, "hole", O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(ftruncate(fd, MPX_SEG_PAGE), 0);
    volatile char *page = mmap(NULL, MPX_SEG_PAGE, PROT_READ, MAP_SHARED, fd, 0);
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    // No teardown after a death.
    ck_assert_int_eq(unlinkat(dir, "hole", 0), 0);
    ck_assert_int_eq(rmdir(folder), 0);

    ck_assert_int_eq(*page, 0); // dies of SIGBUS: that is what is expected of this test
}
END_TEST

// ---- a writer that scribbles while we read

struct scribble {
    unsigned char *map;
    size_t size, from;
    uint64_t seed;
    volatile bool stop;
};

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static void *scribble(void *arg)
{
    struct scribble *s = arg;
    while (!s->stop) {
        uint64_t x = next_random(&s->seed);
        size_t at = s->from + x % (s->size - s->from);
        ((volatile unsigned char *)s->map)[at] ^= (unsigned char)(1u << ((x >> 40) % 8));
    }
    return NULL;
}

START_TEST(reader_stands_a_writer_that_scribbles)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct image m = two_rows();
        int fd = image_write(&m, dir, "a.seg", m.size);
        struct scribble s = {.size = m.size, .seed = seed * 7919};
        // Sometimes only the values and the log, so that it is not over at the first byte.
        s.from = seed % 3 == 0   ? 0
                 : seed % 3 == 1 ? MPX_SEG_LOG_OFFSET
                                 : 3 * MPX_SEG_PAGE;
        s.map = mmap(NULL, m.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, scribble, &s), 0);

        for (int i = 0; i < 20; i++) {
            struct mpx_reader *r = NULL;
            bool changed;
            mproxy_error err;
            if (mpx_reader_open(readers, dir, "a.seg", &r, &err) != MPROXY_OK)
                continue;
            for (int round = 0; round < 20; round++)
                mpx_reader_sample(r, &changed, &err);
            mpx_reader_close(r);
        }

        s.stop = true;
        pthread_join(thread, NULL);
        munmap(s.map, m.size);
        close(fd);
        image_free(&m);
        ck_assert_uint_eq(mpx_readers_bytes(readers), 0);
    }
}
END_TEST

static void *resize(void *arg)
{
    struct scribble *s = arg;
    int fd = (int)s->from;
    while (!s->stop) {
        uint64_t x = next_random(&s->seed);
        if (ftruncate(fd, (off_t)(x % 12) * MPX_SEG_PAGE) != 0)
            break;
        ssize_t put = pwrite(fd, s->map, s->size, 0);
        (void)put;
    }
    return NULL;
}

START_TEST(reader_stands_a_writer_that_grows_and_shrinks)
{
    struct image m = two_rows();
    int fd = image_write(&m, dir, "a.seg", m.size);
    struct scribble s = {.map = m.bytes, .size = m.size, .from = (size_t)fd, .seed = 99};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, resize, &s), 0);

    unsigned good = 0, bad = 0;
    for (int i = 0; i < 3000; i++) {
        struct mpx_reader *r = NULL;
        bool changed;
        mproxy_error err;
        if (mpx_reader_open(readers, dir, "a.seg", &r, &err) != MPROXY_OK) {
            bad++;
            continue;
        }
        for (int round = 0; round < 10; round++)
            if (mpx_reader_sample(r, &changed, &err) == MPROXY_OK)
                good++;
        mpx_reader_close(r);
    }

    s.stop = true;
    pthread_join(thread, NULL);
    ck_assert_uint_gt(bad + good, 0);
    ck_assert_uint_eq(mpx_readers_bytes(readers), 0);
    close(fd);
    image_free(&m);
}
END_TEST

// ---- one field at a time

struct lie {
    size_t offset; // of a 32-bit word in the record or header
    uint32_t value;
};

static const struct lie header_lies[] = {
    {offsetof(struct mpx_seg_header, magic), 0},
    {offsetof(struct mpx_seg_header, page_size), 0},
    {offsetof(struct mpx_seg_header, page_size), 2048},
    {offsetof(struct mpx_seg_header, page_size), 12288},
    {offsetof(struct mpx_seg_header, page_size), 65536}, // more than the file
    {offsetof(struct mpx_seg_header, page_size), 131072},
    {offsetof(struct mpx_seg_header, kind), 4},
    {offsetof(struct mpx_seg_header, log_count), 0},
    {offsetof(struct mpx_seg_header, log_count), 65537},
    {offsetof(struct mpx_seg_header, log_count), UINT32_MAX},
};

START_TEST(reader_refuses_a_lie_in_the_header)
{
    struct image m = two_rows();
    mproxy_error err;
    memcpy(m.bytes + header_lies[_i].offset, &header_lies[_i].value, 4);
    close(image_write(&m, dir, "a.seg", m.size));

    ck_assert_int_eq(open_and_sample("a.seg", &err), MPROXY_E_CORRUPT);
    image_free(&m);
}
END_TEST

static const struct lie metric_lies[] = {
    {offsetof(struct mpx_rec_metric, head.size), 0},
    {offsetof(struct mpx_rec_metric, head.size), 12},
    {offsetof(struct mpx_rec_metric, head.size), UINT32_MAX - 7},
    {offsetof(struct mpx_rec_metric, kind), 0},
    {offsetof(struct mpx_rec_metric, kind), 5},
    {offsetof(struct mpx_rec_metric, slot), MPX_SEG_SLOTS_MAX},
    {offsetof(struct mpx_rec_metric, slot), UINT32_MAX},
    {offsetof(struct mpx_rec_metric, slot_count), 2},
    {offsetof(struct mpx_rec_metric, slot_count), UINT32_MAX},
    {offsetof(struct mpx_rec_metric, bound_count), UINT32_MAX},
    {offsetof(struct mpx_rec_metric, name_length), UINT32_MAX},
    {offsetof(struct mpx_rec_metric, doc_length), UINT32_MAX},
    {offsetof(struct mpx_rec_metric, name_length), 4000},
};

START_TEST(reader_refuses_a_lie_in_a_definition)
{
    struct image m = image_new(1, "j");
    struct mpx_rec_metric *d = image_metric(&m, MPX_DEF_COUNTER, 0, "name", NULL, 0);
    memcpy((char *)d + metric_lies[_i].offset, &metric_lies[_i].value, 4);
    close(image_write(&m, dir, "a.seg", m.size));
    mproxy_error err;

    ck_assert_int_eq(open_and_sample("a.seg", &err), MPROXY_E_CORRUPT);
    image_free(&m);
}
END_TEST

static const struct lie extent_lies[] = {
    {offsetof(struct mpx_rec_extent, row), MPX_SEG_ROWS_MAX},
    {offsetof(struct mpx_rec_extent, row), UINT32_MAX},
    {offsetof(struct mpx_rec_extent, first), 8},
    {offsetof(struct mpx_rec_extent, count), 0},
    {offsetof(struct mpx_rec_extent, count), 513},
    {offsetof(struct mpx_rec_extent, count), UINT32_MAX},
    {offsetof(struct mpx_rec_extent, offset), 0},
    {offsetof(struct mpx_rec_extent, offset), 4100},
    {offsetof(struct mpx_rec_extent, offset), 4104},
    {offsetof(struct mpx_rec_extent, offset) + 4, 1},
    {offsetof(struct mpx_rec_extent, offset) + 4, UINT32_MAX},
};

START_TEST(reader_refuses_a_lie_in_an_extent)
{
    struct image m = image_new(1, "j");
    image_extent(&m, 1, 0, 512);
    struct mpx_rec_extent *e = (void *)(m.bytes + m.at - sizeof(struct mpx_rec_extent));
    memcpy((char *)e + extent_lies[_i].offset, &extent_lies[_i].value, 4);
    close(image_write(&m, dir, "a.seg", m.size));
    mproxy_error err;

    ck_assert_int_eq(open_and_sample("a.seg", &err), MPROXY_E_CORRUPT);
    image_free(&m);
}
END_TEST

START_TEST(reader_refuses_a_job_record_that_is_too_long)
{
    struct image m = image_new(1, "j");
    struct mpx_rec_job *job = (void *)(m.bytes + MPX_SEG_LOG_OFFSET);
    job->length[_i] = _i == 0 ? UINT32_MAX : 60000;
    close(image_write(&m, dir, "a.seg", m.size));
    mproxy_error err;

    ck_assert_int_eq(open_and_sample("a.seg", &err), MPROXY_E_CORRUPT);
    image_free(&m);
}
END_TEST

START_TEST(reader_refuses_a_log_that_runs_in_a_circle)
{
    struct image m = image_new(1, "j");
    struct mpx_rec_next *next = image_record(&m, MPX_REC_NEXT, sizeof *next);
    next->offset = (uint64_t)((unsigned char *)next - m.bytes);
    next->length = sizeof *next;
    image_header(&m)->log_count = MPX_SEG_RECORDS_MAX;
    close(image_write(&m, dir, "a.seg", m.size));
    mproxy_error err;

    ck_assert_int_eq(open_and_sample("a.seg", &err), MPROXY_E_CORRUPT);
    image_free(&m);
}
END_TEST

START_TEST(reader_cleans_the_job_but_not_its_id)
{
    struct image m = image_new(1, "id\n\xff");
    struct mpx_rec_job *job = (void *)(m.bytes + MPX_SEG_LOG_OFFSET);
    memcpy((char *)(job + 1) + 5,
           "a\nb\xff"
           "cde",
           7);
    close(image_write(&m, dir, "a.seg", m.size));

    struct mpx_reader *r = must_open("a.seg");

    ck_assert_str_eq(mpx_reader_job(r)->jobid, "id\n\xff");
    ck_assert_str_eq(mpx_reader_job(r)->command, "a?b?cde");
    mpx_reader_close(r);
    image_free(&m);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
    Suite *suite = suite_create("reader_hostile");
    TCase *tc = tcase_create("reader_hostile");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, reader_refuses_a_file_cut_at_any_length);
    tcase_add_test(tc, reader_keeps_the_last_good_values_when_the_file_shrinks);
    tcase_add_test(tc, reader_survives_rows_that_vanish_behind_its_size_check);
    tcase_add_test(tc, guard_leaves_the_signals_of_others_alone);
    tcase_add_test_raise_signal(tc, guard_lets_a_fault_elsewhere_kill_as_ever, SIGBUS);
    tcase_add_test(tc, reader_stands_a_writer_that_scribbles);
    tcase_add_test(tc, reader_stands_a_writer_that_grows_and_shrinks);
    tcase_add_loop_test(tc, reader_refuses_a_lie_in_the_header, 0, COUNT(header_lies));
    tcase_add_loop_test(tc, reader_refuses_a_lie_in_a_definition, 0, COUNT(metric_lies));
    tcase_add_loop_test(tc, reader_refuses_a_lie_in_an_extent, 0, COUNT(extent_lies));
    tcase_add_loop_test(tc, reader_refuses_a_job_record_that_is_too_long, 0, 6);
    tcase_add_test(tc, reader_refuses_a_log_that_runs_in_a_circle);
    tcase_add_test(tc, reader_cleans_the_job_but_not_its_id);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
