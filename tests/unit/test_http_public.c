// The public face of the HTTP server; what the server does is in test_http.c.
#include <check.h>

#include <mproxy/http.h>

#include "../support/suite.h"

static mproxy_error err;

static void answer(mproxy_request *request, void *context)
{
    (void)context;
    mproxy_reply_refuse(request, 400, "no");
}

static const mproxy_http_route good = {.struct_size = sizeof good,
                                       .methods = MPROXY_HTTP_GET,
                                       .path = "/a",
                                       .handle = answer};

static mproxy_status open_with(size_t struct_size, const mproxy_http_route *route,
                               const char *address)
{
    mproxy_http_options options = {.struct_size = struct_size,
                                   .address = address,
                                   .routes = route,
                                   .route_count = 1};
    mproxy_http *http = NULL;
    mproxy_status status = mproxy_http_open(&options, &http, &err);
    ck_assert((status == MPROXY_OK) == (http != NULL));
    mproxy_http_close(http);
    return status;
}

START_TEST(a_free_port_is_told)
{
    mproxy_http_options options = {.struct_size = sizeof options,
                                   .address = "127.0.0.1",
                                   .routes = &good,
                                   .route_count = 1};
    mproxy_http *http;

    ck_assert_int_eq(mproxy_http_open(&options, &http, &err), MPROXY_OK);

    ck_assert_int_gt(mproxy_http_port(http), 0);
    options.port = mproxy_http_port(http);
    mproxy_http *second = NULL;
    ck_assert_int_eq(mproxy_http_open(&options, &second, &err), MPROXY_E_BUSY);
    ck_assert_ptr_null(second);
    mproxy_http_close(http);
}
END_TEST

// Without its size the address would be dropped, and the port open on all interfaces.
START_TEST(options_without_a_size_open_no_port)
{
    ck_assert_int_eq(open_with(0, &good, "127.0.0.1"), MPROXY_E_INVALID);
    ck_assert_int_eq(open_with(sizeof(mproxy_http_options), &good, "127.0.0.1"),
                     MPROXY_OK);
}
END_TEST

START_TEST(routes_that_are_none_are_refused)
{
    mproxy_http_route wrong[5] = {good, good, good, good, good};
    wrong[0].struct_size = 0;
    wrong[1].methods = 0;
    wrong[2].path = NULL;
    wrong[3].path = "a";
    wrong[4].handle = NULL;

    for (size_t i = 0; i < 5; i++)
        ck_assert_int_eq(open_with(sizeof(mproxy_http_options), &wrong[i], "127.0.0.1"),
                         MPROXY_E_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_public");
    TCase *c = tcase_create("all");
    tcase_add_test(c, a_free_port_is_told);
    tcase_add_test(c, options_without_a_size_open_no_port);
    tcase_add_test(c, routes_that_are_none_are_refused);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
