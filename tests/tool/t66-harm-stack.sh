#!/bin/sh
# No call takes more than 2 KiB of a thread's stack, the first one included.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need compiler python3 curl
# Bound at once: what the loader takes for a symbol is its own affair.
compile "$TMP/stack" "$SUPPORT/harm/stack.c" -Wl,-z,now
start_proxy --linger 100
wait_for "the first round" get /-/ready
"$BIN/proxy_run" -u "$SOCKET" -j launched -- "$TMP/stack" >"$TMP/launched" ||
    fail "status $?: $(cat "$TMP/launched")"
# Without the launcher the first call opens the segment, too.
PROXY_PATH=$SOCKET PROXY_JOB_ID=alone "$TMP/stack" >"$TMP/alone" ||
    fail "status $?: $(cat "$TMP/alone")"
for run in launched alone; do
    while read -r call bytes; do
        [ "$bytes" -le 2048 ] || fail "$run: $call takes $bytes bytes"
        echo "$run: $call: $bytes"
    done <"$TMP/$run"
    want "$run: calls" "$(wc -l <"$TMP/$run")" 12
    want "$run: a thread of the smallest size" "$(sed -n 's/^smallest //p' "$TMP/$run")" 0
    told $run c_total=4 many_aaaaa_total=2 partial=yes
done
stop_proxy
want "exit status" "$STATUS" 0
