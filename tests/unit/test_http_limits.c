// What the web server bears: requests that are too long or unclear, and crowds of clients.

#include <time.h>

#include "../support/http_fixture.h"
#include "../support/suite.h"

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

START_TEST(bodies_that_are_held_at_one_time_have_a_limit_together)
{
    static char part[29000];
    const char *head = "PUT /below/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                       "Content-Length: 30000\r\n\r\n";
    memset(part, 'b', sizeof part);
    int held = dial(), status = 200;
    send(held, head, strlen(head), MSG_NOSIGNAL);
    ck_assert_int_eq(send(held, part, sizeof part, MSG_NOSIGNAL), sizeof part);

    // 29000 and 30000 are more than 50000, once the server has read them.
    for (int i = 0; i < 2000 && status == 200; i++)
        status = ask("PUT", "/below/x", "", run("", "b", 30000, ""));
    ck_assert_int_eq(status, 503);
    ck_assert_ptr_nonnull(
        strstr(reply, "bodies of 50000 bytes are on their way already"));
    ck_assert_int_eq(talk_on(held, part, 1000), 200);

    // What was held is given back.
    ck_assert_int_eq(ask("PUT", "/below/x", "", run("", "b", 30000, "")), 200);
}
END_TEST

START_TEST(a_large_reply_that_nobody_reads_gives_its_place_up)
{
    int unread[2], status = 503;
    const char *request = "GET /stream?size=100000000000 HTTP/1.1\r\nHost: h\r\n\r\n";
    for (int i = 0; i < 2; i++) {
        unread[i] = dial();
        send(unread[i], request, strlen(request), MSG_NOSIGNAL);
        ck_assert_int_eq(recv(unread[i], reply, 15, MSG_WAITALL), 15); // it is on its way
    }

    ck_assert_int_eq(ask("GET", "/stream?size=1000", "", NULL), 503);
    ck_assert_ptr_nonnull(strstr(reply, "2 large replies are on their way already"));
    for (int i = 0; i < 2000 && status == 503; i++) {
        usleep(10000);
        status = ask("GET", "/stream?size=1000", "", NULL);
    }
    ck_assert_int_eq(status, 200);
    ck_assert_uint_ge(reply_size, 1000);
    for (int i = 0; i < 2; i++)
        close(unread[i]);
}
END_TEST

START_TEST(a_large_reply_that_is_read_keeps_its_place)
{
    int reads[2];
    const char *request = "GET /stream?size=100000000000 HTTP/1.1\r\nHost: h\r\n\r\n";
    static char piece[1 << 20];
    for (int i = 0; i < 2; i++) {
        reads[i] = dial();
        send(reads[i], request, strlen(request), MSG_NOSIGNAL);
    }
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        for (int i = 0; i < 2; i++)
            ck_assert_int_gt(recv(reads[i], piece, sizeof piece, 0), 0);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - start.tv_sec < 2);

    ck_assert_int_eq(ask("GET", "/stream?size=1000", "", NULL), 503);
    for (int i = 0; i < 2; i++)
        close(reads[i]);
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
    // 62 came and 8 may stay; the two that were answered may have left before the last came.
    ck_assert_uint_ge(mpx_server_cut_count(server), 52);
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

int main(void)
{
    Suite *suite = suite_create("http_limits");
    TCase *served = tcase_create("served");
    tcase_add_checked_fixture(served, open_server, close_server);
    tcase_set_timeout(served, 30);
    tcase_add_test(served, bodies_that_are_held_at_one_time_have_a_limit_together);
    tcase_add_test(served, a_large_reply_that_nobody_reads_gives_its_place_up);
    tcase_add_test(served, a_large_reply_that_is_read_keeps_its_place);
    tcase_add_test(served, an_address_with_too_many_parameters_is_refused);
    tcase_add_test(served, an_address_that_is_too_long_is_414_in_json);
    tcase_add_test(served, headers_that_are_too_long_are_431_and_the_longest_is_named);
    tcase_add_test(served, what_is_a_little_too_long_is_refused_by_us);
    tcase_add_test(served, a_body_whose_end_is_unclear_is_refused);
    tcase_add_test(served, who_has_said_all_is_answered_and_closed);
    tcase_add_test(served, a_crowd_of_one_address_keeps_no_other_out);
    tcase_add_test(served, a_crowd_that_reads_no_reply_keeps_nobody_out);
    tcase_add_test(served, below_the_limit_no_connection_is_cut);
    suite_add_tcase(suite, served);
    return run_suite(suite);
}
