// A directory for all users: one who brings too much is bounded, and nobody else notices.
// Files of other users take root; without it there is one user only.
#include "../support/segments_fixture.h"
#include "../support/suite.h"

enum { OTHER = 54321, THIRD = 54322 };

static void open_with_budget(uint32_t files, uint32_t names, uint64_t bytes)
{
    mproxy_error err = {0};
    struct mpx_segments_options so = {.store = store,
                                      .max_bytes_per_uid = bytes,
                                      .ledger = ledger,
                                      .dir_path = folder,
                                      .dir_fd = dir,
                                      .state_fd = state,
                                      .log = take_warning,
                                      .max_files_per_uid = files,
                                      .max_names_per_uid = names};
    mpx_segments_close(segments);
    ck_assert_msg(mpx_segments_open(&so, &segments, &err) == MPROXY_OK, "%s", err.text);
    warnings = 0;
}

static void open_bounded(uint32_t files, uint32_t names)
{
    open_with_budget(files, names, 0);
}

// A segment of a user that is locked, as by a process that lives; its descriptor.
static int drop_segment(uint32_t uid, uint32_t pid, const char *jobid, const char *prefix,
                        uint32_t count)
{
    char name[64];
    struct image m = image_new(pid, jobid);
    snprintf(name, sizeof name, "%u-%u.seg", uid, pid);
    image_header(&m)->uid = uid;
    image_counters(&m, prefix, count);
    uint64_t *row = image_row0(&m);
    for (uint32_t i = 0; i < count; i++)
        row[i] = i + 1;
    int fd = image_write(&m, dir, name, m.size);
    ck_assert_int_eq(fchown(fd, uid, uid), 0);
    ck_assert_int_eq(image_lock(fd, F_WRLCK), 0);
    image_free(&m);
    return fd;
}

START_TEST(a_user_with_too_many_names_is_cut_and_others_are_not)
{
    open_bounded(0, 30);
    drop_segment(OTHER, 1, "greedy", "many", 100);
    drop_segment(OTHER, 2, "also-theirs", "more", 5);
    play_round();

    ck_assert_double_eq(shown("greedy", "many_00029"), 30);
    ck_assert(isnan(shown("greedy", "many_00030")));
    ck_assert(isnan(shown("also-theirs", "more_00000")));
    ck_assert_uint_eq(stats().refused_limits, 75);
    ck_assert_uint_eq(stats().refused_names, 0);
    ck_assert_ptr_nonnull(strstr(warning, "user 54321 has brought 30 names"));
    ck_assert_uint_eq(warnings, 2);
    ck_assert_double_eq(
        shown("greedy", "mproxy_processes_uncounted_total{reason=\"too many names\"}"),
        1);

    // The same definitions, byte by byte, of somebody else; and what is known already.
    drop_segment(THIRD, 1, "modest", "more", 5);
    drop_segment(THIRD, 2, "alike", "many", 30);
    drop_segment(OTHER, 3, "known", "more", 4);
    drop_segment(0, 1, "ours", "own", 100);
    play_round();

    ck_assert_double_eq(shown("modest", "more_00004"), 5);
    ck_assert_double_eq(shown("alike", "many_00029"), 30);
    ck_assert_double_eq(shown("known", "more_00003"), 4);
    ck_assert_double_eq(shown("ours", "own_00099"), 100);
    ck_assert_uint_eq(stats().refused_limits, 75);
}
END_TEST

// As drop_segment(), with gauges that no other process has, and without a job.
static int drop_gauges(uint32_t pid, uint32_t count)
{
    char name[64];
    struct image m = image_new(pid, "");
    image_header(&m)->uid = OTHER;
    for (uint32_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "level{of=\"%u-%u\"}", pid, i);
        image_metric(&m, MPX_DEF_GAUGE, 2 * i, name, NULL, 0);
        const double value = i;
        memcpy(image_row0(&m) + 2 * i, &value, sizeof value);
        image_row0(&m)[2 * i + 1] = 1;
    }
    snprintf(name, sizeof name, "gauges-%u.seg", pid);
    int fd = image_write(&m, dir, name, m.size);
    ck_assert_int_eq(fchown(fd, OTHER, OTHER), 0);
    ck_assert_int_eq(image_lock(fd, F_WRLCK), 0);
    image_free(&m);
    return fd;
}

START_TEST(names_that_nothing_shows_count_against_no_user)
{
    open_bounded(0, 30);
    for (uint32_t pid = 1; pid <= 40; pid++) {
        char last[64];
        snprintf(last, sizeof last, "level{of=\"%u-19\"}", pid);
        int fd = drop_gauges(pid, 20);
        play_round();
        ck_assert_double_eq(shown(NULL, last), 19);
        close(fd);
        for (int i = 0; i < 5; i++) {
            play_round();
            mproxy_store_sweep(store);
        }
        ck_assert(isnan(shown(NULL, last)));
    }
    ck_assert_uint_eq(stats().refused_limits, 0);
    ck_assert_uint_eq(warnings, 0);

    // What lives counts all the same.
    drop_gauges(1000, 20);
    drop_gauges(1001, 20);
    play_round();
    ck_assert_uint_eq(stats().refused_limits, 10);
}
END_TEST

START_TEST(names_that_had_no_room_are_taken_when_there_is_some)
{
    open_bounded(0, 30);
    int first = drop_gauges(1, 20);
    play_round();
    drop_gauges(2, 20);
    play_round();
    const char *left = "level{of=\"2-19\"}";
    ck_assert(isnan(shown(NULL, left)));
    ck_assert_uint_eq(stats().refused_limits, 10);

    close(first);
    for (int i = 0; i < 6; i++) {
        play_round();
        mproxy_store_sweep(store);
    }

    ck_assert_double_eq(shown(NULL, left), 19);
    ck_assert_double_eq(shown(NULL, "level{of=\"2-3\"}"), 3);
    ck_assert_uint_eq(stats().refused_limits, 10);
    ck_assert_uint_eq(warnings, 1);
}
END_TEST

START_TEST(a_user_with_too_many_files_waits_and_others_do_not)
{
    int fds[6];
    open_bounded(4, 0);
    for (uint32_t i = 0; i < 6; i++)
        fds[i] = drop_segment(OTHER, i, "crowd", "c", 1);
    drop_segment(THIRD, 1, "beside", "c", 1);
    drop_segment(0, 1, "ours", "c", 1);
    for (int i = 0; i < 10; i++)
        play_round();

    ck_assert_double_eq(shown("crowd", "c_00000"), 4);
    ck_assert_double_eq(shown("beside", "c_00000"), 1);
    ck_assert_double_eq(shown("ours", "c_00000"), 1);
    ck_assert_uint_eq(stats().bad_crowd, 2);
    ck_assert_uint_eq(warnings, 1);
    ck_assert_ptr_nonnull(strstr(warning, "user 54321 has 4 of at most 4 files"));

    // Nothing is lost: those that wait are read when others have ended.
    for (int i = 0; i < 6; i++)
        close(fds[i]);
    for (int i = 0; i < 12; i++)
        play_round();
    ck_assert_double_eq(shown("crowd", "c_00000"), 6);
    ck_assert_uint_eq(stats().bad_crowd, 0);
}
END_TEST

START_TEST(links_and_what_is_no_segment_count_too)
{
    char name[128];
    open_bounded(4, 0);
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, i % 2 ? "%s/.off-%d-1" : "%s/%d.seg", folder, i);
        ck_assert_int_eq(symlink("2 links", name), 0);
        ck_assert_int_eq(lchown(name, OTHER, OTHER), 0);
    }
    drop_segment(THIRD, 1, "beside", "c", 1);
    play_round();

    ck_assert_uint_eq(stats().bad_crowd, 6);
    ck_assert_double_eq(shown("beside", "c_00000"), 1);
}
END_TEST

// The header of the program's own segment, to be told by somebody else.
static void drop_twin(const struct program *p)
{
    char name[128], command[160];
    snprintf(command, sizeof command, "ls %s/*.seg", folder);
    FILE *list = popen(command, "r");
    ck_assert_int_eq(fscanf(list, "%127s", name), 1);
    pclose(list);
    int from = open(name, O_RDONLY | O_CLOEXEC);
    struct mpx_seg_header theirs;
    ck_assert_int_eq(pread(from, &theirs, sizeof theirs, 0), sizeof theirs);
    close(from);
    ck_assert_uint_eq(theirs.pid, (uint32_t)p->pid);
    struct image m = image_new(theirs.pid, "twin");
    image_header(&m)->uid = OTHER;
    image_header(&m)->start_ticks = theirs.start_ticks;
    image_header(&m)->pid_ns = theirs.pid_ns;
    // One file would be seen first by chance.
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "twin-%d.seg", i);
        int fd = image_write(&m, dir, name, m.size);
        ck_assert_int_eq(fchown(fd, OTHER, OTHER), 0);
        ck_assert_int_eq(image_lock(fd, F_WRLCK), 0);
    }
    image_free(&m);
}

START_TEST(what_proc_said_of_a_process_is_no_other_users)
{
    struct program p = start();
    tell(&p, "start burn");
    play_round();
    play_round(); // sampled
    const char *seconds = "job_process_cpu_seconds_total{mode=\"user\"}";
    double used = shown("job-1", seconds);
    ck_assert_double_gt(used, 0);
    drop_twin(&p);
    close_proxy(); // killed, and the program after it
    end(&p, SIGKILL);

    open_proxy();
    for (int i = 0; i < 3; i++)
        play_round();

    ck_assert_double_ge(shown("job-1", seconds), used);
    ck_assert_double_eq(shown("twin", seconds), 0);
}
END_TEST

// Of a process of this PID namespace that is known to be gone, and ended seconds ago.
static void drop_ended(uint32_t number)
{
    char name[32];
    struct stat st;
    enum { NO_PID = 1 << 30 };
    ck_assert_int_eq(stat("/proc/self/ns/pid", &st), 0);
    struct image m = image_new(NO_PID + number, "crowd");
    image_header(&m)->pid_ns = st.st_ino;
    image_header(&m)->end_wall_ns = (uint64_t)(clock_ms(CLOCK_REALTIME) - 5000) * 1000000;
    snprintf(name, sizeof name, "c%u", number);
    image_counters(&m, name, 1);
    image_row0(&m)[0] = 1;
    snprintf(name, sizeof name, "%u.seg", number);
    int fd = image_write(&m, dir, name, m.size);
    ck_assert_int_eq(fchown(fd, OTHER, OTHER), 0);
    close(fd);
    image_free(&m);
}

// A job that lives has taken all room of its user, and of another more has ended than a round
// reads beside: its share, sealed with a part of it, would be told as the whole.
START_TEST(nothing_is_sealed_while_ended_processes_wait_to_be_read)
{
    enum { ALL = 40 };
    mproxy_error err;
    mproxy_ledger_options lo = {
        .struct_size = sizeof lo, .host = "host", .linger_ms = 100};
    mpx_segments_close(segments);
    segments = NULL;
    mproxy_ledger_close(ledger);
    ck_assert_int_eq(mproxy_ledger_open(state, store, &lo, &ledger, &err), MPROXY_OK);
    open_with_budget(0, 0, 3 * MPX_SEG_PAGE);
    drop_segment(OTHER, 1, "lives", "many", 128);
    play_round();
    ck_assert_uint_eq(stats().bytes, 3 * MPX_SEG_PAGE);
    for (uint32_t number = 1; number <= ALL; number++)
        drop_ended(number);
    boot_ms += 5000;

    int rounds = 0;
    do {
        play_round();
        ck_assert_int_lt(++rounds, ALL);
    } while (!job_source("crowd")->sealed);

    ck_assert_int_gt(rounds, 2);
    ck_assert_double_eq(shown("crowd", "c40_00000"), 1);
    for (uint32_t number = 1; number <= ALL; number++) {
        char name[32];
        snprintf(name, sizeof name, "c%u_00000", number);
        ck_assert_double_eq(shown("crowd", name), 1);
    }
    ck_assert_int_eq(job_source("crowd")->incomplete, 0);
    ck_assert_uint_eq(warnings, 0);
}
END_TEST

int main(void)
{
    if (geteuid() != 0)
        return skip_suite("root", "files of several users can't be made");
    Suite *suite = suite_create("segments_users");
    TCase *tc = tcase_create("bounds");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_user_with_too_many_names_is_cut_and_others_are_not);
    tcase_add_test(tc, names_that_nothing_shows_count_against_no_user);
    tcase_add_test(tc, names_that_had_no_room_are_taken_when_there_is_some);
    tcase_add_test(tc, a_user_with_too_many_files_waits_and_others_do_not);
    tcase_add_test(tc, links_and_what_is_no_segment_count_too);
    tcase_add_test(tc, what_proc_said_of_a_process_is_no_other_users);
    tcase_add_test(tc, nothing_is_sealed_while_ended_processes_wait_to_be_read);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
