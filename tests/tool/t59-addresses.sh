#!/bin/sh
# Addresses: IPv4 and IPv6 by default, one of them with --listen; two proxies at once on one
# host, one a port's neighbour of the other; packed and cut replies by both.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need netns compiler python3 curl
if [ -z "${IN_NAMESPACE:-}" ]; then
    # All interfaces, but of a network of its own.
    IN_NAMESPACE=1 unshare --net sh -c 'ip link set lo up; exec sh "$0"' "$0"
    exit
fi
[ -e /proc/net/if_inet6 ] && ip -6 addr show dev lo | grep -q '::1' || skip ipv6 "no ::1"
build_harm

# answers URL: whether a proxy answers there.
answers() {
    curl -gsS --max-time 5 "$1/-/healthy" 2>/dev/null | grep -q '"success":true'
}
# begin SOCKET OPTION...: as start_proxy, without its address.
begin() {
    SOCKET=$1
    shift
    PROXIES=$((${PROXIES:-0} + 1))
    LOG=$TMP/proxy-$PROXIES.log
    "$BIN/proxy-v2" -u "$SOCKET" -t "$TMP/prefix-$PROXIES" -S 100 --linger 100 "$@" 2>"$LOG" &
    PROXY_PID=$!
    kill_later $PROXY_PID
    wait_for "the first line" proxy_said_url
    PORT=$(sed -n '1s/.*:\([0-9]*\)$/\1/p' "$LOG")
}

# advertises URL ADDRESS: what Prometheus is told to scrape can be reached.
advertises() {
    curl -gsS --max-time 5 "$1/api/v1/sd" | grep -qF "\"$2\"" ||
        fail "$1 tells others $(curl -gsS "$1/api/v1/sd"), not $2"
}

begin "$TMP/both.socket" -p 0
answers "http://127.0.0.1:$PORT" || fail "no answer by IPv4 by default"
answers "http://[::1]:$PORT" || fail "no answer by IPv6 by default"
advertises "http://[::1]:$PORT" "$(hostname):$PORT"
BOTH=$PORT BOTH_SOCKET=$SOCKET
begin "$TMP/six.socket" -p 0 --listen ::1
answers "http://[::1]:$PORT" || fail "no answer at ::1"
answers "http://127.0.0.1:$PORT" && fail "--listen ::1 answers by IPv4"
grep -q "^Proxy webserver listening on http://\[::1\]:$PORT$" "$LOG" ||
    fail "first line: $(head -n 1 "$LOG")"
advertises "http://[::1]:$PORT" "[::1]:$PORT"
SIX=$PORT
begin "$TMP/four.socket" -p 0 --listen 127.0.0.1
answers "http://127.0.0.1:$PORT" || fail "no answer at 127.0.0.1"
answers "http://[::1]:$PORT" && fail "--listen 127.0.0.1 answers by IPv6"
advertises "http://127.0.0.1:$PORT" "127.0.0.1:$PORT"
# A port that is taken in one family only is taken.
status=0
timeout 20 "$BIN/proxy-v2" -p "$SIX" -u "$TMP/x.socket" -t "$TMP/x" 2>"$TMP/err" || status=$?
want "a port that is taken by IPv6" $status 1
grep -q "port $SIX is in use" "$TMP/err" || fail "it says: $(cat "$TMP/err")"

# Each sees its own, by either family.
for pair in "$BOTH_SOCKET http://[::1]:$BOTH both" "$TMP/six.socket http://[::1]:$SIX six" \
    "$TMP/four.socket http://127.0.0.1:$PORT four"; do
    set -- $pair
    "$BIN/proxy_run" -u "$1" -j "job-$3" -- "$HARM" count c_total 3
done
for pair in "http://[::1]:$BOTH both" "http://127.0.0.1:$BOTH both" "http://[::1]:$SIX six" \
    "http://127.0.0.1:$PORT four"; do
    set -- $pair
    stored() {
        [ "$(curl -gsS "$1/profiles" | grep -o '"jobid":"[^"]*"')" = "\"jobid\":\"job-$2\"" ]
    }
    wait_for "the one profile of $2" stored "$1" "$2"
    want "HEAD of $2" "$(curl -gsSI "$1/metrics" | head -n 1 | tr -d '\r')" "HTTP/1.1 200 OK"
    want "a packed reply of $2" "$(curl -gsS -H 'Accept-Encoding: gzip' \
        "$1/metrics" | gzip -dc | grep -c '^c_total 3$')" 1
done
# A name whose address is IPv6 first.
want "by the name localhost" "$(curl -gsS "http://localhost:$BOTH/period" |
    grep -o '"operation":"100"')" '"operation":"100"'
kill "$PROXY_PID"
wait "$PROXY_PID" || fail "exit status $?"
