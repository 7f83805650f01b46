// An MPI program in which rank 2 is slow: the others wait for it in each barrier.
#include <mpi.h>
#include <time.h>

#include <mproxy/client.h>

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    int rank;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    mproxy_fcounter *work = mproxy_fcounter_get("work_seconds_total", "At work", NULL);
    for (int i = 0; i < 5; i++) {
        double begin = seconds();
        struct timespec t = {0, (rank == 2 ? 60 : 2) * 1000000};
        nanosleep(&t, NULL); // the work
        mproxy_fcounter_add(work, seconds() - begin);
        MPI_Barrier(MPI_COMM_WORLD);
    }
    MPI_Finalize();
    return 0;
}
