// Messages to itself, first straight to the MPI library (LIBMPI, whose addresses go past the
// exporter), then counted: between the marks neither may allocate or lock more than the
// other. What the kernel is asked for is compared by the test, through strace.
//
//   quiet LIBMPI
#define _GNU_SOURCE
#include <dlfcn.h>
#include <mpi.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct calls {
    int (*irecv)(void *, int, MPI_Datatype, int, int, MPI_Comm, MPI_Request *);
    int (*send)(const void *, int, MPI_Datatype, int, int, MPI_Comm);
    int (*wait)(MPI_Request *, MPI_Status *);
    int (*rank)(MPI_Comm, int *);
    int (*allreduce)(const void *, void *, int, MPI_Datatype, MPI_Op, MPI_Comm);
};

static long allocations, locks;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    allocations++;
    return __libc_calloc(n, size);
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    static int (*next)(pthread_mutex_t *);
    if (!next)
        next = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_lock");
    locks++;
    return next(mutex);
}

static void exchange(const struct calls *c, int times)
{
    double out[16] = {0}, in[16];
    for (int i = 0; i < times; i++) {
        MPI_Request r;
        int rank;
        c->rank(MPI_COMM_SELF, &rank);
        c->irecv(in, 16, MPI_DOUBLE, 0, 5, MPI_COMM_SELF, &r);
        c->send(out, 16, MPI_DOUBLE, 0, 5, MPI_COMM_SELF);
        c->wait(&r, MPI_STATUS_IGNORE);
        c->allreduce(out, in, 16, MPI_DOUBLE, MPI_SUM, MPI_COMM_SELF);
    }
}

static void measure(const struct calls *c, const char *mark, long *allocated,
                    long *locked)
{
    exchange(c, 100); // counters are declared, pools are filled
    long a = allocations, l = locks;
    if (access(mark, F_OK) == 0)
        abort();
    exchange(c, 1000);
    if (access(mark, F_OK) == 0)
        abort();
    *allocated = allocations - a;
    *locked = locks - l;
}

int main(int argc, char **argv)
{
    struct calls counted = {MPI_Irecv, MPI_Send, MPI_Wait, MPI_Comm_rank, MPI_Allreduce};
    struct calls bare;
    long allocated[2], locked[2];
    MPI_Init(&argc, &argv);
    void *mpi = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!mpi)
        MPI_Abort(MPI_COMM_WORLD, 2);
    *(void **)&bare.irecv = dlsym(mpi, "MPI_Irecv");
    *(void **)&bare.send = dlsym(mpi, "MPI_Send");
    *(void **)&bare.wait = dlsym(mpi, "MPI_Wait");
    *(void **)&bare.rank = dlsym(mpi, "MPI_Comm_rank");
    *(void **)&bare.allreduce = dlsym(mpi, "MPI_Allreduce");
    measure(&bare, "mark-bare", &allocated[0], &locked[0]);
    measure(&counted, "mark-counted", &allocated[1], &locked[1]);
    printf("bare: %ld allocations, %ld locks; counted: %ld, %ld\n", allocated[0],
           locked[0], allocated[1], locked[1]);
    MPI_Finalize();
    return allocated[0] != allocated[1] || locked[0] != locked[1];
}
