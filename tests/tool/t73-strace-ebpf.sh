#!/bin/sh
# System calls counted in the kernel, for processes that proxy_run marks.
. "$(dirname "$0")/strace_lib.sh"
need ebpf python3
build_caller

build_alone

# Not asked for, or not allowed: the tracer does it.
start_proxy
$run -v -j traced -- "$calls" calls 2>"$TMP/err"
grep -q 'libmetricproxy-exporter-strace.tool' "$TMP/err" || fail "$(cat "$TMP/err")"
profile traced
want "writes under the tracer" "$(metric strace___hits___write)" 500
want "getppid under the tracer" "$(metric strace___hits___getppid)" ""
stop_proxy

# Two proxies that count in the kernel: each hears of its own jobs alone.
here=$SOCKET SOCKET=$TMP/other.socket
start_proxy --ebpf
other=$URL SOCKET=$here
start_proxy --ebpf
grep -q 'counted in the kernel' "$LOG" || fail "no eBPF: $(cat "$LOG")"
$run -v -j marked -- "$calls" calls 2>"$TMP/err"
grep -q 'counts system calls in the kernel' "$TMP/err" || fail "$(cat "$TMP/err")"
"$calls" calls # of no job: not counted
profile marked
want "writes" "$(metric strace___hits___write)" 500
want "getppid" "$(metric strace___hits___getppid)" 1500
want "bytes written" "$(metric strace___size___write)" 30000
want "all bytes written" "$(metric total___strace___size___write)" 30000
want "bytes read" "$(metric strace___size___read)" 50832
awk -v s="$(metric strace___time___write)" 'BEGIN { exit !(s > 0 && s < 5) }' ||
    fail "time in write: $(metric strace___time___write)"
get "/profiles/get?jobid=marked" >"$TMP/whole"
grep -q "\"command\":\"$calls calls\"" "$TMP/whole" ||
    fail "the job has lost its command"
[ -z "$(sed -n 's/^TracerPid:[^0-9]*//p' /proc/self/status | grep -v '^0$')" ] ||
    fail "somebody traces"

want "jobs of the other proxy" "$(curl -sS "$other/metrics" | grep -c '^strace___')" 0

# As strace counts, all calls of all threads and children from the first exec on. But a call
# in which a thread is killed (thread-execs: the leader's pause) returns in the kernel, which
# counts it, and not to a tracer.
if command -v strace >/dev/null; then
    for way in calls threads forks vforks chain thread-execs signals; do
        strace_hits "$calls" $way | grep -vE '^futex ' >"$TMP/theirs"
        $run -j $way -- "$calls" $way
        profile $way
        sed -n 's/^strace___hits___//p' "$TMP/profile" | grep -vE '^(futex|pause) ' >"$TMP/ours"
        diff "$TMP/theirs" "$TMP/ours" >"$TMP/diff" || fail "$way: $(cat "$TMP/diff")"
    done
fi

# A program that runs is seen while it runs, and not harmed by the proxy's death. Without
# --ebpf the next proxy traces.
$run -j lives -- "$calls" persist >"$TMP/persists" &
pid=$!
kill_later $pid
counts() { [ "$(value strace___hits___write lives 2>/dev/null || echo 0)" -gt 1000 ]; }
wait_for "its writes" counts
before=$(value strace___hits___write lives)
stop_proxy KILL
kill -0 $pid || fail "the program died with the proxy"
[ -e "$(rendezvous "$SOCKET")/syscalls" ] || fail "the sign is gone"
$run -v -j between -- true 2>"$TMP/err"
grep -q 'libmetricproxy-exporter-strace.tool' "$TMP/err" || fail "it relied on a dead proxy"
start_proxy
[ ! -e "$(rendezvous "$SOCKET")/syscalls" ] || fail "the next proxy kept the sign"
kill -TERM $pid
got=0
wait $pid || got=$?
want "status of the program" $got 0
profile lives
[ "$(metric strace___hits___write)" -ge "$before" ] ||
    fail "writes: $(metric strace___hits___write) of $before"
stop_proxy

# Without the privilege the proxy says so, and works.
if command -v setpriv >/dev/null; then
    chmod 755 "$TMP"
    mkdir -m 777 "$TMP/nobody"
    setpriv --reuid 65534 --regid 65534 --clear-groups "$BIN/proxy-v2" -p 0 \
        --listen 127.0.0.1 -u "$TMP/nobody/socket" -t "$TMP/nobody/prefix" --ebpf \
        2>"$TMP/log" &
    pid=$!
    kill_later $pid
    refused() { grep -q "can't be counted in the kernel: eBPF" "$TMP/log"; }
    wait_for "the refusal" refused
    kill $pid
    wait $pid
fi
