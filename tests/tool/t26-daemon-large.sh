#!/bin/sh
# Replies of many megabytes are streamed in bounded memory, plain and packed; readers that
# leave in the middle cost nothing; addresses and bodies over their limits are refused.
. "$(dirname "$0")/../support/lib.sh"
need python3 curl
start_proxy -S 500
wait_for "the first round" get /-/ready
export URL SOCKET PYTHONPATH="$SUPPORT" PROXY_PID

python3 "$(dirname "$0")/t26-daemon-large.py"
stop_proxy
want "exit status" "$STATUS" 0
