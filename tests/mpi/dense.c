// Calls without a pause, for t68-sampling.sh: messages to itself, two local calls in turns,
// and a pause, which MPI_Finalize ends. `dense brief` makes just the messages that it takes
// to be sampled. Prints the seconds of all.
#include <mpi.h>
#include <stdio.h>
#include <time.h>

enum { MESSAGES = 320000, FEW = 1000, TURNS = 200000 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void send_to_self(int times)
{
    double out = 1, in;
    for (int i = 0; i < times; i++) {
        MPI_Request request;
        MPI_Irecv(&in, 1, MPI_DOUBLE, 0, 7, MPI_COMM_SELF, &request);
        MPI_Send(&out, 1, MPI_DOUBLE, 0, 7, MPI_COMM_SELF);
        MPI_Wait(&request, MPI_STATUS_IGNORE);
    }
}

static void take_turns(int times)
{
    int value;
    for (int i = 0; i < times; i++) {
        MPI_Comm_rank(MPI_COMM_WORLD, &value);
        MPI_Comm_size(MPI_COMM_WORLD, &value);
    }
}

int main(int argc, char **argv)
{
    int is_brief = argc > 1;
    MPI_Init(&argc, &argv);
    double begin = now();
    send_to_self(is_brief ? FEW : MESSAGES);
    take_turns(is_brief ? 0 : TURNS);
    nanosleep(&(struct timespec){0, 300000000}, NULL); // the pause that is looked for
    printf("%.6f\n", now() - begin);
    MPI_Finalize();
    return 0;
}
