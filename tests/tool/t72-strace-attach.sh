#!/bin/sh
# proxy_exporter_strace -p: running processes are traced, and left as they were.
. "$(dirname "$0")/strace_lib.sh"
build_caller

# attach PID...: in the background; sets TRACER.
attach() {
    set -- $(for p; do echo -p "$p"; done)
    "$tracer" -u "$SOCKET" "$@" 2>"$TMP/err" &
    TRACER=$!
    kill_later $TRACER
}
traced() { grep -q "^TracerPid:	$TRACER$" "/proc/$1/status"; }
leave() {
    kill -INT $TRACER
    got=0
    wait $TRACER || got=$?
    want "status of the tracer ($(cat "$TMP/err"))" $got "${1:-0}"
}

got=0
"$tracer" -u "$SOCKET" -p $$ 2>"$TMP/err" || got=$?
want "without a proxy's directory" $got 1
mkdir -m 700 "$(rendezvous "$SOCKET")"
got=0
"$tracer" -u "$SOCKET" -p 1073741824 2>"$TMP/err" || got=$?
want "no such process" $got 1
grep -q 'No such process' "$TMP/err" || fail "$(cat "$TMP/err")"

# ^C in the middle of calls: it goes on, and not one call of it fails. The job is its own.
PROXY_JOB_ID=its-job "$calls" persist >"$TMP/persists" &
pid=$!
kill_later $pid
wait_for "its line" test -s "$TMP/persists"
written() { sed -n 's/^syscw: //p' "/proc/$pid/io"; }
has_written() { [ "$(written)" -ge "$1" ]; }
for turn in 1 2 3; do
    attach $pid
    wait_for "the tracer" traced $pid
    wait_for "calls under the tracer" has_written $(($(written) + 1000))
    leave
    grep -q 'counted in job its-job$' "$TMP/err" || fail "where it counts: $(cat "$TMP/err")"
    want "TracerPid" "$(sed -n 's/^TracerPid:[^0-9]*//p' "/proc/$pid/status")" 0
done
kill -TERM $pid
got=0
wait $pid || got=$?
want "status of what was traced" $got 0
[ "$(hits write)" -gt 100 ] || fail "writes: $(hits write)"
want "jobs" "$(sed -n 's/^job //p' "$TMP/said" | sort -u)" "its-job 0 1"

# All threads there are and come, and a process that is stopped, which stays so.
python3 -c 'import threading, time, os, sys
def work():
    for i in range(400): os.stat("/"); time.sleep(0.005)
ts = [threading.Thread(target=work) for i in range(6)]
for t in ts[:3]: t.start()
print(os.getpid(), flush=True)
while not os.path.exists(sys.argv[1]): time.sleep(0.005)
for t in ts[3:]: t.start()
for t in ts: t.join()' "$TMP/go-on" >"$TMP/threads" &
pid=$!
kill_later $pid
wait_for "its line" test -s "$TMP/threads"
attach $pid
all_traced() {
    [ "$(cat /proc/$pid/task/*/status | grep -c "^TracerPid:	$TRACER$")" = "${1:-7}" ]
}
wait_for "three threads and the leader, traced" all_traced 4
: >"$TMP/go-on"
wait_for "six threads and the leader, traced" all_traced 7
got=0
wait $pid || got=$?
want "status of the threads" $got 0
got=0
wait $TRACER || got=$?
want "status of a tracer whose tracee has ended" $got 0

sleep 60 &
pid=$!
kill_later $pid
kill -STOP $pid
is_in() { [ "$(sed -n 's/^State:[^A-Za-z]*\(.\).*/\1/p' "/proc/$pid/status")" = "$1" ]; }
wait_for "its stop" is_in T
attach $pid
wait_for "the tracer" traced $pid
leave
wait_for "that it is stopped as before" is_in T
kill -CONT $pid
wait_for "that it goes on" is_in S
