#!/bin/sh
# Every route of a running proxy: what it replies, and what it refuses and how.
. "$(dirname "$0")/../support/lib.sh"
need python3 curl
start_proxy
wait_for "the first round" get /-/ready

"$BIN/proxy_run" -u "$SOCKET" -j 'a job' -- sleep 60 &
kill_later $!
wait_for "the job" get '/job?job=a%20job'

export URL SOCKET SUPPORT PYTHONPATH="$SUPPORT"
python3 "$(dirname "$0")/t20-daemon-routes.py"
stop_proxy
want "exit status" "$STATUS" 0
