// Whether a call is the program's, or one that MPI's own Fortran library makes for itself.
//
// Open MPI's mpi_allgatherv_ calls PMPI_Comm_f2c, PMPI_Type_f2c and PMPI_Comm_size before it
// calls PMPI_Allgatherv; MPICH's f08 does the like in fewer places. Only such calls that look
// up or describe something need to be told apart: what is called from a Fortran library
// is the program's where the caller bears its name, as mpi_comm_size_ does.
#ifndef MPX_BINDINGS_MPI_CALLER_H
#define MPX_BINDINGS_MPI_CALLER_H

#include <stdint.h>

// Where the Fortran libraries lie that were seen so far, one range about all of them.
extern uintptr_t mpx_fortran_from, mpx_fortran_size;

// Cold but for calls from Fortran: looks once at each place that calls.
int mpx_is_bindings_call(const char *fn, uintptr_t caller) __attribute__((cold));

// `is_first`: nothing was counted yet, so that the library of the caller may be unknown.
static inline __attribute__((always_inline)) int
is_bindings_call(const char *fn, int is_first, void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    if (__builtin_expect(at - __atomic_load_n(&mpx_fortran_from, __ATOMIC_RELAXED) >=
                                 __atomic_load_n(&mpx_fortran_size, __ATOMIC_RELAXED) &&
                             !is_first,
                         1))
        return 0;
    return mpx_is_bindings_call(fn, at);
}

#endif
