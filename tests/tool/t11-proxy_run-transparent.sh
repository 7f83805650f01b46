#!/bin/sh
# A command under proxy_run is the command: status, signals, streams, process id, and what
# it holds; with no proxy, and where nothing can be counted at all.
. "$(dirname "$0")/../support/lib.sh"
run="$BIN/proxy_run -u $SOCKET"

# ends STATUS COMMAND...: the command ends so, and nothing is said on stderr.
ends() {
    status=$1 got=0
    shift
    "$@" 2>"$TMP/err" || got=$?
    want "status of $*" $got "$status"
    # The shell itself says what signal ended a command.
    ! grep -qvxE 'Terminated|Killed' "$TMP/err" || fail "$*: stderr: $(cat "$TMP/err")"
}

ends 0 $run true
ends 1 $run -j j -- false
ends 7 $run sh -c 'exit 7'
ends 143 $run sh -c 'kill -TERM $$'
ends 137 $run sh -c 'kill -KILL $$'

# Streams.
want "stdin to stdout" "$(echo text | $run cat)" text
want "stderr" "$($run sh -c 'echo text >&2' 2>&1)" text
ends 0 sh -c '"$@" <&- >&-' x $run true

# It becomes the command: same process id, and a signal to it is one to the command.
$run sh -c 'echo $$; exec sleep 60' >"$TMP/pid" &
pid=$!
kill_later $pid
wait_for "the command's first line" test -s "$TMP/pid"
want "process id" "$(cat "$TMP/pid")" $pid
wait_for "sleep" grep -q sleep "/proc/$pid/comm"
want "children of the command" "$(cat "/proc/$pid/task/$pid/children")" ""
kill -TERM $pid
got=0
wait $pid || got=$?
want "status after kill -TERM" $got 143

# It finds itself as without proxy_run: descriptors, threads, signals, limits.
cat >"$TMP/look" <<'TXT'
ls /proc/$$/fd
ls /proc/$$/task | wc -l
# By the shell alone: while it starts a program, it blocks signals.
while IFS= read -r line; do
    case $line in
    Sig[BICP]* | ShdPnd:* | Threads:* | NoNewPrivs:* | Seccomp:*) echo "$line" ;;
    esac
done </proc/self/status
cat /proc/$$/limits
umask
ls -l /proc/$$/fd | grep -c socket: || :
TXT
sh "$TMP/look" >"$TMP/bare" </dev/null
$run sh "$TMP/look" >"$TMP/under" </dev/null
diff "$TMP/bare" "$TMP/under" || fail "the command finds itself changed"
env | grep -vE '^(_|PROXY_|MPROXY_|METRIC_PROXY_|LD_PRELOAD)' | sort >"$TMP/bare"
$run env | grep -vE '^(_|PROXY_|MPROXY_|METRIC_PROXY_|LD_PRELOAD)' | sort >"$TMP/under"
diff "$TMP/bare" "$TMP/under" || fail "the environment has changed"

# Where nothing can be counted, it runs all the same.
ends 0 sh -c 'ulimit -f 0; "$@"' x $run true
ends 0 sh -c 'ulimit -f 1; "$@"' x $run true
# One descriptor is what the loader needs for the command's libraries.
ends 0 sh -c 'exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; ulimit -n 4; "$@"' x $run true
# None at all: it runs, and stderr has why it is not counted. Only a static command can.
if "${CC:-cc}" -static -x c -o "$TMP/static" - 2>/dev/null <<'TXT'
int main(void) { return 3; }
TXT
then
    got=0
    sh -c 'exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; ulimit -n 3; "$@"' x $run \
        "$TMP/static" 2>"$TMP/err" || got=$?
    want "status without descriptors" $got 3
    grep -q 'without being counted' "$TMP/err" || fail "no word of it: $(cat "$TMP/err")"
fi
mkdir "$TMP/none"
: >"$TMP/none/file"
ends 0 "$BIN/proxy_run" -u /dev/shm/mproxy-no-such-directory/x/socket true
ends 0 "$BIN/proxy_run" -u "/dev/shm$TMP/none/file/socket" true
mkdir "$TMP/gone"
ends 0 sh -c 'cd "$1"; rmdir "$1"; shift; "$@"' x "$TMP/gone" $run true
# A rendezvous of somebody else's making is not used.
other=$TMP/other.socket
ln -s "$TMP/none" "$(rendezvous "$other")"
ends 0 "$BIN/proxy_run" -u "$other" true
want "files behind the link" "$(ls "$TMP/none")" file

# A long command line.
big=$(head -c 100000 /dev/zero | tr '\0' x)
ends 0 $run true "$big" "$big" "$big"
