#!/bin/sh
# Four ranks of an MPI job: gauges of all are in the profile, the killed one's too, and the
# rank that is slow is named, whether proxy_run starts the ranks or their launcher.
. "$(dirname "$0")/../support/lib.sh"
need compiler python3 curl mpich
compile "$TMP/worker" "$SUPPORT/chaos/worker.c"
mpicc.mpich -O2 -I"$SUPPORT/../../include" -o "$TMP/slow" "$SUPPORT/chaos/slow_rank.c" \
    -L"$LIB" -Wl,-rpath,"$LIB" -lmproxy_client
start_proxy --linger 100
wait_for "the first round" get /-/ready

# Each rank sets its gauge twice; rank 1 is killed afterwards, rank 3 goes on by exec.
truncate -s 1M "$TMP/truth"
cat >"$TMP/rank" <<'TXT'
case $PMI_RANK in
1) export CHAOS_PROGRAM='gauge 90;gauge 20;count 2;sleep 50;kill' ;;
3) export CHAOS_PROGRAM='gauge 10;gauge 50;count 4;exec;gauge 40;count 4' ;;
*) export CHAOS_PROGRAM="gauge 5;gauge $((PMI_RANK * 10 + 10));count $((PMI_RANK + 1))" ;;
esac
exec "$1"
TXT
CHAOS_TRUTH=$TMP/truth mpiexec.mpich -disable-auto-cleanup -n 4 "$BIN/proxy_run" \
    -u "$SOCKET" -j gauges -- sh "$TMP/rank" "$TMP/worker" </dev/null >"$TMP/out" 2>&1 || :
wait_for "the profile" get '/profiles/get?jobid=gauges'
get '/profiles/get?jobid=gauges' >"$TMP/gauges.json"

mpiexec.mpich -n 4 "$BIN/proxy_run" -u "$SOCKET" -j slow -e process,mpi -- "$TMP/slow" \
    </dev/null
wait_for "the profile" get '/profiles/get?jobid=slow'
get '/profiles/get?jobid=slow' >"$TMP/slow.json"

"$BIN/proxy_run" -u "$SOCKET" -j outside -e process,mpi -- mpiexec.mpich -n 4 "$TMP/slow" \
    </dev/null
wait_for "the profile" get '/profiles/get?jobid=outside'
get '/profiles/get?jobid=outside' >"$TMP/outside.json"

python3 - "$TMP/gauges.json" "$TMP/slow.json" "$TMP/outside.json" <<'TXT'
import json
import sys


def load(path):
    profile = json.load(open(path))
    return profile["desc"], {e["name"]: e for e in profile["counters"]}


def want(what, actual, expected):
    if actual != expected:
        sys.exit(f"FAILED: {what}: is {actual!r}, should be {expected!r}")


desc, entries = load(sys.argv[1])
want("size", desc["size"], 4)
# 10, 20 (killed), 30, and 40 that the second image of rank 3 has set.
want("the gauge", entries["chaos_gauge"]["ctype"]["Gauge"],
     {"min": 10, "max": 40, "hits": 4, "total": 100})
# 1; 1+2; 1+2+3; twice 1+2+3+1.
want("the sum", entries["chaos_total"]["ctype"]["Counter"]["value"], 1 + 3 + 6 + 14)
ranks = entries["chaos_total"]["ranks"]
want("the spread", {key: ranks[key] for key in
                    ("n", "min", "max", "mean", "min_rank", "max_rank")},
     {"n": 4, "min": 1, "max": 14, "mean": 6, "min_rank": 0, "max_rank": 3})
want("has_started", entries["has_started"]["ctype"]["Counter"]["value"], 4)
want("has_finished", entries["has_finished"]["ctype"]["Counter"]["value"], 3)

desc, entries = load(sys.argv[2])
work = entries["work_seconds_total"]["ranks"]
want("who works longest", (work["n"], work["max_rank"]), (4, 2))
waits = [name for name in entries if "time" in name and name.endswith("mpi_barrier")]
want("the time in barriers", len(waits), 1)
want("who waits least", entries[waits[0]]["ranks"]["min_rank"], 2)
_, outside = load(sys.argv[3])
work = outside["work_seconds_total"]["ranks"]
want("who works longest under a launcher", (work["n"], work["max_rank"]), (4, 2))
print("4 gauges, one of a killed rank; rank 2 works longest and waits least:",
      {key: round(value, 3) for key, value in entries[waits[0]]["ranks"].items()})
TXT
