#include <mproxy/remote.h>

#include "../support/http_fixture.h"
#include "../support/suite.h"

#include <poll.h>
#include <stdbool.h>
#include <zlib.h>

#include "remote/url.h"

// A server that says the same to everybody, byte for byte, and then closes or waits.
struct canned {
    int fd, port;
    const char *text;
    size_t length;
    bool waits; // until the client goes
    pthread_t thread;
};

static struct canned canned;
static mproxy_remote *remote;
static mproxy_error err;

static void *say_it(void *arg)
{
    struct canned *c = arg;
    for (int fd; (fd = accept(c->fd, NULL, NULL)) >= 0; close(fd)) {
        char request[4096];
        if (read(fd, request, sizeof request) <= 0)
            continue;
        for (size_t at = 0; at < c->length;) {
            ssize_t put = send(fd, c->text + at, c->length - at, MSG_NOSIGNAL);
            if (put <= 0)
                break;
            at += (size_t)put;
        }
        while (c->waits && read(fd, request, sizeof request) > 0)
            ;
    }
    return NULL;
}

static int listen_somewhere(int *port_out)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t size = sizeof a;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    ck_assert_int_eq(listen(fd, 64), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    *port_out = ntohs(a.sin_port);
    return fd;
}

static void start_canned(const char *text, size_t length, bool waits)
{
    canned.text = text;
    canned.length = length;
    canned.waits = waits;
    canned.fd = listen_somewhere(&canned.port);
    pthread_create(&canned.thread, NULL, say_it, &canned);
}

static void stop_canned(void)
{
    shutdown(canned.fd, SHUT_RDWR);
    pthread_join(canned.thread, NULL);
    close(canned.fd);
}

static void remote_setup(void)
{
    // The server of the tests takes eight.
    mproxy_remote_options few = {.struct_size = sizeof few, .max_connections = 6};
    open_server();
    ck_assert_int_eq(mproxy_remote_open(&few, &remote, &err), MPROXY_OK);
}

static void remote_teardown(void)
{
    mproxy_remote_close(remote);
    close_server();
}

static const char *at(int port_of_it, const char *path)
{
    static char url[8][MPROXY_REMOTE_URL_MAX];
    static unsigned turn;
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%d", port_of_it);
    char *out = url[turn++ % 8];
    ck_assert_int_eq(mproxy_remote_url(address, 1337, path, out, &err), MPROXY_OK);
    return out;
}

static mproxy_remote_reply got = {.struct_size = sizeof got};

static mproxy_status ask_with(mproxy_remote_request q)
{
    q.struct_size = sizeof q;
    err.text[0] = '\0';
    return mproxy_remote_ask(remote, &q, &got, &err);
}

static mproxy_status ask_canned(const char *text, mproxy_remote_request q)
{
    start_canned(text, strlen(text), false);
    q.url = at(canned.port, "/x");
    mproxy_status status = ask_with(q);
    stop_canned();
    return status;
}

START_TEST(urls_are_made_of_addresses_as_people_write_them)
{
    const char *const good[][3] = {
        {"node7", "/job", "http://node7:1337/job"},
        {"node7:80", "", "http://node7:80"},
        {"[::1]:9100", "/metrics", "http://[::1]:9100/metrics"},
        {"[fe80::1]", "/", "http://[fe80::1]:1337/"},
        {"http://a.b-c_d:1/", "/job", "http://a.b-c_d:1/job"},
        {"https://host/prefix", "/job", "https://host:1337/prefix/job"},
        {"host:9/m?u=http://other/", "", "http://host:9/m?u=http://other/"},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char url[MPROXY_REMOTE_URL_MAX];
        ck_assert_int_eq(mproxy_remote_url(good[i][0], 1337, good[i][1], url, &err),
                         MPROXY_OK);
        ck_assert_str_eq(url, good[i][2]);
    }
}
END_TEST

START_TEST(urls_that_name_no_server_are_refused)
{
    const char *const bad[] = {
        "",           ":80",        "host:",    "host:0",
        "host:65536", "host:8x",    "ftp://x",  "a b",
        "[::1",       "[zz]:1",     "u@host:1", "http://",
        "host:80 /x", "host/\r\nX", "host:-1",  "file:///etc/passwd",
        "http://h/#f"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char url[MPROXY_REMOTE_URL_MAX] = "untouched";
        ck_assert_msg(mproxy_remote_url(bad[i], 1, "", url, &err) == MPROXY_E_INVALID,
                      "'%s' was taken", bad[i]);
        ck_assert_str_eq(url, "untouched");
        ck_assert_ptr_nonnull(strstr(err.text, "expected"));
    }
    ck_assert(mpx_url_same_server("http://A/x", "http://a:80/y"));
    ck_assert(!mpx_url_same_server("http://a/", "https://a/"));
    ck_assert(!mpx_url_same_server("http://a:1/", "http://a:2/"));
    ck_assert(!mpx_url_same_server("http://a/", "http://ab/"));
}
END_TEST

START_TEST(a_reply_is_told_with_its_code_and_type)
{
    ck_assert_int_eq(
        ask_with((mproxy_remote_request){.url = at(port, "/echo?key=hello")}), MPROXY_OK);
    ck_assert_int_eq(got.code, 200);
    ck_assert_str_eq(got.type, "application/json");
    ck_assert_ptr_nonnull(strstr(got.body, "hello"));
    ck_assert_uint_eq(got.body_size, strlen(got.body));
    ck_assert(got.seconds > 0);

    ck_assert_int_eq(ask_with((mproxy_remote_request){.url = at(port, "/not-there")}),
                     MPROXY_OK);
    ck_assert_int_eq(got.code, 404);
    mproxy_remote_request post = {
        .url = at(port, "/echo"), .body = "{\"a\":1}", .body_size = 7};
    ck_assert_int_eq(ask_with(post), MPROXY_OK);
    ck_assert_int_eq(got.code, 200);
    ck_assert_ptr_nonnull(strstr(got.body, "{\\\"a\\\":1}"));
}
END_TEST

START_TEST(a_connection_serves_many_requests)
{
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(
            ask_with((mproxy_remote_request){.url = at(port, "/echo?key=k")}), MPROXY_OK);

    // The server counts connections of one address; ours is one.
    char path[64], line[512];
    unsigned connections = 0;
    snprintf(path, sizeof path, ":%04X 0100007F:", (unsigned)port);
    FILE *f = fopen("/proc/net/tcp", "r");
    while (fgets(line, sizeof line, f))
        connections += strstr(line, path) != NULL && strstr(line, " 01 ") != NULL;
    fclose(f);
    ck_assert_uint_eq(connections, 1);
}
END_TEST

struct counted {
    unsigned calls;
    mproxy_status last;
    int code;
    char text[sizeof err.text];
    mproxy_remote_call *other; // to be cancelled
};

static void on_done(void *arg, mproxy_status status, const mproxy_remote_reply *r,
                    const mproxy_error *error)
{
    struct counted *c = arg;
    c->calls++;
    c->last = status;
    c->code = r ? r->code : 0;
    snprintf(c->text, sizeof c->text, "%s", error ? error->text : "");
    if (c->other)
        mproxy_remote_cancel(c->other);
    c->other = NULL;
}

static void drive(const struct counted *c, unsigned calls)
{
    while (c->calls < calls) {
        struct pollfd ready = {.fd = mproxy_remote_fd(remote), .events = POLLIN};
        ck_assert_int_gt(poll(&ready, 1, 20000), 0);
        mproxy_remote_dispatch(remote);
    }
}

START_TEST(hundreds_of_requests_are_under_way_at_a_time)
{
    struct counted c = {0};
    mproxy_remote_request q = {.struct_size = sizeof q,
                               .url = at(port, "/echo?key=many")};
    for (int i = 0; i < 500; i++)
        ck_assert_int_eq(mproxy_remote_start(remote, &q, on_done, &c, NULL, &err),
                         MPROXY_OK);
    ck_assert_uint_eq(mproxy_remote_count(remote), 500);

    drive(&c, 500);

    ck_assert_int_eq(c.last, MPROXY_OK);
    ck_assert_uint_eq(mproxy_remote_count(remote), 0);
}
END_TEST

START_TEST(a_request_may_be_cancelled_also_from_a_callback)
{
    struct counted c = {0}, never = {0};
    mproxy_remote_call *lost, *other;
    start_canned("", 0, true);
    mproxy_remote_request silent = {.struct_size = sizeof silent,
                                    .url = at(canned.port, "/")};
    mproxy_remote_request good = {.struct_size = sizeof good,
                                  .url = at(port, "/echo?key=k")};
    ck_assert_int_eq(mproxy_remote_start(remote, &silent, on_done, &never, &lost, &err),
                     MPROXY_OK);
    ck_assert_int_eq(mproxy_remote_start(remote, &silent, on_done, &never, &other, &err),
                     MPROXY_OK);
    c.other = other;
    ck_assert_int_eq(mproxy_remote_start(remote, &good, on_done, &c, NULL, &err),
                     MPROXY_OK);
    mproxy_remote_cancel(lost);

    drive(&c, 1);

    ck_assert_uint_eq(mproxy_remote_count(remote), 0);
    ck_assert_uint_eq(never.calls, 0);
    // What is under way when the remote is closed is given up.
    ck_assert_int_eq(mproxy_remote_start(remote, &silent, on_done, &never, NULL, &err),
                     MPROXY_OK);
    mproxy_remote_close(remote);
    remote = NULL;
    stop_canned();
    ck_assert_uint_eq(never.calls, 0);
}
END_TEST

START_TEST(a_server_that_does_not_answer_is_given_up_in_time)
{
    start_canned("", 0, true);

    mproxy_status status =
        ask_with((mproxy_remote_request){.url = at(canned.port, "/x"), .timeout_ms = 50});

    ck_assert_int_eq(status, MPROXY_E_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(err.text, at(canned.port, "/x")));
    mproxy_remote_close(remote);
    remote = NULL;
    stop_canned();
}
END_TEST

START_TEST(a_server_that_is_not_there_is_named)
{
    int free_port;
    close(listen_somewhere(&free_port));

    ck_assert_int_eq(ask_with((mproxy_remote_request){.url = at(free_port, "/x")}),
                     MPROXY_E_SYSTEM);

    ck_assert_ptr_nonnull(strstr(err.text, at(free_port, "/x")));
}
END_TEST

START_TEST(replies_are_bounded_before_and_after_decompression)
{
    static char bomb[16384], text[1 << 22];
    mproxy_remote_request small = {.max_reply = 100000};
    z_stream z = {.next_in = (Bytef *)text, .avail_in = sizeof text};
    deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY);
    int head =
        snprintf(bomb, sizeof bomb, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n");
    z.next_out = (Bytef *)bomb + head;
    z.avail_out = (uInt)(sizeof bomb - (size_t)head);
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    start_canned(bomb, sizeof bomb - z.avail_out, false);
    small.url = at(canned.port, "/");
    ck_assert_int_eq(ask_with(small), MPROXY_E_LIMIT);
    ck_assert_ptr_nonnull(strstr(err.text, "longer than 100000 bytes"));
    small.max_reply = sizeof text;
    ck_assert_int_eq(ask_with(small), MPROXY_OK);
    ck_assert_uint_eq(got.body_size, sizeof text);
    stop_canned();

    small = (mproxy_remote_request){.url = at(port, "/stream?size=200000"),
                                    .max_reply = 199999};
    ck_assert_int_eq(ask_with(small), MPROXY_E_LIMIT);
    small.max_reply = 200000;
    ck_assert_int_eq(ask_with(small), MPROXY_OK);
}
END_TEST

START_TEST(what_is_no_reply_is_refused)
{
    const char *const bad[] = {
        "hello\r\n\r\n",
        "",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nno gzip at all",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "\xff\xfe\x00\x01"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mproxy_status status = ask_canned(bad[i], (mproxy_remote_request){0});
        ck_assert_msg(status == MPROXY_E_CORRUPT || status == MPROXY_E_SYSTEM,
                      "reply %zu: %d", i, status);
        ck_assert_str_ne(err.text, "");
    }
}
END_TEST

START_TEST(redirects_are_followed_within_one_server_only)
{
    char text[300];
    snprintf(text, sizeof text,
             "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/echo?key=no\r\n"
             "Content-Length: 0\r\n\r\n",
             port);
    ck_assert_int_eq(ask_canned(text, (mproxy_remote_request){.token = "secret"}),
                     MPROXY_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "redirected to another server"));
    ck_assert_ptr_null(strstr(err.text, "secret"));
    const char *loop =
        "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n";
    ck_assert_int_eq(ask_canned(loop, (mproxy_remote_request){0}), MPROXY_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "more than 4 times"));
    ck_assert_int_eq(
        ask_canned("HTTP/1.1 301 Moved\r\nLocation: file:///etc/passwd\r\n\r\n",
                   (mproxy_remote_request){0}),
        MPROXY_E_INVALID);
}
END_TEST

START_TEST(requests_that_are_none_are_refused)
{
    ck_assert_int_eq(ask_with((mproxy_remote_request){0}), MPROXY_E_INVALID);
    ck_assert_int_eq(ask_with((mproxy_remote_request){.url = "ftp://x/"}),
                     MPROXY_E_INVALID);
    mproxy_remote_request split = {.url = at(port, "/"), .token = "a\r\nX: y"};
    ck_assert_int_eq(ask_with(split), MPROXY_E_INVALID);
    ck_assert_ptr_null(strstr(err.text, "X: y"));
    mproxy_remote_request unsized = {.url = at(port, "/")};
    ck_assert_int_eq(mproxy_remote_ask(remote, &unsized, &got, &err), MPROXY_E_INVALID);
    mproxy_remote_request good = {.struct_size = sizeof good, .url = at(port, "/")};
    mproxy_remote_reply small = {.struct_size = 0};
    ck_assert_int_eq(mproxy_remote_ask(remote, &good, &small, &err), MPROXY_E_INVALID);
}
END_TEST

// A name that takes long to be resolved delays no other request, and is given up in time.
START_TEST(names_are_resolved_beside_everything_else)
{
    struct counted slow = {0}, quick = {0};
    mproxy_remote_request q = {.struct_size = sizeof q,
                               .url = "http://no-such-host.invalid:1/",
                               .timeout_ms = 300};
    mproxy_remote_request good = {.struct_size = sizeof good,
                                  .url = at(port, "/echo?key=k")};
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(mproxy_remote_start(remote, &q, on_done, &slow, NULL, &err),
                         MPROXY_OK);
    ck_assert_int_eq(mproxy_remote_start(remote, &good, on_done, &quick, NULL, &err),
                     MPROXY_OK);

    drive(&quick, 1);
    drive(&slow, 20);

    ck_assert_int_eq(quick.last, MPROXY_OK);
    ck_assert(slow.last == MPROXY_E_SYSTEM || slow.last == MPROXY_E_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(slow.text, "no-such-host.invalid"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("remote");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, remote_setup, remote_teardown);
    tcase_add_test(c, urls_are_made_of_addresses_as_people_write_them);
    tcase_add_test(c, urls_that_name_no_server_are_refused);
    tcase_add_test(c, a_reply_is_told_with_its_code_and_type);
    tcase_add_test(c, a_connection_serves_many_requests);
    tcase_add_test(c, hundreds_of_requests_are_under_way_at_a_time);
    tcase_add_test(c, a_request_may_be_cancelled_also_from_a_callback);
    tcase_add_test(c, a_server_that_does_not_answer_is_given_up_in_time);
    tcase_add_test(c, a_server_that_is_not_there_is_named);
    tcase_add_test(c, replies_are_bounded_before_and_after_decompression);
    tcase_add_test(c, what_is_no_reply_is_refused);
    tcase_add_test(c, redirects_are_followed_within_one_server_only);
    tcase_add_test(c, requests_that_are_none_are_refused);
    tcase_add_test(c, names_are_resolved_beside_everything_else);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
