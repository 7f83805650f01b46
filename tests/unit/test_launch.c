// Exporters beside an executable, and the environment a program is started with.
#include <mproxy/launch.h>

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/suite.h"

static char dir[64];    // holds exporters, the socket's path, and scripts
static char line[4096]; // everything said
static mproxy_exporters *exporters;
static mproxy_launch_options options;
static mproxy_error error;

static void touch(const char *name, const char *content, int mode)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    close(fd);
}

static void hear(void *user, const char *text)
{
    (void)user;
    size_t used = strlen(line);
    snprintf(line + used, sizeof line - used, "%s\n", text);
}

static void start(void)
{
    static char socket[128];
    strcpy(dir, "/dev/shm/mproxy-unit-launch-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    touch("libmetricproxy-exporter-process.so", "", 0644);
    touch("libmetricproxy-exporter-posix.so", "", 0644);
    touch("libmetricproxy-exporter-strace.so", "", 0644);
    touch("libmetricproxy-exporter-strace.opt-in", "", 0644);
    touch("libmetricproxy-exporter-.so", "", 0644);
    touch("libmetricproxy-exporter-x.so.0", "", 0644);
    touch("libother.so", "", 0644);
    ck_assert_int_eq(mproxy_exporters_find(dir, &exporters, &error), MPROXY_OK);
    snprintf(socket, sizeof socket, "%s/socket", dir);
    options = (mproxy_launch_options){.struct_size = sizeof options,
                                      .socket = socket,
                                      .exporters = exporters,
                                      .say = hear};
    line[0] = '\0';
    static const char *const names[] = {"LD_PRELOAD", "PROXY_JOB_ID", "PROXY_PERIOD",
                                        "MPROXY_COMMAND", "MPROXY_LAUNCHER_ID"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
}

static void finish(void)
{
    char command[128];
    mproxy_exporters_free(exporters);
    unsetenv("LD_PRELOAD"); // not for the shell below
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

static mproxy_status prepare(const char *first, const char *second)
{
    char *command[] = {(char *)first, (char *)second, NULL};
    return mproxy_launch_prepare(&options, command, &error);
}

START_TEST(exporters_are_told_by_their_file_names_and_sorted)
{
    ck_assert_uint_eq(mproxy_exporters_count(exporters), 3);
    ck_assert_str_eq(mproxy_exporters_get(exporters, 0)->name, "posix");
    ck_assert_str_eq(mproxy_exporters_get(exporters, 1)->name, "process");
    ck_assert_str_eq(mproxy_exporters_get(exporters, 2)->name, "strace");
    ck_assert_ptr_null(mproxy_exporters_get(exporters, 3));
}
END_TEST

START_TEST(default_choice_leaves_out_what_is_opt_in)
{
    ck_assert_int_eq(mproxy_exporters_get(exporters, 0)->chosen, 1);
    ck_assert_int_eq(mproxy_exporters_get(exporters, 1)->chosen, 1);
    ck_assert_int_eq(mproxy_exporters_get(exporters, 2)->opt_in, 1);
    ck_assert_int_eq(mproxy_exporters_get(exporters, 2)->chosen, 0);
}
END_TEST

START_TEST(a_choice_replaces_the_default_keeps_process_and_adds_up)
{
    ck_assert_int_eq(mproxy_exporters_choose(exporters, "strace", &error), MPROXY_OK);
    ck_assert_int_eq(mproxy_exporters_get(exporters, 0)->chosen, 0);
    ck_assert_int_eq(mproxy_exporters_get(exporters, 1)->chosen, 1);
    ck_assert_int_eq(mproxy_exporters_get(exporters, 2)->chosen, 1);

    ck_assert_int_eq(mproxy_exporters_choose(exporters, ",posix,,", &error), MPROXY_OK);
    ck_assert_int_eq(mproxy_exporters_get(exporters, 0)->chosen, 1);
    ck_assert_int_eq(mproxy_exporters_get(exporters, 2)->chosen, 1);
}
END_TEST

START_TEST(an_unknown_exporter_is_named_and_changes_nothing)
{
    mproxy_status status = mproxy_exporters_choose(exporters, "strace,nope", &error);

    ck_assert_int_eq(status, MPROXY_E_NOTFOUND);
    ck_assert_ptr_nonnull(strstr(error.text, "'nope'"));
    ck_assert_int_eq(mproxy_exporters_get(exporters, 2)->chosen, 0);
}
END_TEST

START_TEST(a_directory_that_is_not_there_has_no_exporters)
{
    mproxy_exporters *none;

    ck_assert_int_eq(mproxy_exporters_find("/nonexistent/lib", &none, &error), MPROXY_OK);

    ck_assert_uint_eq(mproxy_exporters_count(none), 0);
    mproxy_exporters_free(none);
    mproxy_exporters_free(NULL);
}
END_TEST

START_TEST(preload_keeps_what_it_held_and_is_not_doubled)
{
    char expect[512];
    setenv("LD_PRELOAD", "/x/other.so", 1);
    snprintf(expect, sizeof expect,
             "/x/other.so:%s/libmetricproxy-exporter-posix.so:"
             "%s/libmetricproxy-exporter-process.so",
             dir, dir);

    ck_assert_int_eq(prepare("ls", NULL), MPROXY_OK);
    ck_assert_str_eq(getenv("LD_PRELOAD"), expect);

    ck_assert_int_eq(prepare("ls", NULL), MPROXY_OK);
    ck_assert_str_eq(getenv("LD_PRELOAD"), expect);
}
END_TEST

START_TEST(job_id_and_period_are_set_when_asked_for_only)
{
    ck_assert_int_eq(prepare("ls", "-l"), MPROXY_OK);
    ck_assert_ptr_null(getenv("PROXY_JOB_ID"));
    ck_assert_ptr_null(getenv("PROXY_PERIOD"));
    ck_assert_str_eq(getenv("PROXY_PATH"), options.socket);
    ck_assert_int_eq(atoi(getenv("METRIC_PROXY_LAUNCHER_PPID")), getppid());
    ck_assert_str_eq(getenv("MPROXY_COMMAND"), "ls -l");
    ck_assert_ptr_nonnull(getenv("MPROXY_LAUNCHER_ID"));

    options.jobid = "j";
    options.period_ms = 250;
    ck_assert_int_eq(prepare("ls", NULL), MPROXY_OK);
    ck_assert_str_eq(getenv("PROXY_JOB_ID"), "j");
    ck_assert_str_eq(getenv("PROXY_PERIOD"), "250");
    ck_assert_ptr_nonnull(strstr(line, "job j, rank 0 of 1"));
}
END_TEST

START_TEST(a_job_named_outside_keeps_its_command)
{
    setenv("PROXY_JOB_ID", "outer", 1);
    setenv("MPROXY_COMMAND", "mpiexec -n 2 proxy_run ./a", 1);
    ck_assert_int_eq(prepare("./a", NULL), MPROXY_OK);
    ck_assert_str_eq(getenv("MPROXY_COMMAND"), "mpiexec -n 2 proxy_run ./a");

    options.jobid = "inner";
    ck_assert_int_eq(prepare("./a", NULL), MPROXY_OK);
    ck_assert_str_eq(getenv("MPROXY_COMMAND"), "./a");
}
END_TEST

START_TEST(refused_ids_and_empty_sockets_fail)
{
    options.jobid = "Node: n1";
    ck_assert_int_eq(prepare("ls", NULL), MPROXY_E_INVALID);

    options.jobid = NULL;
    options.socket = "";
    ck_assert_int_eq(prepare("ls", NULL), MPROXY_E_INVALID);
}
END_TEST

START_TEST(a_relative_socket_becomes_absolute)
{
    char here[4096], expect[4200];
    ck_assert_int_eq(chdir(dir), 0);
    snprintf(expect, sizeof expect, "%s/s", getcwd(here, sizeof here));
    options.socket = "s";

    ck_assert_int_eq(prepare("ls", NULL), MPROXY_OK);

    ck_assert_str_eq(getenv("PROXY_PATH"), expect);
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

// What a child that becomes `path` ends with.
static int run(const char *path)
{
    pid_t pid = fork();
    if (pid == 0) {
        char *command[] = {(char *)path, NULL};
        int status = 99;
        mproxy_launch_exec(command, &status, NULL);
        _exit(status);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static int check(const char *path)
{
    char *command[] = {(char *)path, NULL};
    int status = 0;
    mproxy_launch_check(command, &status, &error);
    return status;
}

START_TEST(what_can_not_be_run_ends_as_in_a_shell)
{
    char bad[128], plain[128];
    touch("bad", "#!/no/such/interpreter\n", 0755);
    touch("plain", "x", 0644);
    snprintf(bad, sizeof bad, "%s/bad", dir);
    snprintf(plain, sizeof plain, "%s/plain", dir);

    ck_assert_int_eq(run("no-such-program"), 127);
    ck_assert_int_eq(run("/no/such/program"), 127);
    ck_assert_int_eq(run(plain), 126);
    ck_assert_int_eq(run(dir), 126);
    ck_assert_int_eq(run(bad), 126);
    ck_assert_int_eq(check("no-such-program"), 127);
    ck_assert_int_eq(check("/no/such/program"), 127);
    ck_assert_int_eq(check(""), 127);
    ck_assert_int_eq(check(plain), 126);
    ck_assert_int_eq(check(dir), 126);
    ck_assert_int_eq(check("sh"), 0);
    ck_assert_int_eq(check("/bin/sh"), 0);
}
END_TEST

static void choose_watcher(const char *content)
{
    touch("libmetricproxy-exporter-watch.tool", content, 0755);
    mproxy_exporters_free(exporters);
    ck_assert_int_eq(mproxy_exporters_find(dir, &exporters, &error), MPROXY_OK);
    ck_assert_int_eq(mproxy_exporters_get(exporters, 3)->tool, 1);
    ck_assert_int_eq(mproxy_exporters_get(exporters, 3)->chosen, 0);
    ck_assert_int_eq(mproxy_exporters_choose(exporters, "watch", &error), MPROXY_OK);
    options.exporters = exporters;
}

// The exit status of the command, launched as a tool's command in a child.
static int launched(char *const command[])
{
    pid_t pid = fork();
    if (pid == 0) {
        int status = 99;
        if (mproxy_launch_prepare(&options, command, NULL) == MPROXY_OK)
            mproxy_launch_exec(command, &status, NULL);
        _exit(status);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(a_tool_is_started_for_the_command_with_what_to_preload)
{
    choose_watcher("#!/bin/sh\n"
                   "[ \"$1 $2 $3\" = '-- /bin/false x' ] && [ -z \"$LD_PRELOAD\" ] &&\n"
                   "case $MPROXY_PRELOAD in *exporter-process.so) exit 42 ;; esac\n");
    char *command[] = {(char *)"/bin/false", (char *)"x", NULL};

    ck_assert_int_eq(launched(command), 42);
}
END_TEST

START_TEST(a_tool_that_can_not_be_started_is_left_out)
{
    choose_watcher("#!/no/such/interpreter\n");
    char *command[] = {(char *)"/bin/sh", (char *)"-c",
                       (char *)"test -n \"$LD_PRELOAD\" -a -z \"$MPROXY_PRELOAD\"", NULL};

    ck_assert_int_eq(launched(command), 0);
}
END_TEST

START_TEST(a_full_environment_goes_without_what_was_added)
{
    // Two words of 100 KiB leave no room for a third one, the command's line.
    struct {
        char text[100 * 1024];
    } *big = malloc(sizeof *big);
    memset(big->text, 'x', sizeof big->text);
    big->text[sizeof big->text - 1] = '\0';
    pid_t pid = fork();
    if (pid == 0) {
        char *command[] = {(char *)"true", big->text, NULL};
        int status;
        // Fills up to the last few KiB of what the system takes.
        for (int i = 0; i < 1000; i++) {
            char name[16];
            snprintf(name, sizeof name, "BIG%d", i);
            setenv(name, big->text, 1);
            int probe = fork();
            if (probe == 0) {
                execvp(command[0], command);
                _exit(88);
            }
            int ended;
            waitpid(probe, &ended, 0);
            if (WEXITSTATUS(ended) == 88) {
                unsetenv(name);
                break;
            }
        }
        if (mproxy_launch_prepare(&options, command, NULL) != MPROXY_OK)
            _exit(77);
        setenv("MPROXY_MORE", big->text, 1); // more than MPROXY_COMMAND must go
        mproxy_launch_exec(command, &status, NULL);
        _exit(status);
    }
    free(big);
    int status;
    waitpid(pid, &status, 0);
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("launch");
    TCase *cases = tcase_create("launch");
    tcase_add_checked_fixture(cases, start, finish);
    tcase_set_timeout(cases, 30);
    tcase_add_test(cases, exporters_are_told_by_their_file_names_and_sorted);
    tcase_add_test(cases, default_choice_leaves_out_what_is_opt_in);
    tcase_add_test(cases, a_choice_replaces_the_default_keeps_process_and_adds_up);
    tcase_add_test(cases, an_unknown_exporter_is_named_and_changes_nothing);
    tcase_add_test(cases, a_directory_that_is_not_there_has_no_exporters);
    tcase_add_test(cases, preload_keeps_what_it_held_and_is_not_doubled);
    tcase_add_test(cases, job_id_and_period_are_set_when_asked_for_only);
    tcase_add_test(cases, a_job_named_outside_keeps_its_command);
    tcase_add_test(cases, refused_ids_and_empty_sockets_fail);
    tcase_add_test(cases, a_relative_socket_becomes_absolute);
    tcase_add_test(cases, what_can_not_be_run_ends_as_in_a_shell);
    tcase_add_test(cases, a_tool_is_started_for_the_command_with_what_to_preload);
    tcase_add_test(cases, a_tool_that_can_not_be_started_is_left_out);
    tcase_add_test(cases, a_full_environment_goes_without_what_was_added);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
