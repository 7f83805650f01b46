#include <mproxy/remote.h>

#include "../support/chaos_alloc.h"
#include "../support/http_fixture.h"
#include "../support/suite.h"

static void on_done(void *arg, mproxy_status status, const mproxy_remote_reply *r,
                    const mproxy_error *error)
{
    (void)arg, (void)status, (void)r, (void)error;
}

static mproxy_status open_start_and_ask(void *arg)
{
    const char *url = arg;
    mproxy_remote_request q = {.struct_size = sizeof q,
                               .url = url,
                               .body = "\"b\"",
                               .body_size = 3,
                               .accept = "text/plain",
                               .token = "t"};
    mproxy_remote_reply got = {.struct_size = sizeof got};
    mproxy_remote *remote = NULL;
    mproxy_status status = mproxy_remote_open(NULL, &remote, NULL);
    if (status == MPROXY_OK)
        status = mproxy_remote_start(remote, &q, on_done, NULL, NULL, NULL);
    if (status == MPROXY_OK)
        status = mproxy_remote_ask(remote, &q, &got, NULL);
    if (status == MPROXY_OK && got.code != 200)
        status = MPROXY_E_CORRUPT;
    mproxy_remote_close(remote);
    return status;
}

static void ask_somehow(void *arg)
{
    open_start_and_ask(arg);
}

START_TEST(requests_survive_want_of_memory)
{
    char url[64];
    open_server();
    snprintf(url, sizeof url, "http://127.0.0.1:%d/echo", port);
    // Loads libcurl, and the server's threads have what they keep.
    ck_assert_int_eq(open_start_and_ask(url), MPROXY_OK);

    // The server shares this process: its requests may fail, too, which is no reply of ours.
    chaos_each_any(ask_somehow, url);

    ck_assert_int_eq(open_start_and_ask(url), MPROXY_OK);
    close_server();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("remote_alloc");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, requests_survive_want_of_memory);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
