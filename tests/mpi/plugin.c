// A plugin that uses MPI: asks for its rank as often as it is told.
#include <mpi.h>
#include <stddef.h>

int plugin_work(int times);
int plugin_work(int times)
{
    int rank = -1, done = 0;
    MPI_Init(NULL, NULL);
    for (int i = 0; i < times; i++)
        done += MPI_Comm_rank(MPI_COMM_WORLD, &rank) == MPI_SUCCESS && rank == 0;
    MPI_Finalize();
    return done;
}
