// The ledger's and the reduction's part of a round: 128 processes of 1,000 counters, none, a
// tenth and all of them changed, beside one plain dense sum of the same arrays; many short
// processes; the state file. Then a root in one process and without a network: directories of
// 300 metrics of a node each and one job of 100 metrics over all of them, of which 30 % of the
// values change each round; a child process for each number of directories, so that the
// memory is its own.

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <mproxy/ledger.h>
#include <mproxy/reduction.h>

#include "store/metric.h"

enum {
    PROCESSES = 128,
    COUNTERS = 1000,
    ROUNDS = 200,
    SHORT = 2000,
    SHORT_COUNTERS = 16,
    NODE_METRICS = 300,
    JOB_METRICS = 100,
    ROOT_ROUNDS = 15
};

static mproxy_store *store;
static mproxy_ledger *ledger;
static mproxy_reduction *reduction;
static char path[64];
static int64_t now_ms = 1000000;
static mproxy_job job = {.jobid = "bench",
                         .command = "./a",
                         .nodelist = "",
                         .partition = "",
                         .cluster = "",
                         .run_dir = "",
                         .size = PROCESSES};

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void require(mproxy_status status, const char *what)
{
    if (status == MPROXY_OK)
        return;
    fprintf(stderr, "bench_reduce: %s: %s\n", what, mproxy_status_text(status));
    exit(1);
}

static void open_all(void)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(path, sizeof path, "%s/mproxy-bench-XXXXXX", base);
    if (!mkdtemp(path))
        exit(1);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mproxy_ledger_options options = {.struct_size = sizeof options,
                                     .host = "bench",
                                     .linger_ms = 2000,
                                     .continue_ms = 600000};
    require(mproxy_store_open(NULL, &store, NULL), "store");
    require(mproxy_ledger_open(fd, store, &options, &ledger, NULL), "ledger");
    require(mproxy_reduction_new(store, &reduction, NULL), "reduction");
    close(fd);
}

static void close_all(void)
{
    char name[96];
    mproxy_reduction_free(reduction);
    mproxy_ledger_close(ledger);
    mproxy_store_close(store);
    snprintf(name, sizeof name, "%s/ledger", path);
    unlink(name);
    snprintf(name, sizeof name, "%s/spare", path);
    unlink(name);
    rmdir(path);
}

static mproxy_layout make_layout(size_t count, const char *prefix)
{
    const mproxy_metric **metrics = calloc(count, sizeof *metrics);
    for (size_t i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s___hits___function_%zu", prefix, i);
        require(mproxy_store_metric(store, name, MPROXY_COUNTER,
                                    "Number of function calls", &metrics[i], NULL),
                "metric");
    }
    return (mproxy_layout){.count = count, .metrics = metrics};
}

struct actor {
    mproxy_process process;
    mproxy_part part;
    char name[32];
    const char *names[1];
};

static void make_actor(struct actor *a, uint64_t key, const mproxy_layout *layout,
                       const double *values)
{
    memset(a, 0, sizeof *a);
    snprintf(a->name, sizeof a->name, "%llu-1700000000-0.seg", (unsigned long long)key);
    a->names[0] = a->name;
    a->part = (mproxy_part){.layout = layout, .values = values};
    a->process = (mproxy_process){.struct_size = sizeof a->process,
                                  .job = &job,
                                  .uid = 1000,
                                  .rank = (uint32_t)(key % PROCESSES),
                                  .key = key,
                                  .start_boot_ms = now_ms,
                                  .start_wall_ms = now_ms,
                                  .part_count = 1,
                                  .parts = &a->part,
                                  .segment_count = 1,
                                  .segments = a->names};
}

static void show(void)
{
    const mproxy_source *const *sources;
    size_t count = mproxy_ledger_sources(ledger, &sources);
    for (size_t i = 0; i < count; i++)
        require(mproxy_reduction_put(reduction, sources[i], NULL), "put");
    require(mproxy_reduction_publish(reduction, NULL), "publish");
}

struct cost {
    double round, show;
};

static struct cost one_round(struct actor *actors, size_t count)
{
    now_ms += 1000;
    double start = cpu_us();
    mproxy_ledger_round_begin(ledger, now_ms, (uint64_t)now_ms * 1000);
    for (size_t i = 0; i < count; i++)
        require(mproxy_ledger_process(ledger, &actors[i].process, NULL), "process");
    require(mproxy_ledger_round_end(ledger, NULL), "round");
    double middle = cpu_us();
    show();
    return (struct cost){middle - start, cpu_us() - middle};
}

static int gone(void *arg, const char *segment)
{
    (void)arg;
    (void)segment;
    return 1;
}

static void change(struct actor *actors, double (*values)[COUNTERS], int percent)
{
    for (int p = 0; p < PROCESSES * percent / 100; p++) {
        for (int i = 0; i < COUNTERS; i++)
            values[p][i] += 1;
        actors[p].process.version++;
    }
}

static double plain_sum(double (*values)[COUNTERS])
{
    static volatile double sink;
    static double sums[COUNTERS];
    double start = cpu_us();
    memset(sums, 0, sizeof sums);
    for (int p = 0; p < PROCESSES; p++)
        for (int i = 0; i < COUNTERS; i++)
            sums[i] += values[p][i];
    sink = sums[COUNTERS - 1];
    (void)sink;
    return cpu_us() - start;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static void bench_rounds(struct actor *actors, double (*values)[COUNTERS], int percent)
{
    double round[ROUNDS], shown[ROUNDS], plain[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        change(actors, values, percent);
        plain[i] = plain_sum(values);
        struct cost cost = one_round(actors, PROCESSES);
        round[i] = cost.round;
        shown[i] = cost.show;
    }
    printf("{\"bench\":\"reduce.round\",\"processes\":%d,\"counters\":%d,"
           "\"changed_percent\":%d,\"ledger_us\":%.1f,\"put_and_publish_us\":%.1f,"
           "\"plain_sum_us\":%.1f}\n",
           PROCESSES, COUNTERS, percent, median(round, ROUNDS), median(shown, ROUNDS),
           median(plain, ROUNDS));
}

static void bench_short(void)
{
    mproxy_layout layout = make_layout(SHORT_COUNTERS, "process");
    struct actor *actors = calloc(SHORT, sizeof *actors);
    double values[SHORT_COUNTERS] = {1, 2, 3};
    double folds[9], unlinks[9];
    for (uint64_t r = 0; r < 9; r++) {
        for (uint64_t i = 0; i < SHORT; i++) {
            make_actor(&actors[i], 1000000 + r * SHORT + i, &layout, values);
            actors[i].process.final = 1;
            actors[i].process.end_wall_ms = now_ms + 5;
        }
        struct cost cost = one_round(actors, SHORT);
        folds[r] = cost.round;
        double start = cpu_us();
        mproxy_ledger_unlink_pending(ledger, gone, NULL);
        unlinks[r] = cpu_us() - start;
    }
    printf(
        "{\"bench\":\"reduce.folds\",\"processes\":%d,\"counters\":%d,\"ledger_us\":%.1f,"
        "\"forget_us\":%.1f,\"percent_of_a_core_at_one_round_per_second\":%.3f}\n",
        SHORT, SHORT_COUNTERS, median(folds, 9), median(unlinks, 9),
        (median(folds, 9) + median(unlinks, 9)) / 1e4);
    free(actors);
    free((void *)layout.metrics);
}

// All processes end: their ranks are in the state file until the share is sealed.
static void bench_state(struct actor *actors)
{
    mproxy_ledger_stats before = {.struct_size = sizeof before}, after = before;
    for (int p = 0; p < PROCESSES; p++)
        actors[p].process.final = 1;
    double end_us = one_round(actors, PROCESSES).round;
    mproxy_ledger_get_stats(ledger, &before);
    one_round(actors, 0);
    one_round(actors, 0);
    double seal_us = one_round(actors, 0).round;
    mproxy_ledger_get_stats(ledger, &after);
    printf(
        "{\"bench\":\"reduce.state\",\"ranks\":%d,\"counters\":%d,\"state_bytes\":%llu,"
        "\"fold_and_write_us\":%.1f,\"sealed_bytes\":%llu,\"seal_and_write_us\":%.1f}\n",
        PROCESSES, COUNTERS, (unsigned long long)before.state_bytes, end_us,
        (unsigned long long)after.state_bytes, seal_us);
}

static double resident_mib(void)
{
    unsigned long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f || fscanf(f, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1048576;
}

static void intern_mixed(const char *prefix, size_t count, const mproxy_metric **out)
{
    for (size_t i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s_%zu%s", prefix, i, i % 3 ? "_total" : "");
        require(mproxy_store_metric(store, name, i % 3 ? MPROXY_COUNTER : MPROXY_GAUGE,
                                    "A metric", &out[i], NULL),
                "metric");
    }
}

// How often a value of this phase has changed: three rounds of ten change it.
static double changes(uint64_t round, uint64_t phase)
{
    uint64_t at = round + phase;
    return (double)(at / 10 * 3 + (at % 10 < 3 ? at % 10 + 1 : 3));
}

static bool is_changed(uint64_t round, uint64_t phase)
{
    return (round + phase) % 10 < 3;
}

static uint64_t phase_of(uint64_t directory, uint64_t metric)
{
    return (directory * 3 + metric * 7) % 10;
}

static mproxy_value value_at(uint64_t d, uint64_t i, uint64_t round, mproxy_type type)
{
    uint64_t changed = round, phase = phase_of(d, i);
    while (changed > 0 && !is_changed(changed, phase))
        changed--;
    double value = (double)(d + i) + changes(round, phase);
    return type == MPROXY_GAUGE ? mproxy_value_gauge(value, changed + 1)
                                : mproxy_value_counter(value, changed + 1);
}

static void make_values(uint64_t d, uint64_t round, const mproxy_metric *const *metrics,
                        size_t count, mproxy_value *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = value_at(d, i, round, metrics[i]->type);
}

struct root {
    const mproxy_metric *node[NODE_METRICS], *job[JOB_METRICS];
    mproxy_value values[NODE_METRICS];
    mproxy_job desc;
    uint32_t slots[NODE_METRICS];
    bool by_change; // or each state whole
    double put_ms, publish_ms;
};

static mproxy_source source_at(struct root *root, uint64_t d, uint64_t round, bool share)
{
    static char host[24];
    snprintf(host, sizeof host, "n%05llu", (unsigned long long)d);
    mproxy_source s = {.struct_size = sizeof s,
                       .kind = share ? MPROXY_SOURCE_SHARE : MPROXY_SOURCE_NODE,
                       .number = share,
                       .epoch = 1,
                       .sequence = round + 1,
                       .host = host,
                       .count = share ? JOB_METRICS : NODE_METRICS,
                       .metrics = share ? root->job : root->node,
                       .values = root->values};
    memcpy(s.directory, &d, sizeof d);
    if (share) {
        s.job = &root->desc;
        s.uid = 1000;
        s.start_ms = 1000;
        s.end_ms = 1000 + (int64_t)round;
    }
    return s;
}

static void put_whole(struct root *root, mproxy_source *s, uint64_t d, uint64_t round)
{
    make_values(d, round, s->metrics, s->count, root->values);
    double start = cpu_us();
    require(mproxy_reduction_put(reduction, s, NULL), "put");
    root->put_ms += (cpu_us() - start) / 1e3;
}

static void put_change(struct root *root, mproxy_source *s, uint64_t d, uint64_t round)
{
    mproxy_change change = {
        .struct_size = sizeof change, .source = s, .from = round, .slots = root->slots};
    for (uint32_t i = 0; i < s->count; i++)
        if (is_changed(round, phase_of(d, i))) {
            root->slots[change.count] = i;
            root->values[change.count++] = value_at(d, i, round, s->metrics[i]->type);
        }
    change.values = root->values;
    double start = cpu_us();
    require(mproxy_reduction_apply(reduction, &change, NULL), "apply");
    root->put_ms += (cpu_us() - start) / 1e3;
}

static void put_all(struct root *root, uint64_t directories, uint64_t round)
{
    for (uint64_t d = 0; d < directories; d++) {
        for (int share = 0; share < 2; share++) {
            mproxy_source s = source_at(root, d, round, share);
            (root->by_change && round > 0 ? put_change : put_whole)(root, &s, d, round);
        }
    }
    double start = cpu_us();
    require(mproxy_reduction_publish(reduction, NULL), "publish");
    root->publish_ms = (cpu_us() - start) / 1e3;
}

static void bench_root(uint64_t directories, bool by_change)
{
    static struct root root;
    double put[ROOT_ROUNDS], publish[ROOT_ROUNDS];
    root.desc = job;
    root.by_change = by_change;
    require(mproxy_store_open(NULL, &store, NULL), "store");
    require(mproxy_reduction_new(store, &reduction, NULL), "reduction");
    intern_mixed("node", NODE_METRICS, root.node);
    intern_mixed("job", JOB_METRICS, root.job);
    double before = resident_mib();
    put_all(&root, directories, 0);
    double first_ms = root.put_ms + root.publish_ms;
    for (uint64_t r = 0; r < ROOT_ROUNDS; r++) {
        root.put_ms = 0;
        put_all(&root, directories, r + 1);
        put[r] = root.put_ms;
        publish[r] = root.publish_ms;
    }
    double mib = resident_mib() - before, put_ms = median(put, ROOT_ROUNDS),
           publish_ms = median(publish, ROOT_ROUNDS);
    printf("{\"bench\":\"reduce.root\",\"directories\":%llu,\"told\":\"%s\","
           "\"mib\":%.1f,"
           "\"kib_per_directory\":%.2f,\"first_ms\":%.1f,\"put_ms\":%.1f,"
           "\"publish_ms\":%.1f,\"round_ms\":%.1f,\"us_per_directory\":%.2f}\n",
           (unsigned long long)directories, by_change ? "changes" : "whole", mib,
           mib * 1024 / (double)directories, first_ms, put_ms, publish_ms,
           put_ms + publish_ms, (put_ms + publish_ms) * 1e3 / (double)directories);
    mproxy_reduction_free(reduction);
    mproxy_store_close(store);
}

static void bench_roots(void)
{
    const uint64_t sizes[] = {100, 1000, 10000};
    for (int i = 0; i < 6; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            bench_root(sizes[i % 3], i < 3);
            exit(0);
        }
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "root") == 0) {
        bench_roots();
        return 0;
    }
    open_all();
    mproxy_layout layout = make_layout(COUNTERS, "mpi");
    double(*values)[COUNTERS] = calloc(PROCESSES, sizeof *values);
    struct actor *actors = calloc(PROCESSES, sizeof *actors);
    for (uint64_t p = 0; p < PROCESSES; p++)
        make_actor(&actors[p], p + 1, &layout, values[p]);
    one_round(actors, PROCESSES);
    const int percents[] = {0, 10, 100};
    for (int i = 0; i < 3; i++)
        bench_rounds(actors, values, percents[i]);
    bench_short();
    bench_state(actors);
    close_all();
    free(actors);
    free(values);
    free((void *)layout.metrics);
    bench_roots();
    return 0;
}
