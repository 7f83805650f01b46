// How the main() of a unit test runs its suite, or says that it cannot.
#ifndef TESTS_SUPPORT_SUITE_H
#define TESTS_SUPPORT_SUITE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

// The exit status of a test that wants what is not here: skipped, or failed where
// MPROXY_REQUIRE lists it.
static inline int skip_suite(const char *thing, const char *why)
{
    const char *required = getenv("MPROXY_REQUIRE");
    char list[1024], wanted[64];
    snprintf(list, sizeof list, ",%s,", required ? required : "");
    snprintf(wanted, sizeof wanted, ",%s,", thing);
    printf("SKIP: needs %s: %s\n", thing, why);
    return strstr(list, wanted) || strstr(list, ",all,") ? EXIT_FAILURE : 77;
}

#endif
