#!/bin/sh
# A traced command is the command: process id, status, signals, stopping, children, streams;
# what a traced one can't do is what it can't under strace.
. "$(dirname "$0")/strace_lib.sh"
need python3
build_caller
run="$BIN/proxy_run -u $SOCKET -j j -e strace"

# ends STATUS COMMAND...: the command ends so, and nothing is said on stderr.
ends() {
    status=$1 got=0
    shift
    "$@" 2>"$TMP/err" || got=$?
    want "status of $*" $got "$status"
    ! grep -qvxE 'Terminated|Killed|Aborted.*' "$TMP/err" || fail "$*: stderr: $(cat "$TMP/err")"
}

"$BIN/proxy_run" -l | grep -qx ' - strace' || fail "proxy_run does not list it"
ends 0 $run true
ends 7 $run sh -c 'exit 7'
ends 143 $run sh -c 'kill -TERM $$'
ends 137 $run sh -c 'kill -KILL $$'
ends 0 $run "$calls" signals
ends 127 sh -c '"$@" 2>/dev/null' x $run "$TMP/no-such-command"
want "stdin to stdout" "$(echo text | $run cat)" text
want "stderr" "$($run sh -c 'echo text >&2' 2>&1)" text
# shellcheck disable=SC2016 # for another shell
children='read -r c </proc/$$/task/$$/children; echo "$c"'
# Whoever reads its output does not wait for the tracer, nor does a shell for children.
want "children" "$($run sh -c "$children")" ""
want "in a subreaper" "$(python3 -c 'import ctypes, os, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
os.execvp(sys.argv[1], sys.argv[1:])' $run sh -c "$children")" ""

# It finds itself as untraced, but for the tracer, the filter and the limits of both.
cat >"$TMP/look" <<'TXT'
ls /proc/$$/fd
# Without a child: while it makes one, a shell blocks signals.
while read -r line; do
    case $line in
    SigBlk:* | SigIgn:* | SigCgt:* | SigPnd:* | ShdPnd:* | Threads:* | Cpus_allowed:*)
        echo "$line" ;;
    esac
done </proc/$$/status
cat /proc/$$/limits
umask
TXT
sh "$TMP/look" >"$TMP/bare" </dev/null
$run sh "$TMP/look" >"$TMP/under" </dev/null
diff "$TMP/bare" "$TMP/under" || fail "the command finds itself changed"
# All but what proxy_run is to set.
ours='^(_|PROXY_|MPROXY_(TRACED|LAUNCHER|COMMAND|CLOCK|FILTERS)|METRIC_PROXY_|LD_PRELOAD)'
env | grep -vE "$ours" | sort >"$TMP/bare"
$run env | grep -vE "$ours" | sort >"$TMP/under"
diff "$TMP/bare" "$TMP/under" || fail "the environment has changed"
# A busy thread is kept on one CPU, and does not see that.
want "processors in sight of a busy program" "$($run python3 -c 'import os
for i in range(20000): os.stat("/")
print(len(os.sched_getaffinity(0)))')" "$(python3 -c 'import os
print(len(os.sched_getaffinity(0)))')"
want "processors of its child" "$($run python3 -c 'import os
for i in range(20000): os.stat("/")
if os.fork() == 0:
    for l in open("/proc/self/status"):
        if l.startswith("Cpus_allowed_list"): print(l.split()[1])
else: os.wait()')" "$(sed -n 's/^Cpus_allowed_list:[^0-9]*//p' /proc/self/status)"
wait_for "all tracers' ends" nobody_lives
want "it was counted, too" "$(($(hits execve) >= 10))" 1
# Tracers are no processes of the job.
want "processes that started, less those that ended by a signal" \
    "$(($(said has_started) - $(said has_finished)))" 2

# Same process id; stops, goes on, and is told signals.
# SIGTSTP stops nobody in a process group that no shell looks after, as this one may be.
python3 -c 'import os, sys
os.setpgid(0, 0)
os.execvp(sys.argv[1], sys.argv[1:])' $run "$calls" beat >"$TMP/beats" &
pid=$!
kill_later $pid
wait_for "its first lines" grep -q 3 "$TMP/beats"
state() { sed -n 's/^State:[^A-Za-z]*\(.\).*/\1/p' "/proc/$pid/status"; }
is_in() { [ "$(state)" = "$1" ]; }
[ "$(sed -n 's/^TracerPid:[^0-9]*//p' "/proc/$pid/status")" -gt 0 ] || fail "it is not traced"
# Another one, which nobody stops, tells the time.
"$calls" beat >"$TMP/others" &
kill_later $!
beaten() { [ "$(wc -l <"$TMP/others")" -ge "$1" ]; }
for how in STOP TSTP; do
    kill -$how $pid
    wait_for "its stop by $how ($(state))" is_in t
    lines=$(wc -l <"$TMP/beats")
    wait_for "beats of another" beaten $(($(wc -l <"$TMP/others") + 5))
    want "lines while it is stopped" "$(wc -l <"$TMP/beats")" "$lines"
    kill -CONT $pid
    more() { [ "$(wc -l <"$TMP/beats")" -gt "$lines" ]; }
    wait_for "lines after SIGCONT" more
done
kill -TERM $pid
got=0
wait $pid || got=$?
want "status after SIGTERM" $got 5
want "its last line" "$(tail -n 1 "$TMP/beats")" ended
# A terminal's ^Z, as the parent sees it: a stop that waitpid tells, and one that goes on.
want "what a parent sees" "$(python3 -c 'import os, signal, sys, time
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, setpgroup=0)
while open(f"/proc/{pid}/comm").read() != "sleep\n": time.sleep(0.01)
os.kill(pid, signal.SIGTSTP)
_, s = os.waitpid(pid, os.WUNTRACED); print(os.WIFSTOPPED(s), os.WSTOPSIG(s) == signal.SIGTSTP)
os.kill(pid, signal.SIGCONT)
_, s = os.waitpid(pid, os.WCONTINUED); print(os.WIFCONTINUED(s))
os.kill(pid, signal.SIGKILL)
_, s = os.waitpid(pid, 0); print(os.WTERMSIG(s))' $run sleep 60 | tr '\n' ' ')" "True True True 9 "

# Already traced: it runs, uncounted, and stderr has why.
got=0
$run $run sh -c 'exit 3' 2>"$TMP/err" || got=$?
want "status of a command traced already" $got 3
grep -q 'not counted: a tracer or debugger has the process already' "$TMP/err" ||
    fail "no word of it: $(cat "$TMP/err")"

# Rights: a set-uid program has its owner's under root's tracer, and not under a user's.
cp "$(command -v id)" "$TMP/id"
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && chmod 4755 "$TMP/id" &&
    chmod 755 "$TMP" && [ "$(setpriv --reuid 65534 --clear-groups "$TMP/id" -un)" = root ]; then
    mkdir -m 777 "$TMP/nobody"
    # Under /dev/shm itself, which everybody may write to.
    nobody="setpriv --reuid 65534 --regid 65534 --clear-groups $BIN/proxy_run -e strace -u $TMP/nobody/socket"
    want "under a user's tracer" "$($nobody "$TMP/id" -un 2>"$TMP/err")" nobody
    want "stderr of it" "$(cat "$TMP/err")" ""
    want "under root's tracer" "$($run setpriv --reuid 65534 --clear-groups "$TMP/id" -un)" root
fi

# The tracer killed: with a filter all die with it, and none goes on with calls that fail.
$run "$calls" persist >"$TMP/persists" &
pid=$!
kill_later $pid
wait_for "its line" test -s "$TMP/persists"
kill -KILL "$(sed -n 's/^TracerPid:[^0-9]*//p' "/proc/$pid/status")"
got=0
wait $pid || got=$?
want "status when its tracer was killed" $got 137
: >"$TMP/persists"
"$tracer" -u "$SOCKET" -j j --no-filter -- "$calls" persist >"$TMP/persists" &
pid=$!
kill_later $pid
wait_for "its line" test -s "$TMP/persists"
kill -KILL "$(sed -n 's/^TracerPid:[^0-9]*//p' "/proc/$pid/status")"
untraced() { grep -qx 'TracerPid:	0' "/proc/$pid/status"; }
wait_for "the end of tracing" untraced
kill -TERM $pid
got=0
wait $pid || got=$?
want "status without a filter" $got 0
