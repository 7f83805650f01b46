// Stored profiles: a file system that fails for a while must not make the index forget files,
// whose names the next store would take.
#include <mproxy/profile.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "../support/archive_fixture.h"
#include "../support/suite.h"

static bool list_is_cut, is_stale, is_plain;
static const char *broken; // a file that the disk does not give
static unsigned refusals;

// The list of a directory breaks off while `list_is_cut`. readdir64() is the C library's name
// for what readdir() is here.
struct dirent *readdir(DIR *list)
{
    struct dirent *(*next)(DIR *) = NULL;
    *(void **)&next = dlsym(RTLD_NEXT, "readdir64");
    if (list_is_cut) {
        errno = EIO;
        return NULL;
    }
    return next(list);
}

// Nothing can be told of files while `is_stale`, as when a file server has come back.
int fstatat(int at, const char *name, struct stat *st, int flags)
{
    if (is_stale) {
        errno = ESTALE;
        return -1;
    }
    int file = openat(at, name, O_PATH | O_CLOEXEC | (flags ? O_NOFOLLOW : 0));
    int result = file < 0 ? -1 : fstat(file, st);
    if (file >= 0)
        close(file);
    return result;
}

ssize_t read(int fd, void *bytes, size_t size)
{
    char link[40], path[200];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = broken ? readlink(link, path, sizeof path - 1) : -1;
    if (length > 0) {
        path[length] = '\0';
        const char *slash = strrchr(path, '/');
        if (slash && strcmp(slash + 1, broken) == 0) {
            errno = EIO;
            return -1;
        }
    }
    ssize_t (*next)(int, void *, size_t) = NULL;
    *(void **)&next = dlsym(RTLD_NEXT, "read");
    return next(fd, bytes, size);
}

// A file system that `is_plain` can't rename without replacing, as NFS.
long syscall(long number, ...)
{
    va_list list;
    long args[6];
    va_start(list, number);
    for (size_t i = 0; i < 6; i++)
        args[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_renameat2 && is_plain) {
        refusals++;
        errno = EINVAL;
        return -1;
    }
    long (*next)(long, ...) = NULL;
    *(void **)&next = dlsym(RTLD_NEXT, "syscall");
    return next(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

// Let this process open no more than `more` files.
static void allow_files(rlim_t more)
{
    struct rlimit limit;
    int next = dup(STDERR_FILENO);
    close(next);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = more == RLIM_INFINITY ? limit.rlim_max : (rlim_t)next + more;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

// Two archives on one directory: the second has not yet seen what the first has stored since.
static mproxy_archive *open_late(void)
{
    mproxy_archive *a = open_archive();
    ck_assert_int_eq(store(a, "j", 1000, 1), MPROXY_OK);
    mproxy_archive *late = open_archive();
    ck_assert_int_eq(store(a, "k", 1000, 2), MPROXY_OK);
    ck_assert_int_eq(store(a, "j", 1000, 3), MPROXY_OK);
    mproxy_archive_close(a);
    return late;
}

static void check_refused(mproxy_archive *a)
{
    mproxy_error err = {0};
    ck_assert_int_eq(mproxy_archive_refresh(a, &err), MPROXY_E_SYSTEM);
    ck_assert_msg(strstr(err.text, dir) != NULL, "%s", err.text);
    ck_assert_uint_eq(mproxy_archive_size(a), 1); // as it was
}

static void check_whole(mproxy_archive *a)
{
    ck_assert_int_eq(mproxy_archive_refresh(a, NULL), MPROXY_OK);
    ck_assert_uint_eq(mproxy_archive_size(a), 2);
    ck_assert_double_eq(loaded(a, "j"), 3);
    ck_assert_double_eq(loaded(a, "k"), 2);
    ck_assert_int_eq(store(a, "k", 5000, 4), MPROXY_OK);
    ck_assert_double_eq(loaded(a, "k@1000"), 2);
    ck_assert_int_eq(store(a, "j", 1000, 5), MPROXY_OK);
    ck_assert_uint_eq(mproxy_archive_size(a), 3);
    ck_assert_uint_eq(count_files(""), 3);
    ck_assert_uint_eq(damaged, 0);
    mproxy_archive_close(a);
}

START_TEST(a_file_that_cannot_be_opened_for_now_is_not_damaged)
{
    mproxy_archive *a = open_late();
    allow_files(1); // for the list, none for the files in it
    check_refused(a);
    mproxy_archive *other = NULL;
    allow_files(2); // the directory, too
    ck_assert_int_eq(mproxy_archive_open(dir, NULL, NULL, &other, NULL), MPROXY_E_SYSTEM);
    allow_files(RLIM_INFINITY);

    check_whole(a);
}
END_TEST

START_TEST(a_list_that_breaks_off_is_no_list)
{
    mproxy_archive *a = open_late();
    list_is_cut = true;
    check_refused(a);
    mproxy_archive *other = NULL;
    ck_assert_int_eq(mproxy_archive_open(dir, NULL, NULL, &other, NULL), MPROXY_E_SYSTEM);
    list_is_cut = false;

    check_whole(a);
}
END_TEST

START_TEST(files_of_which_nothing_can_be_told_are_not_gone)
{
    mproxy_archive *a = open_late();
    is_stale = true;
    check_refused(a);
    mproxy_archive *other = NULL;
    ck_assert_int_eq(mproxy_archive_open(dir, NULL, NULL, &other, NULL), MPROXY_E_SYSTEM);
    is_stale = false;

    check_whole(a);
}
END_TEST

// A file that comes back with nothing about the directory to tell it.
static void bring_back(const char *from, const char *to)
{
    struct stat st;
    ck_assert_int_eq(stat(dir, &st), 0);
    ck_assert_int_eq(rename(from, to), 0);
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    ck_assert_int_eq(utimensat(AT_FDCWD, dir, times, 0), 0);
}

static void check_free_names(void)
{
    // Of the run that is stored, and of the one that makes place for it.
    static const struct {
        const char *leaves, *comes_back;
    } cases[] = {{"j.json", "j.json"}, {"j@1000.json", "j@2000.json"}};
    for (size_t i = 0; i < 2; i++) {
        char away[128], here[128], back[128];
        snprintf(away, sizeof away, "%s/away", root);
        snprintf(here, sizeof here, "%s/%s", dir, cases[i].leaves);
        snprintf(back, sizeof back, "%s/%s", dir, cases[i].comes_back);
        mproxy_archive *a = open_archive();
        for (size_t k = 0; k <= i; k++)
            ck_assert_int_eq(store(a, "j", 1000 + 1000 * (int64_t)k, 1), MPROXY_OK);
        ck_assert_int_eq(rename(here, away), 0);
        ck_assert_int_eq(mproxy_archive_refresh(a, NULL), MPROXY_OK);
        ck_assert_uint_eq(mproxy_archive_size(a), i);
        bring_back(away, back);

        ck_assert_int_eq(store(a, "j", 3000, 3), MPROXY_E_BUSY);
        ck_assert_uint_eq(count_files(""), i + 1);
        ck_assert_int_eq(store(a, "j", 3000, 3), MPROXY_OK);

        ck_assert_uint_eq(mproxy_archive_size(a), i + 2);
        ck_assert_uint_eq(count_files(""), i + 2);
        ck_assert_double_eq(loaded(a, "j"), 3);
        ck_assert_double_eq(loaded(a, "j@1000"), 1);
        mproxy_archive_close(a);
        teardown();
        setup();
    }
}

START_TEST(a_file_that_the_disk_never_gives_stops_no_others)
{
    mproxy_archive *a = open_late();
    broken = "k.json";
    for (int i = 0; i < 4; i++)
        check_refused(a); // it may come back
    ck_assert_uint_eq(damaged, 0);

    ck_assert_int_eq(mproxy_archive_refresh(a, NULL), MPROXY_OK);
    ck_assert_uint_eq(damaged, 1);
    ck_assert_uint_eq(mproxy_archive_size(a), 1);
    ck_assert_int_eq(store(a, "j", 1000, 5), MPROXY_OK);
    ck_assert_int_eq(store(a, "k", 5000, 4), MPROXY_OK); // under another name
    ck_assert_uint_eq(count_files(""), 3);
    ck_assert_uint_eq(damaged, 1); // told once

    broken = NULL;
    ck_assert_int_eq(store(a, "m", 1000, 6), MPROXY_OK);
    ck_assert_uint_eq(mproxy_archive_size(a), 4);
    ck_assert_double_eq(loaded(a, "k"), 4);
    ck_assert_double_eq(loaded(a, "k@1000"), 2);
    mproxy_archive_close(a);
}
END_TEST

START_TEST(a_name_is_free_only_when_no_file_has_it)
{
    check_free_names();
    ck_assert_uint_eq(refusals, 0);
    is_plain = true;
    check_free_names();
    ck_assert_uint_gt(refusals, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("archive_faults");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 30);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_file_that_cannot_be_opened_for_now_is_not_damaged);
    tcase_add_test(c, a_list_that_breaks_off_is_no_list);
    tcase_add_test(c, files_of_which_nothing_can_be_told_are_not_gone);
    tcase_add_test(c, a_file_that_the_disk_never_gives_stops_no_others);
    tcase_add_test(c, a_name_is_free_only_when_no_file_has_it);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
