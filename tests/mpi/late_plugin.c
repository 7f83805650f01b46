#include <mpi.h>
#include <stdio.h>

int run(void);

int run(void)
{
    int rank = -1, error = MPI_Init(NULL, NULL);
    if (error)
        return printf("MPI_Init: %d\n", error), 6;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Barrier(MPI_COMM_WORLD);
    printf("rank %d\n", rank);
    return MPI_Finalize();
}
