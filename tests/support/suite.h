// How the main() of a unit test runs its suite, or says that it cannot. The one rule of what
// may be left out stands here for C and in skip.sh for scripts: it is printed as
// `SKIP: needs THING: WHY`, and it is a failure where MPROXY_REQUIRE lists THING or `all`.
#ifndef TESTS_SUPPORT_SUITE_H
#define TESTS_SUPPORT_SUITE_H

#include <check.h>
#include <stdbool.h>
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

// Says that a test, or a part of one, wants what is not here. False: it is required, so the
// test must fail: ck_assert(may_skip(...)), or PROGRAM_CHECK() in a program.
static inline bool may_skip(const char *thing, const char *why)
{
    const char *required = getenv("MPROXY_REQUIRE");
    char list[1024], wanted[64];
    snprintf(list, sizeof list, ",%s,", required ? required : "");
    snprintf(wanted, sizeof wanted, ",%s,", thing);
    printf("SKIP: needs %s: %s\n", thing, why);
    fflush(stdout);
    return !strstr(list, wanted) && !strstr(list, ",all,");
}

// The exit status of a suite that wants what is not here.
static inline int skip_suite(const char *thing, const char *why)
{
    return may_skip(thing, why) ? 77 : EXIT_FAILURE;
}

#endif
