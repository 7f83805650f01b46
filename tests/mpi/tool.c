// A PMPI tool of someone else's: counts MPI_Send and passes it on. Linked into the program,
// as a library of it, or preloaded. Says at the end what it saw.
#include <mpi.h>
#include <stdio.h>

static int sends;

int MPI_Send(const void *buf, int count, MPI_Datatype type, int dest, int tag,
             MPI_Comm comm)
{
    sends++;
    return PMPI_Send(buf, count, type, dest, tag, comm);
}

int MPI_Finalize(void)
{
    fprintf(stderr, "tool saw %d sends\n", sends);
    return PMPI_Finalize();
}
