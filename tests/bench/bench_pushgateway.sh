#!/bin/sh
# Pushes of 100 series a second, over 4 connections that stay: to the proxy with one group stored
# and with 10,000, and beside it in the same run to Debian's Pushgateway with one and with 200
# (its cost grows with what it stores). Prints lines of JSON.
#
# bench_pushgateway.sh BUILD [SECONDS]; 3 seconds each unless told.
build=${1:?the build directory} seconds=${2:-3}
BIN=$build/bin LIB=$build/lib
. "$(dirname "$0")/../support/lib.sh"
need prometheus-pushgateway curl
bench=$build/tests/bench/bench_push

start_proxy -S 1000
wait_for "the first round" get /-/ready
ours=${URL##*:}
theirs=$(python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
prometheus-pushgateway --web.listen-address="127.0.0.1:$theirs" --persistence.file= \
    2>"$TMP/pushgateway.log" &
kill_later $!
wait_for "the Pushgateway" curl -sf "http://127.0.0.1:$theirs/-/ready" -o "$TMP/ready"

# compare GROUPS-OF-OURS GROUPS-OF-THEIRS
compare() {
    "$bench" "$ours" 4 "$1" 0 >"$TMP/fill"
    "$bench" "$theirs" 4 "$2" 0 >"$TMP/fill"
    a=$("$bench" "$ours" 4 "$1" "$seconds")
    b=$("$bench" "$theirs" 4 "$2" "$seconds")
    awk -v a="$a" -v b="$b" -v n="$1" -v m="$2" 'BEGIN {
        printf "{\"bench\":\"pushgateway\",\"groups\":%d,\"pushes_s\":%.0f,", n, a
        printf "\"pushgateway_groups\":%d,\"pushgateway_pushes_s\":%.0f,", m, b
        printf "\"times\":%.1f,\"aim_times\":50}\n", a / b }'
}
compare 1 1
compare 10000 200
