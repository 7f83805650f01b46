#!/bin/sh
# Many processes in one rendezvous: a start or a fork makes no more system calls for them, and
# a proxy that is stopped is no reason for files without end. One whose round takes long is not
# taken for stopped. A forked child leaves /proc alone.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need compiler python3 curl strace
DIR=$(rendezvous "$SOCKET")

cat >"$TMP/forks.c" <<'TXT'
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    for (int i = 0; i < atoi(argv[argc - 1]); i++) {
        if (fork() == 0)
            _exit(0);
        wait(NULL);
    }
    return 0;
}
TXT
"${CC:-cc}" -O1 -o "$TMP/forks" "$TMP/forks.c"

# calls FORKS: how many system calls a start with so many forks makes as things are.
calls() {
    strace -f -o "$TMP/trace" -E PROXY_PATH="$SOCKET" -E PROXY_JOB_ID=calls -E \
        LD_PRELOAD="$LIB/libmproxy_client.so.0:$LIB/libmetricproxy-exporter-process.so" \
        "$TMP/forks" "$1" || fail "strace"
    grep -c '(' "$TMP/trace"
}

# crowd FROM TO: entries as live processes of others have them.
crowd() {
    (cd "$DIR" && seq -f '%.0f-1-1-0.seg' "$1" "$2" | xargs touch)
}

start_proxy --linger 100
wait_for "the first round" get /-/ready
calls 40 >"$TMP/calls"
# Looking into /proc costs a young process more than its segment does. It has to where its
# fork came over the end of a tick, which happens, slow as things are under strace.
looking=$(awk 'NR == 1 { first = $1 } $1 != first && /"\/proc/ { print $1 }' "$TMP/trace" |
    sort -u | wc -l)
echo "children of 40 that look into /proc: $looking"
[ "$looking" -lt 40 ] || fail "all forked children look into /proc"
few=$(calls 3)
# Locked by one process for all, so that they stay.
crowd 1000001 1010000
python3 - "$DIR" <<'PY' &
import fcntl, os, resource, struct, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
held = []
for number in range(1000001, 1010001):
    held.append(os.open(f"{sys.argv[1]}/{number}-1-1-0.seg", os.O_RDWR))
    fcntl.fcntl(held[-1], 37, struct.pack("hhlli4x", fcntl.F_WRLCK, 0, 0, 0, 0))
open(sys.argv[1] + "/held", "w").close()
time.sleep(600)
PY
kill_later $!
wait_for "the crowd" test -e "$DIR/held"
many=$(calls 3)
echo "system calls of a start and three forks: $few, beside 10,000 others $many"
[ "$many" -le $((few + 4 * 12)) ] || fail "$many system calls beside 10,000, $few without them"
kill -KILL $!
stop_proxy
find "$DIR" -name '*.seg' -delete

# Stopped, it is silent; programs run on, and what does not count is said.
start_proxy --linger 100
wait_for "the first round" get /-/ready
kill -STOP "$PROXY_PID"
wait_past $(($(now_ms) + 3000))
"$BIN/proxy_run" -u "$SOCKET" -j stopped -e process -- "$TMP/forks" 9000
files=$(find "$DIR" | wc -l)
kill -CONT "$PROXY_PID"
echo "files beside a stopped proxy: $files"
[ "$files" -le 5400 ] || fail "$files files beside a stopped proxy"
[ "$files" -ge 4096 ] || fail "only $files files beside a stopped proxy"
wait_for "the profile" stored 'stopped'
get '/profiles/get?jobid=stopped' >"$TMP/profile"
python3 - "$TMP/profile" <<'PY' || fail "what was counted beside a stopped proxy"
import json, sys
profile = json.load(open(sys.argv[1]))
values = {e["name"]: e["ctype"]["Counter"]["value"] for e in profile["counters"]
          if "Counter" in e["ctype"]}
print({name: v for name, v in values.items() if "uncounted" in name or "has_" in name})
assert 3900 < values["has_started"] < 4200, values["has_started"]
assert profile["partial"], "not partial"
PY
stop_proxy
want "exit status" "$STATUS" 0

# The thread that reads segments gets nowhere, as in a round of seconds; the proxy runs.
start_proxy --linger 100
wait_for "the first round" get /-/ready
python3 "$SUPPORT/hold_thread.py" "$PROXY_PID" "$TMP/held" 2>"$TMP/err" &
holder=$!
kill_later $holder
wait_for "a thread that is held" sh -c "test -e '$TMP/held' || ! kill -0 $holder"
[ -e "$TMP/held" ] || skip_part ptrace "$(cat "$TMP/err")"
if [ -e "$TMP/held" ]; then
    wait_past $(($(now_ms) + 3000))
    "$BIN/proxy_run" -u "$SOCKET" -j busy -e process -- "$TMP/forks" 5000
    rm "$TMP/held"
    wait $holder
    told busy has_started=5001 has_finished=5001 partial=no
fi
stop_proxy
want "exit status" "$STATUS" 0
