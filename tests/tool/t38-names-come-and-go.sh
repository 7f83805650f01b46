#!/bin/sh
# Jobs and processes that each bring names of their own, many times as many as the proxy may
# know at once: none is refused, and what they counted stays exact, across kills of the proxy.
. "$(dirname "$0")/../support/lib.sh"
need python3 curl
# More than the node's own metrics and the proxy's, whatever the machine has.
start_proxy --linger 0
wait_for "the first round" get /-/ready
KNOWN=$(value mproxy_names)
stop_proxy
export MPROXY_TEST_MAX_NAMES=$((${KNOWN%.*} + 150))
export SOCKET PYTHONPATH="$SUPPORT"
for life in 1 2; do
    start_proxy --linger 0
    wait_for "the first round" get /-/ready
    export URL
    python3 "$(dirname "$0")/t38-names-come-and-go.py" $life
    stop_proxy KILL
done
