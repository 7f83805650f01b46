// The segment of a forked child: memory first, then a file of its own, and nothing twice.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "../support/writer_fixture.h"
#include "writer/parts.h"

START_TEST(a_child_writes_to_memory_and_then_to_a_file_of_its_own)
{
    unsigned reasons;
    uint32_t row, slot = 0;
    char name[40];
    struct mpx_writer *w = open_paged(MPX_SEG_PROGRAM, page_size_of(_i));
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "metric_%d_total", i);
        slot = define(w, name);
    }
    ck_assert_int_eq(mpx_writer_add_row(w, 2000, &row, NULL), MPROXY_OK);
    _Atomic uint64_t *zero = mpx_writer_row(w, 0).slots;
    zero[slot] = 100;
    mpx_writer_row(w, row).slots[0] = 7;

    pid_t pid = fork();
    if (pid == 0) {
        PROGRAM_CHECK(mpx_writer_child_begin(w, 0, &reasons, NULL) == MPROXY_OK);
        PROGRAM_CHECK(zero[slot] == 100); // the parent's
        PROGRAM_CHECK(mpx_writer_child_detach(w, row));
        PROGRAM_CHECK(zero[slot] == 0);
        mpx_writer_row(w, row).slots[0] = 66; // an update that is pending
        PROGRAM_CHECK(mpx_writer_child_restore(w, &reasons, NULL) == MPROXY_OK);
        PROGRAM_CHECK(mpx_writer_row(w, 0).slots == zero && zero[slot] == 0);
        zero[slot] = 1;
        PROGRAM_CHECK(mpx_writer_row(w, row).extent == 0);
        mpx_writer_row(w, row).slots[0] = 77; // memory, not the file
        PROGRAM_CHECK(mpx_writer_extend_row(w, row, 5, NULL) == MPROXY_OK);
        mpx_writer_row(w, row).slots[0] = 2;
        PROGRAM_CHECK(mpx_writer_define(w, MPX_DEF_COUNTER, "new_total", "", 1, NULL, 0,
                                        &slot, NULL) == MPROXY_OK);
        PROGRAM_CHECK(slot == 2000);
        _exit(0);
    }
    ck_assert_int_eq(program_wait(pid), 0);

    ck_assert_int_eq(probe_directory(program_dir, getpid(), "metric_1999_total").value,
                     100);
    ck_assert_int_eq(probe_directory(program_dir, getpid(), "metric_0_total").value, 7);
    ck_assert_int_eq(probe_directory(program_dir, pid, "metric_1999_total").value, 1);
    ck_assert_int_eq(probe_directory(program_dir, pid, "metric_0_total").value, 2);
    ck_assert_int_eq(probe_directory(program_dir, pid, "new_total").value, 0);
    ck_assert_int_eq(probe_directory(program_dir, pid, NULL).locked, 0);
    mpx_writer_close(w);
}
END_TEST

// As if killed between the mapping of a chunk, or of a row's end, and what comes after it.
START_TEST(a_change_that_was_stopped_leaves_no_mapping_behind)
{
    unsigned reasons;
    char name[40];
    uint32_t row, slot = 0;
    struct mpx_writer *w = open_kind(MPX_SEG_PROGRAM);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "metric_%d_total", i);
        define(w, name);
    }
    ck_assert_uint_gt(w->chunk_count, 1);
    ck_assert_int_eq(mpx_writer_add_row(w, 1, &row, NULL), MPROXY_OK);

    // Published: it stays, and is read in a forked child.
    w->file.mapped_at = w->chunks[1].at;
    w->file.mapped_length = w->chunks[1].length;
    mpx_writer_resume(w);
    pid_t pid = fork();
    if (pid == 0) {
        PROGRAM_CHECK(mpx_writer_child_begin(w, 0, &reasons, NULL) == MPROXY_OK);
        PROGRAM_CHECK(mpx_writer_child_detach(w, 0));
        PROGRAM_CHECK(mpx_writer_child_restore(w, &reasons, NULL) == MPROXY_OK);
        _exit(0);
    }
    ck_assert_int_eq(program_wait(pid), 0);

    // Not published: nothing of the file is left there.
    w->file.mapped_at = mmap(NULL, page, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    w->file.mapped_length = page;
    void *free_room = w->file.mapped_at;
    mpx_writer_resume(w);
    ck_assert_int_eq(msync(free_room, page, MS_ASYNC), -1);
    char *end = w->rows[row].at + w->rows[row].extent * 8;
    ck_assert_ptr_eq(
        mmap(end, page, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0), end);
    w->file.mapped_at = end;
    w->file.mapped_length = page;
    mpx_writer_resume(w);
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], end, 1), -1); // reserved, and not to be read
    ck_assert_int_eq(mpx_writer_extend_row(w, row, 1000, NULL), MPROXY_OK);
    slot = define(w, "last_total");
    ck_assert_uint_eq(slot, 100);
    mpx_writer_close(w);
}
END_TEST

// As in a child that was forked while another thread opened the file.
START_TEST(a_descriptor_that_is_being_opened_is_closed_whatever_its_number)
{
    struct rlimit r;
    struct mpx_writer *w = open_kind(MPX_SEG_PROGRAM);
    getrlimit(RLIMIT_NOFILE, &r);
    r.rlim_cur = r.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &r), 0);
    int low = open(mpx_writer_path(w), O_RDWR), other = open("/dev/null", O_RDWR);
    int high = fcntl(low, F_DUPFD, 1500);
    ck_assert(low >= 0 && other >= 0 && high >= 1500);

    w->file.fd = -1;
    w->file.opening = true;
    mpx_writer_resume(w);

    ck_assert_int_eq(fcntl(low, F_GETFD), -1);
    ck_assert_int_eq(fcntl(high, F_GETFD), -1);
    ck_assert_int_ge(fcntl(other, F_GETFD), 0);
    close(other);
    mpx_writer_close(w);
}
END_TEST

// A handle's slot stays its own where its definition could not be taken over.
START_TEST(a_child_short_of_room_gives_no_slot_twice)
{
    unsigned reasons;
    uint32_t slot = 0, other = 0;
    char name[40];
    mproxy_error err = {0};
    struct mpx_writer *w = open_kind(MPX_SEG_PROGRAM);
    for (int i = 0; i < 120; i++) {
        snprintf(name, sizeof name, "metric_%d_total", i);
        slot = define(w, name);
    }

    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit r = {(rlim_t)sysconf(_SC_PAGESIZE), RLIM_INFINITY};
        setrlimit(RLIMIT_FSIZE, &r);
        PROGRAM_CHECK(mpx_writer_child_begin(w, 0, &reasons, NULL) == MPROXY_OK);
        PROGRAM_CHECK(mpx_writer_child_detach(w, 0));
        PROGRAM_CHECK(mpx_writer_child_restore(w, &reasons, NULL) == MPROXY_E_SYSTEM);
        PROGRAM_CHECK(reasons == MPX_OFF_FSIZE);
        mpx_writer_resume(w);
        PROGRAM_CHECK(mpx_writer_define(w, MPX_DEF_COUNTER, "x", "", 1, NULL, 0, &other,
                                        &err) != MPROXY_OK);
        // Its own child has room again.
        pid_t grandchild = fork();
        if (grandchild == 0) {
            r.rlim_cur = RLIM_INFINITY;
            setrlimit(RLIMIT_FSIZE, &r);
            PROGRAM_CHECK(mpx_writer_child_begin(w, 0, &reasons, NULL) == MPROXY_OK);
            PROGRAM_CHECK(mpx_writer_child_detach(w, 0));
            PROGRAM_CHECK(mpx_writer_child_restore(w, &reasons, NULL) == MPROXY_OK);
            PROGRAM_CHECK(mpx_writer_define(w, MPX_DEF_COUNTER, "x", "", 1, NULL, 0,
                                            &other, &err) == MPROXY_OK);
            PROGRAM_CHECK(other == slot + 1);
            _exit(0);
        }
        int status = -1;
        PROGRAM_CHECK(waitpid(grandchild, &status, 0) == grandchild && status == 0);
        _exit(0);
    }
    ck_assert_int_eq(program_wait(pid), 0);
    mpx_writer_close(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("writer_child");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, program_setup, program_teardown);
    tcase_add_loop_test(t, a_child_writes_to_memory_and_then_to_a_file_of_its_own, 0,
                        PAGE_SIZES);
    tcase_add_test(t, a_change_that_was_stopped_leaves_no_mapping_behind);
    tcase_add_test(t, a_descriptor_that_is_being_opened_is_closed_whatever_its_number);
    tcase_add_test(t, a_child_short_of_room_gives_no_slot_twice);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
