#!/bin/sh
# A rendezvous for all users of a node, and a user who wishes others ill: locks on what
# everybody may read, and files where the proxy's own should be.
[ ! -w /run ] || TMPDIR=/run
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need root setpriv python3 curl compiler
build_harm
chmod 755 "$TMP"
DIR=$SOCKET.d
# stranger COMMAND...: as a user who is not the proxy's. Where Python is root's alone, it
# becomes that user when it runs.
stranger() {
    setpriv --reuid 54321 --regid 54321 --clear-groups "$@"
}
BECOME='import fcntl, os, struct, sys, time
os.setgroups([])
os.setgid(54321)
os.setuid(54321)
os.chdir(sys.argv[1])
def lock(fd, kind):
    fcntl.fcntl(fd, 37, struct.pack("hhlli4x", kind, os.SEEK_SET, 0, 0, 0))
'

# Whoever was there first: the names that the proxy needs, each held by somebody.
mkdir "$DIR"
chmod 1777 "$DIR"
python3 -c "$BECOME"'
os.makedirs("state/full")
fd = os.open("proxy", os.O_CREAT | os.O_RDWR, 0o644)
os.write(fd, b"1")
lock(fd, fcntl.F_WRLCK)
open("held", "w").close()
time.sleep(600)' "$DIR" &
kill_later $!
wait_for "the stranger" test -e "$DIR/held"
# Not a proxy, so that programs start as without one.
"$BIN/proxy_run" -v -u "$SOCKET" -j early -- true 2>"$TMP/said"
grep -q "no proxy lives there" "$TMP/said" || fail "proxy_run: $(cat "$TMP/said")"
start_proxy --linger 100
wait_for "the first round" get /-/ready
[ "$(stat -c %u "$DIR/proxy" "$DIR/state" "$DIR/state/ledger")" = "0
0
0" ] || fail "a file is not the proxy's"
wait_for "the profile of before" stored 'early'
stop_proxy
want "exit status" "$STATUS" 0

# A lock for reading, by one who may only read.
python3 -c "$BECOME"'
fd = os.open("proxy", os.O_RDONLY)
lock(fd, fcntl.F_RDLCK)
fcntl.flock(fd, fcntl.LOCK_EX)
open("locked", "w").close()
time.sleep(600)' "$DIR" &
kill_later $!
wait_for "the lock" test -e "$DIR/locked"
start_proxy --linger 100
wait_for "the first round" get /-/ready
timeout 20 "$BIN/proxy-v2" -p 0 -u "$SOCKET" -t "$TMP/x" 2>"$TMP/second" &&
    fail "a second proxy started"
grep -q "pid $PROXY_PID" "$TMP/second" || fail "no pid in: $(cat "$TMP/second")"
stranger "$BIN/proxy_run" -u "$SOCKET" -j theirs -- "$HARM" count c_total 2 exit 0
told theirs c_total=2 partial=no
stop_proxy
want "exit status" "$STATUS" 0
