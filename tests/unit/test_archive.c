// Stored profiles: keys, names, crashes, damage, full disks, several writers.
#include <mproxy/profile.h>

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profile/archive_private.h"
#include "profile_fixture.h"

static char root[64], dir[96];
static unsigned damaged;
static char damaged_path[256];

static void setup(void)
{
    strcpy(root, "/tmp/mproxy-test-archive-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    snprintf(dir, sizeof dir, "%s/prefix/profiles", root);
    damaged = 0;
}

static void teardown(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", root);
    ck_assert_int_eq(system(command), 0);
}

static void on_damaged(void *arg, const char *path, const mproxy_error *why)
{
    (void)arg;
    ck_assert_int_ne(why->text[0], '\0');
    snprintf(damaged_path, sizeof damaged_path, "%s", path);
    damaged++;
}

static mproxy_archive *open_archive(void)
{
    mproxy_archive *a = NULL;
    mproxy_error err = {0};
    ck_assert_msg(mproxy_archive_open(dir, on_damaged, NULL, &a, &err) == MPROXY_OK, "%s",
                  err.text);
    return a;
}

// A run of one share that counts `value`.
static mproxy_profile *make_run(const char *jobid, int64_t start, double value)
{
    mproxy_profile *p = fixture_profile(jobid, start, 1);
    fixture_counter(&p->shares[0], "hits", value, 0);
    ck_assert_int_eq(mproxy_profile_sum(p, NULL), MPROXY_OK);
    return p;
}

static mproxy_status store(mproxy_archive *a, const char *jobid, int64_t start,
                           double value)
{
    mproxy_profile *p = make_run(jobid, start, value);
    mproxy_status status = mproxy_archive_store(a, p, NULL);
    mproxy_profile_free(p);
    return status;
}

// What a stored profile counted; -1 if there is none.
static double loaded(mproxy_archive *a, const char *key)
{
    mproxy_profile *p = NULL;
    if (mproxy_archive_load(a, key, &p, NULL) != MPROXY_OK)
        return -1;
    double value = p->entries[0].value.total;
    mproxy_profile_free(p);
    return value;
}

static size_t count_files(const char *prefix)
{
    size_t count = 0;
    DIR *list = opendir(dir);
    const struct dirent *entry;
    while (list && (entry = readdir(list)))
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
                 strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                 strcmp(entry->d_name, ".lock") != 0;
    if (list)
        closedir(list);
    return count;
}

static bool has_file(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static void write_file(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

START_TEST(a_missing_directory_is_an_empty_archive_until_the_first_store)
{
    mproxy_archive *a = open_archive();
    ck_assert_uint_eq(mproxy_archive_size(a), 0);
    ck_assert_int_ne(access(dir, F_OK), 0);

    ck_assert_int_eq(store(a, "j", 1000, 42), MPROXY_OK);

    ck_assert_uint_eq(mproxy_archive_size(a), 1);
    ck_assert_double_eq(loaded(a, "j"), 42);
    ck_assert(has_file("j.json"));
    mproxy_archive_close(a);
}
END_TEST

START_TEST(what_was_stored_is_there_after_reopening)
{
    mproxy_archive *a = open_archive();
    ck_assert_int_eq(store(a, "j1", 1000, 1), MPROXY_OK);
    ck_assert_int_eq(store(a, "j2", 1000, 2), MPROXY_OK);
    mproxy_archive_close(a);

    a = open_archive();

    ck_assert_uint_eq(mproxy_archive_size(a), 2);
    ck_assert_double_eq(loaded(a, "j1"), 1);
    ck_assert_double_eq(loaded(a, "j2"), 2);
    ck_assert_uint_eq(damaged, 0);
    mproxy_archive_close(a);
}
END_TEST

START_TEST(newest_run_has_the_id_and_older_ones_their_start_time)
{
    static const int64_t orders[][3] = {
        {1000, 2000, 3000}, {3000, 2000, 1000}, {2000, 3000, 1000}, {2000, 1000, 3000}};
    for (size_t i = 0; i < 4; i++) {
        char id[8];
        char key[32];
        snprintf(id, sizeof id, "j%zu", i);
        mproxy_archive *a = open_archive();
        for (size_t k = 0; k < 3; k++)
            ck_assert_int_eq(store(a, id, orders[i][k], (double)orders[i][k]), MPROXY_OK);
        for (int pass = 0; pass < 2; pass++) {
            ck_assert_double_eq(loaded(a, id), 3000);
            snprintf(key, sizeof key, "%s@2000", id);
            ck_assert_double_eq(loaded(a, key), 2000);
            snprintf(key, sizeof key, "%s@1000", id);
            ck_assert_double_eq(loaded(a, key), 1000);
            mproxy_archive_close(a);
            a = open_archive();
        }
        mproxy_archive_close(a);
    }
}
END_TEST

START_TEST(a_later_state_of_a_run_replaces_it)
{
    mproxy_archive *a = open_archive();
    ck_assert_int_eq(store(a, "j", 1000, 1), MPROXY_OK);
    ck_assert_int_eq(store(a, "j", 2000, 2), MPROXY_OK);
    ck_assert_int_eq(store(a, "j", 1000, 11), MPROXY_OK);

    ck_assert_uint_eq(mproxy_archive_size(a), 2);
    ck_assert_double_eq(loaded(a, "j@1000"), 11);
    ck_assert_double_eq(loaded(a, "j"), 2);
    ck_assert_uint_eq(count_files(""), 2);
    mproxy_archive_close(a);
}
END_TEST

// One profile with the shares of the runs that started at 1000 and 2000.
static mproxy_profile *make_bridge(void)
{
    mproxy_profile *p = make_run("j", 1000, 1), *q = make_run("j", 2000, 2);
    p->shares = realloc(p->shares, 2 * sizeof *p->shares);
    p->shares[p->share_count++] = q->shares[0];
    q->share_count = 0;
    mproxy_profile_free(q);
    ck_assert_int_eq(mproxy_profile_sum(p, NULL), MPROXY_OK);
    return p;
}

START_TEST(a_profile_that_holds_two_replaces_both)
{
    mproxy_archive *a = open_archive();
    ck_assert_int_eq(store(a, "j", 1000, 1), MPROXY_OK);
    ck_assert_int_eq(store(a, "j", 2000, 2), MPROXY_OK);
    mproxy_profile *bridge = make_bridge();

    ck_assert_int_eq(mproxy_archive_store(a, bridge, NULL), MPROXY_OK);

    ck_assert_uint_eq(mproxy_archive_size(a), 1);
    ck_assert_double_eq(loaded(a, "j"), 3);
    ck_assert_uint_eq(count_files(""), 1);
    mproxy_profile_free(bridge);
    mproxy_archive_close(a);
}
END_TEST

START_TEST(hostile_ids_stay_inside)
{
    static char longest[MPROXY_JOB_ID_MAX + 1], other[MPROXY_JOB_ID_MAX + 1];
    static char too_long[4097];
    memset(longest, 'x', MPROXY_JOB_ID_MAX);
    memset(other, 'x', MPROXY_JOB_ID_MAX);
    other[MPROXY_JOB_ID_MAX - 1] = 'y';
    memset(too_long, '/', 4096);
    const char *ids[] = {"../../etc/x", "a/b",    ".",        "..",  ".lock",
                         "a@1000",      ".new-1", "\xc3\xa9", "%2E", "a%2Fb",
                         "a b\\",       "-rf",    longest,    other, "x.json",
                         "a",           "*",      "j.json.2"};
    const size_t count = sizeof ids / sizeof *ids;
    mproxy_archive *a = open_archive();

    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(store(a, ids[i], 1000, (double)i), MPROXY_OK);
    ck_assert_int_eq(store(a, too_long, 1000, 1), MPROXY_E_INVALID);
    ck_assert_int_eq(store(a, "main", 1000, 1), MPROXY_E_INVALID);
    ck_assert_int_eq(store(a, "", 1000, 1), MPROXY_E_INVALID);

    for (int pass = 0; pass < 2; pass++) {
        ck_assert_uint_eq(mproxy_archive_size(a), count);
        for (size_t i = 0; i < count; i++)
            ck_assert_double_eq(loaded(a, ids[i]), (double)i);
        mproxy_archive_close(a);
        a = open_archive();
    }
    ck_assert_uint_eq(count_files(""), count);
    char command[256];
    snprintf(command, sizeof command, "test $(find %s -type f | grep -vc %s/) = 0", root,
             dir);
    ck_assert_int_eq(system(command), 0);
    mproxy_archive_close(a);
}
END_TEST

START_TEST(key_of_an_older_run_does_not_hide_an_id_that_looks_like_it)
{
    mproxy_archive *a = open_archive();
    ck_assert_int_eq(store(a, "a@1000", 5000, 1), MPROXY_OK);
    ck_assert_int_eq(store(a, "a", 1000, 2), MPROXY_OK);
    ck_assert_int_eq(store(a, "a", 2000, 3), MPROXY_OK);

    ck_assert_uint_eq(mproxy_archive_size(a), 3);
    ck_assert_double_eq(loaded(a, "a"), 3);
    ck_assert_double_eq(loaded(a, "a@1000"), 1);
    ck_assert_double_eq(loaded(a, "a@1000.2"), 2);
    ck_assert_uint_eq(count_files(""), 3);
    mproxy_archive_close(a);
}
END_TEST

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

START_TEST(removing_the_newest_gives_its_key_to_the_older)
{
    mproxy_archive *a = open_archive();
    ck_assert_int_eq(store(a, "j", 1000, 1), MPROXY_OK);
    ck_assert_int_eq(store(a, "j", 2000, 2), MPROXY_OK);

    ck_assert_int_eq(mproxy_archive_remove(a, "j", NULL), MPROXY_OK);

    ck_assert_double_eq(loaded(a, "j"), 1);
    ck_assert_int_eq(mproxy_archive_remove(a, "j@1000", NULL), MPROXY_E_NOTFOUND);
    ck_assert_int_eq(store(a, "j", 3000, 3), MPROXY_OK);
    ck_assert_double_eq(loaded(a, "j"), 3);
    ck_assert_double_eq(loaded(a, "j@1000"), 1);
    mproxy_archive_close(a);
}
END_TEST

START_TEST(a_store_that_did_not_know_of_another_process_writes_nothing)
{
    mproxy_archive *mine = open_archive(), *other = open_archive();
    ck_assert_int_eq(store(other, "j", 1000, 7), MPROXY_OK);
    ck_assert_int_eq(store(other, "k", 1000, 8), MPROXY_OK);
    mproxy_profile *p = make_run("j", 5000, 9);
    mproxy_error err;

    ck_assert_int_eq(mpx_archive_store(mine, p, 0, &err), MPROXY_E_EXISTS);

    ck_assert_double_eq(loaded(mine, "j"), 7); // it knows now
    ck_assert_uint_eq(count_files(""), 2);
    ck_assert_int_eq(mpx_archive_store(mine, p, 1, &err), MPROXY_OK);
    ck_assert_double_eq(loaded(mine, "j"), 9);
    ck_assert_double_eq(loaded(mine, "j@1000"), 7);
    mproxy_profile_free(p);
    mproxy_archive_close(mine);
    mproxy_archive_close(other);
}
END_TEST

START_TEST(two_archives_on_one_directory_see_each_other)
{
    mproxy_archive *a = open_archive(), *b = open_archive();
    ck_assert_int_eq(store(a, "j", 1000, 1), MPROXY_OK);
    ck_assert_int_eq(store(b, "j", 2000, 2), MPROXY_OK);
    ck_assert_int_eq(store(a, "j", 3000, 3), MPROXY_OK);
    ck_assert_int_eq(mproxy_archive_refresh(b, NULL), MPROXY_OK);

    ck_assert_double_eq(loaded(b, "j"), 3);
    ck_assert_double_eq(loaded(b, "j@2000"), 2);
    ck_assert_double_eq(loaded(a, "j@1000"), 1);
    ck_assert_uint_eq(mproxy_archive_size(a), 3);
    mproxy_archive_close(a);
    mproxy_archive_close(b);
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

// Die in the midst of storing, then look at what a new archive sees.
static void crash_while_storing(const char *point, bool bridge)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        setenv("MPROXY_CRASH_AT", point, 1);
        mproxy_archive *a = open_archive();
        mproxy_profile *p = bridge ? make_bridge() : make_run("j", 3000, 3);
        mproxy_archive_store(a, p, NULL);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFSIGNALED(status), "%s is not reached", point);
}

START_TEST(a_crash_anywhere_in_a_store_loses_nothing)
{
    static const char *const points[] = {"profile.written", "profile.moved",
                                         "profile.renamed", "profile.synced"};
    for (size_t i = 0; i < 4; i++) {
        mproxy_archive *a = open_archive();
        ck_assert_int_eq(store(a, "j", 1000, 1), MPROXY_OK);
        ck_assert_int_eq(store(a, "j", 2000, 2), MPROXY_OK);
        mproxy_archive_close(a);

        crash_while_storing(points[i], false);
        a = open_archive();
        bool stored = mproxy_archive_size(a) == 3;
        ck_assert_double_eq(loaded(a, "j"), stored ? 3 : 2);
        ck_assert_double_eq(loaded(a, "j@1000"), 1);
        ck_assert(stored == (i >= 2));
        ck_assert_int_eq(store(a, "j", 3000, 3), MPROXY_OK);

        ck_assert_uint_eq(mproxy_archive_size(a), 3);
        ck_assert_double_eq(loaded(a, "j"), 3);
        ck_assert_double_eq(loaded(a, "j@2000"), 2);
        ck_assert_uint_eq(count_files(""), 3);
        ck_assert_uint_eq(damaged, 0);
        mproxy_archive_close(a);
        teardown();
        setup();
    }
}
END_TEST

START_TEST(a_crash_anywhere_in_a_bridging_store_loses_nothing)
{
    static const char *const points[] = {"profile.written", "profile.renamed",
                                         "profile.synced", "profile.unlinked"};
    for (size_t i = 0; i < 4; i++) {
        mproxy_archive *a = open_archive();
        ck_assert_int_eq(store(a, "j", 1000, 1), MPROXY_OK);
        ck_assert_int_eq(store(a, "j", 2000, 2), MPROXY_OK);
        mproxy_archive_close(a);

        crash_while_storing(points[i], true);
        a = open_archive();
        bool stored = mproxy_archive_size(a) == 1;
        ck_assert(stored == (i >= 1));
        ck_assert_double_eq(loaded(a, "j"), stored ? 3 : 2);
        ck_assert_uint_eq(count_files(""), stored ? 1 : 2);
        mproxy_archive_close(a);
        teardown();
        setup();
    }
}
END_TEST

struct readers {
    mproxy_archive *archive;
    atomic_bool stop;
    atomic_uint misses, reads;
};

static void look(void *arg, const mproxy_archive_item *item)
{
    if (strncmp(item->key, item->desc->jobid, strlen(item->desc->jobid)) != 0)
        atomic_fetch_add((atomic_uint *)arg, 1);
}

static void *read_all_the_time(void *arg)
{
    struct readers *r = arg;
    while (!atomic_load(&r->stop)) {
        mproxy_archive_each(r->archive, look, &r->misses);
        if (loaded(r->archive, "j") < 0)
            atomic_fetch_add(&r->misses, 1);
        atomic_fetch_add(&r->reads, 1);
    }
    return NULL;
}

START_TEST(readers_always_find_a_profile_while_it_is_rewritten)
{
    struct readers r = {.archive = open_archive()};
    pthread_t threads[2];
    ck_assert_int_eq(store(r.archive, "j", 1000, 1), MPROXY_OK);
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_all_the_time, &r), 0);

    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(store(r.archive, "j", 1000 + i % 10 + i / 10, i), MPROXY_OK);
    while (atomic_load(&r.reads) < 10)
        usleep(1000);
    atomic_store(&r.stop, true);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);

    ck_assert_uint_eq(r.misses, 0);
    mproxy_archive_close(r.archive);
}
END_TEST

START_TEST(file_names_escape_all_that_is_not_plain)
{
    static const char *const pairs[][2] = {
        {"job-1_2.x", "job-1_2.x"}, {".x", "%2Ex"},
        {"a/b", "a%2Fb"},           {"../x", "%2E.%2Fx"},
        {"a@1", "a%401"},           {"a%b~", "a%25b%7E"},
        {"\xc3\xa9", "%C3%A9"},     {"host:42 1", "host%3A42%201"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct mpx_buf name = MPX_BUF_INIT;
        mpx_archive_file_name(&name, pairs[i][0]);
        ck_assert_str_eq(mpx_buf_text(&name), pairs[i][1]);
        mpx_buf_free(&name);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("archive");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 30);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_missing_directory_is_an_empty_archive_until_the_first_store);
    tcase_add_test(c, what_was_stored_is_there_after_reopening);
    tcase_add_test(c, newest_run_has_the_id_and_older_ones_their_start_time);
    tcase_add_test(c, a_later_state_of_a_run_replaces_it);
    tcase_add_test(c, a_profile_that_holds_two_replaces_both);
    tcase_add_test(c, hostile_ids_stay_inside);
    tcase_add_test(c, key_of_an_older_run_does_not_hide_an_id_that_looks_like_it);
    tcase_add_test(c, damaged_files_are_reported_and_left_alone);
    tcase_add_test(c, hostile_files_in_the_directory_do_no_harm);
    tcase_add_test(c, leftovers_of_writes_are_removed_at_open);
    tcase_add_test(c, removing_the_newest_gives_its_key_to_the_older);
    tcase_add_test(c, two_archives_on_one_directory_see_each_other);
    tcase_add_test(c, a_store_that_did_not_know_of_another_process_writes_nothing);
    tcase_add_test(c, a_directory_removed_under_us_is_made_anew);
    tcase_add_test(c, a_write_that_fails_leaves_everything_as_it_was);
    tcase_add_test(c, a_file_in_the_place_of_the_prefix_is_an_error_that_names_it);
    tcase_add_test(c, a_crash_anywhere_in_a_store_loses_nothing);
    tcase_add_test(c, a_crash_anywhere_in_a_bridging_store_loses_nothing);
    tcase_add_test(c, readers_always_find_a_profile_while_it_is_rewritten);
    tcase_add_test(c, file_names_escape_all_that_is_not_plain);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
