#include <mproxy/store.h>

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/suite.h"
#include "store/cache.h"
#include "store/names.h"

static const mproxy_job no_job;

static mproxy_store *open_store(void)
{
    mproxy_store *store = NULL;
    ck_assert_int_eq(mproxy_store_open(NULL, &store, NULL), MPROXY_OK);
    return store;
}

static const mproxy_metric *intern(mproxy_store *store, const char *name,
                                   mproxy_type type, const char *doc)
{
    const mproxy_metric *metric = NULL;
    mproxy_error err = {0};
    mproxy_status status = mproxy_store_metric(store, name, type, doc, &metric, &err);
    ck_assert_msg(status == MPROXY_OK, "%s", err.text);
    return metric;
}

static mproxy_view *new_view(const char *key)
{
    mproxy_view *view = NULL;
    ck_assert_int_eq(mproxy_view_new(key, &no_job, 0, &view, NULL), MPROXY_OK);
    return view;
}

static void publish_one(mproxy_store *store, mproxy_view *view)
{
    ck_assert_int_eq(mproxy_store_publish(store, &view, 1, NULL), MPROXY_OK);
    mproxy_view_unref(view);
}

START_TEST(store_interns_one_object_per_name)
{
    mproxy_store *store = open_store();

    const mproxy_metric *a = intern(store, "a{x=\"1\"}", MPROXY_COUNTER, "Doc");
    const mproxy_metric *b = intern(store, "b", MPROXY_GAUGE, NULL);

    ck_assert_ptr_eq(intern(store, "a{x=\"1\"}", MPROXY_COUNTER, "Other"), a);
    ck_assert_ptr_ne(a, b);
    ck_assert_str_eq(mproxy_metric_doc(a), "Doc");
    ck_assert_str_eq(mproxy_metric_doc(b), "");
    ck_assert_int_eq(a->base_length, 1);
    ck_assert_int_eq(a->id, 0);
    ck_assert_int_eq(b->id, 1);
    ck_assert_int_eq(mproxy_store_metric_count(store), 2);
    ck_assert_ptr_eq(mproxy_store_metric_at(store, 1), b);
    ck_assert_ptr_null(mproxy_store_metric_at(store, 2));
    mproxy_store_close(store);
}
END_TEST

START_TEST(store_takes_labels_in_any_order_for_one_metric)
{
    mproxy_store *store = open_store();

    const mproxy_metric *a = intern(store, "a{y=\"2\",x=\"1\"}", MPROXY_COUNTER, NULL);

    ck_assert_str_eq(a->name, "a{x=\"1\",y=\"2\"}");
    ck_assert_ptr_eq(intern(store, "a{x=\"1\",y=\"2\"}", MPROXY_COUNTER, NULL), a);
    ck_assert_ptr_eq(intern(store, "a{y=\"2\",x=\"1\"}", MPROXY_COUNTER, NULL), a);
    ck_assert_int_eq(mproxy_store_metric_count(store), 1);

    mproxy_store_close(store);
}
END_TEST

START_TEST(store_keeps_the_first_doc_that_is_given)
{
    mproxy_store *store = open_store();

    const mproxy_metric *a = intern(store, "a", MPROXY_COUNTER, NULL);
    intern(store, "a", MPROXY_COUNTER, "First\x01 \xff");
    intern(store, "a", MPROXY_COUNTER, "Second");

    ck_assert_str_eq(mproxy_metric_doc(a), "First  ?");
    mproxy_store_close(store);
}
END_TEST

START_TEST(store_has_a_metric_for_each_type_of_a_name)
{
    mproxy_store *store = open_store();
    const mproxy_metric *a = intern(store, "a", MPROXY_COUNTER, NULL), *b = NULL;

    mproxy_status status = mproxy_store_metric(store, "a", MPROXY_GAUGE, "", &b, NULL);

    ck_assert_int_eq(status, MPROXY_OK);
    ck_assert_ptr_ne(a, b);
    ck_assert_ptr_eq(intern(store, "a", MPROXY_COUNTER, NULL), a);
    ck_assert_ptr_eq(intern(store, "a", MPROXY_GAUGE, NULL), b);
    const mproxy_metric *const *order = mproxy_store_metric_order(store);
    ck_assert_ptr_eq(order[0], a);
    ck_assert_ptr_eq(order[1], b);

    // Each is given back alone.
    (void)mproxy_metric_ref(b);
    mproxy_store_sweep(store);
    ck_assert_uint_eq(mproxy_store_metric_count(store), 1);
    ck_assert_ptr_eq(intern(store, "a", MPROXY_GAUGE, NULL), b);
    ck_assert_int_eq(mproxy_metric_type(intern(store, "a", MPROXY_COUNTER, NULL)),
                     MPROXY_COUNTER);
    ck_assert_uint_eq(mproxy_store_metric_count(store), 2);
    mproxy_store_close(store);
}
END_TEST

START_TEST(store_reports_limit_past_max_metrics)
{
    mproxy_store_options options = {.struct_size = sizeof options, .max_metrics = 1};
    mproxy_store *store = NULL;
    const mproxy_metric *metric = NULL;
    mproxy_store_open(&options, &store, NULL);
    intern(store, "a", MPROXY_COUNTER, NULL);

    mproxy_status status =
        mproxy_store_metric(store, "b", MPROXY_COUNTER, NULL, &metric, NULL);

    ck_assert_int_eq(status, MPROXY_E_LIMIT);
    ck_assert_ptr_null(metric);
    intern(store, "a", MPROXY_COUNTER, NULL);
    mproxy_store_close(store);
}
END_TEST

START_TEST(store_refuses_a_bad_name)
{
    mproxy_store *store = open_store();
    const mproxy_metric *metric = NULL;

    mproxy_status status =
        mproxy_store_metric(store, "a b", MPROXY_COUNTER, NULL, &metric, NULL);

    ck_assert_int_eq(status, MPROXY_E_INVALID);
    ck_assert_int_eq(mproxy_store_metric_count(store), 0);
    mproxy_store_close(store);
}
END_TEST

START_TEST(order_is_by_base_then_whole_name_after_every_growth)
{
    mproxy_store *store = open_store();
    char name[64];
    srand(7);

    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 100; i++) {
            snprintf(name, sizeof name, rand() % 2 ? "m%d" : "m%d{x=\"%d\"}",
                     rand() % 300, rand() % 20);
            intern(store, name, MPROXY_COUNTER, NULL);
        }
        const mproxy_metric *const *order = mproxy_store_metric_order(store);
        for (size_t i = 1; i < mproxy_store_metric_count(store); i++)
            ck_assert_int_lt(mpx_metric_compare(order[i - 1], order[i]), 0);
    }
    mproxy_store_close(store);
}
END_TEST

START_TEST(order_keeps_the_series_of_a_family_together)
{
    mproxy_store *store = open_store();
    intern(store, "ab", MPROXY_COUNTER, NULL);
    intern(store, "a{x=\"1\"}", MPROXY_COUNTER, NULL);
    intern(store, "a", MPROXY_COUNTER, NULL);
    intern(store, "aB", MPROXY_COUNTER, NULL);

    const mproxy_metric *const *order = mproxy_store_metric_order(store);

    ck_assert_str_eq(order[0]->name, "a");
    ck_assert_str_eq(order[1]->name, "a{x=\"1\"}");
    ck_assert_str_eq(order[2]->name, "aB");
    ck_assert_str_eq(order[3]->name, "ab");
    mproxy_store_close(store);
}
END_TEST

START_TEST(hostile_suffixes_make_two_families_not_hundreds)
{
    mproxy_store *store = open_store();
    char name[1025] = "a";
    for (int i = 0; i < 250; i++)
        strcat(name, "_sum");

    const struct mpx_metric *m = mpx_metric_of(intern(store, name, MPROXY_COUNTER, NULL));

    ck_assert_int_eq(m->family->suffix, MPX_SUFFIX_SUM);
    ck_assert_ptr_nonnull(m->family->stem);
    ck_assert_ptr_null(m->family->stem->stem);
    ck_assert_int_eq(m->family->stem->id, 1);
    mproxy_store_close(store);
}
END_TEST

START_TEST(families_that_sanitise_alike_share_their_text)
{
    mproxy_store *store = open_store();

    const struct mpx_metric *dot = mpx_metric_of(intern(store, "a.b{x=\"1\"}", 1, NULL));
    const struct mpx_metric *bar = mpx_metric_of(intern(store, "a_b", 1, NULL));

    ck_assert_ptr_ne(dot->family, bar->family);
    ck_assert_ptr_eq(dot->family->text, bar->family);
    ck_assert_str_eq(dot->text, "a_b{x=\"1\"}");
    ck_assert_ptr_eq(bar->text, bar->public.name);
    mproxy_store_close(store);
}
END_TEST

START_TEST(view_finds_every_entry_and_no_other)
{
    mproxy_store *store = open_store();
    char name[32];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "m%02d{x=\"y\"}", i);
        intern(store, name, MPROXY_COUNTER, NULL);
    }
    mproxy_view *view = new_view("main");
    const mproxy_metric *const *order = mproxy_store_metric_order(store);
    for (int i = 0; i < 100; i += 2)
        mproxy_view_add(view, &(mproxy_entry){.metric = order[i]});

    for (int i = 0; i < 100; i++) {
        mproxy_entry entry = {0};
        int found = mproxy_view_find(view, order[i]->name, &entry);
        ck_assert_int_eq(found, i % 2 == 0);
        ck_assert_ptr_eq(entry.metric, i % 2 ? NULL : order[i]);
    }

    ck_assert_int_eq(mproxy_view_size(view), 50);
    ck_assert(!mproxy_view_find(view, "m00", NULL));
    ck_assert(!mproxy_view_find(view, "", NULL));
    ck_assert_ptr_null(mproxy_view_at(view, 50).metric);
    mproxy_view_unref(view);
    mproxy_store_close(store);
}
END_TEST

START_TEST(first_snapshot_is_empty)
{
    mproxy_store *store = open_store();

    mproxy_snapshot *snapshot = mproxy_store_snapshot(store);

    ck_assert_int_eq(mproxy_snapshot_size(snapshot), 0);
    ck_assert_int_eq(mproxy_snapshot_sequence(snapshot), 0);
    ck_assert_ptr_null(mproxy_snapshot_find(snapshot, "main"));
    ck_assert_ptr_null(mproxy_snapshot_at(snapshot, 0));
    mproxy_snapshot_unref(snapshot);
    mproxy_store_close(store);
}
END_TEST

START_TEST(snapshot_keeps_order_and_finds_by_key)
{
    mproxy_store *store = open_store();
    const char *keys[] = {"main", "Node: h", "9", "10", ""};
    mproxy_view *views[5];
    for (int i = 0; i < 5; i++)
        views[i] = new_view(keys[i]);

    ck_assert_int_eq(mproxy_store_publish(store, views, 5, NULL), MPROXY_OK);

    mproxy_snapshot *snapshot = mproxy_store_snapshot(store);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_ptr_eq(mproxy_snapshot_at(snapshot, i), views[i]);
        ck_assert_ptr_eq(mproxy_snapshot_find(snapshot, keys[i]), views[i]);
        mproxy_view_unref(views[i]);
    }
    mproxy_snapshot_unref(snapshot);
    mproxy_store_close(store);
}
END_TEST

START_TEST(publish_refuses_two_views_of_one_key)
{
    mproxy_store *store = open_store();
    mproxy_view *views[] = {new_view("a"), new_view("b"), new_view("a")};

    mproxy_status status = mproxy_store_publish(store, views, 3, NULL);

    mproxy_snapshot *snapshot = mproxy_store_snapshot(store);
    ck_assert_int_eq(status, MPROXY_E_EXISTS);
    ck_assert_int_eq(mproxy_snapshot_size(snapshot), 0);
    mproxy_snapshot_unref(snapshot);
    for (int i = 0; i < 3; i++)
        mproxy_view_unref(views[i]);
    mproxy_store_close(store);
}
END_TEST

START_TEST(snapshot_outlives_later_publications_and_the_store)
{
    mproxy_store *store = open_store();
    mproxy_view *view = new_view("main");
    const mproxy_metric *metric = intern(store, "a", MPROXY_COUNTER, "Doc");
    mproxy_view_add(view, &(mproxy_entry){.metric = metric, .value = {.total = 3}});
    publish_one(store, view);
    mproxy_snapshot *held = mproxy_store_snapshot(store);

    publish_one(store, new_view("other"));
    mproxy_store_close(store);

    const mproxy_view *main_view = mproxy_snapshot_find(held, "main");
    ck_assert_str_eq(mproxy_metric_doc(mproxy_view_at(main_view, 0).metric), "Doc");
    ck_assert_double_eq(mproxy_view_at(main_view, 0).value.total, 3);
    mproxy_snapshot_unref(held);
}
END_TEST

// One writer publishes totals that agree within a snapshot; readers check that they do.
#define ROUNDS 300
#define SERIES 50

static void *read_snapshots(void *arg)
{
    mproxy_store *store = arg;
    uint64_t last = 0;
    while (last < ROUNDS) {
        mproxy_snapshot *s = mproxy_store_snapshot(store);
        uint64_t sequence = mproxy_snapshot_sequence(s);
        if (sequence < last)
            return "a snapshot went back";
        last = sequence;
        const mproxy_view *view = mproxy_snapshot_find(s, "main");
        for (size_t i = 0; view && i < mproxy_view_size(view); i++) {
            const mproxy_entry entry = mproxy_view_at(view, i);
            const char *doc = mproxy_metric_doc(entry.metric);
            if (entry.value.total != (double)sequence || (*doc && *doc != 'D'))
                return "a snapshot changed";
        }
        mproxy_snapshot_unref(s);
    }
    return NULL;
}

static void write_round(mproxy_store *store, int round)
{
    char name[32];
    mproxy_view *view = new_view("main");
    for (int i = 0; i < SERIES; i++) {
        snprintf(name, sizeof name, "m%d", round + i);
        intern(store, name, MPROXY_COUNTER, round % 2 ? "Doc" : NULL);
    }
    const mproxy_metric *const *order = mproxy_store_metric_order(store);
    for (size_t i = 0; i < mproxy_store_metric_count(store); i++)
        mproxy_view_add(view,
                        &(mproxy_entry){.metric = order[i], .value = {.total = round}});
    publish_one(store, view);
}

START_TEST(readers_see_whole_snapshots_while_the_writer_publishes)
{
    mproxy_store *store = open_store();
    pthread_t readers[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&readers[i], NULL, read_snapshots, store);

    for (int round = 1; round <= ROUNDS; round++)
        write_round(store, round);

    for (int i = 0; i < 3; i++) {
        void *fault = NULL;
        pthread_join(readers[i], &fault);
        ck_assert_msg(!fault, "%s", (const char *)fault);
    }
    mproxy_store_close(store);
}
END_TEST

struct renderer {
    int calls; // atomic
    size_t size;
    mproxy_status status;
};

static mproxy_status render_bytes(void *arg, const mproxy_snapshot *snapshot, void *body)
{
    (void)snapshot;
    struct renderer *r = arg;
    char piece[4096];
    memset(piece, 'x', sizeof piece);
    __atomic_add_fetch(&r->calls, 1, __ATOMIC_RELAXED);
    for (size_t left = r->size; left > 0;) {
        size_t n = left < sizeof piece ? left : sizeof piece;
        mproxy_status status = mpx_body_write(body, piece, n);
        if (status)
            return status;
        left -= n;
    }
    return r->status;
}

struct asker {
    mproxy_snapshot *snapshot;
    struct renderer *renderer;
    const char *bytes;
    size_t length;
};

static void *ask_for_body(void *arg)
{
    struct asker *a = arg;
    mproxy_status status = mpx_snapshot_body(a->snapshot, "GET /job", render_bytes,
                                             a->renderer, &a->bytes, &a->length);
    return status ? "no body" : NULL;
}

START_TEST(body_is_rendered_once_for_many_who_ask)
{
    mproxy_store *store = open_store();
    struct renderer renderer = {.size = 2000000};
    struct asker askers[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        askers[i] = (struct asker){mproxy_store_snapshot(store), &renderer, NULL, 0};
        pthread_create(&threads[i], NULL, ask_for_body, &askers[i]);
    }

    for (int i = 0; i < 4; i++) {
        void *fault = NULL;
        pthread_join(threads[i], &fault);
        ck_assert_ptr_null(fault);
    }

    ck_assert_int_eq(renderer.calls, 1);
    for (int i = 0; i < 4; i++) {
        ck_assert_ptr_eq(askers[i].bytes, askers[0].bytes);
        ck_assert_int_eq(askers[i].length, 2000000);
        mproxy_snapshot_unref(askers[i].snapshot);
    }
    mproxy_store_close(store);
}
END_TEST

START_TEST(body_past_its_bound_is_left_to_the_caller)
{
    mproxy_store *store = open_store();
    mproxy_snapshot *snapshot = mproxy_store_snapshot(store);
    struct renderer exact = {.size = MPX_BODY_MAX}, over = {.size = MPX_BODY_MAX + 1};
    const char *bytes = NULL;
    size_t length = 0;

    ck_assert_int_eq(
        mpx_snapshot_body(snapshot, "a", render_bytes, &exact, &bytes, &length),
        MPROXY_OK);
    ck_assert_int_eq(length, MPX_BODY_MAX);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(
            mpx_snapshot_body(snapshot, "b", render_bytes, &over, &bytes, &length),
            MPROXY_E_LIMIT);

    ck_assert_int_eq(over.calls, 1);
    mproxy_snapshot_unref(snapshot);
    mproxy_store_close(store);
}
END_TEST

START_TEST(body_that_failed_is_tried_again)
{
    mproxy_store *store = open_store();
    mproxy_snapshot *snapshot = mproxy_store_snapshot(store);
    struct renderer renderer = {.size = 5, .status = MPROXY_E_NOMEM};
    const char *bytes = NULL;
    size_t length = 0;

    ck_assert_int_eq(
        mpx_snapshot_body(snapshot, "a", render_bytes, &renderer, &bytes, &length),
        MPROXY_E_NOMEM);
    renderer.status = MPROXY_OK;
    ck_assert_int_eq(
        mpx_snapshot_body(snapshot, "a", render_bytes, &renderer, &bytes, &length),
        MPROXY_OK);

    ck_assert_int_eq(length, 5);
    ck_assert_int_eq(renderer.calls, 2);
    mproxy_snapshot_unref(snapshot);
    mproxy_store_close(store);
}
END_TEST

START_TEST(bodies_of_one_snapshot_are_bounded)
{
    mproxy_store *store = open_store();
    mproxy_snapshot *snapshot = mproxy_store_snapshot(store);
    struct renderer renderer = {.size = 1};
    const char *bytes = NULL;
    size_t length = 0;
    char key[200];
    for (int i = 0; i < MPX_BODY_KEYS_MAX; i++) {
        snprintf(key, sizeof key, "%d", i);
        ck_assert_int_eq(
            mpx_snapshot_body(snapshot, key, render_bytes, &renderer, &bytes, &length),
            MPROXY_OK);
    }

    ck_assert_int_eq(
        mpx_snapshot_body(snapshot, "new", render_bytes, &renderer, &bytes, &length),
        MPROXY_E_LIMIT);

    mproxy_snapshot_unref(snapshot);
    mproxy_store_close(store);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("store");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, store_interns_one_object_per_name);
    tcase_add_test(c, store_takes_labels_in_any_order_for_one_metric);
    tcase_add_test(c, store_keeps_the_first_doc_that_is_given);
    tcase_add_test(c, store_has_a_metric_for_each_type_of_a_name);
    tcase_add_test(c, store_reports_limit_past_max_metrics);
    tcase_add_test(c, store_refuses_a_bad_name);
    tcase_add_test(c, order_is_by_base_then_whole_name_after_every_growth);
    tcase_add_test(c, order_keeps_the_series_of_a_family_together);
    tcase_add_test(c, hostile_suffixes_make_two_families_not_hundreds);
    tcase_add_test(c, families_that_sanitise_alike_share_their_text);
    tcase_add_test(c, view_finds_every_entry_and_no_other);
    tcase_add_test(c, first_snapshot_is_empty);
    tcase_add_test(c, snapshot_keeps_order_and_finds_by_key);
    tcase_add_test(c, publish_refuses_two_views_of_one_key);
    tcase_add_test(c, snapshot_outlives_later_publications_and_the_store);
    tcase_add_test(c, readers_see_whole_snapshots_while_the_writer_publishes);
    tcase_add_test(c, body_is_rendered_once_for_many_who_ask);
    tcase_add_test(c, body_past_its_bound_is_left_to_the_caller);
    tcase_add_test(c, body_that_failed_is_tried_again);
    tcase_add_test(c, bodies_of_one_snapshot_are_bounded);
    Suite *suite = suite_create("store");
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
