// Rounds over inputs: their order, what is told of failures, and what ends a proxy.
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mproxy/round.h>
#include <mproxy/processes.h>
#include <mproxy/self.h>

#include "../support/suite.h"

// An input that notes what it is asked, and fails as told.
struct probe {
    char who;
    mproxy_status before, after;
    mproxy_loop *stops;
    const char *name; // of its metric; NULL: WHO_t, which counts
    mproxy_type type;
    int rounds;
    mproxy_input input;
};

static char order[64], said[256];
static int lines;
static mproxy_store *store;
static mproxy_rounds *rounds;
static struct probe a, b;

static mproxy_status luck(mproxy_status status, mproxy_error *err)
{
    if (status != MPROXY_OK)
        snprintf(err->text, sizeof err->text, "no luck");
    return status;
}

static void note(char who, char phase)
{
    size_t length = strlen(order);
    ck_assert_uint_lt(length + 2, sizeof order);
    order[length] = who;
    order[length + 1] = phase;
}

static mproxy_status before_round(void *self, const mproxy_round *round,
                                  mproxy_error *err)
{
    struct probe *p = self;
    ck_assert(!round->written && !round->shown);
    note(p->who, 'b');
    p->rounds++;
    return luck(p->before, err);
}

// A source that is in no ledger, by an input that the library does not know.
static mproxy_status show(void *self, const mproxy_round *round, mproxy_error *err)
{
    const struct probe *p = self;
    const mproxy_metric *metric;
    char own[] = {p->who, '_', 't', 0};
    const char *name = p->name ? p->name : own;
    mproxy_type type = p->name ? p->type : MPROXY_COUNTER;
    note(p->who, 's');
    mproxy_status status = mproxy_store_metric(store, name, type, "", &metric, err);
    const mproxy_value value = type == MPROXY_GAUGE
                                   ? mproxy_value_gauge(p->rounds, round->wall_us)
                                   : mproxy_value_counter(p->rounds, round->wall_us);
    const mproxy_source source = {.struct_size = sizeof source,
                                  .kind = MPROXY_SOURCE_TARGET,
                                  .number = (uint64_t)p->who,
                                  .host = "here",
                                  .epoch = 1,
                                  .sequence = (uint64_t)p->rounds,
                                  .count = 1,
                                  .metrics = &metric,
                                  .values = &value};
    return status == MPROXY_OK ? mproxy_reduction_put(round->reduction, &source, err)
                               : status;
}

static mproxy_status after_round(void *self, const mproxy_round *round, mproxy_error *err)
{
    struct probe *p = self;
    ck_assert(round->written && round->shown);
    note(p->who, 'a');
    if (p->stops && p->rounds == 3)
        mproxy_loop_stop(p->stops);
    return luck(p->after, err);
}

static void take_line(void *arg, mproxy_log_level level, const char *line)
{
    (void)arg;
    (void)level;
    snprintf(said, sizeof said, "%s", line);
    lines++;
}

static void probe(struct probe *p, char who)
{
    *p = (struct probe){.who = who};
    p->input = (mproxy_input){.struct_size = sizeof p->input,
                              .name = who == 'a' ? "input a" : "input b",
                              .self = p,
                              .before_round = before_round,
                              .show = show,
                              .after_round = after_round};
}

static void set_up(void)
{
    ck_assert_int_eq(mproxy_store_open(NULL, &store, NULL), MPROXY_OK);
    const mproxy_rounds_options options = {
        .struct_size = sizeof options, .store = store, .period_ms = 10, .log = take_line};
    ck_assert_int_eq(mproxy_rounds_new(&options, &rounds, NULL), MPROXY_OK);
    probe(&a, 'a');
    probe(&b, 'b');
    ck_assert_int_eq(mproxy_rounds_add(rounds, &a.input, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_rounds_add(rounds, &b.input, NULL), MPROXY_OK);
}

static void tear_down(void)
{
    mproxy_rounds_free(rounds);
    mproxy_store_close(store);
}

static mproxy_loop *open_loop(void)
{
    mproxy_loop *loop;
    ck_assert_int_eq(mproxy_loop_open(&loop, NULL), MPROXY_OK);
    return loop;
}

// Rounds are freed before the loop that they are a guest of.
static void close_loop(mproxy_loop *loop)
{
    mproxy_rounds_free(rounds);
    rounds = NULL;
    mproxy_loop_close(loop);
}

// No input is asked until a test adds its own.
static void remove_both(void)
{
    mproxy_rounds_remove(rounds, &a.input);
    mproxy_rounds_remove(rounds, &b.input);
}

// Processes that meet in a rendezvous of the test's own.
struct meeting {
    char directory[32], command[96];
    mproxy_processes *processes;
};

static void remove_rendezvous(const struct meeting *m)
{
    ck_assert_int_eq(system(m->command), 0);
}

static struct meeting meet(void)
{
    struct meeting m = {.directory = "/dev/shm/test-round-XXXXXX"};
    char path[64];
    mproxy_error err = {.text = ""};
    ck_assert_ptr_nonnull(mkdtemp(m.directory));
    snprintf(path, sizeof path, "%s/socket", m.directory);
    snprintf(m.command, sizeof m.command, "rm -rf /dev/shm/*%s*socket.d %s.d",
             strrchr(m.directory, '/') + 1, path);
    const mproxy_processes_options options = {.struct_size = sizeof options,
                                              .socket_path = path,
                                              .store = store,
                                              .log = take_line};
    ck_assert_msg(mproxy_processes_open(&options, &m.processes, &err) == MPROXY_OK, "%s",
                  err.text);
    return m;
}

static void part(struct meeting *m)
{
    mproxy_processes_close(m->processes);
    remove_rendezvous(m);
    rmdir(m->directory);
}

static double shown(const char *name)
{
    mproxy_entry entry = {.metric = NULL};
    mproxy_snapshot *snapshot = mproxy_store_snapshot(store);
    const mproxy_view *view = mproxy_snapshot_find(snapshot, "main");
    bool found = view && mproxy_view_find(view, name, &entry);
    mproxy_snapshot_unref(snapshot);
    return found ? entry.value.total : -1;
}

static void both_show(const char *name)
{
    a.name = b.name = name;
    b.type = MPROXY_GAUGE;
    a.type = MPROXY_COUNTER;
    order[0] = '\0';
    ck_assert_int_eq(mproxy_rounds_run(rounds, NULL), MPROXY_OK);
}

START_TEST(each_name_that_is_left_out_is_told_once)
{
    both_show("one");
    ck_assert_int_eq(lines, 1);
    ck_assert_ptr_nonnull(strstr(said, "metric 'one'"));
    both_show("one");
    ck_assert_int_eq(lines, 1);

    both_show("two"); // as many as before
    ck_assert_int_eq(lines, 2);
    ck_assert_ptr_nonnull(strstr(said, "metric 'two'"));
}
END_TEST

START_TEST(inputs_are_asked_phase_by_phase_in_their_order)
{
    ck_assert_int_eq(mproxy_rounds_run(rounds, NULL), MPROXY_OK);

    ck_assert_str_eq(order, "abbbasbsaaba");
    ck_assert_double_eq(shown("a_t"), 1);
    ck_assert_double_eq(shown("b_t"), 1);
    ck_assert(mproxy_rounds_last(rounds)->shown);
    ck_assert_uint_eq(mproxy_rounds_last(rounds)->period_ms, 10);
    ck_assert_str_eq(mproxy_rounds_trouble(rounds), "");
}
END_TEST

START_TEST(what_one_input_cannot_do_stops_no_other_and_is_told_once)
{
    mproxy_error err;
    a.before = MPROXY_E_SYSTEM;
    b.after = MPROXY_E_NOMEM;

    ck_assert_int_eq(mproxy_rounds_run(rounds, &err), MPROXY_E_SYSTEM);
    ck_assert_str_eq(err.text, "input a: no luck");
    ck_assert_str_eq(mproxy_rounds_trouble(rounds), "input a: no luck");
    ck_assert_double_eq(shown("b_t"), 1);
    ck_assert_int_eq(mproxy_rounds_run(rounds, &err), MPROXY_E_SYSTEM);
    ck_assert_int_eq(lines, 1);
    a.before = MPROXY_OK;
    ck_assert_int_eq(mproxy_rounds_run(rounds, &err), MPROXY_E_SYSTEM);
    ck_assert_str_eq(said, "input b: no luck");
    b.after = MPROXY_OK;
    ck_assert_int_eq(mproxy_rounds_run(rounds, &err), MPROXY_OK);

    ck_assert_str_eq(said, "all is well again");
    ck_assert_int_eq(lines, 3);
}
END_TEST

START_TEST(an_input_that_another_proxy_has_taken_ends_the_round)
{
    mproxy_error err;
    a.before = MPROXY_E_BUSY;

    ck_assert_int_eq(mproxy_rounds_run(rounds, &err), MPROXY_E_BUSY);

    ck_assert_str_eq(order, "ab"); // nothing is shown, written or removed
    ck_assert_str_eq(err.text, "no luck");
    ck_assert_double_eq(shown("b_t"), -1);
}
END_TEST

START_TEST(an_input_that_was_removed_is_asked_no_more)
{
    mproxy_rounds_remove(rounds, &a.input);
    ck_assert_int_eq(mproxy_rounds_run(rounds, NULL), MPROXY_OK);
    ck_assert_str_eq(order, "bbbsba");
}
END_TEST

START_TEST(an_input_without_a_size_is_refused)
{
    mproxy_input input = a.input;
    input.struct_size = 0;
    ck_assert_int_eq(mproxy_rounds_add(rounds, &input, NULL), MPROXY_E_INVALID);
}
END_TEST

// What an input does to the list of inputs while it is asked.
static mproxy_input late[40];

static mproxy_status add_many(void *self, const mproxy_round *round, mproxy_error *err)
{
    enum { ROOM = 4 * sizeof(mproxy_input) };
    char *memory = malloc(ROOM); // in the way of a list that would grow in place
    (void)self;
    (void)round;
    for (int i = 0; i < 40; i++) {
        late[i] = (mproxy_input){
            .struct_size = sizeof late[i], .name = "late", .self = &late[i]};
        ck_assert_int_eq(mproxy_rounds_add(rounds, &late[i], NULL), MPROXY_OK);
    }
    free(memory);
    return luck(MPROXY_E_SYSTEM, err);
}

START_TEST(an_input_may_add_others_while_it_is_asked)
{
    mproxy_error err;
    const mproxy_input adder = {.struct_size = sizeof adder,
                                .name = "adder",
                                .self = &err,
                                .before_round = add_many};
    const mproxy_input settler = {.struct_size = sizeof settler,
                                  .name = "settler",
                                  .self = &late,
                                  .after_round = add_many};
    remove_both();
    ck_assert_int_eq(mproxy_rounds_add(rounds, &adder, NULL), MPROXY_OK);

    ck_assert_int_eq(mproxy_rounds_run(rounds, &err), MPROXY_E_SYSTEM);

    ck_assert_str_eq(err.text, "adder: no luck");
    mproxy_rounds_remove(rounds, &adder);
    for (int i = 0; i < 40; i++)
        mproxy_rounds_remove(rounds, &late[i]);
    ck_assert_int_eq(mproxy_rounds_add(rounds, &settler, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_rounds_run(rounds, &err), MPROXY_E_SYSTEM);
    ck_assert_str_eq(err.text, "settler: no luck");
}
END_TEST

static mproxy_status leave(void *self, const mproxy_round *round, mproxy_error *err)
{
    const struct probe *p = self;
    (void)round;
    (void)err;
    note(p->who, 'l');
    mproxy_rounds_remove(rounds, &p->input);
    return MPROXY_OK;
}

START_TEST(an_input_that_removes_itself_skips_no_other)
{
    remove_both();
    a.input.before_round = leave;
    ck_assert_int_eq(mproxy_rounds_add(rounds, &a.input, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_rounds_add(rounds, &b.input, NULL), MPROXY_OK);

    ck_assert_int_eq(mproxy_rounds_run(rounds, NULL), MPROXY_OK);
    ck_assert_str_eq(order, "albbbsba");
    ck_assert_int_eq(mproxy_rounds_run(rounds, NULL), MPROXY_OK);
    ck_assert_str_eq(order, "albbbsbabbbsba");
}
END_TEST

static mproxy_status note_nameless(void *self, const mproxy_round *round,
                                   mproxy_error *err)
{
    (void)self;
    (void)round;
    (void)err;
    note('x', 'b');
    return MPROXY_OK;
}

START_TEST(only_the_very_input_is_removed)
{
    const mproxy_input x = {
        .struct_size = sizeof x, .name = "x", .before_round = note_nameless};
    mproxy_input y = x, never = x;
    y.name = "y";
    never.name = "never added";
    remove_both();
    ck_assert_int_eq(mproxy_rounds_add(rounds, &x, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_rounds_add(rounds, &y, NULL), MPROXY_OK);

    mproxy_rounds_remove(rounds, &never);
    mproxy_rounds_run(rounds, NULL);
    ck_assert_str_eq(order, "xbxb");
    mproxy_rounds_remove(rounds, &x);
    mproxy_rounds_run(rounds, NULL);
    ck_assert_str_eq(order, "xbxbxb");
}
END_TEST

START_TEST(an_input_is_added_once)
{
    mproxy_error err;
    ck_assert_int_eq(mproxy_rounds_add(rounds, &a.input, &err), MPROXY_E_EXISTS);
    ck_assert_str_eq(err.text, "input 'input a' was added before");
    mproxy_rounds_remove(rounds, &a.input);
    ck_assert_int_eq(mproxy_rounds_add(rounds, &a.input, &err), MPROXY_OK);
}
END_TEST

// A loop that is told to stop by the third round, whatever the first one came to.
START_TEST(a_first_round_with_trouble_is_like_any_other)
{
    mproxy_loop *loop = open_loop();
    a.stops = loop;
    b.before = MPROXY_E_SYSTEM;

    ck_assert_int_eq(mproxy_rounds_start(rounds, loop, NULL), MPROXY_OK);
    ck_assert_str_eq(said, "input b: no luck");
    ck_assert_int_eq(mproxy_loop_run(loop, NULL), MPROXY_OK);

    ck_assert_int_eq(a.rounds, 3);
    close_loop(loop);
}
END_TEST

START_TEST(rounds_that_another_proxy_keeps_from_starting_may_start_later)
{
    mproxy_loop *loop = open_loop();
    a.before = MPROXY_E_BUSY;
    ck_assert_int_eq(mproxy_rounds_start(rounds, loop, NULL), MPROXY_E_BUSY);

    a.before = MPROXY_OK;
    a.rounds = 0;
    a.stops = loop;
    ck_assert_int_eq(mproxy_rounds_start(rounds, loop, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_loop_run(loop, NULL), MPROXY_OK);

    ck_assert_int_eq(a.rounds, 3);
    close_loop(loop);
}
END_TEST

START_TEST(rounds_are_a_guest_of_a_loop)
{
    mproxy_loop *loop = open_loop();
    a.stops = loop;

    ck_assert_int_eq(mproxy_rounds_start(rounds, loop, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_loop_run(loop, NULL), MPROXY_OK);

    ck_assert_int_eq(a.rounds, 3);
    close_loop(loop);
}
END_TEST

START_TEST(a_busy_input_stops_the_loop)
{
    mproxy_loop *loop = open_loop();
    ck_assert_int_eq(mproxy_rounds_start(rounds, loop, NULL), MPROXY_OK);
    a.before = MPROXY_E_BUSY;

    ck_assert_int_eq(mproxy_loop_run(loop, NULL), MPROXY_OK);

    ck_assert_str_eq(said, "no luck: this one ends");
    close_loop(loop);
}
END_TEST

// The library's inputs with a ledger, in a rendezvous that is removed and made again.
START_TEST(a_directory_that_was_removed_is_made_again)
{
    struct meeting m = meet();
    mproxy_self *self;
    mproxy_rounds *whole;
    mproxy_error err = {.text = ""};
    const mproxy_self_options so = {
        .struct_size = sizeof so, .store = store, .processes = m.processes};
    ck_assert_int_eq(mproxy_self_open(&so, &self, NULL), MPROXY_OK);
    const mproxy_rounds_options ro = {.struct_size = sizeof ro,
                                      .store = store,
                                      .ledger = mproxy_processes_ledger(m.processes),
                                      .log = take_line};
    ck_assert_int_eq(mproxy_rounds_new(&ro, &whole, NULL), MPROXY_OK);
    mproxy_rounds_add(whole, mproxy_processes_input(m.processes), NULL);
    mproxy_rounds_add(whole, mproxy_self_input(self), NULL);
    ck_assert_int_eq(mproxy_rounds_run(whole, &err), MPROXY_OK);
    ck_assert_int_eq(mproxy_rounds_run(whole, &err), MPROXY_OK);
    ck_assert_double_eq(shown("mproxy_sampling_duration_seconds_count"), 1);
    remove_rendezvous(&m);

    ck_assert_int_eq(mproxy_rounds_run(whole, &err), MPROXY_OK);

    ck_assert_ptr_nonnull(strstr(said, "was removed and has been made again"));
    ck_assert_double_eq(shown("mproxy_sampling_duration_seconds_count"), 2);
    mproxy_rounds_free(whole);
    mproxy_self_close(self);
    part(&m);
}
END_TEST

START_TEST(programs_in_rounds_without_their_ledger_are_trouble)
{
    struct meeting m = meet();
    mproxy_error err;
    mproxy_rounds_add(rounds, mproxy_processes_input(m.processes), NULL);

    ck_assert_int_eq(mproxy_rounds_run(rounds, &err), MPROXY_E_SYSTEM);

    ck_assert_ptr_nonnull(strstr(err.text, "made without mproxy_processes_ledger()"));
    part(&m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("round");
    TCase *c = tcase_create("round");
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, inputs_are_asked_phase_by_phase_in_their_order);
    tcase_add_test(c, each_name_that_is_left_out_is_told_once);
    tcase_add_test(c, what_one_input_cannot_do_stops_no_other_and_is_told_once);
    tcase_add_test(c, an_input_that_another_proxy_has_taken_ends_the_round);
    tcase_add_test(c, an_input_that_was_removed_is_asked_no_more);
    tcase_add_test(c, an_input_without_a_size_is_refused);
    tcase_add_test(c, rounds_are_a_guest_of_a_loop);
    tcase_add_test(c, a_busy_input_stops_the_loop);
    tcase_add_test(c, a_directory_that_was_removed_is_made_again);
    tcase_add_test(c, an_input_may_add_others_while_it_is_asked);
    tcase_add_test(c, an_input_that_removes_itself_skips_no_other);
    tcase_add_test(c, only_the_very_input_is_removed);
    tcase_add_test(c, an_input_is_added_once);
    tcase_add_test(c, a_first_round_with_trouble_is_like_any_other);
    tcase_add_test(c, rounds_that_another_proxy_keeps_from_starting_may_start_later);
    tcase_add_test(c, programs_in_rounds_without_their_ledger_are_trouble);
    suite_add_tcase(s, c);
    return run_suite(s);
}
