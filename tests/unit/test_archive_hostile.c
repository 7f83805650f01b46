// Stored profiles: damage, strange files, full disks, directories that are gone.
#include <mproxy/profile.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../support/archive_fixture.h"
#include "../support/suite.h"

START_TEST(damaged_files_are_reported_and_left_alone)
{
    mproxy_archive *a = open_archive();
    ck_assert_int_eq(store(a, "good", 1000, 1), MPROXY_OK);
    ck_assert_int_eq(store(a, "cut", 1000, 1), MPROXY_OK);
    mproxy_archive_close(a);
    char path[256];
    struct stat st;
    snprintf(path, sizeof path, "%s/cut.json", dir);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(truncate(path, st.st_size - 40), 0);

    a = open_archive();

    ck_assert_uint_eq(damaged, 1);
    ck_assert_str_eq(damaged_path, path);
    ck_assert_uint_eq(mproxy_archive_size(a), 1);
    ck_assert_int_eq(store(a, "cut", 3000, 5), MPROXY_OK); // the name is taken
    ck_assert_double_eq(loaded(a, "cut"), 5);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(count_files(""), 3);
    ck_assert_uint_eq(damaged, 1); // once only
    mproxy_archive_close(a);
}
END_TEST

START_TEST(hostile_files_in_the_directory_do_no_harm)
{
    mproxy_archive *a = open_archive();
    ck_assert_int_eq(store(a, "j", 1000, 1), MPROXY_OK);
    mproxy_archive_close(a);
    char path[256];
    snprintf(path, sizeof path, "%s/link.json", dir);
    ck_assert_int_eq(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof path, "%s/pipe.json", dir);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    snprintf(path, sizeof path, "%s/folder.json", dir);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    write_file("empty.json", "");
    write_file("notes.txt", "not ours");
    write_file(".hidden.json", "not ours");

    a = open_archive();

    ck_assert_uint_eq(damaged, 4);
    ck_assert_uint_eq(mproxy_archive_size(a), 1);
    ck_assert(has_file("notes.txt"));
    mproxy_archive_close(a);
}
END_TEST

START_TEST(leftovers_of_writes_are_removed_at_open)
{
    mproxy_archive *a = open_archive();
    ck_assert_int_eq(store(a, "j", 1000, 1), MPROXY_OK);
    mproxy_archive_close(a);
    write_file(".new-123-abc", "{\"version\":1");

    a = open_archive();

    ck_assert(!has_file(".new-123-abc"));
    ck_assert_uint_eq(mproxy_archive_size(a), 1);
    mproxy_archive_close(a);
}
END_TEST

START_TEST(a_directory_removed_under_us_is_made_anew)
{
    mproxy_archive *a = open_archive();
    ck_assert_int_eq(store(a, "j1", 1000, 1), MPROXY_OK);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s/prefix", root);
    ck_assert_int_eq(system(command), 0);

    ck_assert_int_eq(store(a, "j2", 1000, 2), MPROXY_OK);

    ck_assert(has_file("j2.json"));
    ck_assert_uint_eq(mproxy_archive_size(a), 1);
    mproxy_archive_close(a);
}
END_TEST

static void store_on_full_disk(void)
{
    struct rlimit small = {.rlim_cur = 64, .rlim_max = RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    mproxy_archive *a = open_archive();
    mproxy_profile *p = make_run("j", 2000, 2);
    mproxy_error err = {0};
    setrlimit(RLIMIT_FSIZE, &small);
    bool refused = mproxy_archive_store(a, p, &err) == MPROXY_E_SYSTEM &&
                   strstr(err.text, dir) && mproxy_archive_size(a) == 1 &&
                   count_files(".new-") == 0 && loaded(a, "j") == 1;
    small.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &small);
    _exit(refused && mproxy_archive_store(a, p, NULL) == MPROXY_OK && loaded(a, "j") == 2
              ? 0
              : 1);
}

START_TEST(a_write_that_fails_leaves_everything_as_it_was)
{
    mproxy_archive *a = open_archive();
    ck_assert_int_eq(store(a, "j", 1000, 1), MPROXY_OK);
    mproxy_archive_close(a);

    int status;
    pid_t pid = fork();
    if (pid == 0)
        store_on_full_disk();
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);

    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

START_TEST(a_file_in_the_place_of_the_prefix_is_an_error_that_names_it)
{
    char command[256];
    snprintf(command, sizeof command, "mkdir -p %s && touch %s/prefix", root, root);
    ck_assert_int_eq(system(command), 0);
    mproxy_archive *a = NULL;
    mproxy_error err = {0};

    ck_assert_int_eq(mproxy_archive_open(dir, NULL, NULL, &a, &err), MPROXY_E_SYSTEM);

    ck_assert_ptr_nonnull(strstr(err.text, dir));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("archive_hostile");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 30);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, damaged_files_are_reported_and_left_alone);
    tcase_add_test(c, hostile_files_in_the_directory_do_no_harm);
    tcase_add_test(c, leftovers_of_writes_are_removed_at_open);
    tcase_add_test(c, a_directory_removed_under_us_is_made_anew);
    tcase_add_test(c, a_write_that_fails_leaves_everything_as_it_was);
    tcase_add_test(c, a_file_in_the_place_of_the_prefix_is_an_error_that_names_it);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
