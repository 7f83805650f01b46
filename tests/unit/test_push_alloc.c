// Pushes with each allocation failing in turn: refused, and nothing of them shown or kept.
#include "../support/chaos_alloc.h"
#include "../support/push_fixture.h"
#include "../support/suite.h"

static struct node node;

static mproxy_status push_all(void *arg)
{
    static const char *const pages[] = {"x 1\n# TYPE h histogram\nh_bucket{le=\"1\"} "
                                        "1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\n"
                                        "h_count 2\n",
                                        "x 2\n# TYPE y counter\ny 1\n", "x 3\n"};
    size_t deleted;
    (void)arg;
    node_clear(&node);
    mproxy_status status = node_try(&node);
    for (size_t i = 0; i < sizeof pages / sizeof *pages && !status; i++)
        status = take(&node, i == 1 ? "job/b" : "job/a", (mproxy_push_verb)(1 + i % 2),
                      pages[i]);
    if (!status)
        status = take(&node, "job/b", MPROXY_PUSH_SUM, "# TYPE y counter\ny 1\n");
    if (!status && mproxy_rounds_run(node.rounds, NULL) != MPROXY_OK)
        status = MPROXY_E_NOMEM;
    if (!status)
        status = mproxy_push_delete(node.push, "job/a", &deleted, NULL);
    node_stop(&node);
    if (!status)
        status = node_try(&node);
    if (!status && mproxy_rounds_run(node.rounds, NULL) != MPROXY_OK)
        status = MPROXY_E_NOMEM;
    node_stop(&node);
    // Conflicts of what an earlier failure has left out are no faults here.
    return status == MPROXY_E_SYSTEM ? MPROXY_E_NOMEM : status;
}

START_TEST(pushes_give_back_all_when_memory_runs_out)
{
    node_make(&node);

    ck_assert_uint_gt(chaos_each(push_all, NULL), 100);

    node_clear(&node);
    close(node.fd);
    rmdir(node.path);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("push without memory");
    TCase *tc = tcase_create("push");
    tcase_add_test(tc, pushes_give_back_all_when_memory_runs_out);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
