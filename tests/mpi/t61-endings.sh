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
        python3 - "$TMP/profile.json" <<'PY' || fail "$make $mode lost counts"
import json, sys
counters = {e["name"]: e["ctype"] for e in json.load(open(sys.argv[1]))["counters"]}
for fn, hits in (("mpi_irecv", 20), ("mpi_isend", 20), ("mpi_sendrecv", 2)):
    got = counters[f"mpi___hits___{fn}"]["Counter"]["value"]
    assert got == hits, (fn, got, hits)
PY
        echo "$make: $mode loses nothing"
    done
done
