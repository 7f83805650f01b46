// Whether a call is the program's, or one that MPI's own Fortran library makes for itself.
//
// Open MPI's mpi_allgatherv_ calls PMPI_Comm_f2c, PMPI_Type_f2c and PMPI_Comm_size before it
// calls PMPI_Allgatherv; MPICH's f08 does the like in fewer places. Only such calls that look
// up or describe something need to be told apart: what is called from a Fortran library
// is the program's where the caller bears its name, as mpi_comm_size_ does.
#ifndef MPX_BINDINGS_MPI_CALLER_H
#define MPX_BINDINGS_MPI_CALLER_H

#include <stdint.h>

// Where the Fortran libraries lie, one range about all of them. The size is 0 in a program
// that has none.
extern uintptr_t mpx_fortran_from, mpx_fortran_size;

// Notes those that were loaded since; called when a function is called for the first time.
void mpx_note_fortran(void) __attribute__((cold));

// For callers in that range; looks once at each place that calls.
int mpx_is_bindings_call(const char *fn, void *caller) __attribute__((cold));

static inline __attribute__((always_inline)) int may_be_bindings(void *caller)
{
    uintptr_t size = __atomic_load_n(&mpx_fortran_size, __ATOMIC_RELAXED);
    return __builtin_expect(size != 0, 0) &&
           (uintptr_t)caller - __atomic_load_n(&mpx_fortran_from, __ATOMIC_RELAXED) <
               size;
}

#endif
