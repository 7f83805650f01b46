# What the MPI tests share, on top of support/lib.sh: compilers, launchers, profiles.
. "$(dirname "$0")/../support/lib.sh"

# mpi_run MAKE RANKS COMMAND...: under proxy_run with a job id of its own in $JOB.
mpi_run() {
    make=$1 ranks=$2
    shift 2
    JOBS=$((${JOBS:-0} + 1))
    JOB=$make-$JOBS
    set -- "$BIN/proxy_run" -u "$SOCKET" -j "$JOB" ${EXPORTERS:+-e "$EXPORTERS"} -- "$@"
    launch "$make" "$ranks" "$@"
}

# launch MAKE RANKS COMMAND...
launch() {
    make=$1 ranks=$2
    shift 2
    case $make in
    mpich) timeout 120 mpiexec.mpich -n "$ranks" "$@" </dev/null ;;
    openmpi)
        timeout 120 mpiexec.openmpi --allow-run-as-root --oversubscribe \
            --mca oob_tcp_if_include lo --mca btl self,vader -n "$ranks" "$@" </dev/null
        ;;
    esac
}

# profile JOB: waits for the stored profile and writes it to $TMP/profile.json.
profile() {
    wait_for "the profile of $1" stored "$1"
    get "/profiles/get?jobid=$1" >"$TMP/profile.json"
}

# exact NAME [only]: the profile of $JOB equals what the ranks wrote to $EXPECT_DIR; with
# `only`, nothing else is in it.
exact() {
    profile "$JOB"
    python3 "$MPI_TESTS/check_profile.py" "$TMP/profile.json" "$EXPECT_DIR" ${2:+"$2"} >"$TMP/verdict" ||
        fail "$1: $(cat "$TMP/verdict")"
    echo "$1: $(cat "$TMP/verdict")"
}

# fresh_expectations: an empty $EXPECT_DIR.
fresh_expectations() {
    EXPECT_DIR=$TMP/expect
    rm -rf "$EXPECT_DIR"
    mkdir -p "$EXPECT_DIR"
    export EXPECT_DIR
}

MPI_TESTS=$(cd "$(dirname "$0")" && pwd)
