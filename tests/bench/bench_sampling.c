// What a round of the node's proxy costs: 128 processes of 1,000 counters in two rows, when
// none, a tenth and all of them have changed, against copying the same rows and adding them
// up without looking; and processes that come and go between two rounds.
//
// The processes are segments of this one with made-up pids: only their files matter.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mproxy/ledger.h>
#include <mproxy/reduction.h>

#include "base/clock.h"
#include "processes/segments.h"
#include "reader/reader.h"
#include "writer/writer.h"

enum {
    PROCESSES = 128,
    COUNTERS = 1000,
    ROWS = 2,
    RUNS = 101,
    SHORT = 2000,
    SHORT_COUNTERS = 10,
    FIRST_PID = 5000000, // above what the kernel gives
};

static char folder[] = "/dev/shm/mproxy-bench-XXXXXX";
static int dir, state;
static mproxy_store *store;
static mproxy_ledger *ledger;
static struct mpx_segments *segments;
static struct mpx_writer *writers[PROCESSES];
static int64_t boot_ms;

static void die(const char *what)
{
    fprintf(stderr, "bench_sampling: %s\n", what);
    exit(EXIT_FAILURE);
}

static void open_all(void)
{
    mproxy_ledger_options lo = {.struct_size = sizeof lo,
                                .host = "host",
                                .linger_ms = 2000,
                                .continue_ms = 600000};
    if (!mkdtemp(folder) || (dir = open(folder, O_RDONLY | O_DIRECTORY)) < 0 ||
        mkdirat(dir, "state", 0700) != 0 ||
        (state = openat(dir, "state", O_RDONLY | O_DIRECTORY)) < 0)
        die(folder);
    struct mpx_segments_options so = {
        .dir_path = folder, .dir_fd = dir, .state_fd = state};
    if (mproxy_store_open(NULL, &store, NULL) ||
        mproxy_ledger_open(state, store, &lo, &ledger, NULL))
        die("ledger");
    so.store = store;
    so.ledger = ledger;
    if (mpx_segments_open(&so, &segments, NULL))
        die("segments");
    boot_ms = mpx_boot_ms();
}

static void close_all(void)
{
    mpx_segments_close(segments);
    mproxy_ledger_close(ledger);
    mproxy_store_close(store);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0)
        die(folder);
}

static struct mpx_writer *make_writer(uint32_t pid, const char *jobid, uint32_t counters)
{
    mproxy_job job = {.jobid = (char *)(uintptr_t)jobid};
    struct mpx_writer_birth birth = {
        .dir_path = folder, .job = &job, .rank = pid - FIRST_PID, .is_proxys = true};
    struct mpx_writer *w;
    unsigned reasons;
    if (mpx_writer_open(&birth, &w, &reasons, NULL))
        die("segment");
    mpx_writer_header(w)->pid = pid;
    for (uint32_t i = 0; i < counters; i++) {
        char name[64];
        uint32_t slot;
        snprintf(name, sizeof name, "bench_operation_%u_total", i);
        if (mpx_writer_define(w, MPX_DEF_COUNTER, name, "A counter", 1, NULL, 0, &slot,
                              NULL))
            die("definition");
    }
    return w;
}

static void make_processes(void)
{
    for (uint32_t i = 0; i < PROCESSES; i++) {
        uint32_t row;
        writers[i] = make_writer(FIRST_PID + i, "bench", COUNTERS);
        if (mpx_writer_add_row(writers[i], COUNTERS, &row, NULL))
            die("row");
    }
}

static void change(int how_many)
{
    for (int p = 0; p < how_many; p++)
        for (int i = 0; i < COUNTERS; i++)
            mpx_writer_row(writers[p], 1).slots[i] += 1;
}

static double cpu_us(void)
{
    return (double)mpx_clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000;
}

static void play_round(void)
{
    uint64_t wall_us = mpx_wall_us();
    mproxy_ledger_round_begin(ledger, boot_ms, wall_us);
    if (mpx_segments_round(segments, boot_ms, wall_us, NULL) ||
        mproxy_ledger_round_end(ledger, NULL))
        die("round");
    mpx_segments_unlink(segments);
}

static void read_round(void)
{
    uint64_t wall_us = mpx_wall_us();
    mproxy_ledger_round_begin(ledger, boot_ms, wall_us);
    if (mpx_segments_round(segments, boot_ms, wall_us, NULL))
        die("round");
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

static double copies[PROCESSES][ROWS][COUNTERS], totals[COUNTERS];

// The floor: every row copied, every column added up, whatever has changed.
static void copy_and_sum(void)
{
    memset(totals, 0, sizeof totals);
    for (int p = 0; p < PROCESSES; p++) {
        for (uint32_t r = 0; r < ROWS; r++) {
            memcpy(copies[p][r], (void *)mpx_writer_row(writers[p], r).slots,
                   sizeof copies[p][r]);
            const uint64_t *row = (const void *)copies[p][r];
            for (int i = 0; i < COUNTERS; i++)
                totals[i] += (double)row[i];
        }
    }
}

static double measure(void (*what)(void), int changed)
{
    double runs[RUNS];
    for (int i = 0; i < RUNS; i++) {
        change(changed);
        double from = cpu_us();
        what();
        runs[i] = cpu_us() - from;
        if (what == read_round && mproxy_ledger_round_end(ledger, NULL))
            die("round");
    }
    return median(runs, RUNS);
}

static void bench_rounds(void)
{
    static const struct {
        const char *name;
        int changed;
    } cases[] = {{"none", 0}, {"tenth", PROCESSES / 10}, {"all", PROCESSES}};
    make_processes();
    play_round();
    for (int i = 0; i < 3; i++) {
        double whole = measure(play_round, cases[i].changed);
        double reading = measure(read_round, cases[i].changed);
        double floor = measure(copy_and_sum, cases[i].changed);
        printf("{\"bench\":\"sampling\",\"changed\":\"%s\",\"processes\":%d,"
               "\"counters\":%d,\"rows\":%d,\"cpu_us_per_round\":%.1f,"
               "\"of_which_reading_us\":%.1f,\"memcpy_and_sum_us\":%.1f,"
               "\"ratio\":%.2f}\n",
               cases[i].name, PROCESSES, COUNTERS, ROWS, whole, reading, floor,
               whole / floor);
    }
    if (totals[0] <= 0)
        die("nothing was added up");
    for (int i = 0; i < PROCESSES; i++)
        mpx_writer_close(writers[i]);
    play_round();
}

static void bench_short(void)
{
    double runs[5], births[5];
    for (int run = 0; run < 5; run++) {
        double from = cpu_us();
        for (uint32_t i = 0; i < SHORT; i++)
            mpx_writer_close(make_writer(FIRST_PID + i, "short", SHORT_COUNTERS));
        births[run] = cpu_us() - from;
        from = cpu_us();
        play_round();
        runs[run] = cpu_us() - from;
        struct mpx_segments_stats stats;
        mpx_segments_stats(segments, &stats);
        if (stats.segments != 0)
            die("segments are left");
    }
    double us = median(runs, 5) / SHORT;
    printf("{\"bench\":\"short_processes\",\"processes\":%d,\"counters\":%d,"
           "\"cpu_us_per_process\":%.2f,\"writing_it_us\":%.2f,"
           "\"percent_of_core_at_2000_per_s\":%.2f}\n",
           SHORT, SHORT_COUNTERS, us, median(births, 5) / SHORT, us * 2000 / 1e6 * 100);
}

int main(void)
{
    open_all();
    bench_rounds();
    bench_short();
    close_all();
    return 0;
}
