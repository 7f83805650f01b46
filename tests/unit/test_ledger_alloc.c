// Memory that runs out anywhere in a round, in opening and in summing up: nothing is counted
// twice, nothing is lost, and a state is never taken for damaged.

#include "../support/ledger_fixture.h"

#include "../support/chaos_alloc.h"
#include "../support/suite.h"

enum { PEOPLE = 6 };

static struct fixture f;

static void setup(void)
{
    fixture_init(&f);
}

static void teardown(void)
{
    chaos_fail(0, false);
    fixture_fini(&f);
}

static mproxy_status open_again(void *arg)
{
    (void)arg;
    mproxy_store *store = NULL;
    mproxy_ledger *ledger = NULL;
    mproxy_ledger_options options = {
        .struct_size = sizeof options, .host = "n1", .discard_damaged = 1};
    mproxy_status status = mproxy_store_open(NULL, &store, NULL);
    if (status == MPROXY_OK)
        status = mproxy_ledger_open(f.fd, store, &options, &ledger, NULL);
    mproxy_ledger_close(ledger);
    mproxy_store_close(store);
    return status;
}

START_TEST(opening_without_memory_fails_and_discards_nothing)
{
    struct person a;
    uint8_t directory[16];
    person_start(&f, &a, 1, "j", 3);
    person_end(&f, &a);
    ROUND(&f, &a);
    memcpy(directory, mproxy_ledger_directory(f.ledger), 16);

    size_t allocations = chaos_each(open_again, NULL);

    fixture_restart(&f);
    idle_rounds(&f, 1);
    ck_assert_uint_gt(allocations, 10);
    ck_assert_mem_eq(mproxy_ledger_directory(f.ledger), directory, 16);
    ck_assert_double_eq(total_of(source_of(&f, 1), "hits_total"), 3);
    ck_assert_int_ne(faccessat(f.fd, "ledger.damaged-1", F_OK, 0), 0);
}
END_TEST

// A job's life with the n-th allocation failing: every process is handed over until it is
// pending, as collect does.
static bool live_through(size_t n, bool all, double *got, size_t *absorbed)
{
    static struct person people[PEOPLE];
    bool failed = false;
    for (int i = 0; i < PEOPLE; i++) {
        person_init(&f, &people[i], (uint64_t)i + 1, i % 3 ? "j" : "");
        people[i].process.rank = (uint32_t)i;
        people[i].process.uncounted = i == 4 ? 2 : 0;
        person_count(&people[i], HITS, 1 + i);
        person_set(&people[i], i);
    }
    chaos_fail(n, all);
    for (int r = 0; r < 14; r++) {
        f.now += 1000;
        if (r == 8) {
            failed = chaos_has_failed();
            chaos_fail(0, false);
        }
        round_begin(&f);
        for (int i = 0; i < PEOPLE; i++) {
            if (r == 2 + i % 2)
                person_end(&f, &people[i]);
            if (!mproxy_ledger_is_pending(f.ledger, people[i].name))
                (void)mproxy_ledger_process(f.ledger, &people[i].process, NULL);
        }
        (void)mproxy_ledger_release(f.ledger, 1);
        (void)mproxy_ledger_round_end(f.ledger, NULL);
    }
    const mproxy_source *base = base_of(&f);
    *got = total_of(base, "hits_total");
    *absorbed = base->absorbed_count;
    for (uint64_t s = 1; s < 8; s++)
        if (source_of(&f, s))
            *got += total_of(source_of(&f, s), "hits_total");
    return failed;
}

START_TEST(a_round_without_memory_counts_all_or_nothing)
{
    size_t failures = 0;
    for (size_t n = 1; n < 400; n++) {
        double got = 0;
        size_t absorbed = 0;
        fixture_fini(&f);
        fixture_init(&f);
        failures += live_through(n, n % 2, &got, &absorbed);
        chaos_fail(0, false);
        ck_assert_msg(got == 21 && absorbed >= 1,
                      "allocation %zu: %g of 21, %zu absorbed", n, got, absorbed);
    }
    ck_assert_uint_gt(failures, 50);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ledger_alloc");
    TCase *c = tcase_create("memory");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, opening_without_memory_fails_and_discards_nothing);
    tcase_add_test(c, a_round_without_memory_counts_all_or_nothing);
    suite_add_tcase(s, c);
    return run_suite(s);
}
