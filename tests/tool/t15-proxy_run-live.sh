#!/bin/sh
# proxy_run with a proxy, from the command line to the metrics of a job.
. "$(dirname "$0")/../support/lib.sh"
need curl
start_proxy
run="$BIN/proxy_run -u $SOCKET"

$run -v -j live true 2>"$TMP/err"
grep -qF "socket $SOCKET: the proxy lives (pid $PROXY_PID)" "$TMP/err" ||
    fail "-v does not see the proxy: $(cat "$TMP/err")"

# A job that is running: its command, its processes.
$run -j shells -- sh -c '/bin/true; (exit 3); exec sleep 60' &
pid=$!
kill_later $pid
is() {
    [ "$(value "$1" shells)" = "$2" ]
}
wait_for "three starts" is has_started 3
wait_for "two ends" is has_finished 2
get /job/list >"$TMP/jobs"
grep -qF '"jobid":"shells"' "$TMP/jobs" || fail "not in the list: $(cat "$TMP/jobs")"
grep -qF '"command":"sh -c /bin/true; (exit 3); exec sleep 60"' "$TMP/jobs" ||
    fail "another command: $(cat "$TMP/jobs")"
kill -TERM $pid
wait $pid || :

# A job that started before the proxy did.
SOCKET=$TMP/later.socket
"$BIN/proxy_run" -u "$SOCKET" -j shells -- sh -c 'exec sleep 60' &
pid=$!
kill_later $pid
wait_for "sleep" grep -q sleep "/proc/$pid/comm"
start_proxy
wait_for "the start of before" is has_started 1
kill -TERM $pid
wait $pid || :
stop_proxy
want "status of the proxy" $STATUS 0
