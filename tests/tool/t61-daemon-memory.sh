#!/bin/sh
# What a segment with 10,000 names costs the proxy while it lives, and that it is given back
# what writing and reading its profile took.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need python3 curl
! nm -D "$LIB/libmproxy.so" 2>/dev/null | grep -q '__asan_init\|__tsan_init' ||
    skip memory "a sanitizer's memory is not the proxy's"
start_proxy --linger 100
wait_for "the first round" get /-/ready
export URL SOCKET PYTHONPATH="$SUPPORT:$SUPPORT/harm" PROXY_PID
DIR=$(rendezvous "$SOCKET")
export DIR
python3 "$(dirname "$0")/t61-daemon-memory.py"
stop_proxy
want "exit status" "$STATUS" 0
