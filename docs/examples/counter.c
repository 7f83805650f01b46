// A program that counts: four threads share counters, one sets a gauge, all put the times
// of their steps into a histogram.
//
//   cc -o counter counter.c $(pkg-config --cflags --libs mproxy-client) -lpthread
//   proxy_run -j first -- ./counter
//
// Without a proxy it runs just the same. Without proxy_run, too, if the line has
// -Wl,-rpath,$(pkg-config --variable=libdir mproxy-client), by which it finds the library.
#include <mproxy/client.h>

#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum { THREADS = 4, STEPS = 250, ITEMS_PER_STEP = 1000 };

static mproxy_counter *items;
static mproxy_fcounter *busy_seconds;
static mproxy_histogram *step_seconds;
static mproxy_gauge *residual;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// Stands for work; what is counted is exact, whatever ends the program.
static double step(double x)
{
    for (int i = 0; i < ITEMS_PER_STEP; i++) {
        x = 0.5 * (x + 2.0 / x);
        mproxy_counter_add(items, 1);
    }
    return x;
}

static void *work(void *argument)
{
    const int *thread = argument;
    double x = 1.0 + *thread;
    for (int i = 1; i <= STEPS; i++) {
        double start = now();
        x = step(x);
        double took = now() - start;
        mproxy_fcounter_add(busy_seconds, took);
        mproxy_histogram_observe(step_seconds, took);
        if (*thread == 0)
            mproxy_gauge_set(residual, x * x - 2.0 + 1.0 / i);
    }
    return NULL;
}

int main(void)
{
    static const double bounds[] = {1e-6, 1e-5, 1e-4, 1e-3, 1e-2};
    mproxy_error err;
    if (mproxy_client_status(&err) != MPROXY_OK)
        fprintf(stderr, "not counted: %s\n", err.text);
    // Handles are never NULL, so there is nothing to test.
    items = mproxy_counter_get("demo_items_total", "Items worked on", NULL);
    busy_seconds = mproxy_fcounter_get("demo_busy_seconds_total",
                                       "Time that threads spent on steps", NULL);
    step_seconds = mproxy_histogram_get("demo_step_seconds", "Time of one step", bounds,
                                        sizeof bounds / sizeof *bounds, NULL);
    residual = mproxy_gauge_get("demo_residual", "What is left to converge", NULL);

    pthread_t threads[THREADS];
    int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        if (pthread_create(&threads[i], NULL, work, &numbers[i]) != 0)
            return 1;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("worked on %d items\n", THREADS * STEPS * ITEMS_PER_STEP);
    return 0;
}
