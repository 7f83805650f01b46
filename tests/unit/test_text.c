// Text as snprintf() would write it, on a tenth of the stack.
#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "../support/suite.h"

// Both must write the same into rooms of every size, and return the same.
#define SAME(...)                                                                        \
    for (size_t room = 0; room < 80; room++) {                                           \
        char ours[80], theirs[80];                                                       \
        memset(ours, 1, sizeof ours);                                                    \
        memset(theirs, 1, sizeof theirs);                                                \
        ck_assert_int_eq(mpx_format(ours, room, __VA_ARGS__),                            \
                         snprintf(theirs, room, __VA_ARGS__));                           \
        ck_assert_mem_eq(ours, theirs, sizeof ours);                                     \
    }

#pragma GCC diagnostic ignored "-Wformat-truncation"
#pragma GCC diagnostic ignored "-Wformat-zero-length"

START_TEST(text_is_formatted_as_by_stdio)
{
    SAME("plain");
    SAME("%s", "");
    SAME("%s/%s.seg", "dir", "name");
    SAME("'%.3s' '%.*s' %.120s%%", "abcdef", 2, "xyz", "short");
    SAME("%c%c", 'a', 'b');
    SAME("%d %d %d %d", 0, -1, INT32_MAX, INT32_MIN);
    SAME("%u %x %o %04o", UINT32_MAX, 0xbeefu, 8u, 022u);
    SAME("%ld %lld %lu %llu %zu", INT64_MIN, (long long)INT64_MAX, UINT64_MAX, 7ull,
         (size_t)0);
    SAME("~%016llx", 0x1234ull);
}
END_TEST

START_TEST(other_conversions_go_to_stdio)
{
    SAME("%g of %5d", 0.5, 3);
    SAME("%02d:%04d", 7, -3);
    SAME("%-4s|%6.2f", "a", 1.0);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("text");
    tcase_add_test(c, text_is_formatted_as_by_stdio);
    tcase_add_test(c, other_conversions_go_to_stdio);
    Suite *suite = suite_create("text");
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
