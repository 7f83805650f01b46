#!/bin/sh
# What is taken away from a running proxy: its prefix, its rendezvous, its socket file. It
# goes on, says so, and is well again when it comes back.
. "$(dirname "$0")/../support/lib.sh"
need python3 curl

not_ready() {
    [ "$(curl -s -o "$TMP/reply" -w '%{http_code}' "$URL/-/ready")" = 503 ] &&
        grep -q "$1" "$TMP/reply"
}

# A prefix that can't be written to: a file in its place binds root too.
: >"$TMP/blocked"
start_proxy -t "$TMP/blocked" --linger 0
wait_for "a sentence about profiles" not_ready "profiles can't be saved"
grep -q "profiles can't be saved" "$LOG" || fail "nothing in the log"
"$BIN/proxy_run" -u "$SOCKET" -j kept -- true
wait_for "the sum" value has_finished
get /metrics >/dev/null || fail "metrics are not served"
rm "$TMP/blocked"
WAIT_SECONDS=30 wait_for "the profile, once there is room" stored 'kept'
wait_for "being ready again" get /-/ready
grep -q "all is well again" "$LOG" || fail "the log does not say that it is well again"
[ -z "$(find "$TMP/blocked/profiles" -name '*.tmp' -o -name '.new*')" ] ||
    fail "an unfinished file is left"
stop_proxy

# One that can't be made is told before a job needs it.
start_proxy -t /proc/none
wait_for "a sentence about the prefix" not_ready "profiles can't be saved: /proc/none"
stop_proxy

# The rendezvous is removed in the middle of a job.
start_proxy -t "$TMP/prefix" --linger 300
"$BIN/proxy_run" -u "$SOCKET" -j middle -- sleep 60 &
SLEEP=$!
kill_later $SLEEP
wait_for "the job" value has_started middle
get '/accumulate?key=direct_total&value=1' >/dev/null
before=$(value has_finished)
rm -rf "$(rendezvous "$SOCKET")"
wait_for "a new rendezvous" test -d "$(rendezvous "$SOCKET")"
wait_for "its state" test -e "$(rendezvous "$SOCKET")/state/ledger"
want "the job is shown on" "$(value has_started middle)" 1
want "the sums stay" "$(value has_finished)" "$before"
get '/accumulate?key=direct_total&value=1' >/dev/null
get '/accumulate?key=new_direct_total&value=1' >/dev/null
wait_for "a new counter" value new_direct_total
want "a counter of before" "$(value direct_total)" 2
grep -q 'was removed and has been made again' "$LOG" || fail "nothing in the log"
"$BIN/proxy_run" -u "$SOCKET" -j later -- true
wait_for "a program of later" stored 'later'
# It still holds what was the lock: nobody else may come in.
timeout 20 "$BIN/proxy-v2" -p 0 -u "$SOCKET" -t "$TMP/x" 2>"$TMP/second" &&
    fail "a second proxy started"
grep -q "$PROXY_PID" "$TMP/second" || fail "no pid in: $(cat "$TMP/second")"
kill $SLEEP
wait_for "the profile of the job" stored 'middle'

# What is in the rendezvous is removed, but not the directory.
"$BIN/proxy_run" -u "$SOCKET" -j half -- sleep 60 &
SLEEP=$!
kill_later $SLEEP
wait_for "the job" value has_started half
get '/accumulate?key=half_total&value=1' >/dev/null
wait_for "the counter" value half_total
rm -rf "$(rendezvous "$SOCKET")"/*
wait_for "its state" test -e "$(rendezvous "$SOCKET")/state/ledger"
timeout 20 "$BIN/proxy-v2" -p 0 -u "$SOCKET" -t "$TMP/x" 2>"$TMP/second" &&
    fail "a second proxy started"
grep -q "$PROXY_PID" "$TMP/second" || fail "no pid in: $(cat "$TMP/second")"
get '/accumulate?key=half_total&value=1' >/dev/null
rm -rf "$(rendezvous "$SOCKET")/state"
wait_for "its state again" test -e "$(rendezvous "$SOCKET")/state/ledger"
rm "$(rendezvous "$SOCKET")/state/ledger"
wait_for "the file alone" test -e "$(rendezvous "$SOCKET")/state/ledger"
wait_for "being well" get /-/ready
kill $SLEEP
wait_for "the profile of the job" stored 'half'
want "a counter of before" "$(value half_total)" 2

# The file that everybody may see alone: what is in the state stays ours.
rm "$(rendezvous "$SOCKET")/proxy"
timeout 20 "$BIN/proxy-v2" -p 0 -u "$SOCKET" -t "$TMP/x" 2>"$TMP/second" &&
    fail "a second proxy started"
grep -q "a proxy lives there already" "$TMP/second" || fail "said: $(cat "$TMP/second")"
wait_for "its lock" test -e "$(rendezvous "$SOCKET")/proxy"

# The socket file is removed.
rm "$SOCKET"
wait_for "the socket" test -S "$SOCKET"
export URL SOCKET PYTHONPATH="$SUPPORT"
python3 "$(dirname "$0")/t25-daemon-trouble.py"
stop_proxy
want "exit status" "$STATUS" 0

# Stopped by SIGSTOP: programs are not harmed, and what they counted is there later.
start_proxy -t "$TMP/prefix" --linger 300
wait_for "the first round" get /-/ready
kill -STOP "$PROXY_PID"
timeout 20 "$BIN/proxy_run" -u "$SOCKET" -j stopped -- true || fail "the program was harmed"
kill -CONT "$PROXY_PID"
wait_for "its profile" stored 'stopped'

# While it is stopped all is removed, and another takes the place: the one that comes too
# late ends with a sentence, and the other's state is its own.
wait_for "being well" get /-/ready
first=$PROXY_PID first_log=$LOG
kill -STOP "$first"
rm -rf "$(rendezvous "$SOCKET")"/* "$SOCKET"
start_proxy -t "$TMP/prefix-2"
wait_for "the first round" get /-/ready
get '/accumulate?key=second_total&value=3' >/dev/null
wait_for "its counter" value second_total
kill -CONT "$first"
status=0
timeout 20 tail --pid="$first" -f /dev/null || fail "the first goes on: $(cat "$first_log")"
wait "$first" || status=$?
want "exit status of the first" $status 1
grep -q "a proxy lives there already: pid $PROXY_PID: this one ends" "$first_log" ||
    fail "the first did not say why: $(tail -n 2 "$first_log")"
[ -S "$SOCKET" ] || fail "the first took the socket away"
stop_proxy KILL
start_proxy -t "$TMP/prefix-2"
wait_for "the first round" get /-/ready
want "the counter of the second" "$(value second_total)" 3
stop_proxy
want "exit status" "$STATUS" 0
