// Who stores the handles that all threads share: bindings/common/handles.h.
#include "common/handles.h"

#include "../support/suite.h"

START_TEST(the_first_who_gets_them_stores_them)
{
    mproxy_error fine = {0}, busy = {.status = MPROXY_E_BUSY};
    int state = MPX_HANDLES_NONE;

    ck_assert(!mpx_handles_claim(&state, &busy));
    ck_assert(mpx_handles_claim(&state, &fine));
    ck_assert(!mpx_handles_claim(&state, &fine));
    ck_assert(!mpx_handles_are_set(&state));
    mpx_handles_publish(&state);
    ck_assert(mpx_handles_are_set(&state));
    ck_assert(!mpx_handles_claim(&state, &fine));
}
END_TEST

START_TEST(a_claim_of_a_thread_that_is_gone_is_taken_over)
{
    mproxy_error fine = {0};
    int state = MPX_HANDLES_CLAIMED, claims = 0;

    for (int i = 0; i < MPX_REFUSALS; i++)
        claims += mpx_handles_claim(&state, &fine);

    ck_assert_int_eq(claims, 1);
    mpx_handles_publish(&state);
    for (int i = 0; i < MPX_REFUSALS; i++)
        ck_assert(!mpx_handles_claim(&state, &fine));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handles");
    TCase *c = tcase_create("all");
    tcase_add_test(c, the_first_who_gets_them_stores_them);
    tcase_add_test(c, a_claim_of_a_thread_that_is_gone_is_taken_over);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
