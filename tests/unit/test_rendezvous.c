// The rendezvous directory: its path, its checks, the proxy's lock, notes of refusal.
#include "base/clock.h"
#include "segment/crowd.h"
#include "segment/rendezvous.h"

#include <sys/resource.h>

#include "../support/program.h"
#include "segment/layout.h"

static char path[PATH_MAX];

START_TEST(directory_lies_beside_a_socket_under_run_or_dev_shm)
{
    ck_assert_int_eq(mpx_rendezvous_path("/run/mproxy/p.socket", path, NULL), MPROXY_OK);
    ck_assert_str_eq(path, "/run/mproxy/p.socket.d");

    ck_assert_int_eq(mpx_rendezvous_path("/dev/shm/a", path, NULL), MPROXY_OK);
    ck_assert_str_eq(path, "/dev/shm/a.d");
}
END_TEST

START_TEST(other_sockets_have_an_escaped_directory_in_dev_shm)
{
    ck_assert_int_eq(mpx_rendezvous_path("/tmp/my proxy%.s", path, NULL), MPROXY_OK);

    ck_assert_str_eq(path, "/dev/shm/%2Ftmp%2Fmy%20proxy%25.s.d");
}
END_TEST

START_TEST(paths_that_are_the_same_as_text_meet)
{
    ck_assert_int_eq(chdir("/tmp"), 0);

    ck_assert_int_eq(mpx_rendezvous_path("x/../p.socket", path, NULL), MPROXY_OK);
    ck_assert_str_eq(path, "/dev/shm/%2Ftmp%2Fp.socket.d");
    ck_assert_int_eq(mpx_rendezvous_path("/tmp//./p.socket", path, NULL), MPROXY_OK);
    ck_assert_str_eq(path, "/dev/shm/%2Ftmp%2Fp.socket.d");
    ck_assert_int_eq(mpx_rendezvous_path("/../../tmp/p.socket", path, NULL), MPROXY_OK);
    ck_assert_str_eq(path, "/dev/shm/%2Ftmp%2Fp.socket.d");
}
END_TEST

START_TEST(long_sockets_differ_by_a_hash)
{
    char a[600], other[PATH_MAX];
    memset(a, 'x', sizeof a);
    memcpy(a, "/tmp/", 5);
    a[sizeof a - 1] = '\0';

    ck_assert_int_eq(mpx_rendezvous_path(a, path, NULL), MPROXY_OK);
    a[sizeof a - 2] = 'y';
    ck_assert_int_eq(mpx_rendezvous_path(a, other, NULL), MPROXY_OK);

    ck_assert_str_ne(path, other);
    ck_assert_uint_le(strlen(path + strlen("/dev/shm/")), NAME_MAX);
    ck_assert_str_eq(path + strlen(path) - 2, ".d");
}
END_TEST

START_TEST(empty_and_endless_sockets_are_refused)
{
    static char longest[2 * PATH_MAX];
    memset(longest, 'x', sizeof longest - 1);
    longest[0] = '/';

    ck_assert_int_eq(mpx_rendezvous_path("", path, NULL), MPROXY_E_INVALID);
    ck_assert_int_eq(mpx_rendezvous_path("/", path, NULL), MPROXY_E_INVALID);
    ck_assert_int_eq(mpx_rendezvous_path(longest, path, NULL), MPROXY_E_INVALID);
}
END_TEST

START_TEST(default_socket_is_that_of_the_environment)
{
    setenv("PROXY_PATH", "/somewhere/else.socket", 1);
    mpx_rendezvous_default_socket(path);
    ck_assert_str_eq(path, "/somewhere/else.socket");

    unsetenv("PROXY_PATH");
    mpx_rendezvous_default_socket(path);
    ck_assert_ptr_nonnull(strstr(path, ".socket"));
}
END_TEST

START_TEST(directory_is_made_private_whatever_the_umask)
{
    struct stat st;
    int fd = -1;
    rmdir(program_dir);
    umask(0777);

    ck_assert_int_eq(mpx_rendezvous_open(program_dir, false, &fd, NULL),
                     MPROXY_E_NOTFOUND);
    ck_assert_int_eq(mpx_rendezvous_open(program_dir, true, &fd, NULL), MPROXY_OK);

    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
    close(fd);
}
END_TEST

START_TEST(directory_of_others_or_a_link_is_refused)
{
    char link_path[100];
    mproxy_error err;
    int fd = -1;
    snprintf(link_path, sizeof link_path, "%s.link", program_dir);
    ck_assert_int_eq(symlink(program_dir, link_path), 0);

    ck_assert_int_eq(mpx_rendezvous_open(link_path, true, &fd, &err), MPROXY_E_INVALID);
    unlink(link_path);
    chmod(program_dir, 0777);
    ck_assert_int_eq(mpx_rendezvous_open(program_dir, false, &fd, &err),
                     MPROXY_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "0777"));
    if (geteuid() == 0) {
        chmod(program_dir, 0700);
        ck_assert_int_eq(chown(program_dir, 12345, 0), 0);
        ck_assert_int_eq(mpx_rendezvous_open(program_dir, false, &fd, &err),
                         MPROXY_E_INVALID);
    }
    ck_assert_int_eq(fd, -1);
}
END_TEST

START_TEST(a_proxy_lives_while_it_holds_the_lock)
{
    int fd, lock, other, pid = -1;
    char expect[40];
    mproxy_error err;
    ck_assert_int_eq(mpx_rendezvous_open(program_dir, false, &fd, NULL), MPROXY_OK);
    ck_assert(!mpx_rendezvous_is_live(fd, &pid));
    ck_assert_int_eq(pid, 0);

    ck_assert_int_eq(mpx_rendezvous_take(fd, &lock, NULL), MPROXY_OK);

    ck_assert(mpx_rendezvous_is_live(fd, &pid));
    ck_assert(mpx_rendezvous_is_live_at(program_dir));
    ck_assert_int_eq(pid, getpid());
    ck_assert_int_eq(mpx_rendezvous_take(fd, &other, &err), MPROXY_E_BUSY);
    snprintf(expect, sizeof expect, "pid %d", (int)getpid());
    ck_assert_ptr_nonnull(strstr(err.text, expect));
    close(lock);
    ck_assert(!mpx_rendezvous_is_live(fd, NULL));
    ck_assert_int_eq(mpx_rendezvous_take(fd, &lock, NULL), MPROXY_OK);
}
END_TEST

static int locked_for_reading(int dir)
{
    int reader = openat(dir, "proxy", O_RDONLY);
    struct flock reading = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    ck_assert_int_eq(fcntl(reader, F_OFD_SETLK, &reading), 0);
    return reader;
}

START_TEST(a_lock_for_reading_makes_no_proxy_and_keeps_none_out)
{
    int fd, lock, other, pid;
    ck_assert_int_eq(mpx_rendezvous_open(program_dir, false, &fd, NULL), MPROXY_OK);
    ck_assert_int_eq(mpx_rendezvous_take(fd, &lock, NULL), MPROXY_OK);
    close(lock);
    locked_for_reading(fd);
    ck_assert(!mpx_rendezvous_is_live(fd, NULL));

    ck_assert_int_eq(mpx_rendezvous_take(fd, &lock, NULL), MPROXY_OK);

    ck_assert(mpx_rendezvous_is_live(fd, &pid));
    ck_assert_int_eq(pid, getpid());
    ck_assert_int_eq(mpx_rendezvous_take(fd, &other, NULL), MPROXY_E_BUSY);
    ck_assert_int_eq(probe_entries(program_dir, ".proxy-"), 0);
    struct stat st;
    ck_assert_int_eq(fstat(lock, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0644);
    close(lock);
    ck_assert(!mpx_rendezvous_is_live(fd, NULL));
}
END_TEST

static void make_folder(const char *name)
{
    ck_assert_int_eq(mkdir(name, 0700), 0);
    strcat(strcpy(path, name), "/full");
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void make_link(const char *name)
{
    ck_assert_int_eq(symlink("/nowhere", name), 0);
}

static void make_fifo(const char *name)
{
    ck_assert_int_eq(mkfifo(name, 0666), 0);
}

START_TEST(what_is_no_file_is_replaced_by_the_proxys)
{
    static void (*const makers[])(const char *) = {make_folder, make_link, make_fifo};
    int fd, lock;
    char name[PATH_MAX];
    ck_assert_int_eq(mpx_rendezvous_open(program_dir, false, &fd, NULL), MPROXY_OK);
    snprintf(name, sizeof name, "%s/proxy", program_dir);
    makers[_i](name);
    ck_assert(!mpx_rendezvous_is_live(fd, NULL));

    ck_assert_int_eq(mpx_rendezvous_take(fd, &lock, NULL), MPROXY_OK);

    ck_assert(mpx_rendezvous_is_live(fd, NULL));
}
END_TEST

START_TEST(a_file_of_somebody_else_makes_no_proxy)
{
    int fd, lock, other;
    if (geteuid() != 0)
        return;
    ck_assert_int_eq(mpx_rendezvous_open(program_dir, false, &fd, NULL), MPROXY_OK);
    ck_assert_int_eq(mpx_rendezvous_take(fd, &lock, NULL), MPROXY_OK);
    ck_assert_int_eq(fchown(lock, 65534, 65534), 0);
    ck_assert(!mpx_rendezvous_is_live(fd, NULL));

    ck_assert_int_eq(mpx_rendezvous_take(fd, &other, NULL), MPROXY_OK);

    ck_assert(mpx_rendezvous_is_live(fd, NULL));
}
END_TEST

static void read_note(char *target, size_t size)
{
    char note[400];
    DIR *d = opendir(program_dir);
    struct dirent *entry;
    target[0] = '\0';
    while ((entry = readdir(d))) {
        if (strncmp(entry->d_name, ".off-", 5) != 0)
            continue;
        snprintf(note, sizeof note, "%s/%s", program_dir, entry->d_name);
        ssize_t got = readlink(note, target, size - 1);
        target[got > 0 ? got : 0] = '\0';
    }
    closedir(d);
}

static void refuse_without_resources(void)
{
    struct rlimit none = {0};
    setrlimit(RLIMIT_NOFILE, &none);
    setrlimit(RLIMIT_FSIZE, &none);
    mpx_rendezvous_refuse(program_dir, MPX_OFF_DESCRIPTOR | MPX_OFF_FSIZE, "a/b job");
}

START_TEST(refusal_needs_neither_descriptor_nor_file_size)
{
    char target[100];

    program_run(refuse_without_resources);

    read_note(target, sizeof target);
    ck_assert_str_eq(target, "6 a/b job");
}
END_TEST

START_TEST(notes_beyond_their_bound_are_counted_in_a_file)
{
    struct stat st;
    char refused[100];
    const int bound = MPX_CROWD_ENTRIES_MAX + MPX_CROWD_NOTES_MAX;
    for (int i = 0; i < bound; i++)
        mpx_rendezvous_refuse(program_dir, MPX_OFF_SPACE, "j");
    ck_assert_int_eq(probe_entries(program_dir, ".off-"), bound);

    mpx_rendezvous_refuse(program_dir, MPX_OFF_SPACE, "j");
    mpx_rendezvous_refuse(program_dir, MPX_OFF_SPACE, "j");

    snprintf(refused, sizeof refused, "%s/refused", program_dir);
    ck_assert_int_eq(stat(refused, &st), 0);
    ck_assert_int_eq(st.st_size, 2);
    ck_assert_int_eq(probe_entries(program_dir, ".off-"), bound);
}
END_TEST

static off_t fill(int count)
{
    struct stat st;
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%d-1-1-0.seg", program_dir, i);
        close(open(path, O_CREAT | O_WRONLY, 0600));
    }
    ck_assert_int_eq(stat(program_dir, &st), 0);
    return st.st_size;
}

static void attend(int lock, int fd, uint64_t bytes)
{
    const struct mpx_crowd_word word = {1000, bytes, mpx_boot_ms()};
    mpx_crowd_attend(lock, fd, &word);
}

// As a proxy would have said it so long ago.
static void say(int lock, long long age_ms, long entries, long long bytes)
{
    char word[100];
    int length = snprintf(word, sizeof word, "%d %lld 1000 %ld %lld\n", (int)getpid(),
                          (long long)mpx_boot_ms() - age_ms, entries, bytes);
    ck_assert_int_eq(ftruncate(lock, 0), 0);
    ck_assert_int_eq(pwrite(lock, word, (size_t)length, 0), length);
}

START_TEST(a_proxy_that_attends_lifts_the_bound_and_a_silent_one_does_not)
{
    int fd, lock;
    off_t size = fill(MPX_CROWD_ENTRIES_MAX + 1);
    ck_assert(mpx_crowd_is_full(program_dir, size, 0));
    ck_assert(!mpx_crowd_is_full(program_dir, size, 2));
    ck_assert_int_eq(mpx_rendezvous_open(program_dir, false, &fd, NULL), MPROXY_OK);
    ck_assert_int_eq(mpx_rendezvous_take(fd, &lock, NULL), MPROXY_OK);

    ck_assert(!mpx_crowd_is_full(program_dir, size, 0)); // it has just begun
    attend(lock, fd, 0);
    ck_assert(!mpx_crowd_is_full(program_dir, size, 0));

    say(lock, 5000, 100, 0); // slow: what it knew of, and the bound more
    ck_assert(!mpx_crowd_is_full(program_dir, size, 0));
    say(lock, 5000, 0, 0);
    ck_assert(mpx_crowd_is_full(program_dir, size, 0));
    say(lock, 20000, 100, 0);
    ck_assert(mpx_crowd_is_full(program_dir, size, 0));
    attend(lock, fd, 0);
    ck_assert(!mpx_crowd_is_full(program_dir, size, 0));
    int pid;
    ck_assert(mpx_rendezvous_is_live(fd, &pid));
    ck_assert_int_eq(pid, getpid());
    close(lock);
    ck_assert(mpx_crowd_is_full(program_dir, size, 0));
}
END_TEST

START_TEST(a_slow_proxy_bounds_bytes_beside_those_it_knew_of)
{
    int fd, lock;
    fill(1);
    int file = open(path, O_WRONLY);
    ck_assert_int_eq(posix_fallocate(file, 0, MPX_CROWD_BYTES_MAX), 0);
    close(file);
    ck_assert(mpx_crowd_is_large(program_dir));
    ck_assert_int_eq(mpx_rendezvous_open(program_dir, false, &fd, NULL), MPROXY_OK);
    ck_assert_int_eq(mpx_rendezvous_take(fd, &lock, NULL), MPROXY_OK);

    attend(lock, fd, 4096);
    ck_assert(!mpx_crowd_is_large(program_dir));

    say(lock, 5000, 100, 4096);
    ck_assert(!mpx_crowd_is_large(program_dir));
    say(lock, 5000, 100, 0);
    ck_assert(mpx_crowd_is_large(program_dir));
    say(lock, 20000, 100, 4096);
    ck_assert(mpx_crowd_is_large(program_dir));
    close(lock);
    close(fd);
}
END_TEST

START_TEST(reasons_have_words)
{
    char text[300];

    ck_assert_str_eq(mpx_off_reason_text(0, text, sizeof text), "");
    ck_assert_str_eq(
        mpx_off_reason_text(MPX_OFF_SPACE | MPX_OFF_DESCRIPTOR, text, sizeof text),
        "no space, no descriptor");
#define MPX_OFF_REASON(id, bit, words, meaning)                                          \
    ck_assert_str_eq(mpx_off_reason_text(MPX_OFF_##id, text, sizeof text), words);
#include "tables/off_reasons.def"
#undef MPX_OFF_REASON
    ck_assert_str_eq(mpx_off_reason_text(1u << 31, text, sizeof text), "");
    mpx_off_reason_text(255, text, 10);
    ck_assert_uint_eq(strlen(text), 9);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rendezvous");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, program_setup, program_teardown);
    tcase_add_test(t, directory_lies_beside_a_socket_under_run_or_dev_shm);
    tcase_add_test(t, other_sockets_have_an_escaped_directory_in_dev_shm);
    tcase_add_test(t, paths_that_are_the_same_as_text_meet);
    tcase_add_test(t, long_sockets_differ_by_a_hash);
    tcase_add_test(t, empty_and_endless_sockets_are_refused);
    tcase_add_test(t, default_socket_is_that_of_the_environment);
    tcase_add_test(t, directory_is_made_private_whatever_the_umask);
    tcase_add_test(t, directory_of_others_or_a_link_is_refused);
    tcase_add_test(t, a_proxy_lives_while_it_holds_the_lock);
    tcase_add_test(t, a_lock_for_reading_makes_no_proxy_and_keeps_none_out);
    tcase_add_loop_test(t, what_is_no_file_is_replaced_by_the_proxys, 0, 3);
    tcase_add_test(t, a_file_of_somebody_else_makes_no_proxy);
    tcase_add_test(t, refusal_needs_neither_descriptor_nor_file_size);
    tcase_add_test(t, notes_beyond_their_bound_are_counted_in_a_file);
    tcase_add_test(t, a_proxy_that_attends_lifts_the_bound_and_a_silent_one_does_not);
    tcase_add_test(t, a_slow_proxy_bounds_bytes_beside_those_it_knew_of);
    tcase_add_test(t, reasons_have_words);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
