// Parameters of pushes, as the server's threads judge them: what is refused, and by which name;
// what is not refused waits for the loop, which does not turn here.
#include <string.h>

#include "../support/commands_fixture.h"

// daemon/routes.h, which needs the web pages that are generated
void mpx_route_group(struct mpx_request *rq, void *context);
void mpx_route_ungroup(struct mpx_request *rq, void *context);

static const struct mpx_route routes[] = {
    {MPX_POST | MPX_PUT | MPX_DELETE, "/metrics/job/*", mpx_route_group, MPX_NEED_READ,
     "*/*", 0, NULL},
    {MPX_DELETE, "/metrics", mpx_route_ungroup, MPX_NEED_READ, NULL, 0, NULL}};

static void set_up(void)
{
    open_commands(routes, 2);
}

static int ask(const char *call)
{
    char request[512];
    int length = snprintf(request, sizeof request,
                          "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                          "Content-Length: 0\r\n\r\n",
                          call);
    return ask_with(request, (size_t)length);
}

START_TEST(unknown_and_repeated_parameters_are_refused_by_name)
{
    static const struct {
        const char *call, *named;
    } cases[] = {
        {"POST /metrics/job/a?tll=5", "parameter 'tll'"},
        {"POST /metrics/job/a?TTL=5", "parameter 'TTL'"},
        {"PUT /metrics/job/a?ttl=5&bogus", "parameter 'bogus'"},
        {"POST /metrics/job/a?ttl=5&ttl=6", "parameter 'ttl'"},
        {"POST /metrics/job/a?ttl=5&ttl=5", "parameter 'ttl'"},
        {"POST /metrics/job/a?aggregate=sum&ttl=5&aggregate=replace",
         "parameter 'aggregate'"},
        {"DELETE /metrics/job/a?ttl=5", "parameter 'ttl'"},
        {"DELETE /metrics/job/a?match[]=%7Bl=%22v%22%7D", "parameter 'match[]'"},
        {"DELETE /metrics?match[]=%7Bjob=%22a%22%7D&dry_run=1", "parameter 'dry_run'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char reply[2048];
        size_t size = 0;
        int fd = ask(cases[i].call);
        const struct timeval patience = {.tv_sec = 20};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        for (ssize_t got; size < sizeof reply - 1 &&
                          (got = recv(fd, reply + size, sizeof reply - 1 - size, 0)) > 0;)
            size += (size_t)got;
        reply[size] = '\0';
        close(fd);

        ck_assert_msg(strstr(reply, " 400 ") && strstr(reply, cases[i].named), "%s: '%s'",
                      cases[i].call, reply);
    }
    ck_assert_uint_eq(queued(), 0);
}
END_TEST

START_TEST(known_ones_and_those_against_caches_are_taken)
{
    static const char *const calls[] = {
        "POST /metrics/job/a",
        "POST /metrics/job/a?ttl=5&aggregate=sum&_=1&_=2",
        "PUT /metrics/job/a?aggregate=replace&ttl=5",
        "DELETE /metrics/job/a?_x=1",
        "DELETE /metrics?match[]=%7Bjob=%22a%22%7D&match[]=%7Bjob=%22b%22%7D&_=1",
    };
    enum { CALLS = sizeof calls / sizeof *calls };
    int fds[CALLS];
    for (size_t i = 0; i < CALLS; i++) {
        fds[i] = ask(calls[i]);
        for (int k = 0; k < 2000 && queued() < i + 1; k++)
            usleep(10000);
        ck_assert_msg(queued() == i + 1, "%s", calls[i]);
    }
    mpx_commands_close(d);
    for (size_t i = 0; i < CALLS; i++)
        close(fds[i]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("routes of pushes");
    TCase *c = tcase_create("parameters");
    tcase_add_checked_fixture(c, set_up, close_commands);
    tcase_add_test(c, unknown_and_repeated_parameters_are_refused_by_name);
    tcase_add_test(c, known_ones_and_those_against_caches_are_taken);
    suite_add_tcase(s, c);
    return run_suite(s);
}
