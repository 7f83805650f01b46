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
wait_for "the profile" stored gauges
get '/profiles/get?jobid=gauges' >"$TMP/gauges.json"

mpiexec.mpich -n 4 "$BIN/proxy_run" -u "$SOCKET" -j slow -e process,mpi -- "$TMP/slow" \
    </dev/null
wait_for "the profile" stored slow
get '/profiles/get?jobid=slow' >"$TMP/slow.json"

"$BIN/proxy_run" -u "$SOCKET" -j outside -e process,mpi -- mpiexec.mpich -n 4 "$TMP/slow" \
    </dev/null
wait_for "the profile" stored outside
get '/profiles/get?jobid=outside' >"$TMP/outside.json"

python3 "$(dirname "$0")/t31-ranks.py" "$TMP/gauges.json" "$TMP/slow.json" "$TMP/outside.json"
