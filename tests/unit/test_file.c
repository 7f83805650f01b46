#include "base/file.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/suite.h"

static char directory[64];
static int dir_fd;
static struct mpx_buf buf;
static mproxy_error err;

static void make_directory(void)
{
    strcpy(directory, "/tmp/mproxy-file-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    dir_fd = open(directory, O_RDONLY | O_DIRECTORY);
    ck_assert_int_ge(dir_fd, 0);
}

static void remove_directory(void)
{
    const char *names[] = {"f", "t", "link", "fifo"};
    for (size_t i = 0; i < 4; i++)
        unlinkat(dir_fd, names[i], 0);
    unlinkat(dir_fd, "d", AT_REMOVEDIR);
    close(dir_fd);
    rmdir(directory);
    mpx_buf_free(&buf);
}

static void put(const char *name, const char *text)
{
    ck_assert_int_eq(mpx_file_replace(dir_fd, "t", name, text, strlen(text), false, &err),
                     MPROXY_OK);
}

START_TEST(replaced_file_reads_back)
{
    put("f", "old and longer");
    put("f", "new");

    ck_assert_int_eq(mpx_file_read(dir_fd, "f", 3, &buf, &err), MPROXY_OK);

    ck_assert_str_eq(mpx_buf_text(&buf), "new");
    ck_assert_int_eq(faccessat(dir_fd, "t", F_OK, 0), -1);
}
END_TEST

START_TEST(replaced_file_is_its_owner_s_alone)
{
    struct stat st;
    ck_assert_int_eq(mpx_file_replace(dir_fd, "t", "f", "x", 1, true, &err), MPROXY_OK);

    ck_assert_int_eq(fstatat(dir_fd, "f", &st, 0), 0);

    ck_assert_int_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(read_appends)
{
    put("f", "def");
    mpx_buf_add_text(&buf, "abc");

    ck_assert_int_eq(mpx_file_read(dir_fd, "f", 100, &buf, &err), MPROXY_OK);

    ck_assert_str_eq(mpx_buf_text(&buf), "abcdef");
}
END_TEST

START_TEST(read_takes_a_file_of_exactly_the_bound_and_no_larger)
{
    put("f", "12345");

    ck_assert_int_eq(mpx_file_read(dir_fd, "f", 5, &buf, &err), MPROXY_OK);
    ck_assert_int_eq(mpx_file_read(dir_fd, "f", 4, &buf, &err), MPROXY_E_LIMIT);
}
END_TEST

START_TEST(read_of_a_large_file_is_whole)
{
    size_t length = 300000;
    char *bytes = malloc(length);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)(i * 7);
    ck_assert_int_eq(mpx_file_replace(dir_fd, "t", "f", bytes, length, false, &err),
                     MPROXY_OK);

    ck_assert_int_eq(mpx_file_read(dir_fd, "f", length, &buf, &err), MPROXY_OK);

    ck_assert_int_eq(buf.size, length);
    ck_assert(memcmp(buf.data, bytes, length) == 0);
    free(bytes);
}
END_TEST

START_TEST(read_says_what_is_not_there)
{
    ck_assert_int_eq(mpx_file_read(dir_fd, "f", 5, &buf, &err), MPROXY_E_NOTFOUND);

    ck_assert_str_eq(err.text, "f: no such file");
}
END_TEST

// A FIFO would block, a link leads elsewhere, a directory is no file.
START_TEST(read_takes_regular_files_only)
{
    put("f", "x");
    ck_assert_int_eq(symlinkat("f", dir_fd, "link"), 0);
    ck_assert_int_eq(mkfifoat(dir_fd, "fifo", 0600), 0);
    ck_assert_int_eq(mkdirat(dir_fd, "d", 0700), 0);

    ck_assert_int_eq(mpx_file_read(dir_fd, "link", 5, &buf, &err), MPROXY_E_SYSTEM);
    ck_assert_int_eq(mpx_file_read(dir_fd, "fifo", 5, &buf, &err), MPROXY_E_INVALID);
    ck_assert_int_eq(mpx_file_read(dir_fd, "d", 5, &buf, &err), MPROXY_E_INVALID);
}
END_TEST

START_TEST(replace_does_not_write_through_a_link)
{
    put("f", "precious");
    ck_assert_int_eq(symlinkat("f", dir_fd, "t"), 0);

    ck_assert_int_eq(mpx_file_replace(dir_fd, "t", "d", "x", 1, false, &err),
                     MPROXY_E_SYSTEM);

    ck_assert_int_eq(mpx_file_read(dir_fd, "f", 10, &buf, &err), MPROXY_OK);
    ck_assert_str_eq(mpx_buf_text(&buf), "precious");
}
END_TEST

START_TEST(replace_that_fails_leaves_the_old_file_and_no_other)
{
    put("f", "old");
    char large[4096] = {0};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){1024, 1024});

    mproxy_status status =
        mpx_file_replace(dir_fd, "t", "f", large, sizeof large, true, &err);

    ck_assert_int_eq(status, MPROXY_E_SYSTEM);
    ck_assert_str_eq(err.text, "f: File too large");
    ck_assert_int_eq(mpx_file_read(dir_fd, "f", 10, &buf, &err), MPROXY_OK);
    ck_assert_str_eq(mpx_buf_text(&buf), "old");
    ck_assert_int_eq(faccessat(dir_fd, "t", F_OK, 0), -1);
}
END_TEST

START_TEST(replace_over_a_directory_fails_and_cleans_up)
{
    ck_assert_int_eq(mkdirat(dir_fd, "d", 0700), 0);

    ck_assert_int_eq(mpx_file_replace(dir_fd, "t", "d", "x", 1, false, &err),
                     MPROXY_E_SYSTEM);

    ck_assert_int_eq(faccessat(dir_fd, "t", F_OK, 0), -1);
}
END_TEST

START_TEST(write_all_goes_on_after_short_writes)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    size_t length = 1000000; // many times what a pipe holds
    char *bytes = calloc(1, length);
    pid_t reader = fork();
    if (reader == 0) {
        close(ends[1]);
        char piece[5000];
        size_t all = 0;
        for (ssize_t got; (got = read(ends[0], piece, sizeof piece)) > 0;)
            all += (size_t)got;
        _exit(all == length ? 0 : 1);
    }
    close(ends[0]);

    ck_assert(mpx_write_all(ends[1], bytes, length));

    close(ends[1]);
    int status = -1;
    ck_assert_int_eq(waitpid(reader, &status, 0), reader);
    ck_assert_int_eq(status, 0);
    free(bytes);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("file");
    tcase_add_checked_fixture(c, make_directory, remove_directory);
    tcase_add_test(c, replaced_file_reads_back);
    tcase_add_test(c, replaced_file_is_its_owner_s_alone);
    tcase_add_test(c, read_appends);
    tcase_add_test(c, read_takes_a_file_of_exactly_the_bound_and_no_larger);
    tcase_add_test(c, read_of_a_large_file_is_whole);
    tcase_add_test(c, read_says_what_is_not_there);
    tcase_add_test(c, read_takes_regular_files_only);
    tcase_add_test(c, replace_does_not_write_through_a_link);
    tcase_add_test(c, replace_that_fails_leaves_the_old_file_and_no_other);
    tcase_add_test(c, replace_over_a_directory_fails_and_cleans_up);
    tcase_add_test(c, write_all_goes_on_after_short_writes);
    Suite *suite = suite_create("file");
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
