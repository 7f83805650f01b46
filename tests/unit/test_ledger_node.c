// The node's own metrics in the shares of the jobs that run there.

#include "../support/ledger_fixture.h"
#include "../support/suite.h"

enum { NET, LOAD, NODE_METRICS };

static struct fixture f;
static const mproxy_metric *metrics[NODE_METRICS + 1];
static mproxy_layout layout;
static mproxy_value values[NODE_METRICS + 1];

static void intern(void)
{
    mproxy_store_metric(f.store, "net_total", MPROXY_COUNTER, "", &metrics[NET], NULL);
    mproxy_store_metric(f.store, "load", MPROXY_GAUGE, "", &metrics[LOAD], NULL);
    layout = (mproxy_layout){.count = NODE_METRICS, .metrics = metrics};
}

static void setup(void)
{
    fixture_init(&f);
    intern();
}

static void teardown(void)
{
    fixture_fini(&f);
}

static void node_round(double net, double load, struct person *p)
{
    f.now += 1000;
    values[NET] = mproxy_value_counter(net, wall_us_at(f.now));
    values[LOAD] = mproxy_value_gauge(load, wall_us_at(f.now));
    round_begin(&f);
    if (p)
        mproxy_ledger_process(f.ledger, &p->process, NULL);
    ck_assert_int_eq(mproxy_ledger_node(f.ledger, &layout, values, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_ledger_round_end(f.ledger, NULL), MPROXY_OK);
}

static double in_share(const char *name)
{
    const mproxy_source *s = source_of(&f, 1);
    for (size_t i = 0; s && i < s->node_count; i++)
        if (strcmp(mproxy_metric_name(s->node_metrics[i]), name) == 0)
            return s->node_values[i].total;
    return -1;
}

START_TEST(the_nodes_metrics_are_a_source_of_their_own)
{
    node_round(100, 0.5, NULL);

    const mproxy_source *node = kind_of(&f, MPROXY_SOURCE_NODE, 0);
    ck_assert_double_eq(total_of(node, "net_total"), 100);
    ck_assert_double_eq(total_of(node, "load"), 0.5);
    ck_assert_str_eq(node->host, "n1");
}
END_TEST

START_TEST(a_share_counts_from_where_the_node_stood_when_it_began)
{
    struct person a;
    person_init(&f, &a, 1, "j");

    node_round(100, 0.5, &a);
    double first = in_share("net_total");
    node_round(130, 0.7, &a);

    ck_assert_double_eq(first, 0);
    ck_assert_double_eq(in_share("net_total"), 30);
    ck_assert_double_eq(in_share("load"), 0.7);
}
END_TEST

START_TEST(the_baseline_survives_a_restart)
{
    struct person a;
    person_init(&f, &a, 1, "j");
    node_round(100, 0.5, &a);
    node_round(130, 0.5, &a);

    fixture_restart(&f);
    intern();
    a.part.layout = &f.layout;
    node_round(170, 0.5, &a);

    ck_assert_double_eq(in_share("net_total"), 70);
}
END_TEST

START_TEST(a_node_counter_that_began_anew_does_not_step_back)
{
    struct person a;
    person_init(&f, &a, 1, "j");
    node_round(100, 0.5, &a);
    node_round(130, 0.5, &a);

    node_round(5, 0.5, &a);
    double then = in_share("net_total");
    node_round(9, 0.5, &a);

    ck_assert_double_eq(then, 30);
    ck_assert_double_eq(in_share("net_total"), 34);
}
END_TEST

START_TEST(after_the_last_process_nothing_is_added_and_the_seal_keeps_it)
{
    struct person a;
    person_init(&f, &a, 1, "j");
    node_round(100, 0.5, &a);
    node_round(130, 0.7, &a);
    person_end(&f, &a);
    node_round(135, 0.8, &a);

    for (int i = 0; i < 4; i++)
        node_round(500 + i, 9, NULL);
    fixture_restart(&f);
    idle_rounds(&f, 1);

    ck_assert_int_eq(source_of(&f, 1)->sealed, 1);
    ck_assert_double_eq(in_share("net_total"), 30);
    ck_assert_double_eq(in_share("load"), 0.7);
}
END_TEST

START_TEST(a_job_shorter_than_a_period_gets_the_latest_sample)
{
    struct person a;
    node_round(100, 0.5, NULL);
    person_init(&f, &a, 1, "j");
    person_end(&f, &a);

    node_round(110, 0.25, &a);

    ck_assert_double_eq(in_share("net_total"), 0);
    ck_assert_double_eq(in_share("load"), 0.25);
}
END_TEST

START_TEST(a_metric_that_appears_later_counts_from_its_first_sample)
{
    struct person a;
    mproxy_layout wider = {.count = NODE_METRICS + 1, .metrics = metrics};
    mproxy_store_metric(f.store, "disk_total", MPROXY_COUNTER, "", &metrics[NODE_METRICS],
                        NULL);
    person_init(&f, &a, 1, "j");
    node_round(100, 0.5, &a);

    for (int i = 0; i < 2; i++) {
        f.now += 1000;
        values[NODE_METRICS] = mproxy_value_counter(1000 + 50 * i, 1);
        round_begin(&f);
        mproxy_ledger_process(f.ledger, &a.process, NULL);
        mproxy_ledger_node(f.ledger, &wider, values, NULL);
        mproxy_ledger_round_end(f.ledger, NULL);
    }

    ck_assert_double_eq(in_share("disk_total"), 50);
}
END_TEST

// The node's metrics as they are while an interface is there, or without it.
static void round_with_interface(bool is_there, double bytes, struct person *p)
{
    static const mproxy_metric *more[NODE_METRICS + 3];
    static mproxy_value given[NODE_METRICS + 3];
    static mproxy_layout with;
    memcpy(more, metrics, NODE_METRICS * sizeof *more);
    memcpy(given, values, NODE_METRICS * sizeof *given);
    const char *const names[] = {"if_total", "if_errors_total", "if_speed"};
    for (int i = 0; i < 3; i++)
        mproxy_store_metric(f.store, names[i], i < 2 ? MPROXY_COUNTER : MPROXY_GAUGE, "",
                            &more[NODE_METRICS + i], NULL);
    given[NODE_METRICS] = mproxy_value_counter(bytes, wall_us_at(f.now));
    given[NODE_METRICS + 1] = mproxy_value_counter(7, wall_us_at(f.now));
    given[NODE_METRICS + 2] = mproxy_value_gauge(1000, wall_us_at(f.now));
    with = (mproxy_layout){.count = NODE_METRICS + 3, .metrics = more};
    f.now += 1000;
    round_begin(&f);
    mproxy_ledger_process(f.ledger, &p->process, NULL);
    ck_assert_int_eq(
        mproxy_ledger_node(f.ledger, is_there ? &with : &layout, given, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_ledger_round_end(f.ledger, NULL), MPROXY_OK);
}

START_TEST(of_an_interface_that_is_gone_what_was_counted_stays)
{
    struct person a;
    person_init(&f, &a, 1, "j");
    node_round(100, 0.5, &a);
    round_with_interface(true, 50, &a);
    round_with_interface(true, 80, &a);
    ck_assert_double_eq(in_share("if_total"), 30);
    ck_assert_double_eq(in_share("if_errors_total"), 0);
    ck_assert_double_eq(in_share("if_speed"), 1000);

    round_with_interface(false, 0, &a);

    ck_assert_double_eq(in_share("if_total"), 30);
    ck_assert_double_eq(in_share("if_errors_total"), -1);
    ck_assert_double_eq(in_share("if_speed"), -1);
    ck_assert_double_eq(in_share("load"), 0.5);
    round_with_interface(true, 90, &a);
    ck_assert_double_eq(in_share("if_total"), 40);
    ck_assert_double_eq(in_share("if_speed"), 1000);
}
END_TEST

START_TEST(an_absorbed_share_leaves_no_node_metrics_in_the_base)
{
    struct person a;
    person_init(&f, &a, 1, "j");
    node_round(100, 0.5, &a);
    person_end(&f, &a);
    node_round(130, 0.7, &a);
    idle_rounds(&f, 4);

    round_begin(&f);
    mproxy_ledger_release(f.ledger, 1);
    mproxy_ledger_round_end(f.ledger, NULL);

    const mproxy_source *base = base_of(&f);
    ck_assert_uint_eq(base->absorbed_count, 1);
    ck_assert_ptr_null(value_of(base, "net_total"));
    ck_assert_double_gt(total_of(base, "walltime"), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ledger_node");
    TCase *c = tcase_create("rules");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, the_nodes_metrics_are_a_source_of_their_own);
    tcase_add_test(c, a_share_counts_from_where_the_node_stood_when_it_began);
    tcase_add_test(c, the_baseline_survives_a_restart);
    tcase_add_test(c, a_node_counter_that_began_anew_does_not_step_back);
    tcase_add_test(c, after_the_last_process_nothing_is_added_and_the_seal_keeps_it);
    tcase_add_test(c, a_job_shorter_than_a_period_gets_the_latest_sample);
    tcase_add_test(c, a_metric_that_appears_later_counts_from_its_first_sample);
    tcase_add_test(c, of_an_interface_that_is_gone_what_was_counted_stays);
    tcase_add_test(c, an_absorbed_share_leaves_no_node_metrics_in_the_base);
    suite_add_tcase(s, c);
    return run_suite(s);
}
