#!/bin/sh
# The proxy is killed, and what the kernel counts goes on: no call is lost or counted twice.
# All of it with a BPF file system of the test's own.
if [ -z "${OWN_MOUNTS:-}" ] && unshare --mount mount -t bpf bpf /sys/fs/bpf 2>/dev/null; then
    exec env OWN_MOUNTS=1 unshare --mount \
        sh -c 'mount -t bpf bpf /sys/fs/bpf && exec sh "$0"' "$0"
fi
. "$(dirname "$0")/strace_lib.sh"
need ebpf python3
[ -n "${OWN_MOUNTS:-}" ] || skip ebpf "no BPF file system can be mounted at /sys/fs/bpf"
build_caller
build_alone
left() { find /sys/fs/bpf -path '*/mproxy-*' -name "${1:-*}" | wc -l; }
shows() { [ "$(value strace___hits___getppid "$1" 2>/dev/null)" = "$2" ]; }
grown() { [ "$(value strace___hits___getppid "$1" 2>/dev/null || echo 0)" -gt "$2" ]; }

# A proxy that does not hold the pipe below open.
start() { start_proxy "$@" 9>&-; }

# answers JOB: begins a program that makes 1000 calls whenever asked to.
answers() {
    rm -f "$TMP/ask"
    mkfifo "$TMP/ask"
    $run -j "$1" -- "$calls" answer 1000 <"$TMP/ask" >"$TMP/answers" &
    program=$!
    kill_later $program
    exec 9>"$TMP/ask"
}
# ask TIMES: 1000 calls each; TIMES with those before.
ask() {
    echo >&9
    answered() { [ "$(grep -c done "$TMP/answers")" = "$1" ]; }
    wait_for "answer $1" answered "$1"
}
# bid_farewell: the program ends.
bid_farewell() {
    exec 9>&-
    wait $program
}

start --ebpf
grep -q 'counted in the kernel, also while no proxy lives' "$LOG" || fail "$(cat "$LOG")"
want "trees to begin with" "$(value mproxy_syscall_trees)" 0

# Killed again and again, while threads and children come and go: 2 * 4 * 300,000 calls.
$run -j storm -- "$calls" storm 4 300000 &
storm=$!
kill_later $storm
last=0
while kill -0 $storm 2>/dev/null; do
    wait_for "more calls" sh -c "! kill -0 $storm 2>/dev/null ||
        [ \"\$(curl -sS '$URL/metrics?job=storm' | sed -n 's/^strace___hits___getppid //p')\" -gt $last ]"
    last=$(value strace___hits___getppid storm 2>/dev/null || echo $last)
    stop_proxy KILL
    killed=$((${killed:-0} + 1))
    start --ebpf
done
wait $storm
[ $killed -ge 3 ] || fail "it was killed only $killed times"
profile storm
want "calls of the storm, after $killed deaths" "$(metric strace___hits___getppid)" 2400000

# It comes back after the program's end; what it had read was 1000, or nothing.
answers ended
ask 1
wait_for "the first calls" shows ended 1000
stop_proxy KILL
ask 2
bid_farewell
start --ebpf
profile ended
want "calls until the end" "$(metric strace___hits___getppid)" 2000

# Killed before it has read anything: its rounds are stopped before the program begins.
kill -STOP $PROXY_PID
answers unread
ask 1
stop_proxy KILL
start --ebpf
wait_for "calls that nobody had read" shows unread 1000
bid_farewell
profile unread
want "calls that nobody had read" "$(metric strace___hits___getppid)" 1000

# Programs that begin while it is down are traced.
stop_proxy KILL
[ -e "$(rendezvous "$SOCKET")/syscalls" ] || fail "the sign is gone"
$run -v -j between -- "$calls" calls 2>"$TMP/err"
grep -q 'libmetricproxy-exporter-strace.tool' "$TMP/err" || fail "it relied on a dead proxy"
start --ebpf
profile between
want "writes of a program begun meanwhile" "$(metric strace___hits___write)" 500

# Killed at each step of a group's end, of what follows, and of going on.
points='syscalls.written syscalls.forgotten fold.unlinking processes.unlinked release.absorbed'
grep -q MPROXY_CRASH_AT "$LIB/libmproxy.so" || points=
for point in $points; do
    stop_proxy
    export MPROXY_CRASH_AT=$point
    start --ebpf
    unset MPROXY_CRASH_AT
    $run -j $point -- "$calls" storm 2 1000
    wait $PROXY_PID && fail "$point was not reached"
    start --ebpf
    profile $point
    want "calls, killed at $point" "$(metric strace___hits___getppid)" 4000
done
answers removed
ask 1
wait_for "its calls" shows removed 1000
stop_proxy KILL
[ -z "$points" ] || ! MPROXY_CRASH_AT=syscalls.removed "$BIN/proxy-v2" -p 0 \
    --listen 127.0.0.1 -u "$SOCKET" -t "$TMP/prefix" --ebpf 2>/dev/null ||
    fail "syscalls.removed was not reached"
start --ebpf
ask 2
wait_for "its calls after two deaths" shows removed 2000
# The directory is removed under it, and it is killed after that.
rm -rf "$(rendezvous "$SOCKET")"
made_again() { [ -s "$(rendezvous "$SOCKET")/syscalls" ] && [ "$(left groups)" = 1 ]; }
wait_for "the directory" made_again
ask 3
wait_for "its calls in a new directory" shows removed 3000
stop_proxy KILL
ask 4
start --ebpf
bid_farewell
profile removed
want "calls, the directory removed" "$(metric strace___hits___getppid)" 4000

# A proxy that was not asked to count takes what there is, and ends the counting.
answers taken
ask 1
stop_proxy KILL
start
want "what is left in the kernel" "$(left)" 0
ask 2
bid_farewell
profile taken
want "calls taken over" "$(metric strace___hits___getppid)" 1000
stop_proxy

# Nothing is left by a proxy that ends.
start --ebpf
[ "$(left on_enter)" = 1 ] || fail "nothing is pinned"
stop_proxy
want "what is left in the kernel" "$(left)" 0

# One that does not come back: another proxy ends programs that count nobody, but sums stay;
# and all goes once nothing awaits them.
start --ebpf
answers late
ask 1
stop_proxy KILL
here=$SOCKET SOCKET=$TMP/other.socket
start --ebpf
want "programs while the tree lives" "$(left on_enter)" 2
stop_proxy
bid_farewell
start --ebpf
want "programs that count nobody" "$(left on_enter)" 1
want "sums" "$(left sums)" 2
stop_proxy
SOCKET=$here
start --ebpf
profile late
want "calls told of late" "$(metric strace___hits___getppid)" 1000
stop_proxy KILL
rm -rf "$(rendezvous "$SOCKET")"
SOCKET=$TMP/other.socket
start --ebpf
want "programs of a proxy without a directory" "$(left groups)" 1
stop_proxy
SOCKET=$here

# More trees than there is room for, all unread: 1,024 of 1,030.
start --ebpf
want "nothing lost yet" "$(value 'mproxy_refused_total{reason="syscall_tree"}')" 0
kill -STOP $PROXY_PID
for i in $(seq 1030); do
    echo "$run -j many -- $calls calls </dev/null >/dev/null 2>&1"
done | sh
kill -CONT $PROXY_PID
lost() { [ "$(value 'mproxy_refused_total{reason="syscall_tree"}')" = 6 ]; }
wait_for "the number of trees that were not counted" lost
profile many
want "calls of those with room" "$(metric strace___hits___getppid)" $((1024 * 1500))
stop_proxy
