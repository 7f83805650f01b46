#!/bin/sh
# A daemon composed of the library's parts, the example: it counts what programs count, keeps
# it when it is killed and started again, and when its directory is removed under it.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/example.sh"
need python3 curl
counter=$BIN/../docs/examples/counter
ITEMS=1000000 # of one run of the counter

# until_items N: waits until `main` says that of demo_items_total; never more
until_items() {
    wait_for "$1 items" has_items "$1"
    want "the items" "$items" "$1"
}

has_items() {
    curl -sSf -m 20 "$url/metrics?job=*" >"$TMP/metrics"
    items=$(sed -n 's/^demo_items_total{job_id="main"} //p' "$TMP/metrics")
    [ "${items:-0}" -ge "$1" ]
}

count() {
    "$BIN/proxy_run" -u "$SOCKET" -j "$1" -- "$counter" >"$TMP/said" ||
        fail "the counter fails"
}

start_example daemon "$SOCKET" 0
count first
until_items $ITEMS
grep -q '^proxy_[a-z_]*{.*job_id="Node: ' "$TMP/metrics" || fail "no metrics of the node"
grep -q '^mproxy_processes' "$TMP/metrics" || fail "no metrics of its own"

URL=$url SOCKET=$SOCKET PYTHONPATH=$SUPPORT python3 "$(dirname "$0")/t17-own-daemon.py" ||
    fail "older clients are not counted"
"$example" "$SOCKET" 0 2>"$TMP/second" && fail "two of them on one socket"
grep -q "pid $pid" "$TMP/second" || fail "it does not say who lives there: $(cat "$TMP/second")"

kill -KILL "$pid"
wait "$pid" 2>/dev/null || :
count second # while no proxy lives
start_example daemon "$SOCKET" 0
until_items $((2 * ITEMS))

rm -rf "$(rendezvous "$SOCKET")"
wait_for "the directory" test -e "$(rendezvous "$SOCKET")/proxy"
count third
until_items $((3 * ITEMS))

stop_example
