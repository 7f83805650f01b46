#!/bin/sh
# Worlds that a program makes by MPI_Comm_spawn: each has a rank 0, and they are not one.
. "$(dirname "$0")/lib.sh"
need openmpi python3 curl
mpicc.openmpi -O1 "$MPI_TESTS/spawn.c" -o "$TMP/spawn"
start_proxy --linger 200
wait_for "the first round" get /-/ready

timeout 120 "$BIN/proxy_run" -u "$SOCKET" -j worlds -e process,mpi -- mpiexec.openmpi \
    --allow-run-as-root --oversubscribe --mca oob_tcp_if_include lo \
    --mca btl self,vader,tcp --mca btl_tcp_if_include lo -n 2 "$TMP/spawn" </dev/null
profile worlds
python3 - "$TMP/profile.json" <<'PY' || fail "the ranks of three worlds"
import json, sys
profile = json.load(open(sys.argv[1]))
entries = {e["name"]: e for e in profile["counters"]}
ranks = entries["mpi___hits___mpi_init"]["ranks"]
print({key: ranks[key] for key in ranks})
assert (ranks["n"], ranks["sum"], ranks["min"], ranks["max"]) == (8, 8, 1, 1), ranks
spawns = entries["mpi___hits___mpi_comm_spawn"]["ranks"]
assert (spawns["n"], spawns["sum"]) == (2, 4), spawns
assert max(e["ranks"]["max_rank"] for e in entries.values() if "ranks" in e) <= 2
assert profile["desc"]["size"] == 3, profile["desc"]
PY
