#!/bin/sh
# Clients of the socket and of HTTP that misbehave: nonsense, huge and endless messages,
# thousands of connections, slow and unfinished requests, headers and bodies without end. Each
# costs its own connection; a job beside them stays exact and memory bounded.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need compiler python3 curl
ulimit -n 8192 2>/dev/null || skip descriptors "no more than $(ulimit -n) descriptors"
build_harm
start_proxy --linger 300
wait_for "the first round" get /-/ready
"$BIN/proxy_run" -u "$SOCKET" -j good -- "$HARM" count c_total 5 await "$TMP/end" grow 300 \
    count c_total 1 fork count c_total 1 done exit 3 >"$TMP/out" &
GOOD=$!
kill_later $GOOD
wait_for "the good job" value c_total good

export URL SOCKET PYTHONPATH="$SUPPORT" PROXY_PID LOG
timeout 120 python3 "$(dirname "$0")/t57-hostile-network.py"
touch "$TMP/end"
status=0
wait $GOOD || status=$?
want "exit status of the good job" $status 3
told good c_total=7 grown_299_total=3 has_started=2 has_finished=2 partial=no
stop_proxy
want "exit status" "$STATUS" 0
