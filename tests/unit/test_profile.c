// Profiles in memory: summing, rendering, parsing; the corpus of files that must (not) parse.
#include <mproxy/profile.h>

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "profile/profile.h"
#include "../support/cases.h"
#include "../support/profile_fixture.h"
#include "../support/suite.h"

static struct mpx_buf render(const mproxy_profile *p)
{
    struct mpx_buf text = MPX_BUF_INIT;
    ck_assert_int_eq(mproxy_profile_render(p, fixture_append, &text), MPROXY_OK);
    ck_assert_ptr_nonnull(mpx_buf_text(&text));
    return text;
}

static mproxy_profile *parse(const struct mpx_buf *text)
{
    mproxy_profile *p = NULL;
    mproxy_error err = {0};
    mproxy_status status = mproxy_profile_parse(text->data, text->size, &p, &err);
    ck_assert_msg(status == MPROXY_OK, "%s", err.text);
    return p;
}

static const struct mpx_profile_entry *find(const mproxy_profile *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->entries[i].name, name) == 0)
            return &p->entries[i];
    ck_abort_msg("%s is absent", name);
    return NULL;
}

START_TEST(sum_adds_counters_and_merges_gauges_and_ranks)
{
    mproxy_profile *p = fixture_profile("j", 1000, 2);
    fixture_counter(&p->shares[0], "hits", 3, 0);
    fixture_counter(&p->shares[1], "hits", 39, 1);
    fixture_gauge(&p->shares[0], "memory", 10);
    fixture_gauge(&p->shares[1], "memory", 30);

    ck_assert_int_eq(mpx_profile_sum(p, NULL), MPROXY_OK);

    const struct mpx_profile_entry *hits = find(p, "hits"), *memory = find(p, "memory");
    ck_assert_double_eq(hits->value.total, 42);
    ck_assert_uint_eq(hits->ranks.n, 2);
    ck_assert_uint_eq(hits->ranks.min_rank, 0);
    ck_assert_uint_eq(hits->ranks.max_rank, 1);
    ck_assert_double_eq(hits->ranks.max, 39);
    ck_assert_double_eq(memory->value.hits, 2);
    ck_assert_double_eq(memory->value.total, 40);
    ck_assert_double_eq(memory->value.min, 10);
    mproxy_profile_free(p);
}
END_TEST

START_TEST(sum_takes_times_and_partial_nodes_from_the_shares)
{
    mproxy_profile *p = fixture_profile("j", 0, 3);
    p->shares[0].start_ms = 5500;
    p->shares[1].start_ms = 4500;
    p->shares[2].end_ms = 99999;
    p->shares[1].sealed = 0;
    p->shares[2].incomplete = 1;

    ck_assert_int_eq(mpx_profile_sum(p, NULL), MPROXY_OK);

    ck_assert_int_eq(p->desc.start_time, 0);
    ck_assert_int_eq(p->desc.end_time, 99);
    ck_assert_uint_eq(p->partial_count, 2);
    ck_assert_str_eq(p->partial[0], "node1");
    ck_assert_str_eq(p->partial[1], "node2");
    mproxy_profile_free(p);
}
END_TEST

START_TEST(sum_leaves_out_a_name_that_shares_disagree_about)
{
    mproxy_profile *p = fixture_profile("j", 1000, 2);
    fixture_counter(&p->shares[0], "x", 3, 0);
    fixture_gauge(&p->shares[1], "x", 100);
    fixture_counter(&p->shares[1], "y", 4, 0);

    ck_assert_int_eq(mpx_profile_sum(p, NULL), MPROXY_OK);

    ck_assert_uint_eq(p->count, 1);
    ck_assert_str_eq(p->entries[0].name, "y");
    ck_assert_uint_eq(p->partial_count, 2);
    ck_assert_str_eq(p->partial[0], "node0");
    mproxy_profile_free(p);
}
END_TEST

static void assert_same_entries(const struct mpx_profile_entry *a,
                                const struct mpx_profile_entry *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ck_assert_str_eq(a[i].name, b[i].name);
        ck_assert_str_eq(a[i].doc, b[i].doc);
        ck_assert_int_eq(a[i].type, b[i].type);
        ck_assert_double_eq(a[i].value.total, b[i].value.total);
        ck_assert_double_eq(a[i].value.max, b[i].value.max);
        ck_assert_double_eq(a[i].value.hits, b[i].value.hits);
        ck_assert_uint_eq(a[i].ranks.n, b[i].ranks.n);
        ck_assert_double_eq(a[i].ranks.sum, b[i].ranks.sum);
        ck_assert_uint_eq(a[i].ranks.max_rank, b[i].ranks.max_rank);
        if (a[i].type == MPROXY_COUNTER)
            ck_assert_uint_eq(a[i].value.ts_us, b[i].value.ts_us);
    }
}

START_TEST(other_programs_read_a_profile_by_its_functions)
{
    mproxy_profile *p = fixture_profile("one", 1700000000, 1);
    fixture_counter(&p->shares[0], "b_total", 3, 7);
    fixture_gauge(&p->shares[0], "a", 0.5);
    p->shares[0].sealed = 0;
    ck_assert_int_eq(mpx_profile_sum(p, NULL), MPROXY_OK);
    mproxy_profile_entry entry = {.struct_size = sizeof entry};
    mproxy_profile_entry small = {.struct_size = sizeof small - sizeof small.ranks};
    size_t last = mproxy_profile_size(p) - 1;

    ck_assert_str_eq(mproxy_profile_job(p)->jobid, "one");
    ck_assert_uint_eq(mproxy_profile_uid(p), p->uid);
    ck_assert(!mproxy_profile_is_provisional(p));
    ck_assert_int_eq(mproxy_profile_at(p, last, &entry), MPROXY_OK);
    ck_assert_str_eq(entry.name, p->entries[last].name);
    ck_assert_int_eq(entry.type, p->entries[last].type);
    ck_assert_double_eq(entry.value.total, p->entries[last].value.total);
    ck_assert_uint_eq(entry.ranks.n, p->entries[last].ranks.n);
    ck_assert_uint_eq(entry.struct_size, sizeof entry);
    ck_assert_int_eq(mproxy_profile_at(p, last + 1, &entry), MPROXY_E_NOTFOUND);
    ck_assert_int_eq(mproxy_profile_at(p, 0, &small), MPROXY_E_INVALID);
    ck_assert_uint_eq(mproxy_profile_partial_count(p), 1);
    ck_assert_str_eq(mproxy_profile_partial_at(p, 0), p->shares[0].node);
    ck_assert_ptr_null(mproxy_profile_partial_at(p, 1));
    mproxy_profile_free(p);
}
END_TEST

START_TEST(what_is_rendered_parses_to_the_same)
{
    mproxy_profile *p = fixture_profile("a/b \"quoted\" \xc3\xa9", 1700000000, 3);
    fixture_counter(&p->shares[0], "tiny", 4.9406564584124654e-324, 7);
    fixture_counter(&p->shares[0], "huge", 1.7976931348623157e308, 7);
    fixture_counter(&p->shares[1], "large{a=\"x\\\"y\"}", 18446744073709551616.0, 1);
    fixture_counter(&p->shares[2], "negative", -0.1, MPROXY_RANK_MASK);
    fixture_gauge(&p->shares[2], "gauge", 1e-7);
    struct mpx_node_set unheard = {0};
    for (int k = 0; k < 2; k++)
        ck_assert(mpx_node_set_add(&unheard, "silent"));
    mpx_node_set_give(&unheard, &p->unheard, &p->unheard_count);
    p->shares[1].sealed = 0;
    ck_assert_int_eq(mpx_profile_sum(p, NULL), MPROXY_OK);

    struct mpx_buf text = render(p);
    mproxy_profile *q = parse(&text);

    ck_assert_str_eq(q->desc.jobid, p->desc.jobid);
    ck_assert_str_eq(q->desc.command, p->desc.command);
    ck_assert_uint_eq(q->uid, p->uid);
    ck_assert_uint_eq(q->count, p->count);
    ck_assert_uint_eq(q->share_count, 3);
    ck_assert_uint_eq(q->partial_count, 1);
    ck_assert_str_eq(q->unheard[0], "silent");
    assert_same_entries(p->entries, q->entries, p->count);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_mem_eq(q->shares[i].directory, p->shares[i].directory, 16);
        ck_assert_int_eq(q->shares[i].sealed, p->shares[i].sealed);
        ck_assert_int_eq(q->shares[i].end_ms, p->shares[i].end_ms);
        ck_assert_uint_eq(q->shares[i].sequence, p->shares[i].sequence);
        ck_assert_uint_eq(q->shares[i].count, p->shares[i].count);
        assert_same_entries(p->shares[i].entries, q->shares[i].entries,
                            p->shares[i].count);
    }
    struct mpx_buf again = render(q);
    ck_assert_uint_eq(again.size, text.size);
    ck_assert_mem_eq(again.data, text.data, text.size);
    mpx_buf_free(&again);
    mpx_buf_free(&text);
    mproxy_profile_free(p);
    mproxy_profile_free(q);
}
END_TEST

START_TEST(nodes_are_the_sums_of_their_shares)
{
    mproxy_profile *p = fixture_profile("j", 1000, 2);
    free(p->shares[1].node);
    p->shares[1].node = strdup("node0");
    fixture_counter(&p->shares[0], "hits", 3, 0);
    fixture_counter(&p->shares[1], "hits", 4, 0);
    ck_assert_int_eq(mpx_profile_sum(p, NULL), MPROXY_OK);

    struct mpx_buf text = render(p);

    const char *nodes =
        strstr(text.data, "\"nodes\":[{\"node\":\"node0\",\"counters\":[");
    ck_assert_ptr_nonnull(nodes);
    ck_assert_ptr_nonnull(strstr(nodes, "\"value\":7}}"));
    ck_assert_ptr_null(strstr(nodes + 20, "\"node\":"));
    mpx_buf_free(&text);
    mproxy_profile_free(p);
}
END_TEST

START_TEST(values_that_are_not_finite_are_left_out)
{
    mproxy_profile *p = fixture_profile("j", 1000, 1);
    fixture_counter(&p->shares[0], "a", NAN, 0);
    fixture_counter(&p->shares[0], "b", INFINITY, 0);
    fixture_counter(&p->shares[0], "c", 5, 0);
    ck_assert_int_eq(mpx_profile_sum(p, NULL), MPROXY_OK);

    struct mpx_buf text = render(p);
    mproxy_profile *q = parse(&text);

    ck_assert_uint_eq(q->count, 1);
    ck_assert_double_eq(q->shares[0].entries[0].value.total, 5);
    mpx_buf_free(&text);
    mproxy_profile_free(p);
    mproxy_profile_free(q);
}
END_TEST

START_TEST(a_changed_byte_is_seen_by_the_checksum)
{
    mproxy_profile *p = fixture_profile("j", 1000, 1), *q = NULL;
    mproxy_error err;
    fixture_counter(&p->shares[0], "hits", 1234567, 0);
    ck_assert_int_eq(mpx_profile_sum(p, NULL), MPROXY_OK);
    struct mpx_buf text = render(p);

    strstr(text.data, "1234567")[0] = '9';

    ck_assert_int_eq(mproxy_profile_parse(text.data, text.size, &q, &err),
                     MPROXY_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "checksum"));
    mpx_buf_free(&text);
    mproxy_profile_free(p);
}
END_TEST

START_TEST(a_profile_of_other_make_is_read)
{
    static const char text[] =
        "{\"desc\":{\"jobid\":\"main-1\",\"command\":\"./"
        "a\",\"size\":4,\"nodelist\":\"\","
        "\"partition\":\"\",\"cluster\":\"\",\"run_dir\":\"/\","
        "\"start_time\":1700000000000,\"end_time\":1700000001},\"counters\":[{\"name\":"
        "\"a\",\"doc\":\"\",\"ctype\":{\"Counter\":{\"value\":1}}}]}";
    mproxy_profile *p = NULL;
    mproxy_error err = {0};

    ck_assert_msg(mproxy_profile_parse(text, strlen(text), &p, &err) == MPROXY_OK, "%s",
                  err.text);

    ck_assert_int_eq(p->desc.start_time, 1700000000);
    ck_assert_double_eq(p->entries[0].value.total, 1);
    ck_assert_uint_eq(p->share_count, 0);
    mproxy_profile_free(p);
}
END_TEST

START_TEST(labels_are_read_into_their_order)
{
    static const char text[] =
        "{\"desc\":{\"jobid\":\"j\",\"command\":\"./a\",\"size\":4,\"nodelist\":\"\","
        "\"partition\":\"\",\"cluster\":\"\",\"run_dir\":\"/\",\"start_time\":1,"
        "\"end_time\":2},\"counters\":[{\"name\":\"a{y=\\\"2\\\",x=\\\"1\\\"}\","
        "\"doc\":\"\",\"ctype\":{\"Counter\":{\"value\":1}}}]}";
    mproxy_profile *p = NULL;

    ck_assert_int_eq(mproxy_profile_parse(text, strlen(text), &p, NULL), MPROXY_OK);

    ck_assert_str_eq(p->entries[0].name, "a{x=\"1\",y=\"2\"}");
    mproxy_profile_free(p);
}
END_TEST

static void check_case(const char *kind, const char *name)
{
    struct mpx_buf input = MPX_BUF_INIT, expected = MPX_BUF_INIT;
    mproxy_profile *p = NULL;
    mproxy_error err = {0};
    read_case_file("profile", kind, name, "input", &input);
    mproxy_status status = mproxy_profile_parse(input.data, input.size, &p, &err);
    if (strcmp(kind, "valid") == 0) {
        ck_assert_msg(status == MPROXY_OK, "%s: %s", name, err.text);
    } else {
        read_case_file("profile", kind, name, "error", &expected);
        ck_assert_msg(status != MPROXY_OK, "%s parses", name);
        expected.data[strcspn(expected.data, "\n")] = '\0';
        ck_assert_msg(strstr(err.text, expected.data) != NULL, "%s: '%s' instead of '%s'",
                      name, err.text, expected.data);
    }
    mproxy_profile_free(p);
    mpx_buf_free(&input);
    mpx_buf_free(&expected);
}

START_TEST(valid_cases_parse)
{
    check_cases("profile", "valid", check_case);
}
END_TEST

START_TEST(invalid_cases_are_refused_with_their_text)
{
    check_cases("profile", "invalid", check_case);
}
END_TEST

START_TEST(every_cut_of_a_file_is_refused)
{
    mproxy_profile *p = fixture_profile("j", 1000, 2), *q = NULL;
    fixture_counter(&p->shares[0], "hits", 1, 0);
    ck_assert_int_eq(mpx_profile_sum(p, NULL), MPROXY_OK);
    struct mpx_buf text = render(p);

    for (size_t length = 0; length + 2 <= text.size; length++)
        ck_assert_int_eq(mproxy_profile_parse(text.data, length, &q, NULL),
                         MPROXY_E_CORRUPT);
    mpx_buf_free(&text);
    mproxy_profile_free(p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("profile");
    TCase *c = tcase_create("all");
    tcase_add_test(c, sum_adds_counters_and_merges_gauges_and_ranks);
    tcase_add_test(c, sum_takes_times_and_partial_nodes_from_the_shares);
    tcase_add_test(c, sum_leaves_out_a_name_that_shares_disagree_about);
    tcase_add_test(c, other_programs_read_a_profile_by_its_functions);
    tcase_add_test(c, what_is_rendered_parses_to_the_same);
    tcase_add_test(c, nodes_are_the_sums_of_their_shares);
    tcase_add_test(c, values_that_are_not_finite_are_left_out);
    tcase_add_test(c, a_changed_byte_is_seen_by_the_checksum);
    tcase_add_test(c, a_profile_of_other_make_is_read);
    tcase_add_test(c, labels_are_read_into_their_order);
    tcase_add_test(c, valid_cases_parse);
    tcase_add_test(c, invalid_cases_are_refused_with_their_text);
    tcase_add_test(c, every_cut_of_a_file_is_refused);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
