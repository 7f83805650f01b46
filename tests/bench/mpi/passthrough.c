// What bench_mpi.sh compares with: the least that a PMPI tool can do, to forward, and with
// PLAIN defined the least that a counting one can, to add to variables of the thread.
#include <mpi.h>

#ifdef PLAIN
static __thread unsigned long hits[2],
    bytes[2] __attribute__((tls_model("initial-exec")));
#define COUNT(i, n) (hits[i]++, bytes[i] += (unsigned long)(n))
#else
#define COUNT(i, n) (void)0
#endif

int MPI_Comm_rank(MPI_Comm comm, int *rank)
{
    COUNT(0, 0);
    return PMPI_Comm_rank(comm, rank);
}

int MPI_Send(const void *buf, int count, MPI_Datatype type, int dest, int tag,
             MPI_Comm comm)
{
    int result = PMPI_Send(buf, count, type, dest, tag, comm);
    COUNT(0, count);
    return result;
}

int MPI_Recv(void *buf, int count, MPI_Datatype type, int source, int tag, MPI_Comm comm,
             MPI_Status *status)
{
    int result = PMPI_Recv(buf, count, type, source, tag, comm, status);
    COUNT(1, count);
    return result;
}
