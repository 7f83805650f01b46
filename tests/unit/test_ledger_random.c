// The single-directory part of the protocol's model, on the real ledger and a real directory:
// processes start, count and end at random, the proxy is killed at random and at every crash
// point, the state file cannot be written at times. In the end every count must be there
// once, in the share of its run.
//
// MPROXY_SEED=n replays one scenario, MPROXY_SEEDS=n runs that many.

#include <mproxy/reduction.h>

#include "../support/ledger_fixture.h"
#include "../support/suite.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum {
    SLOW = 40,    // linger, in milliseconds of the scenario
    BACK = 300,   // continue
    LIVES = 45,   // of the proxy, per scenario
    PEOPLE = 600, // most processes of a scenario
    RUNS = 200,
    SHARES = 400,
    JOBS = 4, // the first is none
};

static const char *const job_ids[JOBS] = {"", "j1", "j2", "j3"};
static const char *const crash_points[] = {"ledger.written", "ledger.renamed",
                                           "fold.unlinking", "fold.unlinked",
                                           "release.absorbed"};

struct being { // a process; survives the proxy
    int job, run;
    uint32_t rank;
    int64_t start, end;
    double values[METRICS];
    bool alive, killed, exists; // exists: its segment does
    uint64_t version;
};

struct run {
    int job;
    int64_t start, end;
    int64_t seen; // the proxy has taken the end of one that was killed for no later time
};

struct stored { // a share as a profile keeps it
    bool is;
    int job;
    int64_t start_ms;
    double values[METRICS], hits;
    double rank_sum;
};

struct world { // in shared memory
    uint64_t rng, seed;
    int64_t now;
    int people, runs, current[JOBS];
    struct being being[PEOPLE];
    struct run run[RUNS];
    struct stored stored[SHARES];
    double shown[METRICS]; // of main, over all lives of the proxy
    bool is_quiet;
    uint64_t rounds, failed_rounds, crashes;
    char failure[256];
};

static struct world *w;
static struct fixture f;
static mproxy_reduction *reduction;

static uint64_t random_below(uint64_t n)
{
    w->rng ^= w->rng << 13;
    w->rng ^= w->rng >> 7;
    w->rng ^= w->rng << 17;
    return (w->rng >> 11) % n;
}

static bool chance(int percent)
{
    return random_below(100) < (uint64_t)percent;
}

#define REQUIRE(condition, ...)                                                          \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            snprintf(w->failure, sizeof w->failure, __VA_ARGS__);                        \
            _exit(3);                                                                    \
        }                                                                                \
    } while (0)

// ---- what happens on the node

// Whether the job id may be used by another run: the last is over for long enough. When a
// killed process ended nobody can say; that is the time when the proxy has found it ended.
static bool may_come_back(const struct run *run, int index)
{
    for (int i = 0; i < w->people; i++) {
        const struct being *b = &w->being[i];
        if (b->run == index && (b->alive || (b->killed && b->exists)))
            return false;
    }
    return w->now > (run->end > run->seen ? run->end : run->seen) + BACK + 50;
}

static int run_of_job(int job)
{
    int current = w->current[job];
    if (current >= 0 && w->now <= w->run[current].end + SLOW / 4)
        return current;
    if (current >= 0) {
        bool alive = false;
        for (int i = 0; i < w->people; i++)
            alive |= w->being[i].run == current && w->being[i].alive;
        if (alive)
            return current;
        if (!may_come_back(&w->run[current], current))
            return -1;
    }
    if (w->runs == RUNS)
        return -1;
    w->run[w->runs] = (struct run){.job = job, .start = w->now, .end = w->now};
    return w->current[job] = w->runs++;
}

static void start_process(void)
{
    int job = (int)random_below(JOBS);
    int run = job ? run_of_job(job) : -1;
    if (w->people == PEOPLE || (job && run < 0))
        return;
    w->being[w->people++] = (struct being){.job = job,
                                           .run = run,
                                           .rank = (uint32_t)random_below(3),
                                           .start = w->now,
                                           .values = {[LEVEL] = NAN},
                                           .alive = true,
                                           .exists = true};
}

static void end_process(struct being *b)
{
    b->alive = false;
    b->end = w->now;
    b->killed = chance(40);
    if (b->run >= 0 && w->run[b->run].end < w->now)
        w->run[b->run].end = w->now;
}

static void count_process(struct being *b)
{
    b->values[HITS] += 1 + (double)random_below(9);
    b->values[BYTES] += 0.1;
    if (chance(10))
        b->values[LEVEL] = (double)random_below(100);
    b->version++;
}

static void step(void)
{
    w->now++;
    if (w->is_quiet)
        return;
    if (chance(4))
        start_process();
    if (w->people == 0)
        return;
    struct being *b =
        &w->being[w->people - 1 -
                  (int)random_below((uint64_t)(w->people < 12 ? w->people : 12))];
    if (b->alive && chance(8))
        end_process(b);
    else if (b->alive)
        count_process(b);
}

static void steps(uint64_t count)
{
    while (count-- > 0)
        step();
}

// ---- the proxy, in a child

static double truth(int column, int job)
{
    double sum = 0;
    for (int i = 0; i < w->people; i++)
        if (job < 0 || w->being[i].job == job)
            sum += w->being[i].values[column];
    return sum;
}

static int gone(void *arg, const char *segment)
{
    int i = atoi(segment);
    (void)arg;
    if (!w->is_quiet && chance(5))
        return 0; // an unlink that fails is tried again
    struct being *b = &w->being[i];
    b->exists = false;
    if (b->run >= 0 && b->killed)
        w->run[b->run].seen = w->now;
    return 1;
}

static void scan(struct person *people)
{
    for (int i = 0; i < w->people; i++) {
        struct being *b = &w->being[i];
        struct person *p = &people[i];
        char name[32];
        snprintf(name, sizeof name, "%d.seg", i);
        if (!b->exists || mproxy_ledger_is_pending(f.ledger, name))
            continue;
        bool final = !b->alive; // the lock first, values after
        steps(random_below(2));
        person_init(&f, p, (uint64_t)i + 1, job_ids[b->job]);
        memcpy(p->values, b->values, sizeof p->values);
        snprintf(p->name, sizeof p->name, "%s", name);
        p->process.rank = b->rank;
        p->process.version = b->version;
        p->process.start_boot_ms = b->start;
        p->process.start_wall_ms = (int64_t)(wall_us_at(b->start) / 1000);
        p->process.final = final;
        if (final && !b->killed)
            p->process.end_wall_ms = (int64_t)(wall_us_at(b->end) / 1000);
        REQUIRE(mproxy_ledger_process(f.ledger, &p->process, NULL) == MPROXY_OK,
                "process");
    }
}

static void store(const mproxy_source *s)
{
    REQUIRE(s->number < SHARES, "share %llu", (unsigned long long)s->number);
    struct stored now = {.is = true, .start_ms = s->start_ms};
    for (int j = 1; j < JOBS; j++)
        if (strcmp(job_ids[j], s->job->jobid) == 0)
            now.job = j;
    now.values[HITS] = total_of(s, "hits_total");
    now.values[BYTES] = total_of(s, "bytes_total");
    now.values[LEVEL] = total_of(s, "level");
    now.hits = value_of(s, "level")->hits;
    now.rank_sum = ranks_of(s, "hits_total")->sum;
    REQUIRE(now.rank_sum == now.values[HITS], "ranks of share %llu: %g of %g",
            (unsigned long long)s->number, now.rank_sum, now.values[HITS]);
    struct stored *before = &w->stored[s->number];
    REQUIRE(!before->is || before->values[HITS] == now.values[HITS],
            "share %llu changed after it was sealed", (unsigned long long)s->number);
    *before = now;
}

// The root's word, as it is given: only for what is sealed and stored.
static void release_some(void)
{
    const mproxy_source *const *sources;
    size_t count = mproxy_ledger_sources(f.ledger, &sources);
    for (size_t i = 0; i < count; i++) {
        if (!sources[i]->sealed || !(w->is_quiet || chance(30)))
            continue;
        store(sources[i]);
        mproxy_ledger_release(f.ledger, sources[i]->number);
    }
}

static void show(void)
{
    const mproxy_source *const *sources;
    size_t count = mproxy_ledger_sources(f.ledger, &sources);
    mproxy_error err = {0};
    for (size_t i = 0; i < count; i++)
        REQUIRE(mproxy_reduction_put(reduction, sources[i], &err) == MPROXY_OK, "put: %s",
                err.text);
    if (count == 0)
        return;
    REQUIRE(mproxy_reduction_publish(reduction, &err) == MPROXY_OK, "publish: %s",
            err.text);
    mproxy_reduction_stats stats = {.struct_size = sizeof stats};
    mproxy_reduction_get_stats(reduction, &stats);
    REQUIRE(stats.steps_back == 0, "a counter stepped back");
}

static void check_shown(void)
{
    mproxy_snapshot *s = mproxy_store_snapshot(f.store);
    for (size_t i = 0; i < mproxy_snapshot_size(s); i++) {
        const mproxy_view *view = mproxy_snapshot_at(s, i);
        mproxy_entry e;
        double now = mproxy_view_find(view, "hits_total", &e) ? e.value.total : 0;
        if (i == 0) {
            REQUIRE(now >= w->shown[HITS], "main steps back from %g to %g",
                    w->shown[HITS], now);
            w->shown[HITS] = now;
            REQUIRE(now <= truth(HITS, -1), "main shows %g of %g", now, truth(HITS, -1));
        }
        for (int j = 1; j < JOBS; j++)
            REQUIRE(strcmp(mproxy_view_key(view), job_ids[j]) != 0 ||
                        now <= truth(HITS, j),
                    "%s shows %g of %g", job_ids[j], now, truth(HITS, j));
    }
    mproxy_snapshot_unref(s);
}

static void one_round(struct person *people)
{
    mproxy_ledger_round_begin(f.ledger, w->now, wall_us_at(w->now));
    scan(people);
    release_some();
    mproxy_status status = mproxy_ledger_round_end(f.ledger, NULL);
    REQUIRE(status == MPROXY_OK || status == MPROXY_E_SYSTEM, "round: %d", status);
    w->rounds++;
    w->failed_rounds += status != MPROXY_OK;
    show();
    check_shown();
    mproxy_ledger_unlink_pending(f.ledger, gone, NULL);
}

// A directory under the spare's name is a state file that cannot be written.
static void block_writes(bool block)
{
    if (block) {
        unlinkat(f.fd, "spare", 0);
        mkdirat(f.fd, "spare", 0700);
    } else
        unlinkat(f.fd, "spare", AT_REMOVEDIR);
}

static void open_proxy(void)
{
    mproxy_ledger_options options = {.struct_size = sizeof options,
                                     .host = "n1",
                                     .linger_ms = SLOW,
                                     .continue_ms = BACK};
    mproxy_error err = {0};
    fixture_store(&f);
    REQUIRE(mproxy_ledger_open(f.fd, f.store, &options, &f.ledger, &err) == MPROXY_OK,
            "open: %s", err.text);
    REQUIRE(mproxy_reduction_new(f.store, &reduction, &err) == MPROXY_OK, "reduction");
    mproxy_reduction_set_continue(reduction, BACK);
    mproxy_ledger_unlink_pending(f.ledger, gone, NULL);
}

static void close_proxy(struct person *people)
{
    mproxy_reduction_free(reduction);
    mproxy_ledger_close(f.ledger);
    mproxy_store_close(f.store);
    free(people);
}

static void life(uint64_t rounds)
{
    struct person *people = calloc(PEOPLE, sizeof *people);
    open_proxy();
    for (uint64_t i = 0; i < rounds; i++) {
        if (!w->is_quiet && chance(6))
            block_writes(chance(50));
        if (w->is_quiet)
            block_writes(false);
        f.now = w->now;
        one_round(people);
        steps(w->is_quiet ? SLOW : random_below(25));
    }
    close_proxy(people);
}

// ---- the test

static void run_life(uint64_t rounds)
{
    char crash[64] = "";
    if (!w->is_quiet && chance(85))
        snprintf(crash, sizeof crash, "%s:%d", crash_points[random_below(5)],
                 1 + (int)random_below(5));
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        setenv("MPROXY_CRASH_AT", crash, 1);
        life(rounds);
        _exit(0);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0)
        ck_assert_int_eq(errno, EINTR);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        w->crashes++;
    else
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "seed %llu: %s (%d)",
                      (unsigned long long)w->seed, w->failure, status);
    block_writes(false);
}

static void check_run(int index)
{
    const struct run *run = &w->run[index];
    double got[METRICS + 1] = {0}, want[METRICS + 1] = {0};
    for (int i = 0; i < SHARES; i++) {
        const struct stored *s = &w->stored[i];
        int64_t start = s->start_ms - (int64_t)(boot_wall_us / 1000);
        if (!s->is || s->job != run->job || start < run->start || start > run->end)
            continue;
        for (int c = 0; c < METRICS; c++)
            got[c] += s->values[c];
        got[METRICS] += s->hits;
    }
    for (int i = 0; i < w->people; i++) {
        const struct being *b = &w->being[i];
        for (int c = 0; b->run == index && c < METRICS; c++)
            want[c] += isnan(b->values[c]) ? 0 : b->values[c];
        want[METRICS] += b->run == index && !isnan(b->values[LEVEL]);
    }
    for (int c = 0; c <= METRICS; c++)
        ck_assert_msg(fabs(got[c] - want[c]) <= (c == BYTES ? 1e-9 * want[c] : 0),
                      "seed %llu: run %d of %s, column %d: stored %g of %g",
                      (unsigned long long)w->seed, index, job_ids[run->job], c, got[c],
                      want[c]);
}

static void check_end(void)
{
    for (int i = 0; i < w->people; i++)
        ck_assert_msg(!w->being[i].exists, "seed %llu: %d.seg is still there",
                      (unsigned long long)w->seed, i);
    for (int i = 0; i < w->runs; i++)
        check_run(i);
    open_proxy();
    round_begin(&f);
    mproxy_ledger_round_end(f.ledger, NULL);
    const mproxy_source *const *sources;
    size_t count = mproxy_ledger_sources(f.ledger, &sources);
    ck_assert_msg(count == 1, "seed %llu: %zu shares are left",
                  (unsigned long long)w->seed, count - 1);
    double total = total_of(sources[0], "hits_total");
    ck_assert_msg(total == truth(HITS, -1), "seed %llu: the base ends at %g of %g",
                  (unsigned long long)w->seed, total, truth(HITS, -1));
    close_proxy(NULL);
}

static void scenario(uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->seed = seed;
    w->rng = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    w->now = 1000;
    for (int i = 0; i < JOBS; i++)
        w->current[i] = -1;
    f = (struct fixture){0};
    snprintf(f.path, sizeof f.path, "/tmp/mproxy-random-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f.path));
    f.fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < LIVES; i++) {
        steps(random_below(60)); // nobody watches
        run_life(1 + random_below(12));
    }
    w->is_quiet = true;
    for (int i = 0; i < w->people; i++)
        if (w->being[i].alive)
            end_process(&w->being[i]);
    run_life(12);
    check_end();
    unlinkat(f.fd, "ledger", 0);
    unlinkat(f.fd, "spare", 0);
    close(f.fd);
    rmdir(f.path);
}

START_TEST(every_count_arrives_once_whatever_is_killed_when)
{
    const char *one = getenv("MPROXY_SEED"), *many = getenv("MPROXY_SEEDS");
    uint64_t first = 0, count = one ? 1 : many ? strtoull(many, NULL, 10) : 40;
    uint64_t rounds = 0, failed = 0, crashes = 0;
    if (one)
        first = strtoull(one, NULL, 10);
    else
        ck_assert_int_eq(getrandom(&first, 4, 0), 4);
    w = mmap(NULL, sizeof *w, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(w, MAP_FAILED);
    printf("seeds %llu to %llu\n", (unsigned long long)first,
           (unsigned long long)(first + count - 1));
    fflush(stdout);

    for (uint64_t i = 0; i < count; i++) {
        scenario(first + i);
        rounds += w->rounds;
        failed += w->failed_rounds;
        crashes += w->crashes;
    }

    printf("%llu rounds, %llu not written, %llu crashes; the last had %d processes in %d "
           "runs\n",
           (unsigned long long)rounds, (unsigned long long)failed,
           (unsigned long long)crashes, w->people, w->runs);
#ifdef MPROXY_TEST_HOOKS
    ck_assert_uint_gt(crashes, 0);
#endif
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ledger_random");
    TCase *c = tcase_create("scenarios");
    tcase_set_timeout(c, 0);
    tcase_add_test(c, every_count_arrives_once_whatever_is_killed_when);
    suite_add_tcase(s, c);
    return run_suite(s);
}
