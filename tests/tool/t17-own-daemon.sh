#!/bin/sh
# A daemon composed of the library's parts, the example: it counts what programs count, keeps
# it when it is killed and started again, and when its directory is removed under it.
. "$(dirname "$0")/../support/lib.sh"
need python3 curl
daemon=$BIN/../docs/examples/daemon
counter=$BIN/../docs/examples/counter
ITEMS=1000000 # of one run of the counter

start() {
    : >"$TMP/out" # what the one before said
    "$daemon" "$SOCKET" 0 >"$TMP/out" 2>"$TMP/err" &
    pid=$!
    PIDS="$PIDS $pid"
    i=0
    until grep -q '^serving at ' "$TMP/out"; do
        kill -0 "$pid" 2>/dev/null || fail "it does not start: $(cat "$TMP/err")"
        [ $((i += 1)) -le 300 ] || fail "it does not serve"
        sleep 0.1
    done
    url=$(sed -n 's/^serving at //p' "$TMP/out")
}

# until_items N: waits until `main` says that of demo_items_total; never more
until_items() {
    i=0 items=
    until [ "$items" = "$1" ]; do
        curl -sSf -m 20 "$url/metrics?job=*" >"$TMP/metrics" ||
            fail "no /metrics at '$url': $(cat "$TMP/err")"
        items=$(sed -n 's/^demo_items_total{job_id="main"} //p' "$TMP/metrics")
        [ "${items:-0}" -le "$1" ] && [ $((i += 1)) -le 300 ] ||
            fail "items: '$items', $1 were counted"
        [ "$items" = "$1" ] || sleep 0.1
    done
}

count() {
    "$BIN/proxy_run" -u "$SOCKET" -j "$1" -- "$counter" >"$TMP/said" ||
        fail "the counter fails"
}

start
count first
until_items $ITEMS
grep -q '^proxy_[a-z_]*{.*job_id="Node: ' "$TMP/metrics" || fail "no metrics of the node"
grep -q '^mproxy_processes' "$TMP/metrics" || fail "no metrics of its own"

URL=$url SOCKET=$SOCKET PYTHONPATH=$SUPPORT python3 "$(dirname "$0")/t17-own-daemon.py" ||
    fail "older clients are not counted"
"$daemon" "$SOCKET" 0 2>"$TMP/second" && fail "two of them on one socket"
grep -q "pid $pid" "$TMP/second" || fail "it does not say who lives there: $(cat "$TMP/second")"

kill -KILL "$pid"
wait "$pid" 2>/dev/null || :
count second # while no proxy lives
start
until_items $((2 * ITEMS))

rm -rf "$(rendezvous "$SOCKET")"
i=0
until [ -e "$(rendezvous "$SOCKET")/proxy" ]; do
    [ $((i += 1)) -le 300 ] || fail "the directory is not made again"
    sleep 0.1
done
count third
until_items $((3 * ITEMS))

kill -TERM "$pid"
status=0
wait "$pid" || status=$?
want "the exit status" "$status" 0
