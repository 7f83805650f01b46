// Groups that are pushed: what each push does to them, and what is left after a restart.
#include "../support/push_fixture.h"
#include "../support/suite.h"

static struct node node;

static void setup(void)
{
    node_init(&node);
}

static void teardown(void)
{
    node_fini(&node);
}

#define COUNTER(name, value) "# TYPE " name " counter\n" name " " value "\n"

START_TEST(post_replaces_names_and_put_all)
{
    push(&node, "job/a", "x 1\ny{k=\"1\"} 2\ny{k=\"2\"} 3\n");

    push(&node, "job/a", "y{k=\"2\"} 4\nz 5\n");

    ck_assert_double_eq(shown(&node, "x{job=\"a\"}"), 1);
    ck_assert_double_eq(shown(&node, "y{job=\"a\",k=\"1\"}"), -1);
    ck_assert_double_eq(shown(&node, "y{job=\"a\",k=\"2\"}"), 4);
    ck_assert_double_eq(shown(&node, "z{job=\"a\"}"), 5);
    ck_assert_int_eq(take(&node, "job/a", MPROXY_PUSH_REPLACE, "x 7\n"), MPROXY_OK);
    ck_assert_double_eq(shown(&node, "x{job=\"a\"}"), 7);
    ck_assert_double_eq(shown(&node, "z{job=\"a\"}"), -1);
    ck_assert_uint_eq(stats_of(&node).series, 1);
}
END_TEST

START_TEST(sum_adds_counters_and_replaces_gauges)
{
    static const char text[] = COUNTER("c", "2") "g 3\n# TYPE h histogram\n"
                                                 "h_bucket{le=\"1\"} 1\n"
                                                 "h_bucket{le=\"+Inf\"} 2\nh_sum 5\n"
                                                 "h_count 2\n";
    push(&node, "job/a", text);

    ck_assert_int_eq(take(&node, "job/a", MPROXY_PUSH_SUM, text), MPROXY_OK);
    ck_assert_int_eq(take(&node, "job/a", MPROXY_PUSH_SUM, COUNTER("d", "1")), MPROXY_OK);

    ck_assert_double_eq(shown(&node, "c{job=\"a\"}"), 4);
    ck_assert_double_eq(shown(&node, "d{job=\"a\"}"), 1);
    ck_assert_double_eq(shown(&node, "g{job=\"a\"}"), 3);
    ck_assert_double_eq(shown(&node, "h_bucket{job=\"a\",le=\"+Inf\"}"), 4);
    ck_assert_double_eq(shown(&node, "h_sum{job=\"a\"}"), 10);
}
END_TEST

START_TEST(sum_refuses_other_bounds_whole)
{
#define HISTOGRAM(le)                                                                    \
    COUNTER("c", "1")                                                                    \
    "# TYPE h histogram\nh_bucket{k=\"v\",le=\"" le "\"} 1\n"                            \
    "h_bucket{k=\"v\",le=\"+Inf\"} 2\nh_sum{k=\"v\"} 5\nh_count{k=\"v\"} 2\n"
    push(&node, "job/a", HISTOGRAM("1"));

    ck_assert_int_eq(take(&node, "job/a", MPROXY_PUSH_SUM, HISTOGRAM("2")),
                     MPROXY_E_TYPE);
    ck_assert_ptr_nonnull(strstr(node.err.text, "same bounds"));

    ck_assert_double_eq(shown(&node, "c{job=\"a\"}"), 1);
    ck_assert_int_eq(take(&node, "job/a", MPROXY_PUSH_SUM, HISTOGRAM("1.0")), MPROXY_OK);
    ck_assert_double_eq(shown(&node, "h_bucket{job=\"a\",k=\"v\",le=\"1\"}"), 2);
    push(&node, "job/a", HISTOGRAM("10.0"));
    ck_assert_double_eq(shown(&node, "h_bucket{job=\"a\",k=\"v\",le=\"10\"}"), 1);
}
END_TEST

START_TEST(sum_that_is_not_finite_is_refused)
{
    push(&node, "job/a", COUNTER("c", "1.7e308"));

    ck_assert_int_eq(take(&node, "job/a", MPROXY_PUSH_SUM, COUNTER("c", "1.7e308")),
                     MPROXY_E_INVALID);

    ck_assert_double_eq(shown(&node, "c{job=\"a\"}"), 1.7e308);
}
END_TEST

START_TEST(groups_are_there_after_a_restart)
{
    push(&node, "job/a/l/v", COUNTER("c", "1") "g 2\n");
    push(&node, "job/b", "x 1\n");
    push(&node, "job/gone", "x 1\n");
    ck_assert_int_eq(take(&node, "job/a/l/v", MPROXY_PUSH_SUM, COUNTER("c", "5")),
                     MPROXY_OK);
    ck_assert_int_eq(mproxy_push_delete(node.push, "job/gone", NULL, NULL), MPROXY_OK);
    double pushed = shown(&node, "push_time_seconds{job=\"a\",l=\"v\"}");

    for (int i = 0; i < 3; i++) {
        node_restart(&node);

        ck_assert_double_eq(shown(&node, "c{job=\"a\",l=\"v\"}"), 6 + i);
        ck_assert_double_eq(shown(&node, "g{job=\"a\",l=\"v\"}"), 2);
        ck_assert_double_eq(shown(&node, "x{job=\"b\"}"), 1);
        ck_assert_double_eq(shown(&node, "x{job=\"gone\"}"), -1);
        ck_assert_double_eq(shown(&node, "push_time_seconds{job=\"gone\"}"), -1);
        ck_assert_uint_eq(stats_of(&node).groups, 2);
        if (i == 0)
            ck_assert_double_eq(shown(&node, "push_time_seconds{job=\"a\",l=\"v\"}"),
                                pushed);
        ck_assert_int_eq(take(&node, "job/a/l/v", MPROXY_PUSH_SUM, COUNTER("c", "1")),
                         MPROXY_OK);
    }
}
END_TEST

START_TEST(changes_of_groups_in_older_files_are_there_after_a_restart)
{
    push(&node, "job/a", "x 1\ny 2\n");
    node_restart(&node);
    push(&node, "job/a", "y 3\n"); // before any round has copied the group

    node_restart(&node);

    ck_assert_double_eq(shown(&node, "x{job=\"a\"}"), 1);
    ck_assert_double_eq(shown(&node, "y{job=\"a\"}"), 3);
}
END_TEST

static void damage(const struct node *n, const char *name, off_t behind)
{
    int fd = openat(n->fd, name, O_RDWR);
    char byte;
    ck_assert_int_eq(pread(fd, &byte, 1, behind), 1);
    byte = (char)~byte;
    ck_assert_int_eq(pwrite(fd, &byte, 1, behind), 1);
    close(fd);
}

START_TEST(damaged_file_is_kept_until_its_groups_are_copied)
{
    push(&node, "job/a", "x 1\n");
    off_t behind = (off_t)stats_of(&node).bytes;
    push(&node, "job/b", "x 1\n");
    node_stop(&node);
    damage(&node, "push-1", behind + 8);
    node_start(&node);
    ck_assert_ptr_nonnull(strstr(node.said, "push-1 is damaged"));

    node_restart(&node); // before any round has copied the group

    ck_assert_double_eq(shown(&node, "x{job=\"a\"}"), 1);
    ck_assert_double_eq(shown(&node, "x{job=\"b\"}"), -1);
    ck_assert_int_eq(faccessat(node.fd, "push-1.damaged", F_OK, 0), 0);
}
END_TEST

START_TEST(files_stay_short)
{
    char text[64];
    for (int i = 0; i < 20; i++) {
        char path[32];
        snprintf(path, sizeof path, "job/g%d", i);
        push(&node, path, "x 1\ny 2\n");
    }

    for (int i = 1; i <= 40000; i++) {
        snprintf(text, sizeof text, "x %d\ny 2\n", i);
        push(&node, "job/g7", text);
    }

    ck_assert_uint_lt(stats_of(&node).bytes, 700000);
    node_restart(&node);
    ck_assert_double_eq(shown(&node, "x{job=\"g7\"}"), 40000);
    ck_assert_double_eq(shown(&node, "y{job=\"g19\"}"), 2);
    ck_assert_uint_eq(stats_of(&node).groups, 20);
    ck_assert_uint_lt(stats_of(&node).bytes, 10000);
}
END_TEST

START_TEST(names_that_come_and_go_are_given_back)
{
    char text[64];
    push(&node, "job/a", "first 1\n");
    (void)shown(&node, "");
    size_t metrics = mproxy_store_metric_count(node.store);

    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof text, "name%d 1\nother{k=\"%d\"} 2\n", i, i);
        ck_assert_int_eq(take(&node, "job/a", MPROXY_PUSH_REPLACE, text), MPROXY_OK);
        if (i % 100 == 0)
            (void)shown(&node, "");
    }
    for (int i = 0; i < 40; i++) // shapes are let go of now and then
        (void)shown(&node, "");

    ck_assert_uint_eq(stats_of(&node).series, 2);
    ck_assert_uint_le(mproxy_store_metric_count(node.store), metrics + 8);
}
END_TEST

START_TEST(values_that_are_not_finite_are_dropped)
{
    push(&node, "job/a", "x NaN\ny 1\n");

    ck_assert_double_eq(shown(&node, "x{job=\"a\"}"), -1);
    ck_assert_double_eq(shown(&node, "y{job=\"a\"}"), 1);
    ck_assert_uint_eq(stats_of(&node).dropped_values, 1);
}
END_TEST

START_TEST(refused_pushes_change_nothing_but_the_time_of_failure)
{
    static const struct {
        const char *path, *text, *what;
        mproxy_status status;
    } refused[] = {
        {"job/a", "x 2\ny\n", "line 2, column 2", MPROXY_E_INVALID},
        {"job/a", "x 2\nmproxy_jobs 1\n", "name of the proxy's own", MPROXY_E_INVALID},
        {"job/a", "push_time_seconds 2\n", "told by the proxy", MPROXY_E_INVALID},
        {"job/a", "x 2 1000\n", "has a time", MPROXY_E_INVALID},
        {"job/a", COUNTER("c", "-1"), "never below 0", MPROXY_E_INVALID},
        {"job/a", COUNTER("x", "2") COUNTER("other", "1"), "in other groups",
         MPROXY_E_TYPE},
        {"job/a", "x{k=\"1\"} 2\nw{l=\"v\"} 3\n", "is of the group {job=\"a\",l=\"v\"}",
         MPROXY_E_EXISTS},
        {"job/a/l/v", "x{l=\"1\"} 2\nx{l=\"2\"} 3\n", "given twice", MPROXY_E_INVALID},
        {"job/a/l", "x 2\n", "a value for each label", MPROXY_E_INVALID},
    };
    push(&node, "job/a", "x 1\n");
    push(&node, "job/a/l/v", "x 1\nw 1\n");

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        mproxy_status status =
            take(&node, refused[i].path, MPROXY_PUSH_ADD, refused[i].text);

        ck_assert_msg(status == refused[i].status, "%zu: %s", i, node.err.text);
        ck_assert_msg(strstr(node.err.text, refused[i].what) != NULL, "%zu: %s", i,
                      node.err.text);
        ck_assert_double_eq(shown(&node, "x{job=\"a\"}"), 1);
        ck_assert_double_eq(shown(&node, "w{job=\"a\",l=\"v\"}"), 1);
    }
    ck_assert_uint_eq(stats_of(&node).series, 3);
    ck_assert_double_gt(shown(&node, "push_failure_time_seconds{job=\"a\"}"), 1e9);
    node_restart(&node);
    ck_assert_double_gt(shown(&node, "push_failure_time_seconds{job=\"a\"}"), 1e9);
    ck_assert_uint_eq(stats_of(&node).series, 3);
}
END_TEST

START_TEST(a_name_may_become_another_type_in_its_only_group)
{
    push(&node, "job/a", COUNTER("x", "5") "y 1\n");

    push(&node, "job/a", "# TYPE x gauge\nx 2\n");

    ck_assert_double_eq(shown(&node, "x{job=\"a\"}"), 2);
    push(&node, "job/b", "# TYPE x gauge\nx 3\n");
    ck_assert_int_eq(take(&node, "job/a", MPROXY_PUSH_ADD, COUNTER("x", "1")),
                     MPROXY_E_TYPE);
    ck_assert_double_eq(shown(&node, "x{job=\"b\"}"), 3);
}
END_TEST

START_TEST(groups_are_deleted_by_selectors)
{
    static const char *const two[] = {"{job=\"a\",i=~\"[12]\"}", "{job=\"c\"}"};
    static const char *const bad[] = {"{job=\"a\"}", "{job=~\"a{9}\"}"};
    size_t deleted = 0;
    push(&node, "job/a/i/1", "x 1\n");
    push(&node, "job/a/i/2", "x 1\n");
    push(&node, "job/a/i/3", "x 1\n");
    push(&node, "job/c", "x 1\n");
    (void)shown(&node, "");
    ck_assert_int_eq(mproxy_push_delete_matching(node.push, bad, 2, &deleted, &node.err),
                     MPROXY_E_INVALID);
    ck_assert_uint_eq(stats_of(&node).groups, 4);

    ck_assert_int_eq(mproxy_push_delete_matching(node.push, two, 2, &deleted, NULL),
                     MPROXY_OK);

    ck_assert_uint_eq(deleted, 3);
    ck_assert_double_eq(shown(&node, "x{i=\"1\",job=\"a\"}"), -1);
    ck_assert_double_eq(shown(&node, "x{i=\"3\",job=\"a\"}"), 1);
    node_restart(&node);
    ck_assert_uint_eq(stats_of(&node).groups, 1);
}
END_TEST

START_TEST(selectors_that_compile_for_ever_are_refused)
{
    static const char *const bombs[] = {"(a*)*", "(a|)+", "a**",  "((b?)c*)+",
                                        "(a*)?", "*",     "(^)*", "([]*]*)+"};
    static const char *const good[] = {"(a|b)*c", "(a+b)*", "[(*]*",
                                       "\\\\(*a", "(a*b)+", "((b*a)*c?d)*"};
    char text[4096];
    for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
        const char *const list[] = {text};
        char *at = text + sprintf(text, "{job=~\"");
        for (int n = 0; n < 40; n++)
            at += sprintf(at, "%s", bombs[i]);
        strcpy(at, "x\"}");
        ck_assert_int_eq(mproxy_push_delete_matching(node.push, list, 1, NULL, &node.err),
                         MPROXY_E_INVALID);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const char *const list[] = {text};
        sprintf(text, "{job=~\"%sx\"}", good[i]);
        ck_assert_msg(mproxy_push_delete_matching(node.push, list, 1, NULL, &node.err) ==
                          MPROXY_OK,
                      "%s", node.err.text);
    }
}
END_TEST

START_TEST(group_may_have_as_many_labels_as_there_may_be)
{
    char path[512];
    char *at = path + sprintf(path, "job/a");
    for (int i = 1; i < 32; i++)
        at += sprintf(at, "/l%d/v", i);

    push(&node, path, "x 1\n");

    ck_assert_uint_eq(stats_of(&node).series, 1);
}
END_TEST

START_TEST(groups_expire)
{
    const mproxy_pushed brief = {.struct_size = sizeof brief,
                                 .path = "job/brief",
                                 .verb = MPROXY_PUSH_ADD,
                                 .format = MPROXY_FORMAT_PROMETHEUS,
                                 .text = "x 1\n",
                                 .length = 4,
                                 .ttl_ms = 1};
    push(&node, "job/stays", "x 2\n");
    ck_assert_int_eq(mproxy_push_take(node.push, &brief, NULL), MPROXY_OK);

    for (int i = 0; i < 1000 && stats_of(&node).expired == 0; i++) {
        usleep(1000); // the clock is the system's
        (void)shown(&node, "");
    }

    ck_assert_uint_eq(stats_of(&node).expired, 1);
    ck_assert_double_eq(shown(&node, "x{job=\"brief\"}"), -1);
    ck_assert_double_eq(shown(&node, "x{job=\"stays\"}"), 2);
    node_restart(&node);
    ck_assert_uint_eq(stats_of(&node).groups, 1);
}
END_TEST

START_TEST(bounds_are_kept)
{
    node_stop(&node);
    node.options.max_groups = 2;
    node.options.max_series = 4;
    node.options.max_bytes = 2000;
    node_start(&node);
    push(&node, "job/a", "x 1\ny 2\n");
    push(&node, "job/b", "x 1\ny 2\n");

    ck_assert_int_eq(take(&node, "job/c", MPROXY_PUSH_ADD, "x 1\n"), MPROXY_E_LIMIT);
    ck_assert_ptr_nonnull(strstr(node.err.text, "2 groups"));
    ck_assert_int_eq(take(&node, "job/b", MPROXY_PUSH_ADD, "z 1\n"), MPROXY_E_LIMIT);
    ck_assert_ptr_nonnull(strstr(node.err.text, "series"));
    char text[1100] = "x{k=\"";
    size_t length = strlen(text);
    memset(text + length, 'v', 1000);
    strcpy(text + length + 1000, "\"} 1\n");
    push(&node, "job/a", text);
    ck_assert_int_eq(take(&node, "job/b", MPROXY_PUSH_REPLACE, "x 1\n"), MPROXY_OK);
    text[length] = 'w';
    ck_assert_int_eq(take(&node, "job/b", MPROXY_PUSH_ADD, text), MPROXY_E_LIMIT);

    ck_assert_ptr_nonnull(strstr(node.err.text, "2000 bytes"));
    ck_assert_double_eq(shown(&node, "x{job=\"b\"}"), 1);
    ck_assert_uint_eq(stats_of(&node).series, 3);
}
END_TEST

// Where there is no room for more, something can be given up, and what is there go on.
START_TEST(deleting_needs_no_room)
{
    char path[64];
    int count = 0;
    size_t deleted;
    node_stop(&node);
    node.options.max_bytes = 2000;
    node_start(&node);
    mproxy_status status = MPROXY_OK;
    for (; status == MPROXY_OK && count < 1000; count++) {
        snprintf(path, sizeof path, "job/g%d", count);
        status = take(&node, path, MPROXY_PUSH_ADD, "x 1\n");
    }
    ck_assert_int_eq(status, MPROXY_E_LIMIT);

    status = mproxy_push_delete(node.push, "job/g0", &deleted, &node.err);

    ck_assert_msg(status == MPROXY_OK, "%s", node.err.text);
    ck_assert_uint_eq(deleted, 1);
    for (int i = 0; i < 100; i++)
        push(&node, "job/g1", i % 2 ? "x 1\n" : "x 2\n");
    push(&node, "job/g1000", "x 3\n");
    node_restart(&node);
    ck_assert_double_eq(shown(&node, "x{job=\"g0\"}"), -1);
    ck_assert_double_eq(shown(&node, "x{job=\"g1000\"}"), 3);
    ck_assert_uint_eq(stats_of(&node).groups, (size_t)count - 1);
}
END_TEST

enum { GROUPS = 60, SERIES = 100 };

// Some 700 KB, as they are written.
static void push_much(int value)
{
    char path[32], *text = malloc(SERIES * 128);
    for (int g = 0; g < GROUPS; g++) {
        size_t length = 0;
        snprintf(path, sizeof path, "job/g%d", g);
        for (int i = 0; i < SERIES; i++)
            length += (size_t)sprintf(text + length, "x{k=\"%050d\"} %d\n",
                                      g * SERIES + i, value);
        push(&node, path, text);
    }
    free(text);
}

static double shown_of_much(void)
{
    char name[128];
    ck_assert_uint_eq(stats_of(&node).series, GROUPS * SERIES);
    snprintf(name, sizeof name, "x{job=\"g7\",k=\"%050d\"}", 7 * SERIES);
    return shown(&node, name);
}

// What is held is two thirds of what may be: values go on changing for many files' lengths.
START_TEST(full_files_are_followed_by_others)
{
    node_stop(&node);
    node.options.max_bytes = 1 << 20;
    node_start(&node);

    for (int turn = 1; turn <= 60; turn++)
        push_much(turn);

    ck_assert_uint_lt(stats_of(&node).bytes, 4 << 20);
    node_restart(&node);
    ck_assert_double_eq(shown_of_much(), 60);
}
END_TEST

// As when each proxy was killed before it had copied all.
START_TEST(files_that_are_far_too_long_are_shortened_by_a_start)
{
    for (int turn = 1; turn <= 10; turn++)
        push_much(turn);
    size_t before = stats_of(&node).bytes;
    node_stop(&node);
    node.options.max_bytes = 1000;

    node_start(&node);

    ck_assert_uint_lt(stats_of(&node).bytes, before);
    ck_assert_double_eq(shown_of_much(), 10);
    node_restart(&node);
    ck_assert_double_eq(shown_of_much(), 10);
}
END_TEST

START_TEST(groups_are_written_again_when_their_file_was_removed)
{
    push(&node, "job/a", "x 1\n");
    (void)shown(&node, "");

    node_clear(&node);
    (void)shown(&node, "");
    node_restart(&node);

    ck_assert_double_eq(shown(&node, "x{job=\"a\"}"), 1);
}
END_TEST

START_TEST(groups_move_to_another_directory)
{
    char path[] = "/tmp/mproxy-push-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(path));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    push(&node, "job/a", "x 1\n");

    ck_assert_int_eq(mproxy_push_move(node.push, fd, NULL), MPROXY_OK);
    push(&node, "job/b", "x 2\n");
    (void)shown(&node, "");
    node_stop(&node);
    node_clear(&node);
    rmdir(node.path);
    close(node.fd);
    strcpy(node.path, path);
    node.fd = fd;
    node_start(&node);

    ck_assert_double_eq(shown(&node, "x{job=\"a\"}"), 1);
    ck_assert_double_eq(shown(&node, "x{job=\"b\"}"), 2);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("push");
    TCase *tc = tcase_create("groups");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, post_replaces_names_and_put_all);
    tcase_add_test(tc, sum_adds_counters_and_replaces_gauges);
    tcase_add_test(tc, sum_refuses_other_bounds_whole);
    tcase_add_test(tc, sum_that_is_not_finite_is_refused);
    tcase_add_test(tc, groups_are_there_after_a_restart);
    tcase_add_test(tc, changes_of_groups_in_older_files_are_there_after_a_restart);
    tcase_add_test(tc, damaged_file_is_kept_until_its_groups_are_copied);
    tcase_add_test(tc, files_stay_short);
    tcase_add_test(tc, names_that_come_and_go_are_given_back);
    tcase_add_test(tc, values_that_are_not_finite_are_dropped);
    tcase_add_test(tc, refused_pushes_change_nothing_but_the_time_of_failure);
    tcase_add_test(tc, a_name_may_become_another_type_in_its_only_group);
    tcase_add_test(tc, groups_are_deleted_by_selectors);
    tcase_add_test(tc, selectors_that_compile_for_ever_are_refused);
    tcase_add_test(tc, group_may_have_as_many_labels_as_there_may_be);
    tcase_add_test(tc, groups_expire);
    tcase_add_test(tc, bounds_are_kept);
    tcase_add_test(tc, deleting_needs_no_room);
    tcase_add_test(tc, full_files_are_followed_by_others);
    tcase_add_test(tc, files_that_are_far_too_long_are_shortened_by_a_start);
    tcase_add_test(tc, groups_are_written_again_when_their_file_was_removed);
    tcase_add_test(tc, groups_move_to_another_directory);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
