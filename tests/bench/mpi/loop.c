// What counting an MPI call costs, and what it takes from a ping-pong of 8 bytes. Run under
// proxy_run by bench_mpi.sh:
//
//   loop LIBMPI PASSTHROUGH PLAIN
//
// Four ways to the same function are measured in turns, batch by batch, in one process, so
// that a busy machine disturbs all alike: as the program calls it (counted), in the MPI
// library itself (bare; its address goes past the exporter), through a library that does
// nothing but call PMPI, and through one that also adds to two thread-local variables, which
// is the least that counting can cost. One rank prints "COUNTED BARE PASSTHROUGH PLAIN PAIR"
// in nanoseconds per MPI_Comm_rank, PAIR being two readings of the time stamp; two ranks
// print the nanoseconds of a bare round trip, and by how many percent of it the other ways
// are slower: each batch is compared with the bare one beside it, the median is told.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { COUNTED, BARE, PASSTHROUGH, PLAIN, WAYS };
enum { BATCHES = 2001, CALLS = 2000, ROUNDS = 3000, WARM = 1000, TRIPS = 101 };

struct way {
    int (*rank)(MPI_Comm, int *);
    int (*send)(const void *, int, MPI_Datatype, int, int, MPI_Comm);
    int (*recv)(void *, int, MPI_Datatype, int, int, MPI_Comm, MPI_Status *);
};
static struct way ways[WAYS] = {{MPI_Comm_rank, MPI_Send, MPI_Recv}};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static void *must(void *p)
{
    if (!p) {
        fprintf(stderr, "loop: %s\n", dlerror());
        exit(1);
    }
    return p;
}

// Deep binding: the library's own references go to its MPI, not to what is preloaded.
static void find_way(struct way *w, const char *path)
{
    void *library = must(dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND));
    *(void **)&w->rank = must(dlsym(library, "MPI_Comm_rank"));
    *(void **)&w->send = must(dlsym(library, "MPI_Send"));
    *(void **)&w->recv = must(dlsym(library, "MPI_Recv"));
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double rank_batch(const struct way *w)
{
    int rank;
    double begin = now();
    for (int i = 0; i < CALLS; i++)
        w->rank(MPI_COMM_WORLD, &rank);
    return (now() - begin) / CALLS;
}

static double pair_batch(void)
{
    static volatile uint64_t sink;
    uint64_t sum = 0;
    double begin = now();
    for (int i = 0; i < CALLS; i++) {
        uint64_t first = __builtin_ia32_rdtsc();
        sum += __builtin_ia32_rdtsc() - first;
    }
    double took = (now() - begin) / CALLS;
    sink += sum;
    return took;
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    return values[n / 2];
}

// One after the other within microseconds, so that they meet the same machine.
static void local_call(void)
{
    static double took[WAYS + 1][BATCHES];
    for (int b = 0; b < BATCHES; b++) {
        for (int w = 0; w < WAYS; w++)
            took[w][b] = rank_batch(&ways[w]);
        took[WAYS][b] = pair_batch();
    }
    for (int w = 0; w <= WAYS; w++)
        printf("%.2f ", median(took[w], BATCHES));
    printf("\n");
}

static double trip_batch(const struct way *w, int rank)
{
    char data[8] = {0};
    double begin = 0;
    for (int i = -WARM; i < ROUNDS; i++) {
        if (i == 0)
            begin = now();
        if (rank == 0) {
            w->send(data, 8, MPI_CHAR, 1, 0, MPI_COMM_WORLD);
            w->recv(data, 8, MPI_CHAR, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        } else {
            w->recv(data, 8, MPI_CHAR, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            w->send(data, 8, MPI_CHAR, 0, 0, MPI_COMM_WORLD);
        }
    }
    return (now() - begin) / ROUNDS;
}

static int way_inside, rank_inside;
static double took_inside;

static void batch_inside(MPI_Comm *comm, int *code, ...)
{
    (void)comm;
    (void)code;
    took_inside = trip_batch(&ways[way_inside], rank_inside);
}

// What is not counted must not look like a program that computes between its messages, which
// is counted in another way: it runs inside a call that is counted and timed.
static double hidden_batch(int way, int rank)
{
    way_inside = way;
    rank_inside = rank;
    MPI_Comm_call_errhandler(MPI_COMM_SELF, MPI_ERR_OTHER);
    return took_inside;
}

static void ping_pong(int rank)
{
    static double took[WAYS][TRIPS];
    MPI_Errhandler handler;
    MPI_Comm_create_errhandler(batch_inside, &handler);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, handler);
    for (int b = 0; b < TRIPS; b++)
        for (int w = 0; w < WAYS; w++)
            took[w][b] =
                w == COUNTED ? trip_batch(&ways[w], rank) : hidden_batch(w, rank);
    if (rank != 0)
        return;
    for (int w = 0; w < WAYS; w++)
        for (int b = 0; w != BARE && b < TRIPS; b++)
            took[w][b] = 100 * (took[w][b] / took[BARE][b] - 1);
    printf("%.1f %.2f %.2f %.2f\n", median(took[BARE], TRIPS),
           median(took[COUNTED], TRIPS), median(took[PASSTHROUGH], TRIPS),
           median(took[PLAIN], TRIPS));
}

int main(int argc, char **argv)
{
    int rank, size;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (argc < 4)
        MPI_Abort(MPI_COMM_WORLD, 2);
    find_way(&ways[BARE], argv[1]);
    find_way(&ways[PASSTHROUGH], argv[2]);
    find_way(&ways[PLAIN], argv[3]);
    if (size == 1)
        local_call();
    else
        ping_pong(rank);
    MPI_Finalize();
    return 0;
}
