#!/bin/sh
# A program composed of the library's parts: the example serves what the node says, round
# after round, and ends when it is told to.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/example.sh"
need curl

start_example node_metrics 0

scrape() {
    curl -sSf -m 20 "$url/metrics?job=*" >"$TMP/metrics" || fail "no /metrics"
    grep -q '^# TYPE ' "$TMP/metrics" || fail "no types: $(head -3 "$TMP/metrics")"
}
scrape
grep -q 'job_id="main"' "$TMP/metrics" || fail "no sum of all"
grep -q 'job_id="Node: ' "$TMP/metrics" || fail "no node"

# Something of a live node changes from round to round.
cp "$TMP/metrics" "$TMP/before"
has_changed() {
    scrape && ! cmp -s "$TMP/metrics" "$TMP/before"
}
wait_for "a round after the first" has_changed

want "an unknown path" "$(curl -s -m 20 -o "$TMP/none" -w '%{http_code}' "$url/none")" 404
want "another method" \
    "$(curl -s -m 20 -X DELETE -o "$TMP/none" -w '%{http_code}' "$url/metrics")" 405

stop_example
"$BIN/../docs/examples/node_metrics" 99999 2>"$TMP/err" && fail "port 99999 is taken"
grep -q 'port 99999' "$TMP/err" || fail "it does not say why: $(cat "$TMP/err")"
