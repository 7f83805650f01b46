// Two ranks that start two more worlds of three, one after the other.
#include <mpi.h>

int main(int argc, char **argv)
{
    MPI_Comm parent, children;
    MPI_Init(&argc, &argv);
    MPI_Comm_get_parent(&parent);
    if (parent != MPI_COMM_NULL) {
        MPI_Comm_disconnect(&parent);
    } else {
        for (int world = 0; world < 2; world++) {
            MPI_Comm_spawn(argv[0], MPI_ARGV_NULL, 3, MPI_INFO_NULL, 0, MPI_COMM_WORLD,
                           &children, MPI_ERRCODES_IGNORE);
            MPI_Comm_disconnect(&children);
        }
    }
    return MPI_Finalize();
}
