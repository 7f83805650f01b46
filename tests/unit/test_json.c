// The writer of JSON: commas, brackets and text.
#include <check.h>

#include "../support/suite.h"
#include "base/json.h"

static const char *written(struct mpx_buf *b)
{
    return mpx_buf_text(b);
}

START_TEST(commas_stand_between_members_and_values_only)
{
    struct mpx_buf b = MPX_BUF_INIT;
    struct mpx_json j = {.out = &b};

    mpx_json_begin(&j, '{');
    mpx_json_key(&j, "a");
    mpx_json_begin(&j, '[');
    mpx_json_put_u64(&j, UINT64_MAX);
    mpx_json_put_i64(&j, INT64_MIN);
    mpx_json_begin(&j, '{');
    mpx_json_end(&j, '}');
    mpx_json_begin(&j, '[');
    mpx_json_end(&j, ']');
    mpx_json_end(&j, ']');
    mpx_json_key(&j, "b");
    mpx_json_put_bool(&j, true);
    mpx_json_key(&j, "c");
    mpx_json_put_raw(&j, "1.5");
    mpx_json_end(&j, '}');

    ck_assert_str_eq(written(&b), "{\"a\":[18446744073709551615,-9223372036854775808,"
                                  "{},[]],\"b\":true,\"c\":1.5}");
    mpx_buf_free(&b);
}
END_TEST

START_TEST(lines_begin_behind_the_comma)
{
    struct mpx_buf b = MPX_BUF_INIT;
    struct mpx_json j = {.out = &b};

    mpx_json_begin(&j, '[');
    for (int i = 0; i < 2; i++) {
        mpx_json_line(&j);
        mpx_json_put_bool(&j, i);
    }
    mpx_json_end(&j, ']');

    ck_assert_str_eq(written(&b), "[\nfalse,\ntrue]");
    mpx_buf_free(&b);
}
END_TEST

static void give_one(struct mpx_buf *b)
{
    struct mpx_buf *whole = b + 1;
    mpx_buf_add(whole, b->data, b->size);
    b->size = 0;
}

START_TEST(a_buffer_that_drains_stays_small)
{
    struct mpx_buf b[2] = {{.drain = give_one}}; // the second takes what the first gives
    struct mpx_json j = {.out = &b[0]};
    mpx_buf_reserve(&b[0], 1);
    size_t room = b[0].room;

    mpx_json_begin(&j, '[');
    for (int i = 0; i < 10000; i++)
        mpx_json_put_u64(&j, 100000 + (uint64_t)i);
    mpx_json_end(&j, ']');
    give_one(&b[0]);

    ck_assert_uint_eq(b[0].room, room);
    ck_assert_uint_eq(b[1].size, 70001);
    ck_assert_int_eq(strncmp(b[1].data, "[100000,100001,", 15), 0);
    mpx_buf_free(&b[0]);
    mpx_buf_free(&b[1]);
}
END_TEST

START_TEST(keys_and_texts_are_escaped)
{
    struct mpx_buf b = MPX_BUF_INIT;
    struct mpx_json j = {.out = &b};

    mpx_json_begin(&j, '{');
    mpx_json_key(&j, "a\"b");
    mpx_json_put_string(&j, "\n\\\xff\x01");
    mpx_json_key(&j, "");
    mpx_json_put_string(&j, "");
    mpx_json_end(&j, '}');

    ck_assert_str_eq(written(&b),
                     "{\"a\\\"b\":\"\\n\\\\\xef\xbf\xbd\\u0001\",\"\":\"\"}");
    mpx_buf_free(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("json");
    TCase *c = tcase_create("json");
    tcase_add_test(c, commas_stand_between_members_and_values_only);
    tcase_add_test(c, lines_begin_behind_the_comma);
    tcase_add_test(c, a_buffer_that_drains_stays_small);
    tcase_add_test(c, keys_and_texts_are_escaped);
    suite_add_tcase(s, c);
    return run_suite(s);
}
