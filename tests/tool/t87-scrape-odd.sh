#!/bin/sh
# Pages as exporters send them, over real sockets: each line is shown or accounted for, and
# what is malformed is refused with its line. Exporters that are slow, dead, endless, or lie,
# do not delay the others, and labels that churn do not stay in memory.
. "$(dirname "$0")/../support/lib.sh"
need python3 curl
start_proxy
wait_for "the first round" get /-/ready
export URL SOCKET PYTHONPATH="$SUPPORT" PROXY_PID
timeout 250 python3 "$(dirname "$0")/t87-scrape-odd.py" || fail "$(tail -n 20 "$LOG")"
kill -0 "$PROXY_PID" || fail "the proxy has ended: $(cat "$LOG")"
stop_proxy
want "exit status" "$STATUS" 0
