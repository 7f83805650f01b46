// Who has to go when too many are connected, on pairs of sockets.

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <unistd.h>

#include "http/crowd.h"

enum { MAX = 4, ALL = 12 };

static struct mpx_crowd crowd, other;
static struct mpx_guest guests[ALL];
static int ours[ALL], theirs[ALL], count;

// Addresses are told apart by a hash that differs from process to process; here by this, too,
// so that no two hosts of a test fall into one group.
static unsigned char network;

union address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

static union address address_of(const char *text)
{
    union address a = {.four = {.sin_family = AF_INET}};
    if (inet_pton(AF_INET, text, &a.four.sin_addr) == 1) {
        ((unsigned char *)&a.four.sin_addr)[1] = network;
        return a;
    }
    a = (union address){.six = {.sin6_family = AF_INET6}};
    ck_assert_int_eq(inet_pton(AF_INET6, text, &a.six.sin6_addr), 1);
    a.six.sin6_addr.s6_addr[IN6_IS_ADDR_V4MAPPED(&a.six.sin6_addr) ? 13 : 7] = network;
    return a;
}

static bool hosts_differ(void)
{
    const char *const hosts[] = {"10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::1",
                                 "2001:db9::1"};
    enum { HOSTS = sizeof hosts / sizeof *hosts };
    struct mpx_crowd all;
    struct mpx_guest each[HOSTS];
    bool differ = true;
    mpx_crowd_init(&all, HOSTS);
    for (int i = 0; i < HOSTS; i++) {
        union address a = address_of(hosts[i]);
        mpx_crowd_enter(&all, &each[i], -1, &a.any);
        for (int k = 0; k < i; k++)
            differ = differ && each[i].group != each[k].group;
    }
    mpx_crowd_fini(&all);
    return differ;
}

static void open_crowd(void)
{
    while (!hosts_differ())
        network++;
    mpx_crowd_init(&crowd, MAX);
    mpx_crowd_init(&other, 2);
    count = 0;
}

static void close_crowd(void)
{
    for (int i = 0; i < count; i++) {
        mpx_crowd_leave(&guests[i]);
        close(ours[i]);
        close(theirs[i]);
    }
    ck_assert_uint_eq(crowd.count, 0);
    ck_assert_uint_eq(crowd.going, 0);
    ck_assert_ptr_null(crowd.oldest);
    for (int i = 0; i < MPX_CROWD_GROUPS; i++)
        ck_assert_uint_eq(crowd.sizes[i], 0);
    mpx_crowd_fini(&crowd);
    ck_assert_uint_eq(other.count, 0);
    ck_assert_uint_eq(other.going, 0);
    ck_assert_ptr_null(other.oldest);
    mpx_crowd_fini(&other);
}

// A connection from an address; its number.
static int enter(const char *text)
{
    union address a = address_of(text);
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ours[count] = pair[0];
    theirs[count] = pair[1];
    mpx_crowd_enter(&crowd, &guests[count], pair[0], &a.any);
    return count++;
}

static bool is_cut(int number)
{
    char byte;
    return recv(theirs[number], &byte, 1, MSG_DONTWAIT) == 0;
}

static void leave_last(void)
{
    count--;
    mpx_crowd_leave(&guests[count]);
    close(ours[count]);
    close(theirs[count]);
}

START_TEST(up_to_the_limit_everybody_stays)
{
    for (int i = 0; i < MAX; i++)
        enter("10.0.0.1");
    for (int i = 0; i < 100; i++) {
        leave_last();
        enter("10.0.0.1");
    }

    for (int i = 0; i < MAX; i++)
        ck_assert(!is_cut(i));
    ck_assert_uint_eq(mpx_crowd_cut(&crowd), 0);
}
END_TEST

START_TEST(of_one_address_the_longest_waiting_goes)
{
    for (int i = 0; i < MAX; i++)
        enter("10.0.0.1");
    mpx_crowd_set_busy(&guests[0], true);
    mpx_crowd_set_busy(&guests[0], false);

    enter("10.0.0.1");

    ck_assert(!is_cut(0));
    ck_assert(is_cut(1));
    ck_assert_uint_eq(mpx_crowd_cut(&crowd), 1);
}
END_TEST

START_TEST(who_is_being_answered_goes_last)
{
    for (int i = 0; i < MAX; i++)
        mpx_crowd_set_busy(&guests[enter("10.0.0.1")], i < MAX - 1);

    enter("10.0.0.1");
    ck_assert(is_cut(MAX - 1));
    mpx_crowd_set_busy(&guests[MAX], true);
    enter("10.0.0.2");

    ck_assert(is_cut(0));
    ck_assert(!is_cut(1));
}
END_TEST

START_TEST(the_address_with_the_most_gives_way)
{
    int lone = enter("10.0.0.2");
    for (int i = 1; i < MAX; i++)
        mpx_crowd_set_busy(&guests[enter("10.0.0.1")], true);

    for (int i = 0; i < 3; i++)
        enter("10.0.0.3");

    ck_assert(!is_cut(lone));
    ck_assert(is_cut(1));
}
END_TEST

START_TEST(a_guest_that_goes_over_makes_room_where_it_was)
{
    for (int i = 0; i < MAX; i++)
        enter("10.0.0.1");
    ck_assert(mpx_crowd_move(&other, &guests[0]));

    enter("10.0.0.1");

    ck_assert_uint_eq(crowd.count, MAX);
    ck_assert_uint_eq(other.count, 1);
    for (int i = 0; i < count; i++)
        ck_assert(!is_cut(i));
}
END_TEST

START_TEST(where_it_is_full_the_address_with_the_most_gives_way_or_gets_no_more)
{
    for (int i = 0; i < 3; i++)
        enter("10.0.0.1");
    ck_assert(mpx_crowd_move(&other, &guests[0]));
    ck_assert(mpx_crowd_move(&other, &guests[1]));

    ck_assert(!mpx_crowd_move(&other, &guests[2]));
    ck_assert_ptr_eq(guests[2].crowd, &crowd);
    ck_assert(mpx_crowd_move(&other, &guests[enter("10.0.0.2")]));

    ck_assert(is_cut(0));
    ck_assert(!is_cut(1));
    ck_assert(!is_cut(2));
    // An address that has none comes before one that has.
    ck_assert(mpx_crowd_move(&other, &guests[enter("10.0.0.3")]));
    ck_assert(is_cut(1));
}
END_TEST

START_TEST(a_guest_that_was_cut_off_goes_nowhere)
{
    for (int i = 0; i < MAX + 1; i++)
        enter("10.0.0.1");

    ck_assert(is_cut(0));
    ck_assert(!mpx_crowd_move(&other, &guests[0]));
    ck_assert_uint_eq(other.count, 0);
}
END_TEST

START_TEST(a_network_of_ipv6_is_one_address)
{
    int lone = enter("::ffff:10.0.0.2");
    enter("2001:db8::1");
    enter("2001:db8::2");
    enter("2001:db8::3");

    enter("10.0.0.2");

    ck_assert(!is_cut(lone));
    ck_assert(is_cut(1));
}
END_TEST

START_TEST(an_address_is_the_same_by_ipv4_and_ipv6)
{
    enter("::ffff:10.0.0.2");
    enter("10.0.0.2");
    enter("2001:db8::1");
    enter("2001:db9::1");

    enter("10.0.0.3");

    ck_assert(is_cut(0));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crowd");
    TCase *rules = tcase_create("rules");
    tcase_add_checked_fixture(rules, open_crowd, close_crowd);
    tcase_add_test(rules, up_to_the_limit_everybody_stays);
    tcase_add_test(rules, of_one_address_the_longest_waiting_goes);
    tcase_add_test(rules, who_is_being_answered_goes_last);
    tcase_add_test(rules, the_address_with_the_most_gives_way);
    tcase_add_test(rules, a_guest_that_goes_over_makes_room_where_it_was);
    tcase_add_test(rules,
                   where_it_is_full_the_address_with_the_most_gives_way_or_gets_no_more);
    tcase_add_test(rules, a_guest_that_was_cut_off_goes_nowhere);
    tcase_add_test(rules, a_network_of_ipv6_is_one_address);
    tcase_add_test(rules, an_address_is_the_same_by_ipv4_and_ipv6);
    suite_add_tcase(suite, rules);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
