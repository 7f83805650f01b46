// Wrong arguments of public functions. This program is built twice: as `unit.arguments`, like
// the library, and as `unit.arguments_release` with NDEBUG for all files that look at
// arguments. With NDEBUG a call returns MPROXY_E_INVALID and says which argument; without,
// it aborts.
#include <check.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mproxy/mproxy.h>

#include "../support/suite.h"

static mproxy_store *store;
static mproxy_view *view;
static mproxy_snapshot *snapshot;
static mproxy_reduction *reduction;
static const mproxy_metric *metric;
static const mproxy_job nobody;
static const mproxy_entry nothing;
static const mproxy_node_part part;
static const mproxy_source source;
static mproxy_profile *profile;
static char *no_command[] = {NULL};
static const uint8_t directory[16];
static char url[MPROXY_REMOTE_URL_MAX];
static mproxy_error *err; // of the call

static mproxy_status swallow(void *arg, const char *bytes, size_t length)
{
    (void)arg;
    (void)bytes;
    (void)length;
    return MPROXY_OK;
}

static void see(void *arg, const mproxy_archive_item *item)
{
    (void)arg;
    (void)item;
}

static mproxy_status hear(void *arg, const mproxy_change *change)
{
    (void)arg;
    (void)change;
    return MPROXY_OK;
}

// The call, and whether its error has a text.
#define CALLS(X)                                                                         \
    X(mproxy_render_view(NULL, MPROXY_FORMAT_JSON, NULL, swallow, NULL), 0)              \
    X(mproxy_render_view(view, MPROXY_FORMAT_JSON, NULL, NULL, NULL), 0)                 \
    X(mproxy_render_view(view, (mproxy_format)0, NULL, swallow, NULL), 0)                \
    X(mproxy_render_view(view, (mproxy_format)4, NULL, swallow, NULL), 0)                \
    X(mproxy_render_snapshot(NULL, MPROXY_FORMAT_JSON, NULL, swallow, NULL), 0)          \
    X(mproxy_render_snapshot(snapshot, (mproxy_format)4, NULL, swallow, NULL), 0)        \
    X(mproxy_render_nodes(NULL, &part, 1, NULL, swallow, NULL), 0)                       \
    X(mproxy_render_nodes(view, NULL, 1, NULL, swallow, NULL), 0)                        \
    X(mproxy_remote_open(NULL, NULL, err), 1)                                            \
    X(mproxy_remote_start(NULL, NULL, NULL, NULL, NULL, err), 1)                         \
    X(mproxy_remote_ask(NULL, NULL, NULL, err), 1)                                       \
    X(mproxy_remote_url(NULL, 1337, "/", url, err), 1)                                   \
    X(mproxy_system_open(NULL, NULL, err), 1)                                            \
    X(mproxy_system_sample(NULL, 1, 1), 0)                                               \
    X(mproxy_events_open(NULL, 1, 0, NULL, err), 1)                                      \
    X(mproxy_events_publish(NULL, 0, NULL), 0)                                           \
    X(mproxy_http_open(NULL, NULL, err), 1)                                              \
    X(mproxy_processes_open(NULL, NULL, err), 1)                                         \
    X(mproxy_gateway_open(NULL, NULL, err), 1)                                           \
    X(mproxy_self_open(NULL, NULL, err), 1)                                              \
    X(mproxy_scraper_open(NULL, NULL, err), 1)                                           \
    X(mproxy_scraper_join(NULL, NULL, 1, 0, err), 1)                                     \
    X(mproxy_scraper_leave(NULL, NULL, err), 1)                                          \
    X(mproxy_scraper_target(NULL, 0, NULL, err), 1)                                      \
    X(mproxy_serve_open(NULL, NULL, 0, NULL, err), 1)                                    \
    X(mproxy_rounds_new(NULL, NULL, err), 1)                                             \
    X(mproxy_rounds_add(NULL, NULL, err), 1)                                             \
    X(mproxy_rounds_run(NULL, err), 1)                                                   \
    X(mproxy_rounds_start(NULL, NULL, err), 1)                                           \
    X(mproxy_gateway_get_stats(NULL, NULL), 0)                                           \
    X(mproxy_loop_open(NULL, err), 1)                                                    \
    X(mproxy_loop_run(NULL, err), 1)                                                     \
    X(mproxy_loop_turn(NULL, 0, NULL, err), 1)                                           \
    X(mproxy_watch_add(NULL, 0, MPROXY_READABLE, NULL, NULL, NULL, err), 1)              \
    X(mproxy_watch_set(NULL, 0, err), 1)                                                 \
    X(mproxy_timer_new(NULL, NULL, NULL, NULL, err), 1)                                  \
    X(mproxy_bell_open(NULL, NULL, NULL, NULL, err), 1)                                  \
    X(mproxy_helper_open(NULL, "a", 1, NULL, err), 1)                                    \
    X(mproxy_helper_put(NULL, NULL, NULL, NULL), 0)                                      \
    X(mproxy_child_watch(NULL, 1, NULL, NULL, NULL, err), 1)                             \
    X(mproxy_store_open(NULL, NULL, err), 1)                                             \
    X(mproxy_store_metric(NULL, "a", MPROXY_COUNTER, "", &metric, err), 1)               \
    X(mproxy_store_metric(store, NULL, MPROXY_COUNTER, "", &metric, err), 1)             \
    X(mproxy_store_metric(store, "a", MPROXY_COUNTER, "", NULL, err), 1)                 \
    X(mproxy_store_metric(store, "a", (mproxy_type)9, "", &metric, err), 1)              \
    X(mproxy_store_publish(NULL, &view, 1, err), 1)                                      \
    X(mproxy_store_publish(store, NULL, 1, err), 1)                                      \
    X(mproxy_view_new(NULL, &nobody, 1, &view, err), 1)                                  \
    X(mproxy_view_new("j", NULL, 1, &view, err), 1)                                      \
    X(mproxy_view_new("j", &nobody, 1, NULL, err), 1)                                    \
    X(mproxy_view_add(view, &nothing), 0)                                                \
    X(mproxy_profile_at(NULL, 0, NULL), 0)                                               \
    X(mproxy_profile_render(NULL, swallow, NULL), 0)                                     \
    X(mproxy_profile_render_extrap(NULL, swallow, NULL), 0)                              \
    X(mproxy_profile_parse(NULL, 1, &profile, err), 1)                                   \
    X(mproxy_profile_parse("{}", 2, NULL, err), 1)                                       \
    X(mproxy_archive_open(NULL, NULL, NULL, NULL, err), 1)                               \
    X(mproxy_archive_store(NULL, NULL, err), 1)                                          \
    X(mproxy_archive_remove(NULL, "j", err), 1)                                          \
    X(mproxy_archive_load(NULL, "j", &profile, err), 1)                                  \
    X(mproxy_archive_refresh(NULL, err), 1)                                              \
    X(mproxy_archive_each_by_command(NULL, see, NULL, err), 1)                           \
    X(mproxy_archive_render_extrap(NULL, "j", swallow, NULL, err), 1)                    \
    X(mproxy_ledger_open(-1, store, NULL, NULL, err), 1)                                 \
    X(mproxy_ledger_move(NULL, 0, err), 1)                                               \
    X(mproxy_ledger_process(NULL, NULL, err), 1)                                         \
    X(mproxy_ledger_node(NULL, NULL, NULL, err), 1)                                      \
    X(mproxy_ledger_release(NULL, 1), 0)                                                 \
    X(mproxy_ledger_round_end(NULL, err), 1)                                             \
    X(mproxy_ledger_get_stats(NULL, NULL), 0)                                            \
    X(mproxy_reduction_get_stats(reduction, NULL), 0)                                    \
    X(mproxy_reduction_new(NULL, &reduction, err), 1)                                    \
    X(mproxy_reduction_new(store, NULL, err), 1)                                         \
    X(mproxy_reduction_put(NULL, &source, err), 1)                                       \
    X(mproxy_reduction_put(reduction, NULL, err), 1)                                     \
    X(mproxy_reduction_apply(reduction, NULL, err), 1)                                   \
    X(mproxy_reduction_absorb(reduction, NULL, err), 1)                                  \
    X(mproxy_reduction_replace(reduction, NULL, 1, err), 1)                              \
    X(mproxy_reduction_publish(NULL, err), 1)                                            \
    X(mproxy_reduction_changes(NULL, 0, hear, NULL), 0)                                  \
    X(mproxy_reduction_changes(reduction, 0, NULL, NULL), 0)                             \
    X(mproxy_reduction_change_of(reduction, directory, MPROXY_SOURCE_BASE, 0, 0, 0,      \
                                 NULL),                                                  \
      0)                                                                                 \
    X(mproxy_job_copy(NULL, NULL), 0)                                                    \
    X(mproxy_job_from_environment(NULL, NULL, err), 1)                                   \
    X(mproxy_metric_check_name(NULL, 1, err), 1)                                         \
    X(mproxy_daemon_open(NULL, NULL, err), 1)                                            \
    X(mproxy_daemon_run(NULL, err), 1)                                                   \
    X(mproxy_launch_prepare(NULL, NULL, err), 1)                                         \
    X(mproxy_launch_check(no_command, NULL, err), 1)                                     \
    X(mproxy_launch_exec(no_command, NULL, err), 1)                                      \
    X(mproxy_exporters_find("/", NULL, err), 1)                                          \
    X(mproxy_exporters_choose(NULL, "a", err), 1)

#define TEXT(call, has_text) {#call, has_text},
static const struct {
    const char *call;
    int has_text;
} calls[] = {CALLS(TEXT)};
enum { CALL_COUNT = sizeof calls / sizeof *calls };

static mproxy_status call(int which)
{
    int at = 0;
#define CALL(call, has_text)                                                             \
    if (at++ == which)                                                                   \
        return call;
    CALLS(CALL)
    return MPROXY_OK;
}

static void open_all(void)
{
    ck_assert_int_eq(mproxy_store_open(NULL, &store, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_view_new("j", &nobody, 1, &view, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_reduction_new(store, &reduction, NULL), MPROXY_OK);
    snapshot = mproxy_store_snapshot(store);
}

static void close_all(void)
{
    mproxy_snapshot_unref(snapshot);
    mproxy_reduction_free(reduction);
    mproxy_view_unref(view);
    mproxy_store_close(store);
}

#ifdef NDEBUG

START_TEST(wrong_argument_is_refused)
{
    mproxy_error why = {0};
    err = &why;

    mproxy_status status = call(_i);

    ck_assert_msg(status == MPROXY_E_INVALID, "%s: %d", calls[_i].call, status);
    if (calls[_i].has_text)
        ck_assert_msg(strncmp(why.text, "wrong argument: ", 16) == 0, "%s: '%s'",
                      calls[_i].call, why.text);
    err = NULL;
    ck_assert_int_eq(call(_i), MPROXY_E_INVALID);
}
END_TEST

#else

START_TEST(wrong_argument_aborts)
{
    pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        close(STDERR_FILENO);
        call(_i);
        _exit(0);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);

    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%s: status %d",
                  calls[_i].call, status);
}
END_TEST

#endif

int main(void)
{
    Suite *suite = suite_create("arguments");
    TCase *c = tcase_create("arguments");
    tcase_add_checked_fixture(c, open_all, close_all);
#ifdef NDEBUG
    tcase_add_loop_test(c, wrong_argument_is_refused, 0, CALL_COUNT);
#else
    tcase_add_loop_test(c, wrong_argument_aborts, 0, CALL_COUNT);
#endif
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
