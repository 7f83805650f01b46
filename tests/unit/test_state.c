// The state file: what it brings back, what is refused, and what happens while it cannot be
// written.

#include "../support/ledger_fixture.h"
#include "../support/suite.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "ledger/state_file.h"

static struct fixture f;

static void setup(void)
{
    fixture_init(&f);
}

static void teardown(void)
{
    fixture_fini(&f);
}

static size_t read_state(char **out)
{
    struct stat st;
    int fd = openat(f.fd, "ledger", O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    *out = malloc((size_t)st.st_size);
    ck_assert_int_eq(read(fd, *out, (size_t)st.st_size), st.st_size);
    close(fd);
    uint64_t body;
    memcpy(&body, *out + 16, sizeof body);
    return 24 + (size_t)body; // without the reserve behind it
}

static void write_state(const char *bytes, size_t length)
{
    int fd = openat(f.fd, "ledger", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, length), (ssize_t)length);
    close(fd);
}

// As a proxy that was killed leaves it.
static void leave(void)
{
    mproxy_ledger_close(f.ledger);
    mproxy_store_close(f.store);
    f.ledger = NULL;
    fixture_store(&f);
}

static void fill(void)
{
    struct person a, b, c, d;
    person_start(&f, &a, 1, "one", 3);
    person_init(&f, &b, 2, "two");
    person_start(&f, &c, 3, "", 7);
    person_start(&f, &d, 4, "one", 11);
    d.process.rank = 5;
    person_count(&b, BYTES, 1.5);
    person_set(&a, 2);
    person_end(&f, &a);
    person_end(&f, &c);
    person_end(&f, &d);
    ROUND(&f, &a, &b, &c, &d);
}

START_TEST(a_state_reads_back_as_it_was_written)
{
    struct person b;
    fill();
    uint8_t directory[16];
    memcpy(directory, mproxy_ledger_directory(f.ledger), 16);
    uint64_t ts = value_of(source_of(&f, 1), "hits_total")->ts_us;

    fixture_restart(&f);
    person_init(&f, &b, 2, "two");
    ROUND(&f, &b);

    const mproxy_source *one = source_of(&f, 1);
    ck_assert_mem_eq(mproxy_ledger_directory(f.ledger), directory, 16);
    ck_assert_double_eq(total_of(one, "hits_total"), 14);
    ck_assert_uint_eq(value_of(one, "hits_total")->ts_us, ts);
    ck_assert_double_eq(value_of(one, "level")->hits, 1);
    ck_assert_double_eq(value_of(one, "level")->max, 2);
    ck_assert_str_eq(one->job->command, "./a");
    ck_assert_str_eq(one->job->run_dir, "/x");
    ck_assert_uint_eq(one->uid, 1000);
    ck_assert_int_eq(one->start_ms, (int64_t)(wall_us_at(1000000) / 1000));
    ck_assert_str_eq(source_of(&f, 2)->job->jobid, "two");
    ck_assert_double_eq(total_of(base_of(&f), "hits_total"), 7);
    ck_assert_str_eq(value_of(one, "hits_total") ? mproxy_metric_doc(one->metrics[1])
                                                 : "",
                     "a test's");
}
END_TEST

static struct stat stat_of(const char *name)
{
    struct stat st;
    ck_assert_int_eq(fstatat(f.fd, name, &st, 0), 0);
    return st;
}

// They lie in memory. What is left is room for twice the state, on a full disk as well.
START_TEST(files_of_a_state_that_was_large_become_small_again)
{
    size_t large = 3 << 20, small = 1231;
    char *bytes = calloc(1, large);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(mpx_state_file_replace(f.fd, bytes, large, NULL), MPROXY_OK);
    ck_assert_int_ge(stat_of(MPX_STATE_FILE).st_size, 2 * (off_t)large);

    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(mpx_state_file_replace(f.fd, bytes, small, NULL), MPROXY_OK);

    static const char *const names[] = {MPX_STATE_FILE, MPX_STATE_SPARE};
    for (int i = 0; i < 2; i++) {
        struct stat st = stat_of(names[i]);
        ck_assert_int_le(st.st_size, 65536);
        ck_assert_int_ge(st.st_blocks * 512, 2 * (off_t)small);
    }
    free(bytes);
}
END_TEST

START_TEST(a_state_that_becomes_a_little_smaller_keeps_its_room)
{
    size_t large = 3 << 20;
    char *bytes = calloc(1, large);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(mpx_state_file_replace(f.fd, bytes, large, NULL), MPROXY_OK);
    off_t size = stat_of(MPX_STATE_SPARE).st_size;

    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(mpx_state_file_replace(f.fd, bytes, large / 2, NULL), MPROXY_OK);

    ck_assert_int_eq(stat_of(MPX_STATE_FILE).st_size, size);
    ck_assert_int_eq(stat_of(MPX_STATE_SPARE).st_size, size);
    free(bytes);
}
END_TEST

START_TEST(the_name_of_a_note_reads_back_as_pending)
{
    struct person a;
    person_init(&f, &a, 1, "j");
    a.process.part_count = 0;
    a.process.uncounted = 1;
    a.names[0] = ".off-12-7-1";
    person_end(&f, &a);
    ROUND(&f, &a);

    fixture_restart(&f);

    ck_assert_int_eq(mproxy_ledger_is_pending(f.ledger, ".off-12-7-1"), 1);
}
END_TEST

START_TEST(sums_that_overflow_leave_a_state_that_reads_back)
{
    struct person a[3];
    for (int i = 0; i < 3; i++) {
        person_init(&f, &a[i], 1 + (uint64_t)i, i == 2 ? "" : "j");
        person_count(&a[i], HITS, 1.7e308);
        person_set(&a[i], 1.7e308);
        person_count(&a[i], BYTES, 2);
        a[i].process.start_boot_ms = -5;
        a[i].process.start_wall_ms = -7;
    }
    ROUND(&f, &a[0], &a[1], &a[2]);
    for (int i = 0; i < 3; i++)
        person_end(&f, &a[i]);
    ROUND(&f, &a[0], &a[1], &a[2]);
    idle_rounds(&f, 3);
    round_begin(&f);
    mproxy_ledger_release(f.ledger, 1);
    mproxy_ledger_round_end(f.ledger, NULL);

    fixture_restart(&f);
    idle_rounds(&f, 1);

    ck_assert_double_eq(total_of(base_of(&f), "bytes_total"), 6);
}
END_TEST

START_TEST(a_state_too_large_to_be_read_back_is_not_written)
{
    struct mpx_buf before = MPX_BUF_INIT, after = MPX_BUF_INIT;
    mproxy_error err;
    ck_assert_int_eq(mpx_state_file_read(f.fd, &before, NULL), MPROXY_OK);
    const size_t length = MPX_STATE_MAX / 2;
    void *bytes = mmap(NULL, length, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(bytes, MAP_FAILED);

    ck_assert_int_eq(mpx_state_file_replace(f.fd, bytes, length, &err), MPROXY_E_SYSTEM);

    ck_assert_ptr_nonnull(strstr(err.text, "too many"));
    ck_assert_int_eq(mpx_state_file_read(f.fd, &after, NULL), MPROXY_OK);
    ck_assert_mem_eq(before.data, after.data, before.size);
    munmap(bytes, length);
    mpx_buf_free(&before);
    mpx_buf_free(&after);
}
END_TEST

START_TEST(nothing_is_written_while_nothing_durable_changes)
{
    struct person a;
    mproxy_ledger_stats before = {.struct_size = sizeof before}, after = before;
    person_start(&f, &a, 1, "j", 3);
    ROUND(&f, &a);
    mproxy_ledger_get_stats(f.ledger, &before);

    for (int i = 0; i < 5; i++) {
        person_count(&a, HITS, 1);
        ROUND(&f, &a);
    }

    mproxy_ledger_get_stats(f.ledger, &after);
    ck_assert_uint_eq(before.writes, after.writes);
    ck_assert_uint_eq(after.open_shares, 1);
    ck_assert_uint_eq(after.live_processes, 1);
}
END_TEST

START_TEST(a_state_cut_short_anywhere_is_refused)
{
    char *bytes;
    mproxy_error err;
    fill();
    size_t length = read_state(&bytes);
    leave();

    for (size_t cut = 0; cut < length; cut++) {
        write_state(bytes, cut);
        ck_assert_int_eq(fixture_try_open(&f, 0, &err), MPROXY_E_CORRUPT);
        ck_assert_ptr_nonnull(strstr(err.text, "state file"));
    }
    free(bytes);
}
END_TEST

START_TEST(a_state_with_a_flipped_bit_is_refused)
{
    char *bytes;
    mproxy_error err;
    fill();
    size_t length = read_state(&bytes);
    leave();

    for (size_t at = 0; at < length; at++) {
        bytes[at] ^= 1 << at % 8;
        write_state(bytes, length);
        mproxy_status status = fixture_try_open(&f, 0, &err);
        ck_assert(status == MPROXY_E_CORRUPT ||
                  (status == MPROXY_E_VERSION && at >= 8 && at < 12));
        bytes[at] ^= 1 << at % 8;
    }
    write_state(bytes, length);
    fixture_open(&f);
    free(bytes);
}
END_TEST

START_TEST(a_newer_version_is_refused_by_its_number)
{
    char *bytes;
    mproxy_error err;
    size_t length = read_state(&bytes);
    leave();
    bytes[8] = 2;
    write_state(bytes, length);
    free(bytes);

    ck_assert_int_eq(fixture_try_open(&f, 0, &err), MPROXY_E_VERSION);
    ck_assert_ptr_nonnull(strstr(err.text, "version 2"));
}
END_TEST

START_TEST(a_damaged_state_is_moved_aside_when_asked)
{
    uint8_t directory[16];
    fill();
    memcpy(directory, mproxy_ledger_directory(f.ledger), 16);
    for (int n = 1; n <= 2; n++) {
        mproxy_error err = {0};
        char name[32];
        leave();
        write_state("garbage", 7);

        ck_assert_int_eq(fixture_try_open(&f, 1, &err), MPROXY_OK);

        snprintf(name, sizeof name, "ledger.damaged-%d", n);
        ck_assert_int_eq(faccessat(f.fd, name, F_OK, 0), 0);
        ck_assert_mem_ne(mproxy_ledger_directory(f.ledger), directory, 16);
        ck_assert_uint_eq(mproxy_ledger_epoch(f.ledger), 1);
    }
    idle_rounds(&f, 1);
    ck_assert_ptr_null(source_of(&f, 1));
}
END_TEST

START_TEST(a_link_in_place_of_the_state_is_not_followed)
{
    mproxy_error err;
    leave();
    unlinkat(f.fd, "ledger", 0);
    ck_assert_int_eq(symlinkat("/etc/passwd", f.fd, "ledger"), 0);

    mproxy_status status = fixture_try_open(&f, 0, &err);

    ck_assert_int_ne(status, MPROXY_OK);
}
END_TEST

START_TEST(a_spare_is_there_after_the_first_write)
{
    struct stat st;

    ck_assert_int_eq(fstatat(f.fd, "spare", &st, AT_SYMLINK_NOFOLLOW), 0);

    ck_assert_int_ge(st.st_size, 65536);
    ck_assert_int_ge(st.st_blocks * 512, 65536);
}
END_TEST

// A state file that cannot be written: its spare is a directory.
static void block(void)
{
    unlinkat(f.fd, "spare", 0);
    ck_assert_int_eq(mkdirat(f.fd, "spare", 0700), 0);
}

static void unblock(void)
{
    ck_assert_int_eq(unlinkat(f.fd, "spare", AT_REMOVEDIR), 0);
}

START_TEST(what_could_not_be_written_is_not_shown_and_not_unlinked)
{
    struct person a;
    int unlinked = 0;
    idle_rounds(&f, 1);
    person_start(&f, &a, 1, "j", 3);
    person_end(&f, &a);
    block();

    mproxy_status status = ROUND(&f, &a);
    mproxy_status again = ROUND(&f, &a);

    mproxy_ledger_unlink_pending(f.ledger, always_gone, &unlinked);
    ck_assert_int_eq(status, MPROXY_E_SYSTEM);
    ck_assert_int_eq(again, MPROXY_E_SYSTEM);
    ck_assert_int_eq(unlinked, 0);
    ck_assert_int_eq(mproxy_ledger_is_pending(f.ledger, "1.seg"), 1);
    ck_assert_ptr_null(source_of(&f, 1));

    unblock();
    status = ROUND(&f, &a);
    mproxy_ledger_unlink_pending(f.ledger, always_gone, &unlinked);

    ck_assert_int_eq(status, MPROXY_OK);
    ck_assert_int_eq(unlinked, 1);
    ck_assert_double_eq(total_of(source_of(&f, 1), "hits_total"), 3);
}
END_TEST

START_TEST(a_seal_that_could_not_be_written_is_not_told)
{
    struct person a, b;
    person_start(&f, &a, 1, "j", 3);
    person_end(&f, &a);
    ROUND(&f, &a);
    block();

    mproxy_status status = idle_rounds(&f, 4);
    int told = source_of(&f, 1)->sealed;
    person_start(&f, &b, 2, "j", 4);
    person_end(&f, &b);
    ROUND(&f, &b);
    unblock();
    idle_rounds(&f, 4);

    const mproxy_source *s = source_of(&f, 1);
    ck_assert_int_eq(status, MPROXY_E_SYSTEM);
    ck_assert_int_eq(told, 0);
    ck_assert_int_eq(s->sealed, 1);
    ck_assert_double_eq(total_of(s, "hits_total"), 7);
    ck_assert_double_eq(ranks_of(s, "hits_total")->sum, 7);
}
END_TEST

START_TEST(an_absorption_that_could_not_be_written_did_not_happen)
{
    struct person a;
    person_start(&f, &a, 1, "j", 3);
    person_end(&f, &a);
    ROUND(&f, &a);
    idle_rounds(&f, 3);
    block();

    round_begin(&f);
    mproxy_ledger_release(f.ledger, 1);
    mproxy_status status = mproxy_ledger_round_end(f.ledger, NULL);
    double share = total_of(source_of(&f, 1), "hits_total");
    size_t absorbed = base_of(&f)->absorbed_count;
    unblock();
    round_begin(&f);
    mproxy_ledger_release(f.ledger, 1);
    mproxy_ledger_round_end(f.ledger, NULL);

    const mproxy_source *base = base_of(&f);
    ck_assert_int_eq(status, MPROXY_E_SYSTEM);
    ck_assert_double_eq(share, 3);
    ck_assert_uint_eq(absorbed, 0);
    ck_assert_uint_eq(base->absorbed_count, 1);
    ck_assert_double_eq(total_of(base, "hits_total"), 3);
}
END_TEST

START_TEST(a_full_file_system_does_not_stop_the_next_state)
{
    struct person a[64], *list[64];
    char filler[PATH_MAX];
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, 0) != 0) {
        ck_assert(may_skip("mounts", strerror(errno)));
        return;
    }
    mproxy_ledger_close(f.ledger);
    unlinkat(f.fd, "ledger", 0);
    unlinkat(f.fd, "spare", 0);
    close(f.fd);
    ck_assert_int_eq(mount("t", f.path, "tmpfs", 0, "size=1m"), 0);
    f.fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fixture_open(&f);
    idle_rounds(&f, 1);
    int fd = openat(f.fd, "filler", O_WRONLY | O_CREAT, 0600);
    memset(filler, 1, sizeof filler);
    while (write(fd, filler, sizeof filler) > 0)
        ;
    int full = errno;
    close(fd);

    mproxy_status status = MPROXY_OK;
    for (int r = 0; r < 20 && status == MPROXY_OK; r++) {
        for (int i = 0; i < 64; i++) {
            person_start(&f, &a[i], (uint64_t)(r * 64 + i + 1), "j", 1);
            person_end(&f, &a[i]);
            list[i] = &a[i];
        }
        status = round_of(&f, 64, list);
        mproxy_ledger_unlink_pending(f.ledger, always_gone, NULL);
    }

    ck_assert_int_eq(full, ENOSPC);
    ck_assert_int_eq(status, MPROXY_OK);
    ck_assert_double_eq(total_of(source_of(&f, 1), "hits_total"), 20 * 64);
    umount2(f.path, MNT_DETACH);
}
END_TEST

START_TEST(a_directory_made_anew_gets_the_same_state)
{
    char other[] = "/tmp/mproxy-ledger-XXXXXX";
    fill();
    uint8_t directory[16];
    memcpy(directory, mproxy_ledger_directory(f.ledger), 16);
    ck_assert_ptr_nonnull(mkdtemp(other));
    int fd = open(other, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    ck_assert_int_eq(mproxy_ledger_move(f.ledger, fd, NULL), MPROXY_OK);
    int old = f.fd;
    f.fd = fd;
    fixture_restart(&f);
    idle_rounds(&f, 1);

    ck_assert_mem_eq(mproxy_ledger_directory(f.ledger), directory, 16);
    ck_assert_double_eq(total_of(source_of(&f, 1), "hits_total"), 14);
    unlinkat(fd, "ledger", 0);
    unlinkat(fd, "spare", 0);
    close(fd);
    rmdir(other);
    f.fd = old;
}
END_TEST

START_TEST(a_metric_that_is_known_with_the_other_type_reads_back)
{
    mproxy_ledger_stats stats = {.struct_size = sizeof stats};
    const mproxy_metric *metric;
    fill();
    mproxy_ledger_close(f.ledger);
    mproxy_store_close(f.store);
    ck_assert_int_eq(mproxy_store_open(NULL, &f.store, NULL), MPROXY_OK);
    mproxy_store_metric(f.store, "bytes_total", MPROXY_GAUGE, "", &metric, NULL);

    fixture_open(&f);
    idle_rounds(&f, 1);

    mproxy_ledger_get_stats(f.ledger, &stats);
    ck_assert_uint_eq(stats.refused_series, 0);
    ck_assert_double_eq(total_of(source_of(&f, 1), "hits_total"), 14);
    ck_assert_ptr_nonnull(value_of(source_of(&f, 1), "bytes_total"));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("state");
    TCase *c = tcase_create("file");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_state_reads_back_as_it_was_written);
    tcase_add_test(c, files_of_a_state_that_was_large_become_small_again);
    tcase_add_test(c, a_state_that_becomes_a_little_smaller_keeps_its_room);
    tcase_add_test(c, the_name_of_a_note_reads_back_as_pending);
    tcase_add_test(c, sums_that_overflow_leave_a_state_that_reads_back);
    tcase_add_test(c, a_state_too_large_to_be_read_back_is_not_written);
    tcase_add_test(c, nothing_is_written_while_nothing_durable_changes);
    tcase_add_test(c, a_state_cut_short_anywhere_is_refused);
    tcase_add_test(c, a_state_with_a_flipped_bit_is_refused);
    tcase_add_test(c, a_newer_version_is_refused_by_its_number);
    tcase_add_test(c, a_damaged_state_is_moved_aside_when_asked);
    tcase_add_test(c, a_link_in_place_of_the_state_is_not_followed);
    tcase_add_test(c, a_spare_is_there_after_the_first_write);
    tcase_add_test(c, what_could_not_be_written_is_not_shown_and_not_unlinked);
    tcase_add_test(c, a_seal_that_could_not_be_written_is_not_told);
    tcase_add_test(c, an_absorption_that_could_not_be_written_did_not_happen);
    tcase_add_test(c, a_full_file_system_does_not_stop_the_next_state);
    tcase_add_test(c, a_directory_made_anew_gets_the_same_state);
    tcase_add_test(c, a_metric_that_is_known_with_the_other_type_reads_back);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
