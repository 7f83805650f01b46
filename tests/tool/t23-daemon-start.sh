#!/bin/sh
# Starting: the first line, ports and sockets that are taken, two proxies on one host,
# options that are not built yet, wrong usage.
. "$(dirname "$0")/../support/lib.sh"
need curl

start_proxy
wait_for "the first round" get /-/ready
PORT=${URL##*:}
want "first line" "$(head -n 1 "$LOG")" \
    "Proxy webserver listening on http://127.0.0.1:$PORT"
FIRST=$PROXY_PID FIRST_URL=$URL FIRST_SOCKET=$SOCKET

# refuses STATUS TEXT OPTION...: proxy-v2 ends with this status and says this.
refuses() {
    wanted=$1 text=$2
    shift 2
    status=0
    timeout 20 "$BIN/proxy-v2" "$@" 2>"$TMP/said-to-me" || status=$?
    want "exit status with $*" $status "$wanted"
    grep -qF -- "$text" "$TMP/said-to-me" ||
        fail "with $*: '$text' is not in: $(cat "$TMP/said-to-me")"
}
refuses 1 "port $PORT is in use by proxy-v2 (pid $FIRST): choose another with -p" \
    -p "$PORT" --listen 127.0.0.1 -u "$TMP/other.socket" -t "$TMP/other"
refuses 1 "socket '$SOCKET': a proxy lives there already: pid $FIRST: choose another with -u" \
    -p 0 --listen 127.0.0.1 -u "$SOCKET" -t "$TMP/other"
get /-/ready >/dev/null || fail "the first proxy was disturbed"
[ -S "$SOCKET" ] || fail "the socket of a live proxy was removed"
refuses 1 "another kind of file" -p 0 -u "$LOG" -t "$TMP/other"
refuses 1 "no such host" -p 0 --listen 'no such host' -u "$TMP/o.socket" -t "$TMP/other"
refuses 1 "listen address '192.0.2.1', port 0: " -p 0 --listen 192.0.2.1 \
    -u "$TMP/o.socket" -t "$TMP/other"
refuses 2 "--port" -p 70000
refuses 2 "--port" -p abc
refuses 2 "--sampling-period" -S 1
for number in '' . 32. .5 -1 1e3 32,5 1000001; do
    refuses 2 "--max-trace-size '$number'" -p 0 -m "$number"
done
# Whoever lives behind the socket: another kind of socket is no stale one.
FOREIGN=$TMP/foreign.socket
python3 -c 'import signal, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind(sys.argv[1])
s.listen()
signal.pause()' "$FOREIGN" &
FOREIGN_PID=$!
kill_later $FOREIGN_PID
wait_for "the foreign daemon" [ -S "$FOREIGN" ]
refuses 1 "socket '$FOREIGN' is served by pid $FOREIGN_PID: choose another with -u" -p 0 \
    --listen 127.0.0.1 -u "$FOREIGN" -t "$TMP/other"
[ -S "$FOREIGN" ] || fail "the socket of a foreign daemon was taken over"
refuses 2 "--log-level" --log-level loud
refuses 2 "--sub-proxies '': empty" -s ''
refuses 2 "--root-proxy '': empty" -p 0 -r ''
refuses 2 "" --no-such-option
refuses 2 "" word

# A second one on another socket sees its own processes only.
SOCKET=$TMP/second.socket
start_proxy -t "$TMP/second"
SECOND=$PROXY_PID SECOND_URL=$URL
"$BIN/proxy_run" -u "$FIRST_SOCKET" -j first -- sleep 60 &
kill_later $!
"$BIN/proxy_run" -u "$SOCKET" -j second -- sleep 60 &
kill_later $!
URL=$FIRST_URL
wait_for "the first job" get '/job?job=first'
get '/job?job=second' >/dev/null 2>&1 && fail "the first proxy sees the second's job"
URL=$SECOND_URL
wait_for "the second job" get '/job?job=second'
get '/job?job=first' >/dev/null 2>&1 && fail "the second proxy sees the first's job"

# What a dead one left is taken over.
kill -KILL "$SECOND"
wait "$SECOND" 2>/dev/null || :
[ -S "$SOCKET" ] || fail "a killed proxy removes its socket"
start_proxy -t "$TMP/second"
wait_for "the job of before" get '/job?job=second'

# Accepted options that do nothing yet say so.
SOCKET=$TMP/third.socket
start_proxy -t "$TMP/third" -s a:1,b:2@500 -r root:1337 -b 3 --auto-root -m 32.5 -c \
    --instrumentation 2 --inhibit-profile-aggregation
wait_for "the first round" get /-/ready
for text in '-r: ' '-b: ' '--auto-root: ' '-m: ' '-c: ' '--instrumentation: '; do
    grep -qF -- "$text" "$LOG" || fail "nothing is said about $text"
done
get /join/list >"$TMP/targets"
grep -q '"http://a:1/metrics","ttype":"Prometheus","period":0.1' "$TMP/targets" &&
    grep -q '"http://b:2/metrics","ttype":"Prometheus","period":0.5' "$TMP/targets" ||
    fail "-s a:1,b:2@500: $(cat "$TMP/targets")"
head -n 1 "$LOG" | grep -q '^Proxy webserver listening on http://' || fail "first line"
[ "$(readlink -f "$BIN/proxy_v2")" = "$(readlink -f "$BIN/proxy-v2")" ] ||
    fail "proxy_v2 is not proxy-v2"
# Signals end it well.
stop_proxy INT
want "exit status" "$STATUS" 0

# Closed standard streams: what is meant for them goes nowhere else.
"$BIN/proxy-v2" -p 0 --listen 127.0.0.1 -u "$TMP/closed.socket" -t "$TMP/closed" -S 100 \
    <&- >&- 2>&- &
CLOSED=$!
kill_later $CLOSED
wait_for "its socket" test -S "$TMP/closed.socket"
for stream in 0 1 2; do
    want "stream $stream" "$(readlink /proc/$CLOSED/fd/$stream)" /dev/null
done
kill $CLOSED

# Without profiles a job that has ended leaves, and its sums stay.
SOCKET=$TMP/fourth.socket
start_proxy -t "$TMP/fourth" -i --linger 0
"$BIN/proxy_run" -u "$SOCKET" -j short -- true
wait_for "the sum" value has_finished
want "has_finished" "$(value has_finished)" 1
wait_for "the end of the job" sh -c "[ \$(curl -s -o /dev/null -w '%{http_code}' \
    '$URL/job?job=short') = 404 ]"
want "has_finished" "$(value has_finished)" 1
[ ! -e "$TMP/fourth/profiles" ] || fail "profiles are kept with -i"
want "profiles" "$(get /profiles)" '[]'
