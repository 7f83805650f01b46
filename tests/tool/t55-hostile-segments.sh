#!/bin/sh
# What does not belong there is dropped into the rendezvous: broken, oversized and scribbled
# segments, files that grow and shrink under the proxy, links, FIFOs and folders. It refuses
# them with a line and a count; a job beside them stays exact.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need compiler python3 curl
build_harm
start_proxy --linger 200
wait_for "the first round" get /-/ready
"$BIN/proxy_run" -u "$SOCKET" -j good -- "$HARM" count c_total 5 grow 500 await "$TMP/end" \
    count c_total 1 grow 800 fork count c_total 1 done threads 3 c_total exit 3 >"$TMP/out" &
GOOD=$!
kill_later $GOOD
wait_for "the good job" value c_total good

export URL SOCKET PYTHONPATH="$SUPPORT:$SUPPORT/harm" PROXY_PID LOG TMP
DIR=$(rendezvous "$SOCKET")
export DIR
python3 "$(dirname "$0")/t55-hostile-segments.py"
ls -A "$DIR" | wc -l
touch "$TMP/end"
status=0
wait $GOOD || status=$?
want "exit status of the good job" $status 3
told good c_total=10 grown_499_total=6 grown_799_total=3 has_started=2 has_finished=2 partial=no
[ -p "$DIR/fifo.seg" ] && [ -d "$DIR/folder.seg" ] && [ -L "$DIR/link.seg" ] ||
    fail "what is no segment was removed"
stop_proxy
want "exit status" "$STATUS" 0
# The next one meets them again, and is well.
start_proxy --linger 200
wait_for "the first round" get /-/ready
run_both again : "$HARM" count c_total 2 exit 0
told again c_total=2 partial=no
stop_proxy
want "exit status" "$STATUS" 0
