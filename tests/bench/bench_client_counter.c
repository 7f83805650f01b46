// What counting costs a program, through the shared library as programs link it.
#include <mproxy/inline.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 200, TIMES = 50000 };

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void print(const char *bench, double ns, const char *reference,
                  double reference_ns)
{
    printf("{\"bench\":\"%s\",\"ns\":%.2f,\"reference\":\"%s\",\"reference_ns\":%.2f,"
           "\"ratio\":%.2f}\n",
           bench, ns, reference, reference_ns, ns / reference_ns);
}

// The best of many short rounds: what else runs on the machine only adds.
static double best(void (*work)(int))
{
    double least = 1e300;
    for (int i = 0; i < ROUNDS; i++) {
        double start = now_ns();
        work(TIMES);
        double took = (now_ns() - start) / TIMES;
        least = took < least ? took : least;
    }
    return least;
}

// ---- one thread

static mproxy_counter *counters[4];
static mproxy_fcounter *fcounter;
static mproxy_histogram *histogram;

// Initial-exec, as a library would have it; called, as the library's function is.
static _Thread_local uint64_t plain[64] __attribute__((tls_model("initial-exec")));
static _Thread_local double plain_double[64] __attribute__((tls_model("initial-exec")));
static _Atomic uint64_t atomic_slot;

__attribute__((noinline)) static void add_plain(uint32_t i, uint64_t value)
{
    plain[i] += value;
    atomic_signal_fence(memory_order_seq_cst);
}

__attribute__((noinline)) static void add_plain_double(uint32_t i, double value)
{
    plain_double[i] += value;
    atomic_signal_fence(memory_order_seq_cst);
}

static volatile uint32_t index_at_run_time = 3;

static void count_plain_inline(int times)
{
    uint32_t at = index_at_run_time;
    for (int i = 0; i < times; i++) {
        plain[at] += 1;
        atomic_signal_fence(memory_order_seq_cst);
    }
}

static void count_plain(int times)
{
    for (int i = 0; i < times; i++)
        add_plain(3, 1);
}

static void count_plain_double(int times)
{
    for (int i = 0; i < times; i++)
        add_plain_double(3, 1);
}

static void count_atomic(int times)
{
    for (int i = 0; i < times; i++)
        atomic_fetch_add_explicit(&atomic_slot, 1, memory_order_relaxed);
}

static void count_ours(int times)
{
    for (int i = 0; i < times; i++)
        mproxy_counter_add(counters[0], 1);
}

static void count_ours_inline(int times)
{
    for (int i = 0; i < times; i++)
        mproxy_counter_add_inline(counters[0], 1);
}

static void count_ours_double(int times)
{
    for (int i = 0; i < times; i++)
        mproxy_fcounter_add(fcounter, 1);
}

static void count_three_plain(int times)
{
    for (int i = 0; i < times; i++) {
        add_plain(1, 1);
        add_plain(2, 2);
        add_plain(3, 3);
    }
}

static void count_three_ours(int times)
{
    static const uint64_t values[] = {1, 2, 3};
    for (int i = 0; i < times; i++)
        mproxy_counter_add_many(counters, values, 3);
}

static void observe_ours(int times)
{
    for (int i = 0; i < times; i++)
        mproxy_histogram_observe(histogram, (double)(i & 0xffff));
}

// ---- two threads

static void *count_in_thread(void *result)
{
    *(double *)result = best(count_ours);
    return NULL;
}

static double count_in_two_threads(void)
{
    pthread_t thread;
    double mine, other;
    pthread_create(&thread, NULL, count_in_thread, &other);
    count_in_thread(&mine);
    pthread_join(thread, NULL);
    return mine > other ? mine : other;
}

// ---- birth

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Median over fresh processes of the time that `work` takes in each.
static double in_fresh_processes(double (*work)(void))
{
    enum { PROCESSES = 201 };
    double took[PROCESSES] = {0};
    for (int i = 0; i < PROCESSES; i++) {
        int fds[2];
        if (pipe(fds) != 0)
            exit(1);
        if (fork() == 0) {
            double t = work();
            _exit(write(fds[1], &t, sizeof t) != sizeof t);
        }
        if (read(fds[0], &took[i], sizeof took[i]) != sizeof took[i])
            exit(1);
        close(fds[0]);
        close(fds[1]);
        wait(NULL);
    }
    qsort(took, PROCESSES, sizeof took[0], compare);
    return took[PROCESSES / 2];
}

static double be_born(void)
{
    double start = now_ns();
    mproxy_process_started();
    return now_ns() - start;
}

static double count_first(void)
{
    mproxy_process_started();
    double start = now_ns();
    mproxy_counter_add(mproxy_counter_get("first_total", "Doc.", NULL), 1);
    return now_ns() - start;
}

static double end_well(void)
{
    mproxy_process_started();
    double start = now_ns();
    mproxy_process_finished();
    return now_ns() - start;
}

// The least that leaves a named, locked page behind.
static double make_file(void)
{
    double start = now_ns();
    char from[128], to[128];
    static const char page[4096];
    snprintf(from, sizeof from, "%s.d/.bench-%d", getenv("PROXY_PATH"), (int)getpid());
    snprintf(to, sizeof to, "%s.d/bench-%d", getenv("PROXY_PATH"), (int)getpid());
    FILE *f = fopen(from, "w");
    if (!f || fwrite(page, sizeof page, 1, f) != 1 || fclose(f) != 0 ||
        rename(from, to) != 0)
        exit(1);
    return now_ns() - start;
}

static void declare_all(void)
{
    const char *names[] = {"bench_hits_total", "bench_bytes_total", "bench_ticks_total"};
    for (int i = 0; i < 3; i++)
        counters[i] = mproxy_counter_get(names[i], NULL, NULL);
    fcounter = mproxy_fcounter_get("bench_seconds_total", NULL, NULL);
    histogram = mproxy_histogram_get("bench_sizes_bytes", NULL, NULL, 0, NULL);
}

static void bench_processes(void)
{
    double file = in_fresh_processes(make_file);
    print("process_started", in_fresh_processes(be_born), "write and rename a page",
          file);
    print("first_counter", in_fresh_processes(count_first), "write and rename a page",
          file);
    print("process_finished", in_fresh_processes(end_well), "write and rename a page",
          file);
}

static void bench_counting(void)
{
    double reference = best(count_plain), inlined = best(count_plain_inline);
    double one = best(count_ours);
    print("counter_add", one, "thread-local x[i]+=v, called", reference);
    print("counter_add", one, "thread-local x[i]+=v, inline", inlined);
    print("counter_add_inline", best(count_ours_inline), "thread-local x[i]+=v, inline",
          inlined);
    print("counter_add_atomic", one, "one atomic add, inline", best(count_atomic));
    print("fcounter_add", best(count_ours_double), "thread-local double x[i]+=v, called",
          best(count_plain_double));
    print("counter_add_many_3", best(count_three_ours),
          "three thread-local x[i]+=v, called", best(count_three_plain));
    print("histogram_observe", best(observe_ours), "thread-local x[i]+=v, called",
          reference);
    print("counter_add_two_threads", count_in_two_threads(), "one thread alone", one);
}

int main(void)
{
    char socket[64], command[128];
    mproxy_error err = {0};
    snprintf(socket, sizeof socket, "/dev/shm/mproxy-bench-%d", (int)getpid());
    snprintf(command, sizeof command, "%s.d", socket);
    if (mkdir(command, 0700) != 0)
        return 1;
    setenv("PROXY_PATH", socket, 1);
    setenv("PROXY_JOB_ID", "bench", 1);

    bench_processes(); // first: forked children must find nothing open
    declare_all();
    bool counts = mproxy_client_status(&err) == MPROXY_OK;
    if (counts)
        bench_counting();
    else
        fprintf(stderr, "bench_client_counter: %s\n", err.text);

    snprintf(command, sizeof command, "rm -rf '%s.d'", socket);
    return system(command) != 0 || !counts;
}
