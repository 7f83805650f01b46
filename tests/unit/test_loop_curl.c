// libcurl and a small HTTP server as guests of one loop: many descriptors that come and go.

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../support/curl_guest.h"
#include "../support/suite.h"
#include <mproxy/loop.h>

enum { TRANSFERS = 300, AT_ONCE = 64, BODY = 40000 };

static mproxy_loop *loop;
static struct curl_guest guest;

// ---- the server: one request a connection

struct client {
    struct client *next, **link;
    int fd;
    mproxy_watch *watch;
    char request[1024];
    size_t got, sent;
    char *reply;
    size_t size;
};

static int listen_fd, port;
static mproxy_watch *listener;
static struct client *clients;
static int accepted;

static void drop(struct client *c)
{
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    mproxy_watch_remove(c->watch);
    close(c->fd);
    free(c->reply);
    free(c);
}

static void make_reply(struct client *c)
{
    char head[128];
    int length = snprintf(
        head, sizeof head,
        "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", BODY);
    c->size = (size_t)length + BODY;
    c->reply = malloc(c->size);
    memcpy(c->reply, head, (size_t)length);
    memset(c->reply + length, 'b', BODY);
}

static void on_client(void *arg, int fd, unsigned events)
{
    struct client *c = arg;
    if (events & MPROXY_WRITABLE) {
        ssize_t sent = send(fd, c->reply + c->sent, c->size - c->sent, MSG_NOSIGNAL);
        if (sent > 0)
            c->sent += (size_t)sent;
        if ((sent < 0 && errno != EAGAIN) || c->sent == c->size)
            drop(c);
        return;
    }
    ssize_t got = recv(fd, c->request + c->got, sizeof c->request - 1 - c->got, 0);
    if (got <= 0) {
        drop(c);
        return;
    }
    c->got += (size_t)got;
    // /never is not answered.
    if (!strstr(c->request, "\r\n\r\n") || strncmp(c->request, "GET /never", 10) == 0)
        return;
    make_reply(c);
    ck_assert_int_eq(mproxy_watch_set(c->watch, MPROXY_WRITABLE, NULL), MPROXY_OK);
}

static void on_listener(void *arg, int fd, unsigned events)
{
    (void)arg;
    (void)events;
    int one = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (one < 0)
        return;
    struct client *c = calloc(1, sizeof *c);
    c->fd = one;
    c->next = clients;
    c->link = &clients;
    if (c->next)
        c->next->link = &c->next;
    clients = c;
    accepted++;
    ck_assert_int_eq(
        mproxy_watch_add(loop, one, MPROXY_READABLE, on_client, c, &c->watch, NULL),
        MPROXY_OK);
}

static void open_server(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(listen_fd, (struct sockaddr *)&at, size), 0);
    ck_assert_int_eq(listen(listen_fd, 128), 0);
    ck_assert_int_eq(getsockname(listen_fd, (struct sockaddr *)&at, &size), 0);
    port = ntohs(at.sin_port);
    ck_assert_int_eq(mproxy_watch_add(loop, listen_fd, MPROXY_READABLE, on_listener, NULL,
                                      &listener, NULL),
                     MPROXY_OK);
}

// ---- transfers

static int started, ended, failed[128];
static size_t received;

static size_t on_body(char *bytes, size_t one, size_t count, void *arg)
{
    (void)bytes;
    (void)arg;
    received += one * count;
    return one * count;
}

static CURL *add_transfer(const char *path, int to_port, long timeout_ms)
{
    char url[128];
    CURL *easy = curl_easy_init();
    snprintf(url, sizeof url, "http://127.0.0.1:%d/%s", to_port, path);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
    ck_assert_int_eq(curl_multi_add_handle(guest.multi, easy), CURLM_OK);
    started++;
    return easy;
}

static void count_end(CURL *easy, CURLcode result)
{
    ended++;
    failed[result]++;
    curl_easy_cleanup(easy);
}

static void stop_at_end(CURL *easy, CURLcode result)
{
    count_end(easy, result);
    if (ended == started)
        mproxy_loop_stop(loop);
}

// Whoever ends starts the next, within the callback of a watch.
static void go_on(CURL *easy, CURLcode result)
{
    count_end(easy, result);
    if (started < TRANSFERS)
        add_transfer("body", port, 60000);
    if (ended == TRANSFERS)
        mproxy_loop_stop(loop);
}

static void set_up(void)
{
    ck_assert_int_eq(mproxy_loop_open(&loop, NULL), MPROXY_OK);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    open_server();
}

static void tear_down(void)
{
    curl_guest_close(&guest);
    while (clients)
        drop(clients);
    mproxy_watch_remove(listener);
    close(listen_fd);
    mproxy_loop_close(loop);
    curl_global_cleanup();
}

START_TEST(hundreds_of_transfers_are_guests_of_one_loop)
{
    curl_guest_open(&guest, loop, go_on);
    for (int i = 0; i < AT_ONCE; i++)
        add_transfer("body", port, 60000);

    ck_assert_int_eq(mproxy_loop_run(loop, NULL), MPROXY_OK);

    ck_assert_int_eq(failed[CURLE_OK], TRANSFERS);
    ck_assert_uint_eq(received, (size_t)TRANSFERS * BODY);
    ck_assert_int_eq(accepted, TRANSFERS);
    ck_assert_int_gt(guest.most_sockets, AT_ONCE / 2);
}
END_TEST

START_TEST(what_is_refused_or_not_answered_ends_by_the_timer)
{
    curl_guest_open(&guest, loop, stop_at_end);
    add_transfer("never", port, 50);
    add_transfer("body", port, 60000);
    add_transfer("body", 1, 60000);

    ck_assert_int_eq(mproxy_loop_run(loop, NULL), MPROXY_OK);

    ck_assert_int_eq(failed[CURLE_OPERATION_TIMEDOUT], 1);
    ck_assert_int_eq(failed[CURLE_COULDNT_CONNECT], 1);
    ck_assert_int_eq(failed[CURLE_OK], 1);
}
END_TEST

START_TEST(transfers_under_way_can_be_removed)
{
    CURL *some[8];
    curl_guest_open(&guest, loop, count_end);
    for (int i = 0; i < 8; i++)
        some[i] = add_transfer("never", port, 60000);
    while (accepted < 8)
        ck_assert_int_eq(mproxy_loop_turn(loop, 1000, NULL, NULL), MPROXY_OK);
    for (int i = 0; i < 8; i++) {
        curl_multi_remove_handle(guest.multi, some[i]);
        curl_easy_cleanup(some[i]);
    }

    while (clients) // they see the connections closed
        ck_assert_int_eq(mproxy_loop_turn(loop, 1000, NULL, NULL), MPROXY_OK);

    ck_assert_int_eq(ended, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loop_curl");
    TCase *tc = tcase_create("loop_curl");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, hundreds_of_transfers_are_guests_of_one_loop);
    tcase_add_test(tc, what_is_refused_or_not_answered_ends_by_the_timer);
    tcase_add_test(tc, transfers_under_way_can_be_removed);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
