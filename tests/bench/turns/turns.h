// Measures ways to do the same in turns, batch by batch, so that a busy machine disturbs all
// alike, and takes the median of each.
#ifndef TESTS_BENCH_TURNS_H
#define TESTS_BENCH_TURNS_H

#include <stdlib.h>
#include <time.h>

enum { TURNS = 501 };

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Sets ns[0] and ns[1] to the nanoseconds of one call in a batch of `calls`.
static void take_turns(void (*const way[2])(int), int calls, double ns[2])
{
    static double took[2][TURNS];
    for (int turn = 0; turn < TURNS; turn++)
        for (int w = 0; w < 2; w++) {
            double begin = now_ns();
            way[w](calls);
            took[w][turn] = (now_ns() - begin) / calls;
        }
    for (int w = 0; w < 2; w++) {
        qsort(took[w], TURNS, sizeof took[w][0], by_value);
        ns[w] = took[w][TURNS / 2];
    }
}

#endif
