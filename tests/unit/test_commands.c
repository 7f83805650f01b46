// Commands of many requests at a time: the loop does some in each turn, and its other guests
// have theirs in between.
#include "../support/commands_fixture.h"

enum { CLIENTS = 200, SLOW_MS = 2 };

static int clients[CLIENTS];
static unsigned done, done_before_others;
static bool is_slow;

static void run(struct mproxy_daemon *of, struct mpx_request *rq, void *arg)
{
    (void)of;
    (void)arg;
    done++;
    if (is_slow)
        usleep(SLOW_MS * 1000); // what one command costs
    mpx_reply_done(rq, "done");
}

static void handle(struct mpx_request *rq, void *context)
{
    mpx_command_send(context, rq, run, NULL);
}

static const struct mpx_route routes[] = {
    {MPX_GET, "/x", handle, MPX_NEED_READ, NULL, 0, NULL}};

// All clients have asked, and the loop has not turned yet.
static void set_up(void)
{
    static const char request[] = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";
    open_commands(routes, 1);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = ask_with(request, sizeof request - 1);
    for (int i = 0; i < 3000 && queued() < CLIENTS; i++)
        usleep(10000);
    ck_assert_uint_eq(queued(), CLIENTS);
}

static void tear_down(void)
{
    close_commands();
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
}

static void turn(void)
{
    size_t called;
    ck_assert_int_eq(mproxy_loop_turn(d->loop, -1, &called, NULL), MPROXY_OK);
}

START_TEST(a_turn_does_some_of_the_commands)
{
    turn();

    ck_assert_uint_gt(done, 0);
    ck_assert_uint_lt(done, CLIENTS / 2);
    while (done < CLIENTS)
        turn();
    ck_assert_uint_eq(queued(), 0);
}
END_TEST

START_TEST(a_turn_of_slow_commands_is_short)
{
    is_slow = true;
    turn();
    is_slow = false;

    ck_assert_uint_gt(done, 0);
    ck_assert_uint_lt(done, 8); // 5 ms in all, 2 ms each
    while (done < CLIENTS)
        turn();
}
END_TEST

static void on_due(void *arg)
{
    (void)arg;
    done_before_others = done;
}

START_TEST(other_guests_have_their_turn_in_between)
{
    mproxy_timer *other;
    ck_assert_int_eq(mproxy_timer_new(d->loop, on_due, NULL, &other, NULL), MPROXY_OK);
    turn();
    mproxy_timer_set(other, 0);
    while (done < CLIENTS)
        turn();

    ck_assert_uint_gt(done_before_others, 0);
    ck_assert_uint_lt(done_before_others, CLIENTS);
    mproxy_timer_free(other);
}
END_TEST

START_TEST(what_is_left_at_the_end_is_refused)
{
    char reply[1024] = "";
    turn();
    mpx_commands_close(d);
    ck_assert_uint_eq(queued(), 0);
    unsigned refused = 0;
    for (int i = 0; i < CLIENTS; i++) {
        ssize_t got = recv(clients[i], reply, sizeof reply - 1, 0);
        ck_assert_int_gt(got, 0);
        reply[got] = '\0';
        refused += strstr(reply, " 503 ") != NULL;
    }
    ck_assert_uint_eq(refused, CLIENTS - done);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("commands");
    TCase *c = tcase_create("commands");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, a_turn_does_some_of_the_commands);
    tcase_add_test(c, a_turn_of_slow_commands_is_short);
    tcase_add_test(c, other_guests_have_their_turn_in_between);
    tcase_add_test(c, what_is_left_at_the_end_is_refused);
    suite_add_tcase(s, c);
    return run_suite(s);
}
