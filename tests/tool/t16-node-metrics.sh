#!/bin/sh
# A program composed of the library's parts: the example serves what the node says, round
# after round, and ends when it is told to.
. "$(dirname "$0")/../support/lib.sh"
need curl

"$BIN/../docs/examples/node_metrics" 0 >"$TMP/out" 2>"$TMP/err" &
pid=$!
PIDS="$PIDS $pid"
i=0
until grep -q '^serving at ' "$TMP/out"; do
    kill -0 "$pid" 2>/dev/null || fail "it does not start: $(cat "$TMP/err")"
    [ $((i += 1)) -le 300 ] || fail "it does not serve"
    sleep 0.1
done
url=$(sed -n 's/^serving at //p' "$TMP/out")

scrape() {
    curl -sSf -m 20 "$url/metrics?job=*" >"$TMP/metrics" || fail "no /metrics"
    grep -q '^# TYPE ' "$TMP/metrics" || fail "no types: $(head -3 "$TMP/metrics")"
}
scrape
grep -q 'job_id="main"' "$TMP/metrics" || fail "no sum of all"
grep -q 'job_id="Node: ' "$TMP/metrics" || fail "no node"

# Something of a live node changes from round to round.
cp "$TMP/metrics" "$TMP/before"
i=0
while scrape && cmp -s "$TMP/metrics" "$TMP/before"; do
    [ $((i += 1)) -le 300 ] || fail "no round follows the first"
    sleep 0.1
done

want "an unknown path" "$(curl -s -m 20 -o "$TMP/none" -w '%{http_code}' "$url/none")" 404
want "another method" \
    "$(curl -s -m 20 -X DELETE -o "$TMP/none" -w '%{http_code}' "$url/metrics")" 405

kill -TERM "$pid"
status=0
wait "$pid" || status=$?
want "the exit status" "$status" 0
"$BIN/../docs/examples/node_metrics" 99999 2>"$TMP/err" && fail "port 99999 is taken"
grep -q 'port 99999' "$TMP/err" || fail "it does not say why: $(cat "$TMP/err")"
