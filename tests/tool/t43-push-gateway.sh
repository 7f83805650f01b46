#!/bin/sh
# Debian's Pushgateway as a real server: the same calls to it and to a proxy, and call by call
# the same status and the same metrics, but for what the table in the script says.
. "$(dirname "$0")/../support/lib.sh"
need prometheus-pushgateway python3 curl
start_proxy
wait_for "the first round" get /-/ready
export URL SOCKET PYTHONPATH="$SUPPORT"
timeout 280 python3 "$(dirname "$0")/t43-push-gateway.py"
