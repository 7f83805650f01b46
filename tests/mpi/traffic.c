// One program with the calls whose counts and bytes the MPI exporter must get right:
//
//   traffic ring | stencil | alltoall | rma | io | mpi4 | threads | abort | killed
//
// Each mode tells expect() what it did, in the sense of docs/mpi.md.
#include <fcntl.h>
#include <mpi.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "expect.h"

static int rank, size;
static double numbers[8192];

static void ring(void)
{
    int right = (rank + 1) % size, left = (rank + size - 1) % size;
    double in[100];
    for (int i = 0; i < 10; i++) {
        MPI_Request r[2];
        MPI_Irecv(in, 100, MPI_DOUBLE, left, 1, MPI_COMM_WORLD, &r[0]);
        MPI_Isend(numbers, 50 + i, MPI_DOUBLE, right, 1, MPI_COMM_WORLD, &r[1]);
        MPI_Waitall(2, r, MPI_STATUSES_IGNORE);
        expect("mpi_irecv", 1, 0, (50 + i) * 8); // what came, not the buffer's size
        expect("mpi_isend", 1, (50 + i) * 8, 0);
        expect("mpi_waitall", 1, 0, 0);
    }
    MPI_Sendrecv(numbers, 7, MPI_INT, right, 2, in, 100, MPI_INT, left, 2, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
    expect("mpi_sendrecv", 1, 28, 28);
    // To and from nobody moves nothing.
    MPI_Send(numbers, 9, MPI_INT, MPI_PROC_NULL, 0, MPI_COMM_WORLD);
    MPI_Recv(in, 9, MPI_INT, MPI_PROC_NULL, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    expect("mpi_send", 1, 0, 0);
    expect("mpi_recv", 1, 0, 0);
    if (size == 1)
        return;
    if (rank == 0) {
        MPI_Send(numbers, 33, MPI_CHAR, right, 3, MPI_COMM_WORLD);
        expect("mpi_send", 1, 33, 0);
    } else if (rank == 1) {
        MPI_Status st;
        MPI_Probe(0, 3, MPI_COMM_WORLD, &st);
        MPI_Recv(in, 800, MPI_CHAR, 0, 3, MPI_COMM_WORLD, &st);
        expect("mpi_probe", 1, 0, 0);
        expect("mpi_recv", 1, 0, 33);
    }
}

// Waits and tests of every kind on the same traffic, and a derived datatype.
static void completions(MPI_Comm comm, int left, int right)
{
    MPI_Datatype column;
    MPI_Type_vector(10, 1, 3, MPI_DOUBLE, &column); // 80 bytes of data in 224 of extent
    MPI_Type_commit(&column);
    double in[64];
    for (int kind = 0; kind < 7; kind++) {
        MPI_Request r;
        int done = 0, index = 0, count = 0;
        MPI_Irecv(in, 1, column, left, 5, comm, &r);
        MPI_Send(numbers, 1, column, right, 5, comm);
        expect("mpi_irecv", 1, 0, 80);
        expect("mpi_send", 1, 80, 0);
        if (kind == 0)
            MPI_Wait(&r, MPI_STATUS_IGNORE);
        else if (kind == 1)
            MPI_Waitany(1, &r, &index, MPI_STATUS_IGNORE);
        else if (kind == 2)
            MPI_Waitsome(1, &r, &count, &index, MPI_STATUSES_IGNORE);
        while (kind > 2 && !done) {
            if (kind == 3)
                MPI_Test(&r, &done, MPI_STATUS_IGNORE);
            else if (kind == 4)
                MPI_Testany(1, &r, &index, &done, MPI_STATUS_IGNORE);
            else if (kind == 5)
                MPI_Testall(1, &r, &done, MPI_STATUSES_IGNORE);
            else
                MPI_Testsome(1, &r, &done, &index, MPI_STATUSES_IGNORE);
        }
    }
    MPI_Type_free(&column);
}

static void persistent(MPI_Comm comm, int left, int right)
{
    double in[64];
    MPI_Request r[2];
    MPI_Recv_init(in, 64, MPI_DOUBLE, left, 6, comm, &r[0]);
    MPI_Send_init(numbers, 20, MPI_DOUBLE, right, 6, comm, &r[1]);
    expect("mpi_recv_init", 1, 0, 0);
    expect("mpi_send_init", 1, 0, 0);
    for (int i = 0; i < 5; i++) {
        MPI_Startall(2, r);
        MPI_Waitall(2, r, MPI_STATUSES_IGNORE);
        expect("mpi_startall", 1, 0, 0);
        expect("mpi_waitall", 1, 0, 0);
        expect("mpi_recv_init", 0, 0, 160);
        expect("mpi_send_init", 0, 160, 0);
    }
    MPI_Waitall(2, r, MPI_STATUSES_IGNORE); // inactive: completes nothing
    expect("mpi_waitall", 1, 0, 0);
    MPI_Request_free(&r[0]);
    MPI_Request_free(&r[1]);
    expect("mpi_request_free", 2, 0, 0);
}

// A grid that is not periodic: beyond its edges is nobody.
static void edges(void)
{
    int periodic = 0, counts[2] = {3, 5}, from[2] = {5, 3}, to[2] = {0, 3},
        at[2] = {0, 5};
    int before = rank > 0, after = rank < size - 1;
    double out[8] = {0}, in[8];
    MPI_Comm line;
    MPI_Cart_create(MPI_COMM_WORLD, 1, &size, &periodic, 0, &line);
    expect("mpi_cart_create", 1, 0, 0);
    MPI_Neighbor_allgather(out, 2, MPI_DOUBLE, in, 2, MPI_DOUBLE, line);
    expect("mpi_neighbor_allgather", 1, before + after ? 16 : 0, 16 * (before + after));
    MPI_Neighbor_alltoallv(out, counts, to, MPI_DOUBLE, in, from, at, MPI_DOUBLE, line);
    expect("mpi_neighbor_alltoallv", 1, 24 * before + 40 * after,
           40 * before + 24 * after);
    MPI_Datatype types[2] = {MPI_DOUBLE, MPI_DOUBLE};
    MPI_Aint bytes_to[2] = {0, 24}, bytes_at[2] = {0, 40};
    MPI_Neighbor_alltoallw(out, counts, bytes_to, types, in, from, bytes_at, types, line);
    expect("mpi_neighbor_alltoallw", 1, 24 * before + 40 * after,
           40 * before + 24 * after);
    MPI_Comm_free(&line);
}

static void stencil(void)
{
    int dims[2] = {0, 0}, periods[2] = {1, 1}, left, right;
    MPI_Comm grid;
    MPI_Dims_create(size, 2, dims);
    MPI_Cart_create(MPI_COMM_WORLD, 2, dims, periods, 0, &grid);
    MPI_Cart_shift(grid, 0, 1, &left, &right);
    expect("mpi_cart_create", 1, 0, 0);
    expect("mpi_cart_shift", 1, 0, 0);
    completions(grid, left, right);
    persistent(grid, left, right);
    double out[4 * 16], in[4 * 16];
    memset(out, 0, sizeof out);
    MPI_Neighbor_alltoall(out, 16, MPI_DOUBLE, in, 16, MPI_DOUBLE, grid);
    expect("mpi_neighbor_alltoall", 1, 4 * 128, 4 * 128);
    MPI_Neighbor_allgather(out, 4, MPI_DOUBLE, in, 4, MPI_DOUBLE, grid);
    expect("mpi_neighbor_allgather", 1, 32, 4 * 32);
    MPI_Comm_free(&grid);
    edges();
    double sum[2] = {1, 2};
    MPI_Allreduce(MPI_IN_PLACE, sum, 2, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    expect("mpi_allreduce", 1, 16, 16);
}

static void rooted_collectives(void)
{
    double all[8 * 4];
    int root = size - 1;
    MPI_Bcast(numbers, 10, MPI_DOUBLE, root, MPI_COMM_WORLD);
    expect("mpi_bcast", 1, rank == root ? 80 : 0, rank == root ? 0 : 80);
    MPI_Gather(numbers, 4, MPI_DOUBLE, all, 4, MPI_DOUBLE, root, MPI_COMM_WORLD);
    expect("mpi_gather", 1, 32, rank == root ? 32 * size : 0);
    MPI_Scatter(all, 4, MPI_DOUBLE, rank == root ? MPI_IN_PLACE : (void *)numbers, 4,
                MPI_DOUBLE, root, MPI_COMM_WORLD);
    expect("mpi_scatter", 1, rank == root ? 32 * size : 0, 32);
    double result[3];
    MPI_Reduce(numbers, result, 3, MPI_DOUBLE, MPI_MAX, root, MPI_COMM_WORLD);
    expect("mpi_reduce", 1, 24, rank == root ? 24 : 0);
    MPI_Scan(numbers, result, 3, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    expect("mpi_scan", 1, 24, 24);
    MPI_Barrier(MPI_COMM_WORLD);
    expect("mpi_barrier", 1, 0, 0);
}

static void alltoall(void)
{
    static double in[8192];
    MPI_Request r;
    MPI_Alltoall(numbers, 5, MPI_DOUBLE, in, 5, MPI_DOUBLE, MPI_COMM_WORLD);
    expect("mpi_alltoall", 1, 40 * size, 40 * size);
    MPI_Ialltoall(numbers, 5, MPI_DOUBLE, in, 5, MPI_DOUBLE, MPI_COMM_WORLD, &r);
    MPI_Wait(&r, MPI_STATUS_IGNORE);
    expect("mpi_ialltoall", 1, 40 * size, 40 * size);
    expect("mpi_wait", 1, 0, 0);
    int sends[8], recvs[8], to[8], from[8], sent = 0, received = 0;
    MPI_Datatype types[8];
    for (int i = 0; i < size; i++) {
        sends[i] = i + 1; // rank r sends i + 1 numbers to i and gets r + 1 from each
        recvs[i] = rank + 1;
        to[i] = 100 * i;
        from[i] = 100 * i;
        types[i] = MPI_DOUBLE;
        sent += sends[i];
        received += recvs[i];
    }
    MPI_Alltoallv(numbers, sends, to, MPI_DOUBLE, in, recvs, from, MPI_DOUBLE,
                  MPI_COMM_WORLD);
    expect("mpi_alltoallv", 1, 8 * sent, 8 * received);
    for (int i = 0; i < size; i++)
        to[i] = from[i] = 800 * i;
    MPI_Alltoallw(numbers, sends, to, types, in, recvs, from, types, MPI_COMM_WORLD);
    expect("mpi_alltoallw", 1, 8 * sent, 8 * received);
    MPI_Allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, in, 6, MPI_DOUBLE, MPI_COMM_WORLD);
    expect("mpi_allgather", 1, 48, 48 * size);
    for (int i = 0; i < size; i++)
        recvs[i] = i + 1;
    MPI_Allgatherv(numbers, rank + 1, MPI_DOUBLE, in, recvs, from, MPI_DOUBLE,
                   MPI_COMM_WORLD);
    expect("mpi_allgatherv", 1, 8 * (rank + 1), 8 * sent);
    MPI_Reduce_scatter(numbers, in, recvs, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    expect("mpi_reduce_scatter", 1, 8 * sent, 8 * (rank + 1));
    MPI_Reduce_scatter_block(numbers, in, 2, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    expect("mpi_reduce_scatter_block", 1, 16 * size, 16);
    rooted_collectives();
}

static void inter(void)
{
    if (size < 2)
        return;
    MPI_Comm half, both;
    int upper = rank >= size / 2, peers = upper ? size / 2 : size - size / 2;
    double in[64];
    MPI_Comm_split(MPI_COMM_WORLD, upper, 0, &half);
    MPI_Intercomm_create(half, 0, MPI_COMM_WORLD, upper ? 0 : size / 2, 9, &both);
    expect("mpi_comm_split", 1, 0, 0);
    expect("mpi_intercomm_create", 1, 0, 0);
    MPI_Allgather(numbers, 3, MPI_DOUBLE, in, 3, MPI_DOUBLE, both);
    expect("mpi_allgather", 1, 24, 24 * peers);
    int root = upper ? 0 : rank == 0 ? MPI_ROOT : MPI_PROC_NULL;
    MPI_Bcast(in, 3, MPI_DOUBLE, root, both);
    expect("mpi_bcast", 1, root == MPI_ROOT ? 24 : 0, root >= 0 ? 24 : 0);
    MPI_Comm_free(&both);
    MPI_Comm_free(&half);
}

static void rma(void)
{
    double *window, value = 1, old = 0;
    MPI_Win win;
    int peer = (rank + 1) % size;
    MPI_Win_allocate(sizeof(double) * 100, sizeof(double), MPI_INFO_NULL, MPI_COMM_WORLD,
                     &window, &win);
    MPI_Win_lock_all(0, win);
    MPI_Put(numbers, 10, MPI_DOUBLE, peer, 0, 10, MPI_DOUBLE, win);
    expect("mpi_put", 1, 80, 0);
    MPI_Accumulate(numbers, 4, MPI_DOUBLE, peer, 20, 4, MPI_DOUBLE, MPI_SUM, win);
    expect("mpi_accumulate", 1, 32, 0);
    MPI_Win_flush_all(win);
    MPI_Get(numbers, 12, MPI_DOUBLE, peer, 0, 12, MPI_DOUBLE, win);
    expect("mpi_get", 1, 0, 96);
    MPI_Fetch_and_op(&value, &old, MPI_DOUBLE, peer, 50, MPI_SUM, win);
    expect("mpi_fetch_and_op", 1, 8, 8);
    MPI_Fetch_and_op(NULL, &old, MPI_DOUBLE, peer, 50, MPI_NO_OP, win);
    expect("mpi_fetch_and_op", 1, 0, 8);
    MPI_Win_unlock_all(win);
    MPI_Win_free(&win);
    expect("mpi_win_allocate", 1, 0, 0);
    expect("mpi_win_free", 1, 0, 0);
    inter();
}

// Once a program has cancelled a request, statuses are asked whether they were cancelled.
// Those of files do not answer: the field keeps what the program had in there.
static void after_cancel(MPI_File f, MPI_Offset at)
{
    MPI_Request r;
    MPI_Status st;
    MPI_Irecv(numbers, 1, MPI_DOUBLE, rank, 77, MPI_COMM_WORLD, &r);
    MPI_Cancel(&r);
    MPI_Wait(&r, &st);
    expect("mpi_irecv", 1, 0, 0);
    expect("mpi_cancel", 1, 0, 0);
    memset(&st, 0xff, sizeof st);
    MPI_File_write_at(f, at, numbers, 6, MPI_DOUBLE, &st);
    expect("mpi_file_write_at", 1, 48, 0);
    memset(&st, 0xff, sizeof st);
    MPI_File_read_at_all(f, at, numbers, 7, MPI_DOUBLE, &st);
    expect("mpi_file_read_at_all", 1, 0, 56);
    MPI_File_iread_at(f, at, numbers, 11, MPI_DOUBLE, &r);
    memset(&st, 0xff, sizeof st);
    MPI_Wait(&r, &st);
    expect("mpi_file_iread_at", 1, 0, 88);
    expect("mpi_wait", 2, 0, 0);
}

static void io(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s/data", getenv("EXPECT_DIR"));
    MPI_File f;
    MPI_Request r;
    MPI_Offset at = rank * 800;
    MPI_File_open(MPI_COMM_WORLD, path, MPI_MODE_CREATE | MPI_MODE_RDWR, MPI_INFO_NULL,
                  &f);
    MPI_File_write_at_all(f, at, numbers, 100, MPI_DOUBLE, MPI_STATUS_IGNORE);
    expect("mpi_file_write_at_all", 1, 800, 0);
    MPI_File_sync(f);
    MPI_Barrier(MPI_COMM_WORLD);
    expect("mpi_barrier", 1, 0, 0);
    MPI_File_read_at(f, at, numbers, 60, MPI_DOUBLE, MPI_STATUS_IGNORE);
    expect("mpi_file_read_at", 1, 0, 480);
    // Past the end of the file: what was got counts, not what was asked for.
    MPI_File_read_at(f, (size - 1) * 800 + 400, numbers, 100, MPI_DOUBLE,
                     MPI_STATUS_IGNORE);
    expect("mpi_file_read_at", 1, 0, 400);
    MPI_File_iread_at(f, at, numbers, 10, MPI_DOUBLE, &r);
    MPI_Wait(&r, MPI_STATUS_IGNORE);
    expect("mpi_file_iread_at", 1, 0, 80);
    expect("mpi_wait", 1, 0, 0);
    after_cancel(f, at);
    MPI_File_close(&f);
    expect("mpi_file_close", 1, 0, 0);
}

#if MPI_VERSION >= 4
// Large counts, persistent collectives, partitioned messages, sessions.
static void mpi4(void)
{
    int peer = (rank + 1) % size, from = (rank + size - 1) % size;
    double in[128], sums[4];
    MPI_Request r[2];
    MPI_Irecv_c(in, 64, MPI_DOUBLE, from, 8, MPI_COMM_WORLD, &r[0]);
    MPI_Send_c(numbers, 32, MPI_DOUBLE, peer, 8, MPI_COMM_WORLD);
    MPI_Wait(&r[0], MPI_STATUS_IGNORE);
    expect("mpi_irecv_c", 1, 0, 256);
    expect("mpi_send_c", 1, 256, 0);
    expect("mpi_wait", 1, 0, 0);
    MPI_Isendrecv(numbers, 5, MPI_DOUBLE, peer, 10, in, 5, MPI_DOUBLE, from, 10,
                  MPI_COMM_WORLD, &r[0]);
    MPI_Wait(&r[0], MPI_STATUS_IGNORE);
    expect("mpi_isendrecv", 1, 40, 40);
    MPI_Isendrecv_replace(in, 5, MPI_DOUBLE, peer, 10, from, 10, MPI_COMM_WORLD, &r[0]);
    MPI_Wait(&r[0], MPI_STATUS_IGNORE);
    expect("mpi_isendrecv_replace", 1, 40, 40);
    expect("mpi_wait", 2, 0, 0);
    MPI_Allreduce_init(numbers, sums, 4, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD,
                       MPI_INFO_NULL, &r[0]);
    expect("mpi_allreduce_init", 1, 0, 0);
    for (int i = 0; i < 3; i++) {
        MPI_Start(&r[0]);
        MPI_Wait(&r[0], MPI_STATUS_IGNORE);
        expect("mpi_start", 1, 0, 0);
        expect("mpi_wait", 1, 0, 0);
        expect("mpi_allreduce_init", 0, 32, 32);
    }
    MPI_Request_free(&r[0]);
    expect("mpi_request_free", 1, 0, 0);
    MPI_Psend_init(numbers, 4, 16, MPI_DOUBLE, peer, 9, MPI_COMM_WORLD, MPI_INFO_NULL,
                   &r[0]);
    MPI_Precv_init(in, 4, 16, MPI_DOUBLE, from, 9, MPI_COMM_WORLD, MPI_INFO_NULL, &r[1]);
    expect("mpi_psend_init", 1, 0, 0);
    expect("mpi_precv_init", 1, 0, 0);
    for (int i = 0; i < 2; i++) {
        MPI_Startall(2, r);
        MPI_Pready_range(0, 3, r[0]);
        MPI_Waitall(2, r, MPI_STATUSES_IGNORE);
        expect("mpi_startall", 1, 0, 0);
        expect("mpi_pready_range", 1, 0, 0);
        expect("mpi_waitall", 1, 0, 0);
        expect("mpi_psend_init", 0, 512, 0);
        expect("mpi_precv_init", 0, 0, 512);
    }
    MPI_Request_free(&r[0]);
    MPI_Request_free(&r[1]);
    expect("mpi_request_free", 2, 0, 0);
    MPI_Session session;
    MPI_Session_init(MPI_INFO_NULL, MPI_ERRORS_ARE_FATAL, &session);
    MPI_Session_finalize(&session);
    expect("mpi_session_init", 1, 0, 0);
    expect("mpi_session_finalize", 1, 0, 0);
}
#endif

static int null_fd;

static void *exchange(void *arg)
{
    int me = (int)(long)arg, peer = (me ^ 1);
    double in[16], out[16] = {0};
    for (int i = 0; i < 500; i++) {
        MPI_Request r[2];
        MPI_Irecv(in, 16, MPI_DOUBLE, rank, 100 + me, MPI_COMM_WORLD, &r[0]);
        MPI_Isend(out, 16, MPI_DOUBLE, rank, 100 + peer, MPI_COMM_WORLD, &r[1]);
        MPI_Waitall(2, r, MPI_STATUSES_IGNORE);
        if (write(null_fd, out, sizeof out) != (ssize_t)sizeof out)
            abort();
    }
    return NULL;
}

static void threads(void)
{
    pthread_t thread[8];
    null_fd = open("/dev/null", O_WRONLY);
    for (long i = 0; i < 8; i++)
        pthread_create(&thread[i], NULL, exchange, (void *)i);
    for (int i = 0; i < 8; i++)
        pthread_join(thread[i], NULL);
    expect("mpi_irecv", 4000, 0, 4000 * 128);
    expect("mpi_isend", 4000, 4000 * 128, 0);
    expect("mpi_waitall", 4000, 0, 0);
}

// Of four receives that are waited for at once the second gets more than it has room for.
static void failing(void)
{
    static const int sent[] = {8, 64, 16, 4}, room[] = {8, 8, 32, 4};
    char out[64] = {0}, in[4][64];
    MPI_Request r[4];
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    expect("mpi_comm_set_errhandler", 1, 0, 0);
    for (int i = 0; i < 4; i++) {
        MPI_Irecv(in[i], room[i], MPI_BYTE, (rank + size - 1) % size, i, MPI_COMM_WORLD,
                  &r[i]);
        expect("mpi_irecv", 1, 0, i == 1 ? 0 : sent[i]);
    }
    for (int i = 0; i < 4; i++)
        MPI_Send(out, sent[i], MPI_BYTE, (rank + 1) % size, i, MPI_COMM_WORLD);
    expect("mpi_send", 4, 8 + 64 + 16 + 4, 0);
    int result = MPI_Waitall(4, r, MPI_STATUSES_IGNORE);
    printf("MPI_Waitall returns %d\n", result);
    // MPICH leaves those that come after the failed one pending.
    MPI_Waitall(4, r, MPI_STATUSES_IGNORE);
    expect("mpi_waitall", 2, 0, 0);
    MPI_Barrier(MPI_COMM_WORLD);
    expect("mpi_barrier", 1, 0, 0);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "ring";
    int provided;
    if (strcmp(mode, "threads") == 0)
        MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    else
        MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    expect("mpi_comm_rank", 1, 0, 0);
    expect("mpi_comm_size", 1, 0, 0);
    if (strcmp(mode, "stencil") == 0)
        stencil();
    else if (strcmp(mode, "alltoall") == 0)
        alltoall();
    else if (strcmp(mode, "rma") == 0)
        rma();
    else if (strcmp(mode, "io") == 0)
        io();
    else if (strcmp(mode, "threads") == 0)
        threads();
    else if (strcmp(mode, "failing") == 0)
        failing();
#if MPI_VERSION >= 4
    else if (strcmp(mode, "mpi4") == 0)
        mpi4();
#endif
    else
        ring();
    expect_write(rank);
    if (strcmp(mode, "killed") == 0 || strcmp(mode, "abort") == 0)
        expect_all(size);
    if (strcmp(mode, "killed") == 0 && rank == size - 1)
        kill(getpid(), SIGKILL);
    if (strcmp(mode, "abort") == 0)
        MPI_Abort(MPI_COMM_WORLD, 3);
    expect("mpi_finalize", 1, 0, 0);
    expect_write(rank);
    MPI_Finalize();
    return 0;
}
