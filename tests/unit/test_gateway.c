// The legacy socket: real clients, and what is in the segments afterwards.

#include <check.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../support/gateway_client.h"
#include "../support/segment_probe.h"
#include "../support/suite.h"
#include "gateway/message_json.h"

static char dir[64], socket_path[100], last_line[512];
static int lines;
static mproxy_gateway *gw;

static void on_log(void *arg, mproxy_log_level level, const char *line)
{
    (void)arg;
    (void)level;
    lines++;
    snprintf(last_line, sizeof last_line, "%s", line);
}

static mproxy_gateway_options options_for_test(void)
{
    return (mproxy_gateway_options){.struct_size = sizeof(mproxy_gateway_options),
                                    .socket_path = socket_path,
                                    .log = on_log,
                                    .max_clients = 4,
                                    .max_message = 100000,
                                    .max_buffered = 150000,
                                    .loop = gateway_loop};
}

static void set_up(void)
{
    snprintf(dir, sizeof dir, "/dev/shm/test-gateway-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(socket_path, sizeof socket_path, "%s/socket", dir);
    mproxy_gateway_options options = options_for_test();
    gw = gateway_open(&options, dir);
    lines = 0;
}

static void tear_down(void)
{
    char command[300];
    gateway_close(gw);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

static int dial(void)
{
    return gateway_dial(socket_path);
}

static void settle(void)
{
    gateway_settle();
}

static void tell(int fd, const char *message)
{
    gateway_tell(fd, message);
}

// Whether the gateway has closed the connection.
static bool is_closed(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void tell_job(int fd, const char *jobid)
{
    gateway_tell_job(fd, jobid);
}

static void tell_counter(int fd, const char *name, const char *value)
{
    char text[256];
    snprintf(text, sizeof text,
             "{\"Value\":{\"name\":\"%s\",\"value\":{\"Counter\":{\"ts\":17,"
             "\"value\":%s}}}}",
             name, value);
    tell(fd, text);
}

struct found {
    int segments, live;
    double value;
    bool set;
    uint32_t kind;
    long long start_time;
};

// Sum of a metric over the segments of a job.
static struct found look(const char *jobid, const char *name)
{
    struct found f = {0};
    DIR *d = opendir(dir);
    struct dirent *entry;
    while ((entry = readdir(d))) {
        struct probe p = {0};
        if (!strstr(entry->d_name, ".seg") || !probe_open(&p, dir, entry->d_name))
            continue;
        struct probe_search s = probe_find(&p, name);
        if (strcmp((const char *)(s.job + 1), jobid) == 0) {
            f.segments++;
            f.live += p.locked;
            f.kind = probe_header(&p)->kind;
            f.start_time = s.job->start_time;
            if (s.metric)
                f.value += probe_slot(&p, s.metric->slot).fsum;
            if (s.metric && s.metric->kind == MPX_DEF_GAUGE)
                f.set |= probe_slot(&p, s.metric->slot + 1).sum == 1;
        }
        probe_close(&p);
    }
    closedir(d);
    return f;
}

static uint64_t refused(enum mpx_gateway_refusal reason)
{
    return mpx_gateway_refused(gw, reason);
}

START_TEST(increments_of_a_client_add_up_in_a_segment_of_its_job)
{
    int fd = dial();
    tell_job(fd, "j1");
    tell(fd, "{\"Desc\":{\"name\":\"key\",\"doc\":\"d\",\"ctype\":{\"Counter\":"
             "{\"ts\":0,\"value\":0.0}}}}");
    tell_counter(fd, "key", "12.5");
    tell_counter(fd, "key", "1");

    struct found f = look("j1", "key");
    ck_assert_int_eq(f.segments, 1);
    ck_assert_int_eq(f.live, 1);
    ck_assert_double_eq(f.value, 13.5);
    ck_assert_uint_eq(f.kind, MPX_SEG_GATEWAY);
    ck_assert_int_eq(f.start_time, 1700000000); // milliseconds, told by magnitude

    close(fd);
    settle();

    f = look("j1", "key");
    ck_assert_int_eq(f.live, 0); // final: the client's part in the job has ended
    ck_assert_double_eq(f.value, 13.5);
}
END_TEST

START_TEST(a_gauge_is_its_total_over_its_hits)
{
    int fd = dial();
    tell_job(fd, "j1");
    tell(fd, "{\"Value\":{\"name\":\"loop\",\"value\":{\"Gauge\":{\"min\":3,\"max\":5,"
             "\"hits\":2,\"total\":8}}}}");
    tell(fd, "{\"Value\":{\"name\":\"unset\",\"value\":{\"Gauge\":{\"min\":0,\"max\":0,"
             "\"hits\":0,\"total\":0}}}}");

    ck_assert_double_eq(look("j1", "loop").value, 4);
    ck_assert(look("j1", "loop").set);
    ck_assert(!look("j1", "unset").set);
    close(fd);
}
END_TEST

START_TEST(values_before_a_job_is_named_count_for_no_job)
{
    int fd = dial();
    tell_counter(fd, "early", "3");
    tell_job(fd, "j1");
    tell_counter(fd, "early", "4");

    ck_assert_double_eq(look("", "early").value, 3);
    ck_assert_double_eq(look("j1", "early").value, 4);
    close(fd);
}
END_TEST

START_TEST(ids_of_sums_name_no_job)
{
    const char *ids[] = {"", "main", "Node: x"};
    for (int i = 0; i < 3; i++) {
        int fd = dial();
        tell_job(fd, ids[i]);
        tell_counter(fd, "c", "1");
        ck_assert(!is_closed(fd));
        close(fd);
        settle();
    }

    ck_assert_double_eq(look("", "c").value, 3);
    ck_assert_int_eq(lines, 3); // said once for each connection
}
END_TEST

START_TEST(the_same_job_told_twice_is_one_segment)
{
    int fd = dial();
    tell_job(fd, "j1");
    tell_job(fd, "j1");

    ck_assert_int_eq(look("j1", "c").segments, 1);
    close(fd);
}
END_TEST

START_TEST(a_bad_message_ends_its_own_connection_only)
{
    static const struct {
        const char *text;
        enum mpx_gateway_refusal reason;
    } cases[] = {
        {"{\"Value\":", MPX_GATEWAY_NOT_JSON},
        {"nonsense", MPX_GATEWAY_NOT_JSON},
        {"", MPX_GATEWAY_NOT_JSON},
        {"[]", MPX_GATEWAY_SHAPE},
        {"{}", MPX_GATEWAY_SHAPE},
        {"{\"Other\":{}}", MPX_GATEWAY_SHAPE},
        {"{\"JobDesc\":{\"jobid\":7}}", MPX_GATEWAY_SHAPE},
        {"{\"Value\":{\"name\":\"a\",\"value\":{\"Counter\":{\"value\":\"1\"}}}}",
         MPX_GATEWAY_SHAPE},
        {"{\"Value\":{\"name\":\"a\",\"value\":{\"Gauge\":{\"hits\":1}}}}",
         MPX_GATEWAY_SHAPE},
        {"{\"Value\":{\"name\":\"a\",\"value\":{\"Histogram\":{}}}}", MPX_GATEWAY_SHAPE},
    };
    int good = dial();
    tell_job(good, "good");
    tell_counter(good, "c", "1");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = dial();
        uint64_t before = refused(cases[i].reason);
        int lines_before = lines;
        tell(fd, cases[i].text);

        ck_assert_msg(is_closed(fd), "case %zu", i);
        ck_assert_uint_eq(refused(cases[i].reason), before + 1);
        ck_assert_int_eq(lines, lines_before + 1);
        close(fd);
    }
    tell_counter(good, "c", "1");
    ck_assert_double_eq(look("good", "c").value, 2);
    close(good);
}
END_TEST

START_TEST(a_message_without_an_end_is_bounded)
{
    int fd = dial();
    static char text[60000];
    memset(text, 'a', sizeof text);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_gt(send(fd, text, sizeof text, MSG_NOSIGNAL | MSG_DONTWAIT), 0);
        settle();
    }

    ck_assert(is_closed(fd) || send(fd, text, 1, MSG_NOSIGNAL) < 0);
    ck_assert_uint_eq(refused(MPX_GATEWAY_SIZE), 1);
    close(fd);
}
END_TEST

START_TEST(messages_may_come_in_any_pieces)
{
    const char message[] =
        "{\"Value\":{\"name\":\"c\",\"value\":{\"Counter\":{\"value\":1}}}}";
    char both[2 * sizeof message];
    memcpy(both, message, sizeof message);
    memcpy(both + sizeof message, message, sizeof message);
    int fd = dial();

    for (size_t i = 0; i < sizeof both; i++) {
        ck_assert_int_eq(send(fd, both + i, 1, 0), 1);
        settle();
    }
    ck_assert_int_eq(send(fd, both, sizeof both, 0), (ssize_t)sizeof both);
    settle();

    ck_assert_double_eq(look("", "c").value, 4);
    close(fd);
}
END_TEST

START_TEST(a_type_that_contradicts_the_description_ends_the_connection)
{
    int fd = dial();
    tell(fd, "{\"Desc\":{\"name\":\"g\",\"doc\":\"d\",\"ctype\":{\"Gauge\":{\"min\":0,"
             "\"max\":0,\"hits\":0,\"total\":0}}}}");
    tell_counter(fd, "g", "1");

    ck_assert(is_closed(fd));
    ck_assert_uint_eq(refused(MPX_GATEWAY_TYPE), 1);
    ck_assert_ptr_nonnull(strstr(last_line, "'g' is a gauge"));
    close(fd);
}
END_TEST

START_TEST(a_bad_name_or_value_is_dropped_alone)
{
    int fd = dial();
    tell_counter(fd, "has{unbalanced", "1");
    tell_counter(fd, "has_left", "1");
    tell_counter(fd, "c", "-1");
    tell_counter(fd, "c", "5");

    ck_assert(!is_closed(fd));
    ck_assert_uint_eq(refused(MPX_GATEWAY_NAME), 2);
    ck_assert_uint_eq(refused(MPX_GATEWAY_VALUE), 1);
    ck_assert_double_eq(look("", "c").value, 5);
    ck_assert_int_eq(lines, 1);
    close(fd);
}
END_TEST

START_TEST(clients_past_the_limit_are_let_go)
{
    int fds[6];
    for (int i = 0; i < 6; i++)
        fds[i] = dial();
    settle();

    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(is_closed(fds[i]), i >= 4);
    ck_assert_uint_eq(refused(MPX_GATEWAY_CLIENTS), 2);
    for (int i = 0; i < 6; i++)
        close(fds[i]);
}
END_TEST

START_TEST(a_socket_that_is_served_is_never_stolen)
{
    mproxy_gateway_options options = options_for_test();
    mproxy_gateway *other = NULL;
    mproxy_error err;

    mproxy_status status = mpx_gateway_open_at(&options, dir, &other, &err);

    char pid[32];
    snprintf(pid, sizeof pid, "pid %d", (int)getpid());
    ck_assert_int_eq(status, MPROXY_E_BUSY);
    ck_assert_ptr_nonnull(strstr(err.text, pid));
    int fd = dial();
    tell_counter(fd, "c", "1"); // the first one goes on
    ck_assert_double_eq(look("", "c").value, 1);
    close(fd);
}
END_TEST

START_TEST(a_socket_that_is_left_over_is_replaced)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    mproxy_gateway_close(gw);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
    int left = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(left, (struct sockaddr *)&address, sizeof address), 0);
    close(left);

    mproxy_gateway_options options = options_for_test();
    ck_assert_int_eq(mpx_gateway_open_at(&options, dir, &gw, NULL), MPROXY_OK);

    int fd = dial();
    ck_assert_int_ge(fd, 0);
    close(fd);
}
END_TEST

START_TEST(another_kind_of_file_at_the_socket_stays)
{
    mproxy_gateway_close(gw);
    gw = NULL;
    FILE *file = fopen(socket_path, "w");
    fclose(file);

    mproxy_gateway_options options = options_for_test();
    mproxy_error err;
    ck_assert_int_eq(mpx_gateway_open_at(&options, dir, &gw, &err), MPROXY_E_INVALID);

    ck_assert_int_eq(access(socket_path, F_OK), 0);
}
END_TEST

START_TEST(a_socket_that_vanished_is_made_again)
{
    int before = dial();
    settle();
    unlink(socket_path);
    mproxy_gateway_input(gw)->before_round(gw, NULL, NULL);

    int after = dial();
    ck_assert_int_ge(after, 0);
    tell_counter(after, "c", "1");
    tell_counter(before, "c", "1"); // who was there stays
    ck_assert_double_eq(look("", "c").value, 2);
    close(before);
    close(after);
}
END_TEST

START_TEST(many_names_are_kept_apart)
{
    int fd = dial();
    tell_job(fd, "j1");
    for (int i = 0; i < 3000; i++) {
        char name[32], value[16];
        snprintf(name, sizeof name, "c%d", i);
        snprintf(value, sizeof value, "%d", i);
        tell_counter(fd, name, value);
    }

    ck_assert_double_eq(look("j1", "c7").value, 7);
    ck_assert_double_eq(look("j1", "c2999").value, 2999);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 30);
    tcase_add_test(all, increments_of_a_client_add_up_in_a_segment_of_its_job);
    tcase_add_test(all, a_gauge_is_its_total_over_its_hits);
    tcase_add_test(all, values_before_a_job_is_named_count_for_no_job);
    tcase_add_test(all, ids_of_sums_name_no_job);
    tcase_add_test(all, the_same_job_told_twice_is_one_segment);
    tcase_add_test(all, a_bad_message_ends_its_own_connection_only);
    tcase_add_test(all, a_message_without_an_end_is_bounded);
    tcase_add_test(all, messages_may_come_in_any_pieces);
    tcase_add_test(all, a_type_that_contradicts_the_description_ends_the_connection);
    tcase_add_test(all, a_bad_name_or_value_is_dropped_alone);
    tcase_add_test(all, clients_past_the_limit_are_let_go);
    tcase_add_test(all, a_socket_that_is_served_is_never_stolen);
    tcase_add_test(all, a_socket_that_is_left_over_is_replaced);
    tcase_add_test(all, another_kind_of_file_at_the_socket_stays);
    tcase_add_test(all, a_socket_that_vanished_is_made_again);
    tcase_add_test(all, many_names_are_kept_apart);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
