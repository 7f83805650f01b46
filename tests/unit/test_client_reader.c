// What the client writes is what the proxy's reader reads.
#include <mproxy/client.h>

#include "../support/program.h"
#include "reader/reader.h"

static int said[2];

static void count_and_fork(void)
{
    const double bounds[] = {1, 10};
    char name[60];
    static mproxy_counter *c[10000];
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "metric_total{number=\"%d\"}", i);
        c[i] = mproxy_counter_get(name, "A sentence.", NULL);
        mproxy_counter_add(c[i], (uint64_t)i);
    }
    mproxy_gauge_set(mproxy_gauge_get("level", NULL, NULL), 2.5);
    mproxy_histogram_observe(mproxy_histogram_get("sizes", NULL, bounds, 2, NULL), 5);
    mproxy_fcounter_add(mproxy_fcounter_get("seconds_total", NULL, NULL), 0.75);
    mproxy_process_started();
    if (fork() == 0) {
        mproxy_counter_add(c[9999], 7);
        mproxy_process_finished();
        _exit(0);
    }
    int status;
    PROGRAM_CHECK(wait(&status) > 0 && status == 0);
    pipe_say(said);
    pause();
}

static double column(const struct mpx_reader *r, const char *name, uint32_t offset)
{
    const struct mpx_def_table *table = mpx_reader_table(r);
    for (uint32_t i = 0; i < table->count; i++)
        if (strcmp(table->defs[i].name, name) == 0)
            return mpx_reader_columns(r)[table->defs[i].slot + offset];
    return -1;
}

static struct mpx_reader *read_segment(struct mpx_readers *rs, int dir_fd, pid_t pid,
                                       bool of_pid)
{
    DIR *d = opendir(program_dir);
    struct dirent *e;
    struct mpx_reader *found = NULL;
    while (!found && (e = readdir(d))) {
        if (!strstr(e->d_name, ".seg") || (atoi(e->d_name) == pid) != of_pid)
            continue;
        mproxy_error err = {0};
        bool changed;
        ck_assert_msg(mpx_reader_open(rs, dir_fd, e->d_name, &found, &err) == MPROXY_OK,
                      "%s", err.text);
        ck_assert_msg(mpx_reader_sample(found, &changed, &err) == MPROXY_OK, "%s",
                      err.text);
    }
    closedir(d);
    ck_assert_ptr_nonnull(found);
    return found;
}

START_TEST(reader_sees_what_parent_and_child_counted)
{
    struct mpx_readers *rs;
    struct mpx_readers_options options = {0};
    ck_assert_int_eq(pipe(said), 0);
    ck_assert_int_eq(mpx_readers_open(&options, &rs, NULL), MPROXY_OK);
    int dir_fd = open(program_dir, O_RDONLY | O_DIRECTORY);

    pid_t pid = program_start(count_and_fork);
    pipe_hear(said);
    struct mpx_reader *parent = read_segment(rs, dir_fd, pid, true);
    struct mpx_reader *child = read_segment(rs, dir_fd, pid, false);

    ck_assert(!mpx_reader_is_final(parent));
    ck_assert(mpx_reader_is_final(child));
    ck_assert_str_eq(mpx_reader_job(parent)->jobid, "test job");
    ck_assert_uint_eq(mpx_reader_table(parent)->count, 10003);
    ck_assert_ptr_eq(mpx_reader_table(parent), mpx_reader_table(child));
    ck_assert_double_eq(column(parent, "metric_total{number=\"0\"}", 0), 0);
    ck_assert_double_eq(column(parent, "metric_total{number=\"9999\"}", 0), 9999);
    ck_assert_double_eq(column(child, "metric_total{number=\"9999\"}", 0), 7);
    ck_assert_double_eq(column(parent, "seconds_total", 0), 0.75);
    ck_assert_double_eq(column(parent, "level", 0), 2.5);
    ck_assert_double_eq(column(parent, "sizes", 1), 1);
    ck_assert_double_eq(column(parent, "sizes", 3), 5);
    ck_assert_uint_eq(mpx_reader_state(child)->started, 1);
    ck_assert_uint_eq(mpx_reader_state(child)->finished, 1);
    kill(pid, SIGKILL);
    program_wait(pid);
    ck_assert(mpx_reader_is_final(parent));
    mpx_reader_close(parent);
    mpx_reader_close(child);
    mpx_readers_close(rs);
    close(dir_fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client_reader");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, program_setup, program_teardown);
    tcase_add_test(t, reader_sees_what_parent_and_child_counted);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
