#!/bin/sh
# Threads that write to a closed standard stream, or close descriptors that are not theirs:
# the segment keeps what was counted, and no file of the program's is written to.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need compiler python3 curl
compile "$TMP/descriptors" "$SUPPORT/harm/descriptors.c"
start_proxy --linger 100
wait_for "the first round" get /-/ready

# counts JOB: runs the rest as a job.
counts() {
    job=$1
    shift
    timeout 60 "$BIN/proxy_run" -u "$SOCKET" -j "$job" -- "$TMP/descriptors" "$@" \
        >"$TMP/out" 2>&1 || fail "$job: status $?: $(cat "$TMP/out")"
}

for run in 1 2 3; do
    counts writing-$run writing
    told writing-$run c_total=1000 n_0_total=1 n_99_total=61 n_3999_total=61 has_started=1 \
        has_finished=1 partial=no
    counts closing-$run closing "$TMP/data"
    told closing-$run c_total=1000 n_0_total=1 n_99_total=61 n_3999_total=61 has_started=1 \
        has_finished=1 partial=no
done
# Nor is a segment left that can't be read.
get /metrics >"$TMP/node"
grep '^mproxy_bad_segments' "$TMP/node" | grep -v ' 0$' && fail "bad segments"
stop_proxy
want "exit status" "$STATUS" 0
