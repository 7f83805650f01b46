// Profiles and the archive with each allocation failing in turn.
#include <mproxy/profile.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/chaos_alloc.h"
#include <mproxy/system.h>
#include "../support/profile_fixture.h"
#include "../support/suite.h"

static char root[64];
static mproxy_profile *profile;

static void setup(void)
{
    strcpy(root, "/dev/shm/mproxy-test-chaos-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    profile = fixture_profile("j", 1000, 2);
    fixture_counter(&profile->shares[0], "hits", 1, 0);
    fixture_counter(&profile->shares[1], "hits", 2, 1);
    fixture_gauge(&profile->shares[1], "memory", 3);
    ck_assert_int_eq(mpx_profile_sum(profile, NULL), MPROXY_OK);
}

static void teardown(void)
{
    char command[128];
    mproxy_profile_free(profile);
    snprintf(command, sizeof command, "rm -rf %s", root);
    ck_assert_int_eq(system(command), 0);
}

static mproxy_status sum_again(void *arg)
{
    (void)arg;
    return mpx_profile_sum(profile, NULL);
}

static mproxy_status ignore(void *arg, const char *bytes, size_t length)
{
    (void)arg;
    (void)bytes;
    (void)length;
    return MPROXY_OK;
}

static mproxy_status render(void *arg)
{
    (void)arg;
    return mproxy_profile_render(profile, ignore, NULL);
}

static mproxy_status parse(void *arg)
{
    const struct mpx_buf *text = arg;
    mproxy_profile *p = NULL;
    mproxy_status status = mproxy_profile_parse(text->data, text->size, &p, NULL);
    mproxy_profile_free(p);
    return status;
}

static mproxy_status store_and_load(void *arg)
{
    mproxy_archive *a = NULL;
    mproxy_profile *p = NULL;
    (void)arg;
    mproxy_status status = mproxy_archive_open(root, NULL, NULL, &a, NULL);
    if (status == MPROXY_OK)
        status = mproxy_archive_store(a, profile, NULL);
    if (status == MPROXY_OK)
        status = mproxy_archive_load(a, "j", &p, NULL);
    mproxy_profile_free(p);
    mproxy_archive_close(a);
    return status;
}

static void sample_node(void *arg)
{
    mproxy_system_options options = {.struct_size = sizeof options, .store = arg};
    struct mproxy_system *system = NULL;
    if (mproxy_system_open(&options, &system, NULL) == MPROXY_OK)
        for (int i = 1; i < 3; i++)
            (void)mproxy_system_sample(system, 1000 * i, 1);
    mproxy_system_close(system);
}

START_TEST(sum_survives_every_failing_allocation)
{
    ck_assert_uint_gt(chaos_each(sum_again, NULL), 3);
    ck_assert_double_eq(profile->entries[0].value.total, 3);
}
END_TEST

START_TEST(rendering_survives_every_failing_allocation)
{
    ck_assert_uint_gt(chaos_each(render, NULL), 1);
}
END_TEST

START_TEST(parsing_survives_every_failing_allocation)
{
    struct mpx_buf text = MPX_BUF_INIT;
    ck_assert_int_eq(mproxy_profile_render(profile, fixture_append, &text), MPROXY_OK);

    ck_assert_uint_gt(chaos_each(parse, &text), 10);

    mpx_buf_free(&text);
}
END_TEST

START_TEST(storing_and_loading_survive_every_failing_allocation)
{
    ck_assert_uint_gt(chaos_each(store_and_load, NULL), 20);
}
END_TEST

START_TEST(sampling_the_node_survives_every_failing_allocation)
{
    mproxy_store *store = NULL;
    ck_assert_int_eq(mproxy_store_open(NULL, &store, NULL), MPROXY_OK);

    ck_assert_uint_gt(chaos_each_any(sample_node, store), 20);

    mproxy_store_close(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("profile_alloc");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, sum_survives_every_failing_allocation);
    tcase_add_test(c, rendering_survives_every_failing_allocation);
    tcase_add_test(c, parsing_survives_every_failing_allocation);
    tcase_add_test(c, storing_and_loading_survive_every_failing_allocation);
    tcase_add_test(c, sampling_the_node_survives_every_failing_allocation);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
