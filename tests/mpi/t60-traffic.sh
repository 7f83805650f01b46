# Hits and bytes of a ring, a stencil, collectives, one-sided calls, files and threads equal
# what the programs compute for themselves: per rank and in the job, both MPIs, C and Fortran.
. "$(dirname "$0")/lib.sh"
need mpi python3
EXPORTERS=mpi
start_proxy --linger 200

for make in mpich openmpi; do
    "mpicc.$make" -O1 "$MPI_TESTS/traffic.c" -o "$TMP/traffic.$make" 2>"$TMP/cc" ||
        fail "mpicc.$make: $(cat "$TMP/cc")"
    for ranks in 1 2 4 8; do
        for mode in ring stencil alltoall; do
            fresh_expectations
            mpi_run $make $ranks "$TMP/traffic.$make" $mode
            exact "$make, $ranks ranks, $mode"
        done
    done
    for mode in rma io threads; do
        fresh_expectations
        mpi_run $make 2 "$TMP/traffic.$make" $mode
        exact "$make, 2 ranks, $mode"
    done
    # A request that fails takes nothing from the others, and the program sees what it would.
    fresh_expectations
    launch $make 2 "$TMP/traffic.$make" failing >"$TMP/bare"
    fresh_expectations
    mpi_run $make 2 "$TMP/traffic.$make" failing >"$TMP/counted"
    want "what MPI_Waitall returns" "$(cat "$TMP/counted")" "$(cat "$TMP/bare")"
    exact "$make, one request that fails" only
done

# MPI-4 where mpi.h has it: sessions, partitioned messages, large counts.
for ranks in 1 2; do
    fresh_expectations
    mpi_run mpich $ranks "$TMP/traffic.mpich" mpi4
    exact "mpich, $ranks ranks, MPI-4"
done

if ! command -v gfortran >/dev/null; then
    skip fortran "no gfortran"
fi
for make in mpich openmpi; do
    for way in MPIF MPI F08; do
        (cd "$TMP" && "mpif90.$make" -fallow-argument-mismatch -DUSE_$way \
            "$MPI_TESTS/ring.F90" -o "ring.$make") >"$TMP/fc" 2>&1 ||
            fail "mpif90.$make: $(cat "$TMP/fc")"
        fresh_expectations
        mpi_run $make 2 "$TMP/ring.$make"
        exact "$make, Fortran $way" only
    done
done
