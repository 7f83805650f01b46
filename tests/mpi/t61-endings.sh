# Whatever ends an MPI program, what it counted until then is in the profile.
. "$(dirname "$0")/lib.sh"
need mpi python3
EXPORTERS=mpi
start_proxy --linger 200

for make in mpich openmpi; do
    "mpicc.$make" -O1 "$MPI_TESTS/traffic.c" -o "$TMP/traffic.$make" 2>/dev/null
    for mode in abort killed; do
        fresh_expectations
        mpi_run $make 2 "$TMP/traffic.$make" $mode >/dev/null 2>&1 || :
        # The launcher kills the other rank too: only what came before is certain.
        profile "$JOB"
        python3 "$(dirname "$0")/t61-endings.py" "$TMP/profile.json" || fail "$make $mode lost counts"
        echo "$make: $mode loses nothing"
    done
done
