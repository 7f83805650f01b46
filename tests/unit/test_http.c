// The web server over real sockets: what the API contract asks of every route.

#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "../support/suite.h"
#include "http/listen.h"
#include "http/server.h"

static struct mpx_server *server;
static int listen_fd, port;
static char reply[1 << 20];
static size_t reply_size;
static pthread_t answerer;

static void on_echo(struct mpx_request *rq, void *context)
{
    (void)context;
    const char *key = mpx_request_param(rq, "key");
    size_t length;
    const char *body = mpx_request_body(rq, &length);
    if (!key && !body)
        mpx_reply_refuse(rq, 400, "parameter 'key': a name was expected");
    else
        mpx_reply_done(rq, "%.*s", key ? (int)strlen(key) : (int)length,
                       key ? key : body);
}

static void on_long(struct mpx_request *rq, void *context)
{
    (void)context;
    static char text[5000];
    memset(text, 'x', sizeof text);
    mpx_reply_held(rq, 200, "text/plain", text, sizeof text, NULL, NULL);
}

static mproxy_status produce(void *arg, mpx_write_fn write, void *write_arg)
{
    char block[1000];
    memset(block, 'y', sizeof block);
    for (size_t left = *(size_t *)arg; left > 0; left -= sizeof block)
        if (write(write_arg, block, sizeof block) != MPROXY_OK)
            return MPROXY_E_SYSTEM;
    return MPROXY_OK;
}

static void on_stream(struct mpx_request *rq, void *context)
{
    (void)context;
    size_t *size = malloc(sizeof *size);
    *size = strtoul(mpx_request_param(rq, "size"), NULL, 10);
    mpx_reply_stream(rq, "text/plain", produce, free, size);
}

static void *answer_later(void *arg)
{
    mpx_reply_done(arg, "later");
    mpx_request_resume(arg);
    return NULL;
}

static void on_defer(struct mpx_request *rq, void *context)
{
    (void)context;
    ck_assert(mpx_request_defer(rq));
    pthread_create(&answerer, NULL, answer_later, rq);
}

static void on_packed(struct mpx_request *rq, void *context)
{
    (void)context;
    mpx_reply_held(rq, 200, "text/plain", "packed", 6, NULL, NULL);
    if (mpx_request_packs(rq, 5000) && !mpx_request_packs(rq, 5))
        mpx_reply_is_packed(rq);
}

static const struct mpx_route routes[] = {
    {MPX_GET, "/", on_long, MPX_NEED_READ},
    {MPX_GET | MPX_POST, "/echo", on_echo, MPX_NEED_CHANGE},
    {MPX_GET, "/long", on_long, MPX_NEED_READ},
    {MPX_GET, "/packed", on_packed, MPX_NEED_READ},
    {MPX_GET, "/stream", on_stream, MPX_NEED_READ},
    {MPX_GET, "/defer", on_defer, MPX_NEED_CHANGE},
    {MPX_GET, "/alive", on_long, MPX_NEED_NOTHING},
};

static void open_server(void)
{
    port = 0;
    ck_assert_int_eq(mpx_listen("127.0.0.1", &port, &listen_fd, NULL), MPROXY_OK);
    struct mpx_server_options options = {.routes = routes,
                                         .route_count = sizeof routes / sizeof *routes,
                                         .listen_fd = listen_fd,
                                         .max_connections = 8,
                                         .max_body = 10000};
    ck_assert_int_eq(mpx_server_open(&options, &server, NULL), MPROXY_OK);
    mpx_server_set_ready(server, true);
}

static void close_server(void)
{
    mpx_server_close(server);
    close(listen_fd);
}

// A connection from another address of this host: 127.0.0.FROM.
static int dial_from(uint32_t from)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in local = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(0x7f000000 | from)};
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&local, sizeof local), 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    struct timeval limit = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

static int dial(void)
{
    return dial_from(1);
}

// Send what is given, read until the server closes; the status, the reply in `reply`.
static int talk_on(int fd, const char *request, size_t length)
{
    ck_assert_int_eq(send(fd, request, length, MSG_NOSIGNAL), (ssize_t)length);
    reply_size = 0;
    ssize_t got;
    while ((got = recv(fd, reply + reply_size, sizeof reply - 1 - reply_size, 0)) > 0)
        reply_size += (size_t)got;
    reply[reply_size] = '\0';
    close(fd);
    int status = 0;
    sscanf(reply, "HTTP/1.1 %d", &status);
    return status;
}

static int talk(const char *request, size_t length)
{
    return talk_on(dial(), request, length);
}

static int ask(const char *method, const char *path, const char *headers,
               const char *body)
{
    static char request[64 * 1024];
    int length = snprintf(request, sizeof request,
                          "%s %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s", method,
                          path, headers);
    if (body)
        length += snprintf(request + length, sizeof request - (size_t)length,
                           "Content-Length: %zu\r\n", strlen(body));
    length += snprintf(request + length, sizeof request - (size_t)length, "\r\n%s",
                       body ? body : "");
    return talk(request, (size_t)length);
}

START_TEST(a_path_is_served_with_and_without_a_trailing_slash)
{
    ck_assert_int_eq(ask("GET", "/long", "", NULL), 200);
    ck_assert_int_eq(ask("GET", "/long/", "", NULL), 200);
    ck_assert_int_eq(ask("GET", "/", "", NULL), 200);
    ck_assert_int_eq(ask("GET", "/long//", "", NULL), 404);
}
END_TEST

START_TEST(a_target_may_be_a_whole_url)
{
    ck_assert_int_eq(ask("GET", "http://h:1337/long/", "", NULL), 200);
    ck_assert_int_eq(ask("GET", "http://h", "", NULL), 200);
    ck_assert_int_eq(ask("GET", "http://h/nothing", "", NULL), 404);
}
END_TEST

START_TEST(an_unknown_path_is_404_with_an_operation)
{
    int status = ask("GET", "/nothing", "", NULL);

    ck_assert_int_eq(status, 404);
    ck_assert_ptr_nonnull(strstr(reply, "{\"operation\":\"path '/nothing' is not"));
    ck_assert_ptr_nonnull(strstr(reply, "\"success\":false}"));
    ck_assert_ptr_nonnull(strstr(reply, "Content-Type: application/json"));
}
END_TEST

START_TEST(a_wrong_method_is_405_with_allow)
{
    ck_assert_int_eq(ask("DELETE", "/echo", "", NULL), 405);
    ck_assert_ptr_nonnull(strstr(reply, "Allow: GET, HEAD, POST\r\n"));
    ck_assert_int_eq(ask("PATCH", "/long", "", NULL), 405);
    ck_assert_ptr_nonnull(strstr(reply, "Allow: GET, HEAD\r\n"));
    ck_assert_ptr_nonnull(strstr(reply, "\"success\":false}"));
}
END_TEST

START_TEST(head_answers_as_get_without_a_body)
{
    int status = ask("HEAD", "/long", "", NULL);

    ck_assert_int_eq(status, 200);
    ck_assert_ptr_nonnull(strstr(reply, "Content-Length: 5000"));
    ck_assert_ptr_null(strstr(reply, "xxxx"));
    ck_assert_int_eq(ask("HEAD", "/stream?size=1000", "", NULL), 200);
    ck_assert_ptr_null(strstr(reply, "yyyy"));
    ck_assert_ptr_null(strstr(reply, "Content-Length"));
}
END_TEST

START_TEST(a_change_with_a_body_that_is_not_json_is_415)
{
    ck_assert_int_eq(ask("POST", "/echo", "", "{}"), 415);
    ck_assert_int_eq(ask("POST", "/echo", "Content-Type: text/plain\r\n", "{}"), 415);
    ck_assert_int_eq(ask("POST", "/echo", "Content-Type: application/jsonx\r\n", "{}"),
                     415);
    ck_assert_int_eq(ask("POST", "/echo", "Content-Type: application/json\r\n", "{}"),
                     200);
    ck_assert_int_eq(
        ask("POST", "/echo", "Content-Type: Application/JSON; charset=utf-8\r\n", "{}"),
        200);
}
END_TEST

START_TEST(a_body_over_the_limit_is_413_and_told_after_it_was_sent)
{
    static char body[20001];
    memset(body, 'b', sizeof body - 1);

    int status = ask("POST", "/echo", "Content-Type: application/json\r\n", body);

    ck_assert_int_eq(status, 413);
    ck_assert_ptr_nonnull(strstr(reply, "limit of 10000 bytes"));
}
END_TEST

START_TEST(a_chunked_body_is_held_to_the_limit_too)
{
    static char request[64 * 1024];
    int length = snprintf(request, sizeof request,
                          "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                          "Content-Type: application/json\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n4e20\r\n");
    memset(request + length, 'b', 0x4e20);
    length += 0x4e20;
    length +=
        snprintf(request + length, sizeof request - (size_t)length, "\r\n0\r\n\r\n");

    ck_assert_int_eq(talk(request, (size_t)length), 413);
}
END_TEST

START_TEST(a_handler_that_waits_is_answered_by_another_thread)
{
    int status = ask("GET", "/defer", "", NULL);
    pthread_join(answerer, NULL);

    ck_assert_int_eq(status, 200);
    ck_assert_ptr_nonnull(strstr(reply, "{\"operation\":\"later\",\"success\":true}"));
}
END_TEST

START_TEST(a_stream_of_any_size_arrives_whole)
{
    // More than the ring holds; chunk heads come on top.
    int status = ask("GET", "/stream?size=700000", "", NULL);

    size_t count = 0;
    for (const char *at = strstr(reply, "\r\n\r\n"); *at; at++)
        count += *at == 'y';
    ck_assert_int_eq(status, 200);
    ck_assert_uint_eq(count, 700000);
}
END_TEST

START_TEST(a_reader_that_leaves_ends_its_stream)
{
    int fd = dial();
    const char *request = "GET /stream?size=100000000000 HTTP/1.1\r\nHost: h\r\n\r\n";
    send(fd, request, strlen(request), 0);
    ck_assert_int_gt(recv(fd, reply, 1000, 0), 0);
    close(fd);

    // close_server() waits for the producer, so a hang here is the failure.
    ck_assert_int_eq(ask("GET", "/long", "", NULL), 200);
}
END_TEST

START_TEST(gzip_is_used_when_accepted_and_reads_back)
{
    static char plain[10000];
    int status = ask("GET", "/long", "Accept-Encoding: br, gzip;q=0.5\r\n", NULL);

    char *body = strstr(reply, "\r\n\r\n") + 4;
    z_stream z = {.next_in = (unsigned char *)body,
                  .avail_in = (unsigned)(reply + reply_size - body),
                  .next_out = (unsigned char *)plain,
                  .avail_out = sizeof plain};
    inflateInit2(&z, 31);
    int ended = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    ck_assert_int_eq(status, 200);
    ck_assert_ptr_nonnull(strstr(reply, "Content-Encoding: gzip"));
    ck_assert_int_eq(ended, Z_STREAM_END);
    ck_assert_uint_eq(strlen(plain), 5000);
}
END_TEST

START_TEST(a_body_that_is_packed_already_is_sent_as_it_is)
{
    int status = ask("GET", "/packed", "Accept-Encoding: gzip\r\n", NULL);

    ck_assert_int_eq(status, 200);
    ck_assert_ptr_nonnull(strstr(reply, "Content-Encoding: gzip"));
    ck_assert_str_eq(strstr(reply, "\r\n\r\n") + 4, "packed");
    ask("GET", "/packed", "", NULL);
    ck_assert_ptr_null(strstr(reply, "Content-Encoding"));
}
END_TEST

START_TEST(gzip_is_not_used_when_refused)
{
    ck_assert_int_eq(ask("GET", "/long", "Accept-Encoding: gzip;q=0, br\r\n", NULL), 200);
    ck_assert_ptr_null(strstr(reply, "Content-Encoding"));
}
END_TEST

START_TEST(the_quality_of_what_a_header_names_is_read)
{
    const char *accept = "application/openmetrics-text;version=1.0.0,"
                         "application/openmetrics-text;version=0.0.1;q=0.75,"
                         "text/plain;version=0.0.4; Q=0.5,*/*;q=0.1";
    ck_assert_double_eq(mpx_http_quality(accept, "application/openmetrics-text"), 1);
    ck_assert_double_eq(mpx_http_quality(accept, "text/plain"), 0.5);
    ck_assert_double_eq(mpx_http_quality(accept, "text/html"), 0);
    ck_assert_double_eq(mpx_http_quality(accept, "application/openmetrics"), 0);
    ck_assert_double_eq(mpx_http_quality("a ;q=0.5;, ,GZIP\t;x=y", "gzip"), 1);
    ck_assert_double_eq(mpx_http_quality("gzip;", "gzip"), 1);
    ck_assert_double_eq(mpx_http_quality("gzip;q=", "gzip"), 0);
    ck_assert_double_eq(mpx_http_quality(NULL, "gzip"), 0);
    ck_assert_double_eq(mpx_http_quality("", "gzip"), 0);
}
END_TEST

START_TEST(before_ready_only_what_needs_nothing_is_served)
{
    mpx_server_set_ready(server, false);

    ck_assert_int_eq(ask("GET", "/long", "", NULL), 503);
    ck_assert_ptr_nonnull(strstr(reply, "Retry-After: "));
    ck_assert_int_eq(ask("GET", "/alive", "", NULL), 200);
    ck_assert_int_eq(ask("GET", "/nothing", "", NULL), 404);
}
END_TEST

START_TEST(what_a_client_sent_is_quoted_as_valid_json)
{
    int status = ask("GET", "/echo?key=a%22b%5C%0A%FFc%C3%A9", "", NULL);

    ck_assert_int_eq(status, 200);
    ck_assert_ptr_nonnull(strstr(reply, "\"a\\\"b\\\\\\u000a\xef\xbf\xbd"
                                        "c\xc3\xa9\""));
}
END_TEST

START_TEST(an_escaped_nul_in_the_address_is_refused)
{
    ck_assert_int_eq(ask("GET", "/echo?key=a%00b", "", NULL), 400);
    ck_assert_int_eq(ask("GET", "/long%00x", "", NULL), 400);
}
END_TEST

// The texts around a run of one piece.
static const char *run(const char *before, const char *piece, size_t size,
                       const char *after)
{
    static char text[64 * 1024];
    size_t used = strlen(before), end = used + size, step = strlen(piece);
    memcpy(text, before, used);
    for (; used + step <= end; used += step)
        memcpy(text + used, piece, step);
    memcpy(text + used, after, strlen(after) + 1);
    return text;
}

START_TEST(an_address_with_too_many_parameters_is_refused)
{
    ck_assert_int_eq(ask("GET", run("/echo?key=a&", "b=1&", 4000, ""), "", NULL), 400);
    ck_assert_ptr_nonnull(strstr(reply, "the address has 1002 parameters"));
    ck_assert_ptr_nonnull(strstr(reply, "\"success\":false}"));

    ck_assert_int_eq(ask("GET", run("/echo?", "b=1&", 500, "key=last"), "", NULL), 200);
    ck_assert_ptr_nonnull(strstr(reply, "last"));
}
END_TEST

START_TEST(an_address_that_is_too_long_is_414_in_json)
{
    ck_assert_int_eq(ask("GET", run("/echo?key=", "k", 20000, ""), "", NULL), 414);
    ck_assert_ptr_nonnull(strstr(reply, "the address has 20010 bytes"));
    ck_assert_ptr_nonnull(strstr(reply, "Content-Type: application/json"));

    ck_assert_int_eq(ask("GET", run("/", "p", 30000, ""), "", NULL), 414);
    ck_assert_ptr_nonnull(strstr(reply, "Content-Type: application/json"));
}
END_TEST

START_TEST(headers_that_are_too_long_are_431_and_the_longest_is_named)
{
    ck_assert_int_eq(
        ask("GET", "/long", run("A: b\r\nAccept: ", "c", 28000, "\r\n"), NULL), 431);
    ck_assert_ptr_nonnull(strstr(reply, "'Accept', has 28006"));
    ck_assert_ptr_nonnull(strstr(reply, "Content-Type: application/json"));

    ck_assert_int_eq(ask("GET", "/long", run("A: ", "c", 16000, "\r\n"), NULL), 200);
}
END_TEST

START_TEST(what_is_a_little_too_long_is_refused_by_us)
{
    for (size_t size = 15000; size < 31000; size += 131) {
        int status = ask("GET", run("/echo?key=", "k", size, ""), "", NULL);
        ck_assert_msg(status == (size <= 16374 ? 200 : 414), "%zu bytes of address: %d",
                      size, status);
        status = ask("GET", "/long", run("A: ", "a", size, "\r\n"), NULL);
        ck_assert_msg(status == (size < 24507 ? 200 : 431), "%zu bytes of a header: %d",
                      size, status);
        ck_assert_ptr_nonnull(strstr(reply, "\r\nCache-Control: no-cache\r\n"));
    }
}
END_TEST

START_TEST(a_body_whose_end_is_unclear_is_refused)
{
    const char *type = "Content-Type: application/json\r\n";
    char headers[200];
    snprintf(headers, sizeof headers, "%sTransfer-Encoding: gzip\r\n", type);
    ck_assert_int_eq(ask("POST", "/echo", headers, NULL), 400);
    ck_assert_ptr_nonnull(strstr(reply, "header Transfer-Encoding: 'gzip'"));

    snprintf(headers, sizeof headers, "%sTransfer-Encoding: chunked\r\n", type);
    ck_assert_int_eq(ask("POST", "/echo", headers, "0"), 400);
    ck_assert_ptr_nonnull(strstr(reply, "Content-Length and Transfer-Encoding"));
}
END_TEST

static const char get_long[] = "GET /long HTTP/1.1\r\nHost: h\r\n\r\n";

// True once the server has closed the connection.
static bool was_closed(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

START_TEST(who_has_said_all_is_answered_and_closed)
{
    // The end may come before, with or after what the server reads first.
    for (int i = 0; i < 300; i++) {
        int fd = dial();
        send(fd, get_long, sizeof get_long - 1, 0);
        shutdown(fd, SHUT_WR);

        size_t got = 0;
        ssize_t step;
        while ((step = recv(fd, reply, sizeof reply, 0)) > 0)
            got += (size_t)step;

        ck_assert_int_eq(step, 0);
        ck_assert_uint_gt(got, 5000);
        close(fd);
    }
}
END_TEST

START_TEST(a_crowd_of_one_address_keeps_no_other_out)
{
    int early = dial_from(2), crowd[60];

    for (int i = 0; i < 60; i++) {
        crowd[i] = dial_from(1);
        // Half of them stop in the middle of a request.
        if (i % 2)
            send(crowd[i], "POST /echo HTTP/1.1\r\nHo", 24, MSG_NOSIGNAL);
    }
    time_t started = time(NULL);
    int late = dial_from(3);
    const char *request = "GET /long HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

    ck_assert_int_eq(talk_on(late, request, strlen(request)), 200);
    ck_assert_int_eq(talk_on(early, request, strlen(request)), 200);
    ck_assert_int_le(time(NULL) - started, 2);
    ck_assert_uint_ge(mpx_server_cut_count(server), 54);
    for (int i = 0; i < 60; i++)
        close(crowd[i]);
}
END_TEST

START_TEST(a_crowd_that_reads_no_reply_keeps_nobody_out)
{
    int crowd[30];
    const char *request = "GET /stream?size=100000000000 HTTP/1.1\r\nHost: h\r\n\r\n";

    for (int i = 0; i < 30; i++) {
        crowd[i] = dial_from(1);
        send(crowd[i], request, strlen(request), MSG_NOSIGNAL);
    }
    time_t started = time(NULL);

    request = "GET /long HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    ck_assert_int_eq(talk_on(dial_from(2), request, strlen(request)), 200);
    ck_assert_int_eq(talk(request, strlen(request)), 200);
    ck_assert_int_le(time(NULL) - started, 2);
    for (int i = 0; i < 30; i++)
        close(crowd[i]);
}
END_TEST

START_TEST(below_the_limit_no_connection_is_cut)
{
    int fds[8];
    for (int i = 0; i < 8; i++)
        fds[i] = dial_from(1);

    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 8; i++) {
            ck_assert_int_eq(send(fds[i], get_long, sizeof get_long - 1, 0),
                             sizeof get_long - 1);
            for (size_t got = 0; got < 5000;)
                got += (size_t)recv(fds[i], reply, sizeof reply, 0);
        }

    ck_assert_uint_eq(mpx_server_cut_count(server), 0);
    for (int i = 0; i < 8; i++) {
        ck_assert(!was_closed(fds[i]));
        close(fds[i]);
    }
}
END_TEST

START_TEST(a_taken_port_names_its_program_and_pid)
{
    mproxy_error err;
    char pid[32];
    int fd, same = port;

    mproxy_status status = mpx_listen("127.0.0.1", &same, &fd, &err);

    snprintf(pid, sizeof pid, "(pid %d)", (int)getpid());
    ck_assert_int_eq(status, MPROXY_E_BUSY);
    ck_assert_ptr_nonnull(strstr(err.text, "unit_http"));
    // Check forks: the parent has no such socket, so the pid is ours.
    ck_assert_ptr_nonnull(strstr(err.text, pid));
}
END_TEST

static uint64_t counted;

static void count_of_404(void *arg, const char *route, int code, uint64_t count)
{
    if (strcmp(route, arg) == 0 && code == 404)
        counted += count;
}

START_TEST(requests_are_counted_by_route_and_code)
{
    ask("GET", "/nothing", "", NULL);
    ask("GET", "/nothing/else", "", NULL);

    counted = 0;
    mpx_server_each_count(server, count_of_404, (void *)(uintptr_t) "other");

    ck_assert_uint_eq(counted, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http");
    TCase *served = tcase_create("served");
    tcase_add_checked_fixture(served, open_server, close_server);
    tcase_set_timeout(served, 30);
    tcase_add_test(served, a_path_is_served_with_and_without_a_trailing_slash);
    tcase_add_test(served, a_target_may_be_a_whole_url);
    tcase_add_test(served, an_unknown_path_is_404_with_an_operation);
    tcase_add_test(served, a_wrong_method_is_405_with_allow);
    tcase_add_test(served, head_answers_as_get_without_a_body);
    tcase_add_test(served, a_change_with_a_body_that_is_not_json_is_415);
    tcase_add_test(served, a_body_over_the_limit_is_413_and_told_after_it_was_sent);
    tcase_add_test(served, a_chunked_body_is_held_to_the_limit_too);
    tcase_add_test(served, a_handler_that_waits_is_answered_by_another_thread);
    tcase_add_test(served, a_stream_of_any_size_arrives_whole);
    tcase_add_test(served, a_reader_that_leaves_ends_its_stream);
    tcase_add_test(served, gzip_is_used_when_accepted_and_reads_back);
    tcase_add_test(served, a_body_that_is_packed_already_is_sent_as_it_is);
    tcase_add_test(served, gzip_is_not_used_when_refused);
    tcase_add_test(served, the_quality_of_what_a_header_names_is_read);
    tcase_add_test(served, before_ready_only_what_needs_nothing_is_served);
    tcase_add_test(served, what_a_client_sent_is_quoted_as_valid_json);
    tcase_add_test(served, an_escaped_nul_in_the_address_is_refused);
    tcase_add_test(served, an_address_with_too_many_parameters_is_refused);
    tcase_add_test(served, an_address_that_is_too_long_is_414_in_json);
    tcase_add_test(served, headers_that_are_too_long_are_431_and_the_longest_is_named);
    tcase_add_test(served, what_is_a_little_too_long_is_refused_by_us);
    tcase_add_test(served, a_body_whose_end_is_unclear_is_refused);
    tcase_add_test(served, who_has_said_all_is_answered_and_closed);
    tcase_add_test(served, a_crowd_of_one_address_keeps_no_other_out);
    tcase_add_test(served, a_crowd_that_reads_no_reply_keeps_nobody_out);
    tcase_add_test(served, below_the_limit_no_connection_is_cut);
    tcase_add_test(served, a_taken_port_names_its_program_and_pid);
    tcase_add_test(served, requests_are_counted_by_route_and_code);
    suite_add_tcase(suite, served);
    return run_suite(suite);
}
