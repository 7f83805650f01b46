// Server-sent events over real sockets: who hears what, and who is let go.

#include <time.h>

#include "../support/http_fixture.h"
#include "../support/suite.h"

// A listener; HTTP/1.0, so that its bytes come as they are.
static int listen_from(uint32_t from, const char *topics, const char *headers)
{
    char request[300];
    int fd = dial_from(from);
    int length = snprintf(request, sizeof request,
                          "GET /events?topics=%s HTTP/1.0\r\n%s\r\n", topics, headers);
    ck_assert_int_eq(send(fd, request, (size_t)length, MSG_NOSIGNAL), length);
    return fd;
}

// Read on until a text is there; false when the stream ends before.
static bool hear(int fd, const char *text)
{
    ssize_t got = 1;
    reply[reply_size] = '\0';
    while (!strstr(reply, text) && got > 0) {
        got = recv(fd, reply + reply_size, sizeof reply - 1 - reply_size, 0);
        ck_assert_msg(got >= 0, "'%s' did not come: %s", text, reply);
        reply_size += (size_t)got;
        reply[reply_size] = '\0';
    }
    return strstr(reply, text) != NULL;
}

// A listener that is greeted: what is published from now on it hears.
static int greeted(uint32_t from, const char *topics, const char *headers)
{
    int fd = listen_from(from, topics, headers);
    reply_size = 0;
    ck_assert(hear(fd, "\nid: abc-"));
    return fd;
}

// A listener from an address that is told from the first: groups of addresses are made by a hash
// of the process's own, and now and then two fall together.
static int greeted_elsewhere(const char *topics)
{
    for (uint32_t from = 2; from < 6; from++) {
        int fd = listen_from(from, topics, "");
        reply_size = 0;
        if (hear(fd, "\nid: abc-"))
            return fd;
        close(fd);
    }
    ck_abort_msg("four addresses are taken for one");
}

static void publish(unsigned topic, const char *data)
{
    ck_assert_int_eq(mpx_events_publish(events, topic, data), MPROXY_OK);
}

static void wait_for_listeners(unsigned count)
{
    struct mpx_events_stats stats = {.listeners = ~0u};
    for (int i = 0; i < 2000 && stats.listeners != count; i++) {
        usleep(10000);
        mpx_events_get_stats(events, &stats);
    }
    ck_assert_uint_eq(stats.listeners, count);
}

START_TEST(an_event_is_heard_by_all_that_listen)
{
    int one = greeted(1, "1", ""), other = greeted(2, "3", "");

    publish(0, "{\"a\":1}\nmore");

    const char *wanted = "id: abc-1\nevent: one\ndata: {\"a\":1}\ndata: more\n\n";
    reply_size = 0;
    ck_assert(hear(one, wanted));
    reply_size = 0;
    ck_assert(hear(other, wanted));
    close(one);
    close(other);
}
END_TEST

START_TEST(a_stream_says_what_it_is)
{
    int fd = greeted(1, "1", "");

    ck_assert_ptr_nonnull(strstr(reply, "Content-Type: text/event-stream\r\n"));
    ck_assert_ptr_nonnull(strstr(reply, "Cache-Control: no-cache\r\n"));
    ck_assert_ptr_nonnull(strstr(reply, "\r\n\r\nretry: 1000\nid: abc-0\n\n"));
    ck_assert_int_eq(ask("HEAD", "/events?topics=1", "", NULL), 200);
    close(fd);
}
END_TEST

START_TEST(other_topics_are_not_heard)
{
    int fd = greeted(1, "2", "");

    publish(0, "not this");
    publish(1, "this");

    ck_assert(hear(fd, "id: abc-2\nevent: two\ndata: this\n"));
    ck_assert_ptr_null(strstr(reply, "not this"));
    close(fd);
}
END_TEST

START_TEST(a_client_that_comes_back_hears_what_it_has_missed_in_order)
{
    publish(0, "first");
    publish(1, "second");
    publish(0, "third");

    int fd = greeted(1, "3", "Last-Event-ID: abc-1\r\n");

    ck_assert(hear(fd, "third"));
    ck_assert_ptr_null(strstr(reply, "first"));
    ck_assert_ptr_null(strstr(reply, "gap"));
    ck_assert(strstr(reply, "second") < strstr(reply, "third"));
    close(fd);
}
END_TEST

START_TEST(a_client_that_missed_more_than_is_kept_is_told_and_goes_on)
{
    for (int i = 0; i < 10; i++)
        publish(0, "old");

    int fd = greeted(1, "1", "last-event-id: abc-3\r\n");

    ck_assert(hear(fd, "event: gap\ndata: {\"operation\":"));
    ck_assert(hear(fd, "id: abc-10\n"));
    publish(0, "new");
    ck_assert(hear(fd, "new"));
    ck_assert_ptr_nonnull(strstr(reply, "id: abc-7\n"));
    ck_assert_ptr_null(strstr(reply, "id: abc-6\nevent: one"));
    close(fd);
}
END_TEST

START_TEST(an_id_that_is_none_of_ours_is_a_gap)
{
    static const char *const ids[] = {"abd-1", "abc-999999", "abc",     "",  "x",
                                      "-1",    "abc-",       "abc-1 x", "1", "abc-1x"};
    publish(0, "old");
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        char header[100];
        snprintf(header, sizeof header, "Last-Event-ID: %s\r\n", ids[i]);

        int fd = greeted(1, "1", header);

        ck_assert(hear(fd, "event: gap\n"));
        ck_assert_ptr_null(strstr(reply, "old"));
        // Whoever is cut off before the gap comes back with the id it came with.
        ck_assert_ptr_nonnull(strstr(reply, "\r\n\r\nretry: 1000\n\nid: abc-"));
        close(fd);
        struct mpx_events_stats stats = {.listeners = 1};
        for (int k = 0; k < 2000 && stats.listeners > 0; k++) {
            publish(0, "old"); // what can't be sent shows who has gone
            usleep(10000);
            mpx_events_get_stats(events, &stats);
        }
        ck_assert_uint_eq(stats.listeners, 0);
    }
}
END_TEST

START_TEST(a_listener_that_reads_too_slowly_is_told_and_let_go)
{
    static char data[20000];
    struct mpx_events_stats stats;
    memset(data, 'd', sizeof data - 1);
    int slow = greeted(1, "1", "");

    // More than the sockets hold; the thread that wakes and this one take turns.
    for (int i = 0; i < 2000; i++)
        publish(0, data);
    size_t total = 0;
    ssize_t got;
    while ((got = recv(slow, reply, sizeof reply - 1, 0)) > 0) {
        reply[got] = '\0';
        total += (size_t)got;
    }

    ck_assert_int_eq(got, 0);
    ck_assert_uint_lt(total, 2000 * sizeof data);
    reply_size = strlen(reply);
    ck_assert_ptr_nonnull(
        strstr(reply + (reply_size > 200 ? reply_size - 200 : 0), "event: gap\n"));
    mpx_events_get_stats(events, &stats);
    ck_assert_uint_eq(stats.let_go, 1);
    close(slow);
}
END_TEST

START_TEST(silence_is_broken_and_shows_who_has_gone)
{
    int stays = greeted(1, "1", ""), goes = greeted(1, "1", "");
    wait_for_listeners(2);

    close(goes);

    reply_size = 0;
    ck_assert(hear(stays, ":\n\n"));
    wait_for_listeners(1);
    close(stays);
}
END_TEST

START_TEST(listeners_have_a_limit_of_their_own)
{
    int fds[4];
    for (int i = 0; i < 4; i++)
        fds[i] = greeted(1, "1", "");

    // The address that has them all gets no more, another takes the oldest one's place.
    ck_assert_int_eq(ask("GET", "/events?topics=1", "", NULL), 503);
    ck_assert_ptr_nonnull(strstr(reply, "4 listen to events already"));
    int other = greeted_elsewhere("1");
    publish(0, "news");
    reply_size = 0;
    ck_assert(!hear(fds[0], "news"));
    for (int i = 1; i < 4; i++) {
        reply_size = 0;
        ck_assert(hear(fds[i], "news"));
    }

    // As many connections as ever are there beside them, and cut none of them off.
    for (int i = 0; i < 20; i++)
        dial();
    ck_assert_int_eq(ask("GET", "/long", "", NULL), 200);
    publish(0, "later");
    reply_size = 0;
    ck_assert(hear(other, "later"));
    close(other);
}
END_TEST

START_TEST(an_end_of_the_server_ends_all_that_listen)
{
    int fd = greeted(1, "1", "");

    mpx_server_close(server);
    server = NULL;

    reply_size = 0;
    ck_assert(!hear(fd, "event"));
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_events");
    TCase *heard = tcase_create("heard");
    tcase_add_checked_fixture(heard, open_server, close_server);
    tcase_set_timeout(heard, 60);
    tcase_add_test(heard, an_event_is_heard_by_all_that_listen);
    tcase_add_test(heard, a_stream_says_what_it_is);
    tcase_add_test(heard, other_topics_are_not_heard);
    tcase_add_test(heard, a_client_that_comes_back_hears_what_it_has_missed_in_order);
    tcase_add_test(heard, a_client_that_missed_more_than_is_kept_is_told_and_goes_on);
    tcase_add_test(heard, an_id_that_is_none_of_ours_is_a_gap);
    tcase_add_test(heard, a_listener_that_reads_too_slowly_is_told_and_let_go);
    tcase_add_test(heard, silence_is_broken_and_shows_who_has_gone);
    tcase_add_test(heard, listeners_have_a_limit_of_their_own);
    tcase_add_test(heard, an_end_of_the_server_ends_all_that_listen);
    suite_add_tcase(suite, heard);
    return run_suite(suite);
}
