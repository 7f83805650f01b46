// How many bytes a call moves, as the expressions of semantics.py ask.
//
// "Out" is what this rank hands to a call, "in" what it gets from it, in bytes of data (the
// size of a datatype, not its extent). A collective in place moves the same bytes as its
// form with two buffers. On an intercommunicator the peers are the remote group.
//
// All is asked after the call, when it succeeded: wrong arguments are the library's to find,
// and a handle that it refused is never looked at here. What is asked is local (no message is
// sent, no other rank waits). A type's size is asked of the library each time but for those
// that are always there, since programs free types and get the same handle for another one.
#ifndef MPX_BINDINGS_MPI_VOLUME_H
#define MPX_BINDINGS_MPI_VOLUME_H

#include <mpi.h>
#include <stdatomic.h>
#include <stdint.h>

// The PMPI functions of the program's library that volumes need; set once by the back-end.
struct mpx_mpi_library {
    int (*type_size)(MPI_Datatype, MPI_Count *);
    int (*comm_size)(MPI_Comm, int *);
    int (*comm_remote_size)(MPI_Comm, int *);
    int (*comm_rank)(MPI_Comm, int *);
    int (*comm_test_inter)(MPI_Comm, int *);
    int (*topo_test)(MPI_Comm, int *);
    int (*cartdim_get)(MPI_Comm, int *);
    int (*cart_shift)(MPI_Comm, int, int, int *, int *);
    int (*graph_count)(MPI_Comm, int, int *);
    int (*dist_graph_count)(MPI_Comm, int *, int *, int *);
    MPI_Op no_op;
    int cancels; // a program that cancels gets the question asked of each status
};
extern struct mpx_mpi_library mpx_lib;

// Sizes of the types that are always there: asking the library costs half as much as a
// short message. MPICH's handles say it themselves. Open MPI's are addresses of variables:
// the usual ones are noted at the start, and their sizes when first asked for.
#ifdef OMPI_MAJOR_VERSION
enum { MPX_TYPES = 256 };
struct mpx_known_type {
    MPI_Datatype type;     // written before any call is counted
    _Atomic uint64_t size; // 0: not asked for yet
};
extern struct mpx_known_type mpx_known_types[MPX_TYPES];

static inline struct mpx_known_type *known_type(MPI_Datatype type)
{
    return &mpx_known_types[(uintptr_t)type / sizeof(void *) % (MPX_TYPES - 1)];
}

static inline uint64_t quick_size(MPI_Datatype type)
{
    const struct mpx_known_type *known = known_type(type);
    return known->type == type ? atomic_load_explicit(&known->size, memory_order_relaxed)
                               : 0;
}

static inline void note_size(MPI_Datatype type, uint64_t size)
{
    struct mpx_known_type *known = known_type(type);
    if (known->type == type)
        atomic_store_explicit(&known->size, size, memory_order_relaxed);
}
#else
static inline uint64_t quick_size(MPI_Datatype type)
{
    uint32_t handle = (uint32_t)type;
    return handle >> 26 == 0x4c000000 >> 26 ? handle >> 8 & 0xff : 0; // built in
}

static inline void note_size(MPI_Datatype type, uint64_t size)
{
    (void)type;
    (void)size;
}
#endif

static inline uint64_t type_size(MPI_Datatype type)
{
    uint64_t known = quick_size(type);
    if (__builtin_expect(known != 0, 1))
        return known;
    MPI_Count size = 0;
    if (mpx_lib.type_size(type, &size) != MPI_SUCCESS || size <= 0)
        return 0;
    note_size(type, (uint64_t)size);
    return (uint64_t)size;
}

static inline uint64_t bytes(MPI_Count count, MPI_Datatype type)
{
    return count > 0 ? (uint64_t)count * type_size(type) : 0;
}

static inline uint64_t p2p(int peer, uint64_t size)
{
    return peer == MPI_PROC_NULL ? 0 : size;
}

static inline int in_place(const void *buffer)
{
    return buffer == MPI_IN_PLACE;
}

static inline int no_op(MPI_Op op)
{
    return op == mpx_lib.no_op;
}

// What a status says, read where MPI_Get_count() of MPI_BYTE would read it: these fields are
// part of each library's binary interface, which its soname stands for.
static inline uint64_t transferred(const MPI_Status *status)
{
#ifdef OMPI_MAJOR_VERSION
    return status->_ucount;
#else
    uint64_t high = (uint32_t)status->count_hi_and_cancelled >> 1;
    return high << 32 | (uint32_t)status->count_lo;
#endif
}

// The same for messages, which may have been cancelled. Not for files: their statuses keep
// in that field what was there before.
static inline uint64_t received(const MPI_Status *status)
{
#ifdef OMPI_MAJOR_VERSION
    int cancelled = status->_cancelled;
#else
    int cancelled = status->count_hi_and_cancelled & 1;
#endif
    return mpx_lib.cancels && cancelled ? 0 : transferred(status);
}

static inline int is_inter(MPI_Comm comm)
{
    int flag = 0;
    mpx_lib.comm_test_inter(comm, &flag);
    return flag;
}

static inline int rank_of(MPI_Comm comm)
{
    int rank = 0;
    mpx_lib.comm_rank(comm, &rank);
    return rank;
}

static inline uint64_t size_of(MPI_Comm comm)
{
    int size = 0;
    mpx_lib.comm_size(comm, &size);
    return (uint64_t)size;
}

static inline uint64_t peers_of(MPI_Comm comm)
{
    if (!is_inter(comm))
        return size_of(comm);
    int size = 0;
    mpx_lib.comm_remote_size(comm, &size);
    return (uint64_t)size;
}

// Is this rank the root of a rooted collective?
static inline int rooted(MPI_Comm comm, int root)
{
    return is_inter(comm) ? root == MPI_ROOT : root == rank_of(comm);
}

// Does this rank give its part to the root (gather), or get its part from it (scatter)?
static inline int sends_to(MPI_Comm comm, int root)
{
    return is_inter(comm) ? root >= 0 : 1;
}

// Does this rank get the root's data (broadcast)?
static inline int receives_from(MPI_Comm comm, int root)
{
    return is_inter(comm) ? root >= 0 : root != rank_of(comm);
}

// How many neighbours a process has in its topology, edges of a grid included.
static inline void places(MPI_Comm comm, uint64_t *in, uint64_t *out)
{
    int kind = MPI_UNDEFINED, n = 0, m = 0, weighted;
    *in = *out = 0;
    mpx_lib.topo_test(comm, &kind);
    if (kind == MPI_CART && mpx_lib.cartdim_get(comm, &n) == MPI_SUCCESS)
        *in = *out = 2 * (uint64_t)n;
    else if (kind == MPI_GRAPH &&
             mpx_lib.graph_count(comm, rank_of(comm), &n) == MPI_SUCCESS)
        *in = *out = (uint64_t)n;
    else if (kind == MPI_DIST_GRAPH &&
             mpx_lib.dist_graph_count(comm, &n, &m, &weighted) == MPI_SUCCESS) {
        *in = (uint64_t)n;
        *out = (uint64_t)m;
    }
}

static inline uint64_t places_in(MPI_Comm comm)
{
    uint64_t in, out;
    places(comm, &in, &out);
    return in;
}

static inline uint64_t places_out(MPI_Comm comm)
{
    uint64_t in, out;
    places(comm, &in, &out);
    return out;
}

// Is there somebody at place `i`? Beyond the edge of a grid is MPI_PROC_NULL.
static inline int neighbour(MPI_Comm comm, uint64_t i)
{
    int kind = MPI_UNDEFINED, before, after;
    mpx_lib.topo_test(comm, &kind);
    if (kind != MPI_CART ||
        mpx_lib.cart_shift(comm, (int)(i / 2), 1, &before, &after) != MPI_SUCCESS)
        return 1;
    return (i % 2 ? after : before) != MPI_PROC_NULL;
}

static inline uint64_t neighbours(MPI_Comm comm, uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += (uint64_t)neighbour(comm, i);
    return sum;
}

static inline uint64_t degree_in(MPI_Comm comm)
{
    return neighbours(comm, places_in(comm));
}

static inline uint64_t degree_out(MPI_Comm comm)
{
    return neighbours(comm, places_out(comm));
}

static inline uint64_t sum_ints(const int *counts, uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += (uint64_t)counts[i];
    return sum;
}

static inline uint64_t sum_large(const MPI_Count *counts, uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += (uint64_t)counts[i];
    return sum;
}

static inline uint64_t near_ints(const int *counts, MPI_Comm comm, uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += neighbour(comm, i) ? (uint64_t)counts[i] : 0;
    return sum;
}

static inline uint64_t near_large(const MPI_Count *counts, MPI_Comm comm, uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += neighbour(comm, i) ? (uint64_t)counts[i] : 0;
    return sum;
}

static inline uint64_t typed_ints(const int *counts, const MPI_Datatype *types,
                                  uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += bytes(counts[i], types[i]);
    return sum;
}

static inline uint64_t typed_large(const MPI_Count *counts, const MPI_Datatype *types,
                                   uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += bytes(counts[i], types[i]);
    return sum;
}

static inline uint64_t near_typed_ints(const int *counts, const MPI_Datatype *types,
                                       MPI_Comm comm, uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += neighbour(comm, i) ? bytes(counts[i], types[i]) : 0;
    return sum;
}

static inline uint64_t near_typed_large(const MPI_Count *counts,
                                        const MPI_Datatype *types, MPI_Comm comm,
                                        uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += neighbour(comm, i) ? bytes(counts[i], types[i]) : 0;
    return sum;
}

#define sum_counts(counts, n)                                                            \
    _Generic((counts), const MPI_Count * : sum_large, default : sum_ints)(counts, n)
#define near_counts(counts, comm, n)                                                     \
    _Generic((counts), const MPI_Count * : near_large, default : near_ints)(counts, comm, n)
#define sum_typed(counts, types, n)                                                      \
    _Generic((counts), const MPI_Count *: typed_large, default: typed_ints)(counts, types, n)
#define near_typed(counts, types, comm, n)                                               \
    _Generic((counts), const MPI_Count *: near_typed_large, default: near_typed_ints)(   \
        counts, types, comm, n)

#endif
