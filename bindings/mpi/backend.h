// What the front-end (preloaded, knows no MPI) and a back-end (one per MPI, loaded once an
// MPI call is made) tell each other.
#ifndef MPX_BINDINGS_MPI_BACKEND_H
#define MPX_BINDINGS_MPI_BACKEND_H

#include <stddef.h>
#include <stdint.h>

// One symbol, MPI_X or PMPI_X: its wrapper, and where the wrapper finds the next of that name.
struct mpx_mpi_entry {
    const char *name;
    void *wrapper;
    void **next;
};

struct mpx_mpi_backend {
    const char *make; // a word of the version string: "MPICH" or "Open MPI"
    const struct mpx_mpi_entry *entries; // sorted as generated
    size_t entry_count;
    // Take what is needed of the program's MPI library; `find` looks up a symbol in it.
    void (*start)(void *(*find)(const char *symbol));
};

// Exported by each back-end under this name.
#define MPX_MPI_BACKEND_SYMBOL "mpx_mpi_backend"

// Per thread, in the front-end's static TLS: a back-end loaded late could not have its own.
struct mpx_mpi_thread {
    uint32_t depth;  // MPI calls this thread is in; only the outermost is counted
    uint32_t sample; // calls of local functions, to time one in 64
};
extern __thread struct mpx_mpi_thread mpx_mpi_thread
    __attribute__((tls_model("initial-exec"), visibility("default")));

#endif
