// What one MPI call costs, and the rate of an 8-byte ping-pong: run bare and with exporters
// by bench_mpi.sh. Prints "RANK_NS PAIR_NS PINGPONG_PER_S"; the minimum of many short
// batches, so that a busy machine disturbs little.
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BATCHES = 200, CALLS = 20000, ROUNDS = 20000 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double rank_ns(void)
{
    double best = 1e9;
    for (int b = 0; b < BATCHES; b++) {
        int rank;
        double begin = now();
        for (int i = 0; i < CALLS; i++)
            MPI_Comm_rank(MPI_COMM_WORLD, &rank);
        double took = (now() - begin) * 1e9 / CALLS;
        best = took < best ? took : best;
    }
    return best;
}

static double pair_ns(void)
{
    double best = 1e9;
    volatile uint64_t sink = 0;
    for (int b = 0; b < BATCHES; b++) {
        uint64_t sum = 0;
        double begin = now();
        for (int i = 0; i < CALLS; i++) {
            uint64_t first = __builtin_ia32_rdtsc();
            sum += __builtin_ia32_rdtsc() - first;
        }
        double took = (now() - begin) * 1e9 / CALLS;
        sink += sum;
        best = took < best ? took : best;
    }
    return best;
}

// The best of 20 batches, in round trips per second.
static double pingpong(int rank)
{
    double best = 0;
    char data[8] = {0};
    for (int b = 0; b < 20; b++) {
        MPI_Barrier(MPI_COMM_WORLD);
        double begin = now();
        for (int i = 0; i < ROUNDS; i++) {
            if (rank == 0) {
                MPI_Send(data, 8, MPI_CHAR, 1, 0, MPI_COMM_WORLD);
                MPI_Recv(data, 8, MPI_CHAR, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            } else {
                MPI_Recv(data, 8, MPI_CHAR, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
                MPI_Send(data, 8, MPI_CHAR, 0, 0, MPI_COMM_WORLD);
            }
        }
        double rate = ROUNDS / (now() - begin);
        best = rate > best ? rate : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    int rank, size;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    double call = 0, pair = 0, rate = 0;
    if (size == 1) {
        call = rank_ns();
        pair = pair_ns();
    } else {
        rate = pingpong(rank);
    }
    if (rank == 0)
        printf("%.2f %.2f %.0f\n", call, pair, rate);
    MPI_Finalize();
    return 0;
}
