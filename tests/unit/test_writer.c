// The writing side of a segment: birth, definitions, rows, limits. test_writer_child.c forks.
#include <sys/resource.h>

#include "../support/writer_fixture.h"
#include "reader/reader.h"
#include "segment/crowd.h"
#include "segment/rendezvous.h"
#include "writer/parts.h"

START_TEST(segment_tells_who_we_are_and_is_locked)
{
    char expect[100];
    struct mpx_writer *w = open_kind(MPX_SEG_PROGRAM);

    struct probe p = read_back(w);

    const struct mpx_seg_header *h = probe_header(&p);
    ck_assert_uint_eq(h->magic, MPX_SEG_MAGIC);
    ck_assert_uint_eq(h->pid, (unsigned)getpid());
    ck_assert_uint_eq(h->rank, 3);
    ck_assert_uint_gt(h->start_ticks, 0);
    snprintf(expect, sizeof expect, "%d-%llu-%llu-0.seg", (int)getpid(),
             (unsigned long long)h->start_ticks, (unsigned long long)h->pid_ns);
    ck_assert_str_eq(p.name, expect);
    ck_assert_int_eq((long)p.size, sysconf(_SC_PAGESIZE));
    ck_assert_int_eq(h->page_size, sysconf(_SC_PAGESIZE));
    ck_assert(p.locked);
    const struct mpx_rec_job *record = probe_find(&p, NULL).job;
    ck_assert_uint_eq(record->job_size, 4);
    ck_assert_str_eq((const char *)(record + 1), "job 7");
    ck_assert_int_eq(probe_entries(program_dir, ".new-"), 0);
    probe_close(&p);
    mpx_writer_close(w);
}
END_TEST

START_TEST(closing_makes_the_segment_final)
{
    char name[256];
    struct probe p = {0};
    struct mpx_writer *w = open_kind(MPX_SEG_PROGRAM);
    snprintf(name, sizeof name, "%s", mpx_writer_path(w) + strlen(program_dir) + 1);

    mpx_writer_close(w);

    ck_assert(probe_open(&p, program_dir, name));
    ck_assert(!p.locked);
    probe_close(&p);
    mpx_writer_close(NULL);
}
END_TEST

START_TEST(images_take_the_first_free_number)
{
    struct mpx_writer *w[40];
    for (uint32_t i = 0; i < 40; i++) {
        w[i] = open_kind(MPX_SEG_PROGRAM);
        ck_assert_uint_eq(mpx_writer_header(w[i])->image, i);
    }

    for (int i = 0; i < 40; i++)
        mpx_writer_close(w[i]);
    ck_assert_int_eq(probe_directory(program_dir, 0, NULL).segments, 40);
}
END_TEST

START_TEST(segments_of_a_gateway_do_not_clash)
{
    struct mpx_writer *a = open_kind(MPX_SEG_GATEWAY), *b = open_kind(MPX_SEG_PASSIVE);

    ck_assert_str_ne(mpx_writer_path(a), mpx_writer_path(b));
    ck_assert_ptr_nonnull(strstr(mpx_writer_path(a), "-g"));
    ck_assert_int_eq(probe_directory(program_dir, getpid(), NULL).locked, 2);

    mpx_writer_close(a);
    mpx_writer_close(b);
}
END_TEST

START_TEST(earlier_image_that_started_is_found)
{
    struct mpx_writer *launch = open_kind(MPX_SEG_LAUNCH);
    struct mpx_writer *first = open_kind(MPX_SEG_PROGRAM);
    ck_assert(!mpx_writer_started_before(first));

    mpx_writer_header(first)->started = 1;
    mpx_writer_close(first);
    struct mpx_writer *second = open_kind(MPX_SEG_PROGRAM);

    ck_assert(mpx_writer_started_before(second));
    mpx_writer_close(second);
    mpx_writer_close(launch);
}
END_TEST

START_TEST(a_job_record_of_64_kib_gets_a_chunk_of_its_own)
{
    static char command[MPROXY_JOB_COMMAND_MAX + 100];
    memset(command, 'c', sizeof command - 1);
    mproxy_job large = {.jobid = "big", .command = command};
    struct mpx_writer_birth birth = {.dir_path = program_dir,
                                     .job = &large,
                                     .is_proxys = true,
                                     .page_size = page_size_of(_i)};
    struct mpx_writer *w;
    unsigned reasons;
    ck_assert_int_eq(mpx_writer_open(&birth, &w, &reasons, NULL), MPROXY_OK);

    uint32_t slot = define(w, "after_total");
    mpx_writer_row(w, 0).slots[slot] = 5;
    struct probe p = read_back(w);

    const struct mpx_rec_job *record = probe_find(&p, NULL).job;
    ck_assert_uint_eq(record->length[1], MPROXY_JOB_COMMAND_MAX);
    ck_assert_int_eq(probe_counter(&p, "after_total"), 5);
    probe_close(&p);
    mpx_writer_close(w);
}
END_TEST

START_TEST(ten_thousand_definitions_are_read_back)
{
    char name[40];
    struct mpx_writer *w = open_paged(MPX_SEG_PROGRAM, page_size_of(_i));
    const _Atomic uint64_t *row = mpx_writer_row(w, 0).slots;

    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "metric_%d_total", i);
        uint32_t slot = define(w, name);
        mpx_writer_row(w, 0).slots[slot] = (uint64_t)i;
    }

    ck_assert_ptr_eq(row, mpx_writer_row(w, 0).slots);
    struct probe p = read_back(w);
    ck_assert_uint_eq(probe_find(&p, NULL).metrics, 10000);
    for (int i = 0; i < 10000; i += 137) {
        snprintf(name, sizeof name, "metric_%d_total", i);
        ck_assert_int_eq(probe_counter(&p, name), i);
    }
    ck_assert_uint_lt(p.size, 2 << 20);
    ck_assert_uint_eq(p.size % page_size_of(_i), 0);
    probe_close(&p);
    mpx_writer_close(w);
}
END_TEST

START_TEST(segments_of_large_pages_are_read_as_those_of_small_ones)
{
    struct mpx_readers_options options = {0};
    struct mpx_readers *readers;
    struct mpx_reader *r;
    uint32_t row;
    char name[40];
    bool changed;
    struct mpx_writer *w = open_paged(MPX_SEG_PROGRAM, page_size_of(_i));
    int dir = open(program_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(mpx_readers_open(&options, &readers, NULL), MPROXY_OK);
    // Before there is more than a page, and more often than it can hold.
    ck_assert_int_eq(mpx_reader_open(readers, dir,
                                     mpx_writer_path(w) + strlen(program_dir) + 1, &r,
                                     NULL),
                     MPROXY_OK);

    for (int i = 0; i < 9000; i++) {
        snprintf(name, sizeof name, "metric_%d_total", i);
        mpx_writer_row(w, 0).slots[define(w, name)] = 1;
    }
    ck_assert_int_eq(mpx_writer_add_row(w, 9000, &row, NULL), MPROXY_OK);
    for (int i = 0; i < 9000; i++)
        mpx_writer_row(w, row).slots[i] = (uint64_t)i;
    mproxy_error err = {0};
    ck_assert_msg(mpx_reader_sample(r, &changed, &err) == MPROXY_OK, "%s", err.text);

    ck_assert_uint_eq(mpx_reader_table(r)->count, 9000);
    for (int i = 0; i < 9000; i++)
        ck_assert_double_eq(mpx_reader_columns(r)[i], i + 1);
    mpx_reader_close(r);
    mpx_readers_close(readers);
    close(dir);
    mpx_writer_close(w);
}
END_TEST

START_TEST(slots_end_at_their_bound_with_a_flag)
{
    mproxy_error err = {0};
    uint32_t slot;
    char name[40];
    struct mpx_writer *w = open_paged(MPX_SEG_PROGRAM, page_size_of(_i));
    for (int i = 0; i < MPX_SEG_SLOTS_MAX / 2; i++) {
        snprintf(name, sizeof name, "gauge_%d", i);
        ck_assert_int_eq(
            mpx_writer_define(w, MPX_DEF_GAUGE, name, NULL, 1, NULL, 0, &slot, NULL),
            MPROXY_OK);
    }
    ck_assert_uint_eq(mpx_writer_header(w)->flags, 0);

    ck_assert_int_eq(mpx_writer_define(w, MPX_DEF_COUNTER, "more_total", NULL, 1, NULL, 0,
                                       &slot, &err),
                     MPROXY_E_LIMIT);

    ck_assert_uint_eq(mpx_writer_header(w)->flags, MPX_OFF_LIMIT);
    ck_assert_ptr_nonnull(strstr(err.text, "bound"));
    mpx_writer_close(w);
}
END_TEST

START_TEST(rows_keep_their_address_while_they_grow)
{
    uint32_t row;
    struct mpx_writer *w = open_paged(MPX_SEG_PROGRAM, page_size_of(_i));
    ck_assert_int_eq(mpx_writer_add_row(w, 1, &row, NULL), MPROXY_OK);
    _Atomic uint64_t *slots = mpx_writer_row(w, row).slots;
    slots[0] = 11;

    ck_assert_int_eq(mpx_writer_extend_row(w, row, MPX_SEG_SLOTS_MAX, NULL), MPROXY_OK);

    ck_assert_ptr_eq(slots, mpx_writer_row(w, row).slots);
    ck_assert_uint_eq(mpx_writer_row(w, row).extent, MPX_SEG_SLOTS_MAX);
    slots[MPX_SEG_SLOTS_MAX - 1] = 12;
    struct probe p = read_back(w);
    ck_assert_uint_eq(probe_slot(&p, 0).sum, 11);
    ck_assert_uint_eq(probe_slot(&p, MPX_SEG_SLOTS_MAX - 1).sum, 12);
    probe_close(&p);
    ck_assert_int_eq(mpx_writer_extend_row(w, row, MPX_SEG_SLOTS_MAX + 1, NULL),
                     MPROXY_E_LIMIT);
    mpx_writer_close(w);
}
END_TEST

START_TEST(a_removed_file_does_not_grow)
{
    uint32_t row, slot;
    mproxy_error err = {0};
    struct mpx_writer *w = open_kind(MPX_SEG_PROGRAM);
    define(w, "before_total");
    unlink(mpx_writer_path(w));

    ck_assert_int_eq(mpx_writer_add_row(w, 1, &row, &err), MPROXY_E_SYSTEM);

    ck_assert_ptr_nonnull(strstr(err.text, "removed"));
    ck_assert_uint_eq(mpx_writer_header(w)->flags, 0);
    // A file of the same name is not ours.
    int fd = open(mpx_writer_path(w), O_CREAT | O_RDWR, 0600);
    ck_assert_int_eq(ftruncate(fd, 8192), 0);
    ck_assert_int_eq(mpx_writer_add_row(w, 1, &row, &err), MPROXY_E_SYSTEM);
    for (int i = 0; i < 200; i++) {
        char name[40];
        snprintf(name, sizeof name, "metric_%d_total", i);
        mpx_writer_define(w, MPX_DEF_COUNTER, name, NULL, 1, NULL, 0, &slot, NULL);
    }
    ck_assert_uint_eq(mpx_writer_header(w)->flags, MPX_OFF_REMOVED);
    struct stat st;
    fstat(fd, &st);
    ck_assert_int_eq(st.st_size, 8192);
    mpx_writer_close(w);
}
END_TEST

START_TEST(missing_and_foreign_directories_are_told_apart)
{
    struct mpx_writer *w;
    unsigned reasons = 99;
    struct mpx_writer_birth birth = {.dir_path = "/dev/shm/mproxy-no-such-directory.d",
                                     .job = &job};
    ck_assert_int_eq(mpx_writer_open(&birth, &w, &reasons, NULL), MPROXY_E_NOTFOUND);
    ck_assert_uint_eq(reasons, 0);

    chmod(program_dir, 0777);
    birth.dir_path = program_dir;
    ck_assert_int_eq(mpx_writer_open(&birth, &w, &reasons, NULL), MPROXY_E_SYSTEM);
    ck_assert_uint_eq(reasons, MPX_OFF_ACCESS);
    ck_assert_int_eq(probe_entries(program_dir, ".new-"), 0);
}
END_TEST

static void fill_directory(int count)
{
    char path[200];
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%d-1-1-0.seg", program_dir, i);
        close(open(path, O_CREAT | O_WRONLY, 0600));
    }
}

START_TEST(bounds_hold_only_while_no_proxy_lives)
{
    struct mpx_writer *w;
    unsigned reasons = 0;
    int fd, lock;
    struct mpx_writer_birth birth = {.dir_path = program_dir, .job = &job};
    fill_directory(MPX_CROWD_ENTRIES_MAX - 1);

    ck_assert_int_eq(mpx_writer_open(&birth, &w, &reasons, NULL), MPROXY_OK);
    mpx_writer_close(w);
    ck_assert_int_eq(mpx_writer_open(&birth, &w, &reasons, NULL), MPROXY_E_SYSTEM);
    ck_assert_uint_eq(reasons, MPX_OFF_CROWDED);

    ck_assert_int_eq(mpx_rendezvous_open(program_dir, false, &fd, NULL), MPROXY_OK);
    ck_assert_int_eq(mpx_rendezvous_take(fd, &lock, NULL), MPROXY_OK);
    ck_assert_int_eq(mpx_writer_open(&birth, &w, &reasons, NULL), MPROXY_OK);
    mpx_writer_close(w);
}
END_TEST

START_TEST(large_segments_meet_the_bound_of_bytes)
{
    char path[200];
    uint32_t row;
    mproxy_error err = {0};
    struct mpx_writer *w = open_kind(MPX_SEG_PROGRAM);
    snprintf(path, sizeof path, "%s/1-1-1-0.seg", program_dir);
    int fd = open(path, O_CREAT | O_RDWR, 0600);
    ck_assert_int_eq(posix_fallocate(fd, 0, MPX_CROWD_BYTES_MAX), 0);
    close(fd);

    ck_assert_int_eq(mpx_writer_add_row(w, 512, &row, &err), MPROXY_OK);
    ck_assert_int_eq(mpx_writer_add_row(w, MPX_SEG_SLOTS_MAX, &row, &err),
                     MPROXY_E_SYSTEM);

    ck_assert_ptr_nonnull(strstr(err.text, "too many"));
    mpx_writer_close(w);
}
END_TEST

START_TEST(file_size_limit_is_never_passed)
{
    // At each limit of whole and of broken pages: SIGXFSZ would end the test.
    for (rlim_t limit = 0; limit < 40000; limit += 1000) {
        pid_t pid = fork();
        if (pid == 0) {
            struct rlimit r = {.rlim_cur = limit, .rlim_max = limit};
            setrlimit(RLIMIT_FSIZE, &r);
            struct mpx_writer *w;
            uint32_t slot;
            unsigned reasons;
            struct mpx_writer_birth birth = {.dir_path = program_dir, .job = &job};
            if (mpx_writer_open(&birth, &w, &reasons, NULL) != MPROXY_OK)
                _exit(reasons == MPX_OFF_FSIZE && limit < (rlim_t)sysconf(_SC_PAGESIZE)
                          ? 0
                          : 1);
            for (int i = 0; i < 3000; i++) {
                char name[40];
                snprintf(name, sizeof name, "metric_%d_total", i);
                if (mpx_writer_define(w, MPX_DEF_COUNTER, name, "", 1, NULL, 0, &slot,
                                      NULL) != MPROXY_OK)
                    _exit(mpx_writer_header(w)->flags == MPX_OFF_FSIZE ? 0 : 2);
                mpx_writer_row(w, 0).slots[slot] = 1;
            }
            _exit(3);
        }
        ck_assert_int_eq(program_wait(pid), 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("writer");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, program_setup, program_teardown);
    tcase_add_test(t, segment_tells_who_we_are_and_is_locked);
    tcase_add_test(t, closing_makes_the_segment_final);
    tcase_add_test(t, images_take_the_first_free_number);
    tcase_add_test(t, segments_of_a_gateway_do_not_clash);
    tcase_add_test(t, earlier_image_that_started_is_found);
    tcase_add_loop_test(t, a_job_record_of_64_kib_gets_a_chunk_of_its_own, 0, PAGE_SIZES);
    tcase_add_loop_test(t, ten_thousand_definitions_are_read_back, 0, PAGE_SIZES);
    tcase_add_loop_test(t, segments_of_large_pages_are_read_as_those_of_small_ones, 0,
                        PAGE_SIZES);
    tcase_add_loop_test(t, slots_end_at_their_bound_with_a_flag, 0, PAGE_SIZES);
    tcase_add_loop_test(t, rows_keep_their_address_while_they_grow, 0, PAGE_SIZES);
    tcase_add_test(t, a_removed_file_does_not_grow);
    tcase_add_test(t, missing_and_foreign_directories_are_told_apart);
    tcase_add_test(t, bounds_hold_only_while_no_proxy_lives);
    tcase_add_test(t, large_segments_meet_the_bound_of_bytes);
    tcase_add_test(t, file_size_limit_is_never_passed);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
