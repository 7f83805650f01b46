#!/bin/sh
# Programs that another preloaded library shows another time: a clock that moves otherwise, and
# one that stands still. They end, calls are counted, and times are the kernel's.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need faketime python3 curl compiler
build_harm
start_proxy --linger 100
wait_for "the first round" get /-/ready
echo text >"$TMP/text"
before=$(date +%s)

# kept_time JOB: the profile's time is ours, and so is its walltime.
kept_time() {
    get "/profiles/get?jobid=$1" | python3 -c '
import json, sys, time
profile = json.load(sys.stdin)
begin, end = profile["desc"]["start_time"], profile["desc"]["end_time"]
if not int(sys.argv[1]) <= begin <= end <= time.time() + 1:
    sys.exit(f"FAILED: from {begin} to {end}, after {sys.argv[1]}")' "$before" || exit 1
}

n=0
for clock in '@2001-02-03 04:05:06' '@2001-02-03 04:05:06 x50' '2001-02-03 04:05:06'; do
    n=$((n + 1))
    for way in inside outside; do
        job=$way-$n
        set -- "$BIN/proxy_run" -u "$SOCKET" -j "$job" -e process,posix --
        if [ $way = inside ]; then
            set -- "$@" faketime -f "$clock" cat "$TMP/text"
        else
            set -- faketime -f "$clock" "$@" cat "$TMP/text"
        fi
        status=0
        timeout -s KILL 20 "$@" >"$TMP/out" 2>"$TMP/err" || status=$?
        want "$job, clock $clock: status ($(cat "$TMP/err"))" $status 0
        want "$job: output" "$(cat "$TMP/out")" text
        told "$job" 'posix___hits___open>=1' partial=no
        kept_time "$job"
        echo "$job: clock '$clock'"
    done
done
# Declared by a program itself, its clock standing still.
timeout -s KILL 20 "$BIN/proxy_run" -u "$SOCKET" -j own -- faketime -f '2001-02-03 04:05:06' \
    "$HARM" count c_total 5 threads 4 c_total fork count c_total 1 done exit 0
told own c_total=10 partial=no
kept_time own
stop_proxy
want "exit status" "$STATUS" 0
