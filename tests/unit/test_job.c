// Job descriptions: what may be an id, and what is read from the environment.
#include <mproxy/job.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/suite.h"
#include "base/utf8.h"

static mproxy_job job;
static uint32_t rank;
static mproxy_error error;

// The test itself may run under Slurm, MPI or proxy_run.
static void clear_environment(void)
{
    static const char *const names[] = {"PROXY_JOB_ID",
                                        "SLURM_JOBID",
                                        "SLURM_JOB_ID",
                                        "SLURM_STEP_ID",
                                        "SLURM_NTASKS",
                                        "SLURM_PROCID",
                                        "PMIX_ID",
                                        "PMIX_NAMESPACE",
                                        "PMIX_RANK",
                                        "PMI_JOBID",
                                        "PMI_RANK",
                                        "PMI_SIZE",
                                        "OMPI_COMM_WORLD_RANK",
                                        "OMPI_COMM_WORLD_SIZE",
                                        "MPROXY_COMMAND",
                                        "MPROXY_LAUNCHER_ID",
                                        "SLURM_JOB_NODELIST",
                                        "SLURM_JOB_PARTITION",
                                        "SLURM_CLUSTER_NAME"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    error = (mproxy_error){0};
}

static void clear_job(void)
{
    mproxy_job_clear(&job);
}

static void describe(void)
{
    mproxy_job_clear(&job);
    ck_assert_int_eq(mproxy_job_from_environment(&job, &rank, &error), MPROXY_OK);
}

START_TEST(proxy_job_id_wins_over_all_others)
{
    setenv("PROXY_JOB_ID", "mine", 1);
    setenv("SLURM_JOBID", "12", 1);
    setenv("PMIX_ID", "ns.0", 1);

    describe();

    ck_assert_str_eq(job.jobid, "mine");
}
END_TEST

START_TEST(slurm_id_carries_its_step)
{
    setenv("SLURM_JOB_ID", "12", 1);
    setenv("PMI_JOBID", "12.0", 1);
    describe();
    ck_assert_str_eq(job.jobid, "12");

    setenv("SLURM_STEP_ID", "3", 1);
    describe();
    ck_assert_str_eq(job.jobid, "12-3");
}
END_TEST

START_TEST(pmix_id_loses_its_rank_after_the_last_dot)
{
    setenv("PMIX_ID", "prterun-host.domain-77@1.15", 1);

    describe();

    ck_assert_str_eq(job.jobid, "prterun-host.domain-77@1");
}
END_TEST

START_TEST(pmix_namespace_and_pmi_jobid_are_taken_as_they_are)
{
    setenv("PMI_JOBID", "9.0", 1);
    describe();
    ck_assert_str_eq(job.jobid, "9.0");

    setenv("PMIX_NAMESPACE", "a.b", 1);
    describe();
    ck_assert_str_eq(job.jobid, "a.b");
}
END_TEST

START_TEST(empty_variables_count_as_not_set)
{
    setenv("PROXY_JOB_ID", "", 1);
    setenv("SLURM_JOBID", "", 1);
    setenv("SLURM_JOB_ID", "5", 1);

    describe();

    ck_assert_str_eq(job.jobid, "5");
}
END_TEST

START_TEST(launcher_id_is_used_when_nothing_else_names_the_job)
{
    setenv("MPROXY_LAUNCHER_ID", "h-1-2", 1);

    describe();

    ck_assert_str_eq(job.jobid, "h-1-2");
}
END_TEST

START_TEST(without_any_id_it_is_host_parent_and_its_start_time)
{
    char expect[128], host[65] = "";
    gethostname(host, sizeof host - 1);
    snprintf(expect, sizeof expect, "%s-%d-", host, (int)getppid());

    describe();

    ck_assert_msg(strncmp(job.jobid, expect, strlen(expect)) == 0, "id is %s", job.jobid);
    ck_assert_uint_gt(strtoull(job.jobid + strlen(expect), NULL, 10), 0);
}
END_TEST

// Runs a shell that goes by hydra's name and says where mpiexec listens; a shell below it
// starts this program, which prints its id.
static void id_below(const char *program, char *id, size_t room)
{
    char self[4096] = "", script[5000];
    ck_assert_int_gt(readlink("/proc/self/exe", self, sizeof self - 1), 0);
    snprintf(script, sizeof script, "sh -c \"'%s' --print-id; true\"; true", self);
    int out[2];
    ck_assert_int_eq(pipe(out), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], 1);
        execl("/bin/sh", program, "-c", script, "x", "--control-port", "n1:4711", NULL);
        _exit(127);
    }
    close(out[1]);
    ssize_t got = read(out[0], id, room - 1);
    id[got > 0 ? got : 0] = '\0';
    close(out[0]);
    waitpid(pid, NULL, 0);
}

START_TEST(hydras_control_port_names_the_job_of_a_pmi_rank)
{
    char id[600];
    setenv("PMI_RANK", "1", 1);
    setenv("MPROXY_LAUNCHER_ID", "launcher", 1);

    id_below("/usr/bin/hydra_pmi_proxy", id, sizeof id);
    ck_assert_str_eq(id, "n1:4711");

    id_below("/usr/bin/another", id, sizeof id);
    ck_assert_str_eq(id, "launcher");
}
END_TEST

START_TEST(bad_ids_become_empty_ones_and_are_told)
{
    static const char *const ids[] = {"main", "Node: n1", "a\nb", "a\x7f", "\xff\xfe"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        error = (mproxy_error){0};
        setenv("PROXY_JOB_ID", ids[i], 1);

        describe();

        ck_assert_str_eq(job.jobid, "");
        ck_assert_int_eq(error.status, MPROXY_E_INVALID);
    }
}
END_TEST

START_TEST(ids_with_slashes_and_dots_are_allowed)
{
    ck_assert_int_eq(mproxy_job_check_id("../../etc/x", NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_job_check_id("a/b", NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_job_check_id("jöb", NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_job_check_id("mainly", NULL), MPROXY_OK);
}
END_TEST

START_TEST(an_id_may_have_512_bytes_and_no_more)
{
    char id[MPROXY_JOB_ID_MAX + 2];
    memset(id, 'x', sizeof id);
    id[MPROXY_JOB_ID_MAX + 1] = '\0';
    ck_assert_int_eq(mproxy_job_check_id(id, &error), MPROXY_E_INVALID);
    ck_assert_ptr_nonnull(strstr(error.text, "512"));

    id[MPROXY_JOB_ID_MAX] = '\0';
    ck_assert_int_eq(mproxy_job_check_id(id, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_job_check_id("", NULL), MPROXY_E_INVALID);
    ck_assert_int_eq(mproxy_job_check_id(NULL, NULL), MPROXY_E_INVALID);
}
END_TEST

START_TEST(command_is_the_launchers_trimmed_and_cut_between_characters)
{
    size_t length = MPROXY_JOB_COMMAND_MAX + 10;
    char *text = malloc(length + 1);
    memset(text, 'c', length);
    memcpy(text + MPROXY_JOB_COMMAND_MAX - 1, "\xc3\xa4", 2); // straddles the bound
    text[length] = '\0';
    setenv("MPROXY_COMMAND", text, 1);
    free(text);
    describe();
    ck_assert_uint_eq(strlen(job.command), MPROXY_JOB_COMMAND_MAX - 1);

    setenv("MPROXY_COMMAND", "  ls -R /usr \t", 1);
    describe();
    ck_assert_str_eq(job.command, "ls -R /usr");
}
END_TEST

START_TEST(command_without_a_launcher_is_the_process_own)
{
    describe();

    ck_assert_ptr_nonnull(strstr(job.command, "unit_job"));
    ck_assert_ptr_null(strstr(job.command, "  "));
}
END_TEST

START_TEST(rank_and_size_come_from_the_first_that_knows)
{
    setenv("SLURM_PROCID", "9", 1);
    setenv("PMI_SIZE", "4", 1);
    describe();
    ck_assert_uint_eq(rank, 9);
    ck_assert_uint_eq(job.size, 4);

    setenv("PMI_RANK", "3", 1);
    setenv("OMPI_COMM_WORLD_SIZE", "8", 1);
    setenv("PMIX_NAMESPACE", "x", 1);
    describe();
    ck_assert_uint_eq(rank, 3);
    ck_assert_uint_eq(job.size, 8);
}
END_TEST

START_TEST(senseless_ranks_and_sizes_are_passed_over)
{
    setenv("PROXY_JOB_ID", "j", 1);
    setenv("PMI_RANK", "-1", 1);
    setenv("PMIX_RANK", "2", 1);
    setenv("SLURM_NTASKS", "99999999999999999999", 1);

    describe();

    ck_assert_uint_eq(rank, 2);
    ck_assert_uint_eq(job.size, 1);
}
END_TEST

START_TEST(slurm_fields_and_working_directory_are_described)
{
    char here[4096];
    setenv("SLURM_JOB_NODELIST", "n[1-4]", 1);
    setenv("SLURM_JOB_PARTITION", "p", 1);
    setenv("SLURM_CLUSTER_NAME", "c", 1);

    describe();

    ck_assert_str_eq(job.nodelist, "n[1-4]");
    ck_assert_str_eq(job.partition, "p");
    ck_assert_str_eq(job.cluster, "c");
    ck_assert_str_eq(job.run_dir, getcwd(here, sizeof here));
    ck_assert_int_gt(job.start_time, 1700000000);
    ck_assert_int_eq(job.end_time, 0);
}
END_TEST

START_TEST(a_copy_owns_its_strings_and_has_no_null)
{
    mproxy_job bare = {.size = 3, .jobid = (char *)"j"}, copy;

    ck_assert_int_eq(mproxy_job_copy(&bare, &copy), MPROXY_OK);

    ck_assert_str_eq(copy.jobid, "j");
    ck_assert_ptr_ne(copy.jobid, bare.jobid);
    ck_assert_str_eq(copy.cluster, "");
    ck_assert_uint_eq(copy.size, 3);
    mproxy_job_clear(&copy);
    ck_assert_ptr_null(copy.jobid);
    mproxy_job_clear(NULL);
}
END_TEST

START_TEST(utf8_tells_characters_from_bytes)
{
    ck_assert_uint_eq(mpx_utf8_char("\xe2\x82\xac", 3), 3);
    ck_assert_uint_eq(mpx_utf8_char("\xe2\x82\xac", 2), 0);
    ck_assert_uint_eq(mpx_utf8_char("\xc0\x80", 2), 0);         // overlong
    ck_assert_uint_eq(mpx_utf8_char("\xed\xa0\x80", 3), 0);     // surrogate
    ck_assert_uint_eq(mpx_utf8_char("\xf4\x90\x80\x80", 4), 0); // above U+10FFFF
    ck_assert(!mpx_utf8_is_printable("a\xc2\x85", 3));          // a C1 control
    ck_assert_uint_eq(mpx_utf8_cut("a\xe2\x82\xac", 4, 3), 1);
    ck_assert_uint_eq(mpx_utf8_cut("\x80\x80\x80\x80\x80", 5, 4), 4);
}
END_TEST

// For id_below().
static int print_id(void)
{
    if (mproxy_job_from_environment(&job, &rank, NULL) != MPROXY_OK)
        return 1;
    fputs(job.jobid, stdout);
    mproxy_job_clear(&job);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--print-id") == 0)
        return print_id();
    Suite *suite = suite_create("job");
    TCase *cases = tcase_create("job");
    tcase_add_checked_fixture(cases, clear_environment, clear_job);
    tcase_add_test(cases, proxy_job_id_wins_over_all_others);
    tcase_add_test(cases, slurm_id_carries_its_step);
    tcase_add_test(cases, pmix_id_loses_its_rank_after_the_last_dot);
    tcase_add_test(cases, pmix_namespace_and_pmi_jobid_are_taken_as_they_are);
    tcase_add_test(cases, empty_variables_count_as_not_set);
    tcase_add_test(cases, launcher_id_is_used_when_nothing_else_names_the_job);
    tcase_add_test(cases, without_any_id_it_is_host_parent_and_its_start_time);
    tcase_add_test(cases, hydras_control_port_names_the_job_of_a_pmi_rank);
    tcase_add_test(cases, bad_ids_become_empty_ones_and_are_told);
    tcase_add_test(cases, ids_with_slashes_and_dots_are_allowed);
    tcase_add_test(cases, an_id_may_have_512_bytes_and_no_more);
    tcase_add_test(cases, command_is_the_launchers_trimmed_and_cut_between_characters);
    tcase_add_test(cases, command_without_a_launcher_is_the_process_own);
    tcase_add_test(cases, rank_and_size_come_from_the_first_that_knows);
    tcase_add_test(cases, senseless_ranks_and_sizes_are_passed_over);
    tcase_add_test(cases, slurm_fields_and_working_directory_are_described);
    tcase_add_test(cases, a_copy_owns_its_strings_and_has_no_null);
    tcase_add_test(cases, utf8_tells_characters_from_bytes);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
