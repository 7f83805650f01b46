#!/bin/sh
# What makes a metric the same one: its labels in any order, and for a histogram its bounds.
# What the proxy refuses is in the job's `partial`.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need compiler python3 curl
compile "$TMP/identity" "$(dirname "$0")/identity.c"
start_proxy --linger 200
wait_for "the first round" get /-/ready
run() {
    job=$1
    shift
    "$BIN/proxy_run" -u "$SOCKET" -j "$job" -- "$TMP/identity" "$@" || fail "$job: exit status $?"
}
# series NAME: the lines of a metric in /metrics.
series() {
    get /metrics | grep "^$1{" || :
}

# Two processes, and one with both spellings; then people, by each of the verbs.
run labels count 'x_total{a="1",b="2"}' 1
run labels count 'x_total{b="2",a="1"}' 10
run labels count 'x_total{b="2",a="1"}' 100 count 'x_total{a="1",b="2"}' 1000
told labels 'x_total{a="1",b="2"}=1111' 'x_total{b="2",a="1"}=none' partial=no
want "main" "$(series x_total)" 'x_total{a="1",b="2"} 1111'
get '/accumulate?key=x_total%7Bb=%222%22,a=%221%22%7D&value=5' >/dev/null
wait_for "what was added" sh -c "curl -s $URL/metrics | grep -q '^x_total.* 1116$'"
get '/set?key=x_total%7Bb=%222%22,a=%221%22%7D&value=2000' >/dev/null
wait_for "what was set" sh -c "curl -s $URL/metrics | grep -q '^x_total.* 2000$'"
want "main" "$(series x_total)" 'x_total{a="1",b="2"} 2000'
get '/job?job=main&metric=x_total%7Bb=%222%22,a=%221%22%7D' | grep -q '"value":2000' ||
    fail "a metric is not found by the other order of its labels"

# Other bounds are refused as a whole; those that came first rise.
run bounds observe h 1 1 2 4 ';'
run bounds observe h 3 1 3 ';' count y_total 1
run bounds observe h 3 1 2 4 ';'
told bounds 'h_bucket{le="1"}=1' 'h_bucket{le="2"}=1' 'h_bucket{le="4"}=2' \
    'h_bucket{le="+Inf"}=2' 'h_bucket{le="3"}=none' h_count=2 y_total=1 partial=yes \
    'uncounted.refused metric=1'
want "refusals" "$(value 'mproxy_refused_total{reason="segment_type"}')" 1
# The next proxy knows them from what was counted.
stop_proxy KILL
start_proxy --linger 200
wait_for "the first round" get /-/ready
run later observe h 3 1 3 ';'
told later h_count=none partial=yes
run same observe 'h{op="read"}' 3 1 2 4 ';'
told same 'h_bucket{op="read",le="4"}=1' partial=no

# A gauge that another job knows as a counter is its own; only within one job the first wins.
run counter count z 1
told counter z=1 partial=no
run gauge gauge z 7 count y_total 1
told gauge z=7 y_total=1 partial=no
run twice count w 1 gauge w 2
told twice w=1 partial=yes
stop_proxy
want "exit status" "$STATUS" 0
