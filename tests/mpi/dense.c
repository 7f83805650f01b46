// Calls without a pause, for t68-sampling.sh: messages to itself, then a pause of 0.3 s and
// some more messages, then two local calls in turns. Prints the seconds of all but the last.
#include <mpi.h>
#include <stdio.h>
#include <time.h>

enum { MESSAGES = 300000, MORE = 20000, TURNS = 200000 };

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

int main(int argc, char **argv)
{
    int value;
    MPI_Init(&argc, &argv);
    double begin = now();
    send_to_self(MESSAGES);
    nanosleep(&(struct timespec){0, 300000000}, NULL);
    send_to_self(MORE);
    printf("%.6f\n", now() - begin);
    for (int i = 0; i < TURNS; i++) {
        MPI_Comm_rank(MPI_COMM_WORLD, &value);
        MPI_Comm_size(MPI_COMM_WORLD, &value);
    }
    MPI_Finalize();
    return 0;
}
