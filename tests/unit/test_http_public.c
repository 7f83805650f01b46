// The public face of the HTTP server; what the server does is in test_http.c.
#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mproxy/http.h>
#include <mproxy/serve.h>

#include "../support/suite.h"

static mproxy_error err;

static void answer(mproxy_request *request, void *context)
{
    (void)context;
    mproxy_reply_refuse(request, 400, "no");
}

static const mproxy_http_route good = {.struct_size = sizeof good,
                                       .methods = MPROXY_HTTP_GET,
                                       .path = "/a",
                                       .handle = answer};

static mproxy_status open_with(size_t struct_size, const mproxy_http_route *route,
                               const char *address)
{
    mproxy_http_options options = {.struct_size = struct_size,
                                   .address = address,
                                   .routes = route,
                                   .route_count = 1};
    mproxy_http *opened = NULL;
    mproxy_status status = mproxy_http_open(&options, &opened, &err);
    ck_assert((status == MPROXY_OK) == (opened != NULL));
    mproxy_http_close(opened);
    return status;
}

START_TEST(a_free_port_is_told)
{
    mproxy_http_options options = {.struct_size = sizeof options,
                                   .address = "127.0.0.1",
                                   .routes = &good,
                                   .route_count = 1};
    mproxy_http *http;

    ck_assert_int_eq(mproxy_http_open(&options, &http, &err), MPROXY_OK);

    ck_assert_int_gt(mproxy_http_port(http), 0);
    options.port = mproxy_http_port(http);
    mproxy_http *second = NULL;
    ck_assert_int_eq(mproxy_http_open(&options, &second, &err), MPROXY_E_BUSY);
    ck_assert_ptr_null(second);
    mproxy_http_close(http);
}
END_TEST

// Without its size the address would be dropped, and the port open on all interfaces.
START_TEST(options_without_a_size_open_no_port)
{
    ck_assert_int_eq(open_with(0, &good, "127.0.0.1"), MPROXY_E_INVALID);
    ck_assert_int_eq(open_with(sizeof(mproxy_http_options), &good, "127.0.0.1"),
                     MPROXY_OK);
}
END_TEST

START_TEST(routes_that_are_none_are_refused)
{
    mproxy_http_route wrong[5] = {good, good, good, good, good};
    wrong[0].struct_size = 0;
    wrong[1].methods = 0;
    wrong[2].path = NULL;
    wrong[3].path = "a";
    wrong[4].handle = NULL;

    for (size_t i = 0; i < 5; i++)
        ck_assert_int_eq(open_with(sizeof(mproxy_http_options), &wrong[i], "127.0.0.1"),
                         MPROXY_E_INVALID);
}
END_TEST

// As a program of a later release has them.
struct later_route {
    mproxy_http_route route;
    void *later;
};

START_TEST(routes_of_a_later_release_are_taken)
{
    struct later_route routes[MPROXY_SERVE_ROUTES] = {{.route = good}, {.route = good}};
    mproxy_http_options options = {.struct_size = sizeof options,
                                   .address = "127.0.0.1",
                                   .routes = &routes[0].route,
                                   .route_count = 2};
    mproxy_http *http;
    routes[0].route.struct_size = routes[1].route.struct_size = sizeof routes[0];
    routes[1].route.path = "/b";

    ck_assert_int_eq(mproxy_http_open(&options, &http, &err), MPROXY_OK);
    mproxy_http_close(http);

    routes[1].later = http; // of which this one knows nothing
    ck_assert_int_eq(mproxy_http_open(&options, &http, &err), MPROXY_E_VERSION);
    ck_assert_uint_eq(mproxy_serve_routes(NULL, &routes[0].route), MPROXY_SERVE_ROUTES);
    ck_assert_str_eq(routes[1].route.path, "/job");
    ck_assert_ptr_null(routes[1].later);
    ck_assert_uint_eq(routes[3].route.struct_size, sizeof routes[0]);
    routes[0].route.struct_size = 0;
    ck_assert_uint_eq(mproxy_serve_routes(NULL, &routes[0].route), 0);
}
END_TEST

// ---- a client

static char got[4096];

static int say(int port, const char *request)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    ck_assert_int_eq(send(fd, request, strlen(request), MSG_NOSIGNAL),
                     (ssize_t)strlen(request));
    got[0] = '\0';
    return fd;
}

static void hear(int fd, const char *text)
{
    size_t size = strlen(got);
    while (!strstr(got, text)) {
        ssize_t more = recv(fd, got + size, sizeof got - 1 - size, 0);
        ck_assert_msg(more > 0, "'%s' did not come: %s", text, got);
        size += (size_t)more;
        got[size] = '\0';
    }
}

// ---- replies that come later

static pthread_t answering;

static void *answer_later(void *request)
{
    mproxy_reply_bytes(request, 200, "text/plain", "later\n", 6);
    ck_assert_int_eq(mproxy_reply_header(request, "X-Own", "1"), MPROXY_OK);
    mproxy_request_resume(request);
    return NULL;
}

static void defer(mproxy_request *request, void *context)
{
    ck_assert_ptr_eq(context, got); // the route's own
    ck_assert(mproxy_request_defer(request));
    pthread_create(&answering, NULL, answer_later, request);
}

static void listen_to(mproxy_request *request, void *context)
{
    (void)context;
    mproxy_reply_events(request, 1u << 1);
}

static void listen_to_none(mproxy_request *request, void *context)
{
    (void)context;
    mproxy_reply_events(request, 0);
}

static void listen_to_others(mproxy_request *request, void *context)
{
    (void)context;
    mproxy_reply_events(request, 1u << 2);
}

static void set_headers(mproxy_request *request, void *context)
{
    (void)context;
    ck_assert_int_eq(mproxy_reply_header(request, "X-Early", "1"), MPROXY_E_INVALID);
    mproxy_reply_refuse(request, 503, "no");
    ck_assert_int_eq(mproxy_reply_header(request, "Content-Type", "text/html"),
                     MPROXY_OK);
    ck_assert_int_eq(mproxy_reply_header(request, "Retry-After", "7"), MPROXY_OK);
    ck_assert_int_eq(mproxy_reply_header(request, "Vary", "Origin"), MPROXY_OK);
    static const char *const wrong[][2] = {
        {"X-Bad", "a\r\nInjected: 1"},
        {"X-Bad", "a\rb"},
        {"X-Bad: 1\r\nY", "a"},
        {"", "a"},
        {"X Bad", "a"},
        {"content-length", "1"},
        {"Transfer-Encoding", "a"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_int_eq(mproxy_reply_header(request, wrong[i][0], wrong[i][1]),
                         MPROXY_E_INVALID);
}

// The server of a test, and a client of it.
static mproxy_http *http;
static mproxy_events *events; // NULL: it has none
static int client = -1;

static void serve(void)
{
    const mproxy_http_route routes[] = {{.struct_size = sizeof *routes,
                                         .methods = MPROXY_HTTP_GET,
                                         .path = "/later",
                                         .handle = defer,
                                         .context = got},
                                        {.struct_size = sizeof *routes,
                                         .methods = MPROXY_HTTP_GET,
                                         .path = "/events",
                                         .handle = listen_to},
                                        {.struct_size = sizeof *routes,
                                         .methods = MPROXY_HTTP_GET,
                                         .path = "/none",
                                         .handle = listen_to_none},
                                        {.struct_size = sizeof *routes,
                                         .methods = MPROXY_HTTP_GET,
                                         .path = "/others",
                                         .handle = listen_to_others},
                                        {.struct_size = sizeof *routes,
                                         .methods = MPROXY_HTTP_GET,
                                         .path = "/headers",
                                         .handle = set_headers}};
    const mproxy_http_options options = {.struct_size = sizeof options,
                                         .address = "127.0.0.1",
                                         .routes = routes,
                                         .route_count = sizeof routes / sizeof *routes,
                                         .events = events};
    ck_assert_int_eq(mproxy_http_open(&options, &http, &err), MPROXY_OK);
}

static void serve_events(void)
{
    static const char *const topics[] = {"one", "two"};
    ck_assert_int_eq(mproxy_events_open(topics, 2, 0, &events, &err), MPROXY_OK);
    serve();
}

static void ask(const char *path)
{
    char request[100];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    close(client);
    client = say(mproxy_http_port(http), request);
}

static void end(void)
{
    close(client);
    mproxy_http_close(http);
    mproxy_events_close(events);
}

START_TEST(a_deferred_request_is_answered_by_another_thread)
{
    serve();

    ask("/later");
    hear(client, "later\n");

    ck_assert_ptr_nonnull(strstr(got, "X-Own: 1\r\n"));
    pthread_join(answering, NULL);
}
END_TEST

START_TEST(events_of_a_topic_come_to_those_that_listen)
{
    serve_events();
    ask("/events");
    hear(client, "\nid: ");

    ck_assert_int_eq(mproxy_events_publish(events, 0, "other"), MPROXY_OK);
    ck_assert_int_eq(mproxy_events_publish(events, 1, "mine"), MPROXY_OK);
    hear(client, "event: two\ndata: mine\n\n");

    ck_assert_ptr_null(strstr(got, "other"));
}
END_TEST

// What is told may come from anybody: a line's end of any kind begins a line of the same event.
START_TEST(data_of_an_event_can_not_be_another_event)
{
    serve_events();
    ask("/events");
    hear(client, "\nid: ");

    mproxy_events_publish(events, 1, "a\revent: evil\rdata: x\r\rb\r\nc\n");
    hear(client,
         "data: a\ndata: event: evil\ndata: data: x\ndata: \ndata: b\ndata: c\n\n");
}
END_TEST

START_TEST(topics_have_names_of_one_line)
{
    static const char *const wrong[] = {NULL, "", "a\nb", "a\rdata: x"};
    for (size_t i = 0; i < 4; i++) {
        const char *topics[] = {"one", wrong[i]};
        mproxy_events *none = NULL;
        ck_assert_int_eq(mproxy_events_open(topics, 2, 0, &none, &err), MPROXY_E_INVALID);
        ck_assert_ptr_null(none);
    }
}
END_TEST

START_TEST(events_of_topics_that_are_none_are_refused)
{
    serve_events();
    ask("/none");
    hear(client, "HTTP/1.1 500");
    ask("/others");
    hear(client, "HTTP/1.1 500");
}
END_TEST

static size_t times(const char *word)
{
    size_t count = 0;
    for (const char *at = got; (at = strstr(at, word)); at++)
        count++;
    return count;
}

START_TEST(a_header_that_is_set_stands_instead_of_the_servers)
{
    serve();
    ask("/headers");
    hear(client, "\"success\":false}");

    ck_assert_ptr_nonnull(strstr(got, "Content-Type: text/html\r\n"));
    ck_assert_ptr_nonnull(strstr(got, "Retry-After: 7\r\n"));
    ck_assert_ptr_nonnull(strstr(got, "Vary: Origin\r\n"));
    ck_assert_uint_eq(times("Content-Type:"), 1);
    ck_assert_uint_eq(times("Retry-After:"), 1);
    ck_assert_uint_eq(times("Vary:"), 1);
    ck_assert_uint_eq(times("Content-Length:"), 1);
    ck_assert_uint_eq(times("X-"), 1); // X-Content-Type-Options
}
END_TEST

START_TEST(a_server_without_events_has_none_to_tell)
{
    serve();
    ask("/events");
    hear(client, "HTTP/1.1 50");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_public");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, NULL, end);
    tcase_add_test(c, a_free_port_is_told);
    tcase_add_test(c, options_without_a_size_open_no_port);
    tcase_add_test(c, routes_that_are_none_are_refused);
    tcase_add_test(c, routes_of_a_later_release_are_taken);
    tcase_add_test(c, a_deferred_request_is_answered_by_another_thread);
    tcase_add_test(c, events_of_a_topic_come_to_those_that_listen);
    tcase_add_test(c, data_of_an_event_can_not_be_another_event);
    tcase_add_test(c, topics_have_names_of_one_line);
    tcase_add_test(c, events_of_topics_that_are_none_are_refused);
    tcase_add_test(c, a_header_that_is_set_stands_instead_of_the_servers);
    tcase_add_test(c, a_server_without_events_has_none_to_tell);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
