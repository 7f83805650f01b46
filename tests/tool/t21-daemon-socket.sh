#!/bin/sh
# Clients of the legacy socket: what they push, how they end, and what is refused. The proxy
# is killed in the middle.
. "$(dirname "$0")/../support/lib.sh"
need python3 curl
start_proxy --linger 300
wait_for "the first round" get /-/ready
export URL SOCKET PYTHONPATH="$SUPPORT"

python3 "$(dirname "$0")/t21-daemon-socket.py"
grep -q 'gateway: client with pid .*: not JSON' "$LOG" || fail "no line about bad JSON"

# 10,000 messages, then the proxy dies.
python3 "$(dirname "$0")/t21-daemon-socket-ten-thousand.py"
python3 "$(dirname "$0")/t21-daemon-socket-flood.py" &
FLOOD=$!
kill_later $FLOOD
wait_for "the flood" value flood_total kj2
stop_proxy KILL
wait "$FLOOD" 2>/dev/null || :
start_proxy --linger 300
export URL
python3 "$(dirname "$0")/t21-daemon-socket-after-kill.py"
stop_proxy
want "exit status" "$STATUS" 0
[ ! -e "$SOCKET" ] || fail "the socket file is left"
