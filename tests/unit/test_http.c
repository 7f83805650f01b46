// The web server over real sockets: what the API contract asks of every route.

#include <zlib.h>

#include "../support/http_fixture.h"
#include "../support/suite.h"

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

START_TEST(a_route_says_which_types_of_body_it_takes)
{
    ck_assert_int_eq(ask("POST", "/text", "Content-Type: text/plain\r\n", "t"), 200);
    ck_assert_ptr_nonnull(strstr(reply, "{\"operation\":\"t\","));
    ck_assert_int_eq(ask("POST", "/text", "Content-Type: TEXT/X-other;a=b\r\n", "t"),
                     200);
    ck_assert_int_eq(ask("POST", "/text", "Content-Type: text/x\r\n", "t"), 415);
    ck_assert_ptr_nonnull(strstr(reply, "text/plain, text/x-other was expected"));
    ck_assert_int_eq(ask("POST", "/text", "Content-Type: ;\r\n", "t"), 415);
    ck_assert_int_eq(ask("POST", "/text", "Content-Type: application/json\r\n", "{}"),
                     415);
    ck_assert_int_eq(ask("PUT", "/below/a", "", "any"), 200);
    ck_assert_ptr_nonnull(strstr(reply, "rest 'a' and 3 bytes"));
    ck_assert_int_eq(ask("GET", "/below/a", "", "ignored"), 200);
    ck_assert_ptr_nonnull(strstr(reply, "rest 'a' and 0 bytes"));
}
END_TEST

START_TEST(a_route_has_its_own_limit_of_a_body)
{
    static char body[30002];
    memset(body, 'b', 101);
    ck_assert_int_eq(ask("POST", "/text", "Content-Type: text/plain\r\n", body), 413);
    ck_assert_ptr_nonnull(strstr(reply, "limit of 100 bytes"));
    memset(body, 'b', 30000);
    ck_assert_int_eq(ask("PUT", "/below/x", "", body), 200);
    ck_assert_ptr_nonnull(strstr(reply, "30000 bytes"));
    memset(body, 'b', 30001);
    ck_assert_int_eq(ask("PUT", "/below/x", "", body), 413);
}
END_TEST

START_TEST(a_path_below_a_prefix_is_served_by_the_route_that_names_most_of_it)
{
    ck_assert_int_eq(ask("GET", "/below/two//a%20b/", "", NULL), 200);
    ck_assert_ptr_nonnull(strstr(reply, "rest 'two//a b/'"));
    ck_assert_int_eq(ask("GET", "/below/one", "", NULL), 200);
    ck_assert_ptr_nonnull(strstr(reply, "xxxx"));
    ck_assert_int_eq(ask("DELETE", "/below/deeper/x", "", NULL), 200);
    ck_assert_ptr_nonnull(strstr(reply, "rest 'x'"));
    ck_assert_int_eq(ask("GET", "/below/deeper/x", "", NULL), 405);
    ck_assert_ptr_nonnull(strstr(reply, "Allow: DELETE\r\n"));
    ck_assert_int_eq(ask("DELETE", "/below/two", "", NULL), 405);
    ck_assert_ptr_nonnull(strstr(reply, "Allow: GET, HEAD, PUT\r\n"));
    ck_assert_int_eq(ask("GET", "/below", "", NULL), 404);
    ck_assert_int_eq(ask("GET", "/below/", "", NULL), 404);
    ck_assert_int_eq(ask("GET", "/belowed", "", NULL), 404);
}
END_TEST

START_TEST(a_handler_sets_headers_instead_of_the_standard_ones)
{
    ck_assert_int_eq(ask("GET", "/headers", "", NULL), 200);
    ck_assert_ptr_nonnull(
        strstr(reply, "Content-Security-Policy: default-src 'self'\r\n"));
    ck_assert_ptr_nonnull(strstr(reply, "Cache-Control: max-age=5\r\n"));
    ck_assert_ptr_null(strstr(reply, "no-cache"));
    ck_assert_ptr_nonnull(strstr(reply, "X-Content-Type-Options: nosniff\r\n"));
}
END_TEST

START_TEST(a_version_that_the_client_has_is_not_sent_again)
{
    static const char *const fit[] = {"\"one\"", "W/\"one\"", "\"x\" , \"one\"", "*"};
    static const char *const fit_not[] = {"\"two\"", "\"one", "one", "\"onely\"", ""};
    char header[100];
    for (size_t i = 0; i < sizeof fit / sizeof *fit; i++) {
        snprintf(header, sizeof header, "If-None-Match: %s\r\n", fit[i]);
        ck_assert_int_eq(ask("GET", "/headers?etag", header, NULL), 304);
        ck_assert_ptr_nonnull(strstr(reply, "ETag: \"one\"\r\n"));
        ck_assert_str_eq(strstr(reply, "\r\n\r\n"), "\r\n\r\n");
    }
    for (size_t i = 0; i < sizeof fit_not / sizeof *fit_not; i++) {
        snprintf(header, sizeof header, "If-None-Match: %s\r\n", fit_not[i]);
        ck_assert_int_eq(ask("GET", "/headers?etag", header, NULL), 200);
        ck_assert_ptr_nonnull(strstr(reply, "ETag: \"one\"\r\n"));
    }
}
END_TEST

START_TEST(a_request_knows_its_peer_and_its_token)
{
    ck_assert_int_eq(ask("GET", "/headers", "", NULL), 200);
    ck_assert_ptr_nonnull(strstr(reply, "\"127.0.0.1 none\""));
    ask("GET", "/headers", "authorization: bearer  abc\r\n", NULL);
    ck_assert_ptr_nonnull(strstr(reply, "\"127.0.0.1 abc\""));
    ask("GET", "/headers", "Cookie: a=b; mproxy_token=xyz; c=d\r\n", NULL);
    ck_assert_ptr_nonnull(strstr(reply, "\"127.0.0.1 xyz\""));
    ask("GET", "/headers", "Authorization: Basic abc\r\n", NULL);
    ck_assert_ptr_nonnull(strstr(reply, "\"127.0.0.1 none\""));
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
    ck_assert_ptr_nonnull(strstr(reply, "\"a\\\"b\\\\\\n\xef\xbf\xbd"
                                        "c\xc3\xa9\""));
}
END_TEST

START_TEST(an_escaped_nul_in_the_address_is_refused)
{
    ck_assert_int_eq(ask("GET", "/echo?key=a%00b", "", NULL), 400);
    ck_assert_int_eq(ask("GET", "/long%00x", "", NULL), 400);
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
    tcase_add_test(served, a_route_says_which_types_of_body_it_takes);
    tcase_add_test(served, a_route_has_its_own_limit_of_a_body);
    tcase_add_test(served,
                   a_path_below_a_prefix_is_served_by_the_route_that_names_most_of_it);
    tcase_add_test(served, a_handler_sets_headers_instead_of_the_standard_ones);
    tcase_add_test(served, a_version_that_the_client_has_is_not_sent_again);
    tcase_add_test(served, a_request_knows_its_peer_and_its_token);
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
    tcase_add_test(served, a_taken_port_names_its_program_and_pid);
    tcase_add_test(served, requests_are_counted_by_route_and_code);
    suite_add_tcase(suite, served);
    return run_suite(suite);
}
