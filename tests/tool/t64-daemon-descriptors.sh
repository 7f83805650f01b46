#!/bin/sh
# A proxy holds nothing that it inherits but its log, so that whoever started it and waits
# for the end of a pipe goes on.
. "$(dirname "$0")/../support/lib.sh"

# start OPTION...: as people do it, in $(...), with a descriptor that somebody left open.
cat >"$TMP/start" <<'EOF'
log=$1
shift
pid=$("$@" 2>"$log" 7<"$0" & echo $!)
echo "$pid"
EOF
LOG=$TMP/proxy.log
timeout 20 sh "$TMP/start" "$LOG" "$BIN/proxy-v2" -p 0 --listen 127.0.0.1 -u "$SOCKET" \
    -t "$TMP/prefix" -S 100 >"$TMP/pid" || {
    kill_later "$(pgrep -f "$SOCKET" | head -1)"
    fail "\$(proxy-v2 &) does not return while the proxy lives"
}
PROXY_PID=$(cat "$TMP/pid")
kill_later "$PROXY_PID"
wait_for "the proxy's first line" proxy_said_url
URL=http://127.0.0.1:$(sed -n 's/.*listening on .*:\([0-9]*\).*/\1/p' "$LOG")
wait_for "the first round" get /-/ready
[ -d "/proc/$PROXY_PID" ] || fail "the proxy does not live"

for fd in "/proc/$PROXY_PID/fd"/*; do
    [ "$(readlink "$fd")" != "$TMP/start" ] || fail "it holds ${fd##*/} of its starter"
done
want "its input" "$(readlink "/proc/$PROXY_PID/fd/0")" /dev/null
want "its output" "$(readlink "/proc/$PROXY_PID/fd/1")" /dev/null
want "its log" "$(readlink "/proc/$PROXY_PID/fd/2")" "$LOG"
