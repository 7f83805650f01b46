#include "processes/segments.h"

#include "../support/segments_fixture.h"
#include "../support/suite.h"
#include "segment/rendezvous.h"

START_TEST(segments_count_a_killed_process_exactly)
{
    struct program p = start();
    tell(&p, "start count count");
    play_round();
    ck_assert_double_eq(shown("job-1", "calls_total"), 2000);
    tell(&p, "count");
    end(&p, SIGKILL);

    play_round();

    ck_assert_double_eq(shown("job-1", "calls_total"), 3000);
    ck_assert_double_eq(shown("job-1", "has_started"), 1);
    ck_assert_double_eq(shown("job-1", "has_finished"), 0);
    ck_assert_uint_eq(files(".seg"), 0);
    ck_assert_uint_eq(stats().processes, 0);
    play_round();
    ck_assert_double_eq(shown("job-1", "calls_total"), 3000);
}
END_TEST

START_TEST(segments_count_processes_that_no_round_saw_alive)
{
    struct program p[20];
    for (int i = 0; i < 20; i++) {
        p[i] = start();
        tell(&p[i], "start count finish");
        end(&p[i], 0);
    }

    play_round();

    ck_assert_double_eq(shown("job-1", "calls_total"), 20000);
    ck_assert_double_eq(shown("job-1", "has_finished"), 20);
    ck_assert_double_eq(shown("job-1", "job_process_cpu_seconds_total{mode=\"user\"}"),
                        50);
    ck_assert_uint_eq(files(".seg"), 0);
}
END_TEST

START_TEST(segments_put_the_images_of_a_process_together)
{
    struct program p = start();
    tell(&p, "launch start count start count start finish");
    play_round();
    ck_assert_uint_eq(stats().segments, 4);
    ck_assert_uint_eq(stats().processes, 1);
    ck_assert_double_eq(shown("job-1", "calls_total"), 2000);
    ck_assert_double_eq(shown("job-1", "has_started"), 1);
    ck_assert_double_eq(shown("job-1", "has_finished"), 1);

    end(&p, 0);
    play_round();

    ck_assert_double_eq(shown("job-1", "calls_total"), 2000);
    ck_assert_double_eq(shown("job-1", "has_started"), 1);
    ck_assert_uint_eq(files(".seg"), 0);
}
END_TEST

START_TEST(segments_bound_the_images_of_a_process)
{
    struct program p = start();
    tell(&p, "start count");
    for (int i = 0; i < 200; i++)
        tell(&p, "image count");

    for (int i = 0; i < 3; i++)
        play_round();

    ck_assert_uint_le(stats().segments, 64);
    ck_assert_uint_le(files(".seg"), 64);
    ck_assert_double_eq(shown("job-1", "calls_total"), 201000);
    tell(&p, "count finish");
    end(&p, 0);
    play_round();
    ck_assert_double_eq(shown("job-1", "calls_total"), 202000);
    ck_assert_double_eq(shown("job-1", "has_started"), 1);
    ck_assert_double_eq(shown("job-1", "has_finished"), 1);
    ck_assert_uint_eq(files(".seg"), 0);
}
END_TEST

// The state file names segments that are gone; a later image may bear such a name.
START_TEST(segments_are_told_from_those_folded_under_their_name)
{
    struct program p = start();
    tell(&p, "start count");
    for (int i = 0; i < 200; i++)
        tell(&p, "image count");
    for (int i = 0; i < 3; i++)
        play_round();
    unsigned before = files(".seg");
    tell(&p, "image count image count");
    ck_assert_uint_eq(files(".seg"), before + 2);
    close_proxy(); // killed

    open_proxy();
    play_round();

    ck_assert_double_eq(shown("job-1", "calls_total"), 203000);
    end(&p, SIGKILL);
    play_round();
    ck_assert_double_eq(shown("job-1", "calls_total"), 203000);
    ck_assert_uint_eq(files(".seg"), 0);
}
END_TEST

START_TEST(segments_of_a_process_that_execs_away_wait_for_its_end)
{
    struct program p = start();
    tell(&p, "start count leave");

    play_round();
    play_round();
    play_round();

    ck_assert_uint_eq(stats().alive, 1);
    ck_assert_uint_eq(files(".seg"), 1);
    ck_assert_double_eq(shown("job-1", "calls_total"), 1000);
    end(&p, SIGKILL);
    play_round();
    ck_assert_uint_eq(files(".seg"), 0);
    ck_assert_double_eq(shown("job-1", "calls_total"), 1000);
}
END_TEST

START_TEST(segments_take_a_zombie_for_ended)
{
    struct program p = start();
    tell(&p, "start count");
    kill(p.pid, SIGKILL);
    siginfo_t info;
    ck_assert_int_eq(waitid(P_PID, (id_t)p.pid, &info, WEXITED | WNOWAIT), 0);

    play_round();

    ck_assert_uint_eq(files(".seg"), 0);
    end(&p, 0);
}
END_TEST

START_TEST(segments_of_a_launcher_say_no_start)
{
    struct program p = start();
    tell(&p, "launch");
    play_round();

    ck_assert_double_eq(shown("job-1", "has_started"), 0);
    ck_assert_uint_eq(stats().alive, 1);
    end(&p, 0);
}
END_TEST

START_TEST(segments_follow_a_process_into_another_job)
{
    struct program p = start();
    tell(&p, "start count other-job start count count finish");
    play_round();
    end(&p, 0);
    play_round();

    ck_assert_double_eq(shown("job-1", "calls_total"), 1000);
    ck_assert_double_eq(shown("job-2", "calls_total"), 2000);
    ck_assert_uint_eq(files(".seg"), 0);
}
END_TEST

START_TEST(segments_go_on_counting_when_they_are_removed)
{
    struct program p = start();
    tell(&p, "start count");
    play_round();
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
    ck_assert(mpx_segments_lost(segments));
    tell(&p, "count");
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    ck_assert(mpx_segments_lost(segments));
    close(dir);
    close(state);
    open_folder();

    ck_assert_int_eq(mproxy_ledger_move(ledger, state, NULL), MPROXY_OK);
    ck_assert_int_eq(mpx_segments_move(segments, dir, state, NULL), MPROXY_OK);

    ck_assert(!mpx_segments_lost(segments));
    play_round();
    ck_assert_double_eq(shown("job-1", "calls_total"), 2000);
    tell(&p, "count");
    end(&p, SIGKILL);
    play_round();
    ck_assert_double_eq(shown("job-1", "calls_total"), 3000);
    ck_assert_uint_eq(stats().segments, 0);
}
END_TEST

START_TEST(segments_keep_samples_of_proc_over_a_new_proxy)
{
    const char *const cpu = "job_process_cpu_seconds_total{mode=\"user\"}";
    struct program p = start();
    tell(&p, "start burn");
    play_round(); // seen
    play_round(); // a second later: sampled
    double before = shown("job-1", cpu);
    ck_assert_double_ge(before, 0.03);
    ck_assert_double_gt(shown("job-1", "job_process_resident_memory_bytes"), 4096);
    close_proxy();
    kill(p.pid, SIGKILL);
    end(&p, 0);

    open_proxy();
    play_round();

    ck_assert_double_eq(shown("job-1", cpu), before);
    ck_assert_uint_eq(files(".seg"), 0);
}
END_TEST

START_TEST(segments_of_another_pid_namespace_are_looked_at_twice)
{
    struct image m = image_new(77, "job-1");
    image_header(&m)->pid_ns = 1; // nobody's
    image_counters(&m, "c", 1);
    image_row0(&m)[0] = 5;
    close(image_write(&m, dir, "77-1-1-0.seg", m.size));

    play_round();
    ck_assert_uint_eq(files(".seg"), 1);
    play_round();

    ck_assert_uint_eq(files(".seg"), 0);
    ck_assert_double_eq(shown("job-1", "c_00000"), 5);
    image_free(&m);
}
END_TEST

// Each program defines its metrics in an order of its own.
START_TEST(segments_leave_no_layout_behind)
{
    for (uint32_t i = 0; i < 100; i++) {
        struct image m = image_new(100 + i, "job-1");
        char prefix[16], name[32];
        image_header(&m)->pid_ns = 1; // nobody's
        snprintf(prefix, sizeof prefix, "c%u", i % 7);
        image_counters(&m, prefix, 1 + i);
        for (uint32_t k = 0; k <= i; k++)
            image_row0(&m)[k] = 1;
        snprintf(name, sizeof name, "%u-1-1-0.seg", 100 + i);
        close(image_write(&m, dir, name, m.size));
        image_free(&m);
        play_round();
    }
    play_round();
    play_round();

    ck_assert_uint_eq(files(".seg"), 0);
    ck_assert_uint_eq(stats().layouts, 1); // that of process metrics
    ck_assert_double_eq(shown("job-1", "c0_00000"), 15);
    ck_assert_double_eq(shown("job-1", "c1_00098"), 1);
    ck_assert_double_eq(shown("job-1", "c5_00060"), 6);
}
END_TEST

START_TEST(segments_that_come_after_a_process_was_folded_are_another_process)
{
    struct image m = image_new(77, "job-1");
    image_header(&m)->pid_ns = 1; // nobody's
    image_counters(&m, "c", 1);
    image_row0(&m)[0] = 5;
    close(image_write(&m, dir, "77-1-1-0.seg", m.size));
    play_round();
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s/state", folder);
    ck_assert_int_eq(system(command), 0);
    mproxy_ledger_round_begin(ledger, boot_ms, 1);
    ck_assert_int_eq(mpx_segments_round(segments, boot_ms, 1, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_ledger_round_end(ledger, NULL), MPROXY_E_SYSTEM);
    image_header(&m)->birth_boot_ns = 1; // before the first, whatever its clock says
    image_header(&m)->image = 1;
    close(image_write(&m, dir, "77-1-1-1.seg", m.size));
    close(state);
    ck_assert_int_eq(mkdirat(dir, "state", 0700), 0);
    state = openat(dir, "state", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(mproxy_ledger_move(ledger, state, NULL), MPROXY_OK);

    for (int i = 0; i < 4; i++)
        play_round();

    ck_assert_double_eq(shown("job-1", "c_00000"), 10);
    ck_assert_uint_eq(files(".seg"), 0);
    image_free(&m);
}
END_TEST

START_TEST(segments_sweep_those_never_born)
{
    struct image m = image_new(77, "job-1");
    struct timespec old[2] = {{.tv_sec = time(NULL) - 100}, {.tv_sec = time(NULL) - 100}};
    close(image_write(&m, dir, ".new-young", m.size));
    int locked = image_write(&m, dir, ".new-locked", m.size);
    ck_assert_int_eq(image_lock(locked, F_WRLCK), 0);
    ck_assert_int_eq(futimens(locked, old), 0);
    int dead = image_write(&m, dir, ".new-dead", m.size);
    ck_assert_int_eq(futimens(dead, old), 0);

    play_round();

    ck_assert_uint_eq(files(".new-young"), 1);
    ck_assert_uint_eq(files(".new-locked"), 1);
    ck_assert_uint_eq(files(".new-dead"), 0);
    close(dead);
    close(locked);
    image_free(&m);
}
END_TEST

START_TEST(segments_tell_of_processes_that_could_not_count)
{
    mpx_rendezvous_refuse(folder, MPX_OFF_SPACE, "job-1");
    mpx_rendezvous_refuse(folder, MPX_OFF_DESCRIPTOR, "");
    int fd = openat(dir, "refused", O_CREAT | O_WRONLY, 0600);
    ck_assert_int_eq(write(fd, "xxx", 3), 3);
    close(fd);

    play_round();

    ck_assert_ptr_nonnull(job_source("job-1"));
    ck_assert_int_eq(job_source("job-1")->incomplete, 1);
    ck_assert_double_eq(
        shown(NULL, "mproxy_processes_uncounted_total{reason=\"no descriptor\"}"), 1);
    ck_assert_double_eq(
        shown(NULL, "mproxy_processes_uncounted_total{reason=\"refused\"}"), 3);
    ck_assert_uint_eq(files(".off-"), 0);
    ck_assert_uint_eq(stats().uncounted, 2);
    ck_assert_uint_eq(stats().refused, 3);
    play_round();
    ck_assert_uint_eq(stats().uncounted, 2);
}
END_TEST

START_TEST(segments_do_not_remove_another_file_of_the_name)
{
    struct image m = image_new(77, "job-1");
    image_header(&m)->pid_ns = 1;
    image_counters(&m, "c", 1);
    image_row0(&m)[0] = 5;
    close(image_write(&m, dir, "a.seg", m.size));
    play_round();
    ck_assert_int_eq(unlinkat(dir, "a.seg", 0), 0);
    close(image_write(&m, dir, "b.seg", 0)); // so that the inode number is another
    image_header(&m)->pid = 78;
    close(image_write(&m, dir, "a.seg", m.size));
    ck_assert_int_eq(unlinkat(dir, "b.seg", 0), 0);
    play_round(); // the first is folded
    ck_assert_uint_eq(files(".seg"), 1);
    play_round();
    play_round();
    play_round();

    ck_assert_double_eq(shown("job-1", "c_00000"), 10);
    ck_assert_uint_eq(files(".seg"), 0);
    image_free(&m);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, segments_count_a_killed_process_exactly);
    tcase_add_test(tc, segments_count_processes_that_no_round_saw_alive);
    tcase_add_test(tc, segments_put_the_images_of_a_process_together);
    tcase_add_test(tc, segments_bound_the_images_of_a_process);
    tcase_add_test(tc, segments_are_told_from_those_folded_under_their_name);
    tcase_add_test(tc, segments_of_a_process_that_execs_away_wait_for_its_end);
    tcase_add_test(tc, segments_take_a_zombie_for_ended);
    tcase_add_test(tc, segments_of_a_launcher_say_no_start);
    tcase_add_test(tc, segments_follow_a_process_into_another_job);
    tcase_add_test(tc, segments_go_on_counting_when_they_are_removed);
    tcase_add_test(tc, segments_keep_samples_of_proc_over_a_new_proxy);
    tcase_add_test(tc, segments_of_another_pid_namespace_are_looked_at_twice);
    tcase_add_test(tc, segments_leave_no_layout_behind);
    tcase_add_test(tc, segments_that_come_after_a_process_was_folded_are_another_process);
    tcase_add_test(tc, segments_sweep_those_never_born);
    tcase_add_test(tc, segments_tell_of_processes_that_could_not_count);
    tcase_add_test(tc, segments_do_not_remove_another_file_of_the_name);
}

int main(void)
{
    Suite *suite = suite_create("segments");
    TCase *tc = tcase_create("segments");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    add_tests(tc);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
