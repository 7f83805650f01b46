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
    python3 - "$TMP/profile.json" "$1" "$seconds" <<'PY'
import json, sys
values = {e["name"]: e["ctype"]["Counter"]["value"]
          for e in json.load(open(sys.argv[1]))["counters"] if "Counter" in e["ctype"]}
sampled, seconds = sys.argv[2] == "some", float(sys.argv[3])
brief = ("mpi_irecv", "mpi_send", "mpi_wait")
for fn in brief:
    assert values[f"mpi___hits___{fn}"] == 320000, (fn, values[f"mpi___hits___{fn}"])
assert values["mpi___size_in___mpi_irecv"] == values["mpi___size_out___mpi_send"] == 2560000
time = sum(values[f"mpi___time___{fn}"] for fn in brief)
untimed = values.get("mpi_untimed_seconds_total", 0)
# The pause belongs to no call; sampling can't know that of a dense phase, and says so.
assert 0.2 * (seconds - 0.3) < time + untimed < 1.02 * seconds, (time, untimed, seconds)
assert time < seconds - 0.28, (time, seconds)
assert sampled or untimed == 0, (untimed, seconds)
rank, size = (values[f"mpi___time___mpi_comm_{what}"] for what in ("rank", "size"))
assert values["mpi___hits___mpi_comm_rank"] == values["mpi___hits___mpi_comm_size"] == 200000
assert rank > 0 and size > 0, (rank, size)
print(f"{seconds:.3f} s: {time:.3f} s in calls, {untimed:.3f} s not known")
PY
}

# The pause before MPI_Finalize, by which all is told.
tells_pause() {
    python3 - "$TMP/profile.json" <<'PY'
import json, sys
values = {e["name"]: e["ctype"]["Counter"]["value"]
          for e in json.load(open(sys.argv[1]))["counters"] if "Counter" in e["ctype"]}
assert values["mpi___hits___mpi_send"] == 1000
sys.exit(values.get("mpi_untimed_seconds_total", 0) < 0.29)
PY
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
