// What the front-end (preloaded, knows no MPI) and a back-end (one per MPI, loaded once an
// MPI call is made) tell each other.
#ifndef MPX_BINDINGS_MPI_BACKEND_H
#define MPX_BINDINGS_MPI_BACKEND_H

#include <stddef.h>
#include <stdint.h>

struct mpx_mpi_backend {
    const char *make; // a word of the version string: "MPICH" or "Open MPI"
    // Take what is needed of the program's MPI library; `find` looks up a symbol in it.
    void (*start)(void *(*find)(const char *symbol));
    // The wrapper of MPI_X or PMPI_X, which is to call `next`; NULL: it wraps no such symbol.
    void *(*wrap)(const char *symbol, void *next);
};

// Exported by each back-end under this name.
#define MPX_MPI_BACKEND_SYMBOL "mpx_mpi_backend"

// Per thread, in the front-end's static TLS: a back-end loaded late could not have its own.
// See sampling.h for all but the first bit.
struct mpx_mpi_thread {
    // Bit 0: inside an MPI call; only the outermost is counted. The rest: brief calls to go
    // that are not timed. One word, for a store more is felt by a message of 8 bytes.
    uint64_t state;
    uint32_t brief_gap;             // calls that the next timed one stands for; 0: itself
    uint32_t local_left, local_gap; // the same of local calls
    uint32_t random;
    uint32_t timed;    // brief calls of this window, while all are timed
    uint32_t dense;    // dense windows in a row
    uint32_t patience; // how often the number of them that is asked for was doubled
    uint64_t window;   // time stamp of the window's begin
    // Of the dense phase, in ticks: its length, and what of that no sample stands for yet.
    uint64_t phase, unexplained;
};
extern __thread struct mpx_mpi_thread mpx_mpi_thread
    __attribute__((tls_model("initial-exec"), visibility("default")));

#endif
