// The registration lock between threads and with children that share the process's memory.
#include <mproxy/client.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "../support/program.h"
#include "client/state.h"

static int told[2], go_on[2];

// Holds the lock until it is told to go on.
static void hold_and_wait(void)
{
    struct mpx_hold h;
    PROGRAM_CHECK(mpx_hold(&h) == MPX_HELD);
    pipe_say(told);
    pipe_hear(go_on);
    mpx_release(&h);
}

static void *hold_in_thread(void *unused)
{
    hold_and_wait();
    return unused;
}

static void ask_while_it_is_held(void)
{
    pthread_t thread;
    mproxy_error err = {0};
    PROGRAM_CHECK(pipe(told) == 0 && pipe(go_on) == 0);
    mproxy_counter_add(mproxy_counter_get("early_total", NULL, NULL), 1);
    PROGRAM_CHECK(pthread_create(&thread, NULL, hold_in_thread, NULL) == 0);
    pipe_hear(told);

    mproxy_counter_get("late_total", NULL, &err);

    PROGRAM_CHECK(err.status == MPROXY_E_BUSY);
    pipe_say(go_on);
    pthread_join(thread, NULL);
    PROGRAM_CHECK(mproxy_counter_get("late_total", NULL, NULL) != NULL);
}

START_TEST(a_refusal_for_a_holder_that_is_stuck_is_said)
{
    program_run(ask_while_it_is_held);

    struct probe p = {0};
    ck_assert(probe_any(&p, program_dir));
    ck_assert_uint_eq(probe_header(&p)->flags, MPX_OFF_REFUSED);
    ck_assert_uint_eq(probe_find(&p, NULL).metrics, 2);
    probe_close(&p);
}
END_TEST

static void ask_within(void)
{
    mproxy_error err = {0};
    struct mpx_hold h;
    mproxy_counter_add(mproxy_counter_get("early_total", NULL, NULL), 1);
    PROGRAM_CHECK(mpx_hold(&h) == MPX_HELD);

    mproxy_counter_get("inner_total", NULL, &err);

    PROGRAM_CHECK(err.status == MPROXY_E_BUSY);
    mpx_release(&h);
}

START_TEST(a_refusal_inside_a_declaration_is_not)
{
    program_run(ask_within);

    struct probe p = {0};
    ck_assert(probe_any(&p, program_dir));
    ck_assert_uint_eq(probe_header(&p)->flags, 0);
    probe_close(&p);
}
END_TEST

static void release_what_another_took(void)
{
    struct mpx_hold h;
    PROGRAM_CHECK(mpx_hold(&h) == MPX_HELD);
    uint32_t other = (uint32_t)getpid() + 1;
    atomic_store(&mpx_guard.lock, other);

    mpx_release(&h);

    PROGRAM_CHECK(atomic_load(&mpx_guard.lock) == other);
}

START_TEST(a_lock_that_was_taken_over_stays_with_who_took_it)
{
    program_run(release_what_another_took);
}
END_TEST

// ---- a child with the same memory and other numbers

static int hold_abroad(void *unused)
{
    (void)unused;
    hold_and_wait();
    return 0;
}

static void *clone_abroad(void *result)
{
    enum { ROOM = 256 << 10 };
    char *stack = malloc(ROOM);
    pid_t pid = clone(hold_abroad, stack + ROOM,
                      CLONE_VM | CLONE_VFORK | CLONE_NEWPID | SIGCHLD, NULL);
    *(int *)result = pid < 0 ? errno : waitpid(pid, NULL, 0) != pid;
    if (pid < 0)
        pipe_say(told);
    free(stack);
    return NULL;
}

static void wait_for_a_child_abroad(void)
{
    pthread_t thread;
    struct mpx_hold h;
    int result = 0;
    PROGRAM_CHECK(pipe(told) == 0 && pipe(go_on) == 0);
    mproxy_counter_add(mproxy_counter_get("early_total", NULL, NULL), 1);
    PROGRAM_CHECK(pthread_create(&thread, NULL, clone_abroad, &result) == 0);
    pipe_hear(told);

    enum mpx_held held = mpx_hold(&h);

    if (held == MPX_HELD)
        mpx_release(&h);
    pipe_say(go_on);
    pthread_join(thread, NULL);
    if (result == EPERM && may_skip("root", "no PID namespace may be made"))
        return;
    PROGRAM_CHECK(result == 0);
    PROGRAM_CHECK(held == MPX_HELD_TOO_LONG);
    PROGRAM_CHECK(mpx_hold(&h) == MPX_HELD);
    mpx_release(&h);
}

START_TEST(a_holder_in_another_namespace_is_not_robbed)
{
    program_run(wait_for_a_child_abroad);
}
END_TEST

// ---- a child that is killed while it holds the lock

static _Atomic pid_t stuck_pid;

static int hold_for_ever(void *unused)
{
    struct mpx_hold h;
    (void)unused;
    stuck_pid = getpid();
    PROGRAM_CHECK(mpx_hold(&h) == MPX_HELD);
    pipe_say(told);
    for (;;)
        pause();
}

static void *clone_stuck(void *result)
{
    enum { ROOM = 256 << 10 };
    char *stack = malloc(ROOM);
    pid_t pid =
        clone(hold_for_ever, stack + ROOM, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
    *(int *)result = waitpid(pid, NULL, 0) != pid;
    return NULL;
}

static void lose_it_after_giving_up(void)
{
    pthread_t thread;
    struct mpx_hold h;
    int result = 1, tries = 0;
    enum mpx_held held;
    PROGRAM_CHECK(pipe(told) == 0);
    mproxy_counter_add(mproxy_counter_get("early_total", NULL, NULL), 1);
    PROGRAM_CHECK(pthread_create(&thread, NULL, clone_stuck, &result) == 0);
    pipe_hear(told);
    PROGRAM_CHECK(mpx_hold(&h) == MPX_HELD_TOO_LONG);
    PROGRAM_CHECK(mpx_hold(&h) == MPX_HELD_TOO_LONG);
    kill(stuck_pid, SIGKILL);
    pthread_join(thread, NULL);
    PROGRAM_CHECK(result == 0);

    while ((held = mpx_hold(&h)) != MPX_HELD && tries++ < 1000)
        usleep(1000);

    PROGRAM_CHECK(held == MPX_HELD);
    mpx_release(&h);
}

START_TEST(a_holder_that_is_killed_after_all_loses_it)
{
    program_run(lose_it_after_giving_up);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lock");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, program_setup, program_teardown);
    tcase_add_test(t, a_refusal_for_a_holder_that_is_stuck_is_said);
    tcase_add_test(t, a_refusal_inside_a_declaration_is_not);
    tcase_add_test(t, a_lock_that_was_taken_over_stays_with_who_took_it);
    tcase_add_test(t, a_holder_in_another_namespace_is_not_robbed);
    tcase_add_test(t, a_holder_that_is_killed_after_all_loses_it);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
