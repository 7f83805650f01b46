# Where calls are timed by sampling, all are counted, their time is about right, and what
# can't be known is told.
. "$(dirname "$0")/lib.sh"
need mpi python3
EXPORTERS=mpi
start_proxy --linger 200

for make in mpich openmpi; do
    "mpicc.$make" -O1 "$MPI_TESTS/dense.c" -o "$TMP/dense.$make" 2>"$TMP/cc" ||
        fail "mpicc.$make: $(cat "$TMP/cc")"
    for timing in some all; do
        MPROXY_MPI_TIMING=$timing mpi_run $make 1 "$TMP/dense.$make" >"$TMP/seconds"
        profile "$JOB"
        python3 - "$TMP/profile.json" "$timing" "$(cat "$TMP/seconds")" <<'PY' ||
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
assert 0.2 * (seconds - 0.3) < time < seconds - 0.25, (time, seconds)
assert time + untimed < 1.02 * seconds, (time, untimed, seconds)
assert untimed > 0.29 if sampled else untimed == 0, (untimed, seconds)
rank, size = (values[f"mpi___time___mpi_comm_{what}"] for what in ("rank", "size"))
assert values["mpi___hits___mpi_comm_rank"] == values["mpi___hits___mpi_comm_size"] == 200000
assert 0.1 < rank / size < 10, (rank, size)
print(f"{seconds:.3f} s: {time:.3f} s in calls, {untimed:.3f} s not known")
PY
            fail "$make, timing $timing"
    done
done
