# Where calls are timed by sampling, all are counted, their time is about right, and what
# can't be known is told.
. "$(dirname "$0")/lib.sh"
need mpi python3
EXPORTERS=mpi
start_proxy --linger 200

# run_dense MAKE TIMING [brief]: leaves the profile and the program's $seconds.
run_dense() {
    seconds=$(MPROXY_MPI_TIMING=$2 mpi_run "$1" 1 "$TMP/dense.$1" ${3:-}) ||
        fail "$1, timing $2: the program failed"
    JOBS=$((${JOBS:-0} + 1)) # mpi_run counted in the subshell
    JOB=$1-$JOBS
    profile "$JOB"
}

# What is true of every run, whatever else the machine does.
check_times() {
    python3 "$(dirname "$0")/t68-sampling-times.py" "$TMP/profile.json" "$1" "$seconds"
}

# The pause before MPI_Finalize, by which all is told.
tells_pause() {
    python3 "$(dirname "$0")/t68-sampling-pause.py" "$TMP/profile.json"
}

for make in mpich openmpi; do
    "mpicc.$make" -O1 "$MPI_TESTS/dense.c" -o "$TMP/dense.$make" 2>"$TMP/cc" ||
        fail "mpicc.$make: $(cat "$TMP/cc")"
    for timing in some all; do
        run_dense $make $timing
        check_times $timing || fail "$make, timing $timing"
    done
    # A busy machine may interrupt the calls until the pause, so that none is sampled then.
    tries=0
    until run_dense $make some brief && tells_pause; do
        tries=$((tries + 1))
        [ $tries -lt 8 ] || fail "$make: a pause before MPI_Finalize is never told"
    done
done
